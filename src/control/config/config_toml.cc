#include "control/config/config_toml.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace
{

struct too_deep {
    unsigned line;
};

char *copy_text(std::string_view s)
{
    char *p = static_cast<char *>(malloc(s.size() + 1));
    if (!p)
        throw std::bad_alloc();
    memcpy(p, s.data(), s.size());
    p[s.size()] = '\0';
    return p;
}

/* Room for `n` zeroed children, owned by `out` from here on. */
void make_room(veld_toml *out, size_t n)
{
    if (n == 0)
        return;
    out->item = static_cast<veld_toml *>(calloc(n, sizeof *out->item));
    if (!out->item)
        throw std::bad_alloc();
    out->n = n;
}

void convert(const toml::node &from, veld_toml *out, unsigned depth);

void convert_table(const toml::table &from, veld_toml *out, unsigned depth)
{
    struct entry {
        const toml::key *key;
        const toml::node *value;
    };
    std::vector<entry> entries; /* toml++ sorts by name: put them back in the file's order */
    entries.reserve(from.size());
    for (auto &&[key, value] : from)
        entries.push_back({&key, &value});
    std::sort(entries.begin(), entries.end(), [](const entry &a, const entry &b) {
        return a.key->source().begin < b.key->source().begin;
    });

    make_room(out, entries.size());
    for (size_t i = 0; i < entries.size(); i++) {
        veld_toml *child = &out->item[i];
        child->line = entries[i].key->source().begin.line;
        child->key = copy_text(entries[i].key->str());
        convert(*entries[i].value, child, depth + 1);
    }
}

void convert_array(const toml::array &from, veld_toml *out, unsigned depth)
{
    make_room(out, from.size());
    for (size_t i = 0; i < from.size(); i++) {
        out->item[i].line = from[i].source().begin.line;
        convert(from[i], &out->item[i], depth + 1);
    }
}

void convert(const toml::node &from, veld_toml *out, unsigned depth)
{
    if (depth > VELD_TOML_DEPTH_MAX)
        throw too_deep{out->line};
    if (const auto *table = from.as_table()) {
        out->type = VELD_TOML_TABLE;
        convert_table(*table, out, depth);
    } else if (const auto *array = from.as_array()) {
        out->type = VELD_TOML_ARRAY;
        convert_array(*array, out, depth);
    } else if (const auto *string = from.as_string()) {
        out->type = VELD_TOML_STRING;
        out->len = string->get().size();
        out->text = copy_text(string->get());
    } else if (const auto *integer = from.as_integer()) {
        out->type = VELD_TOML_INTEGER;
        out->integer = integer->get();
    } else if (const auto *boolean = from.as_boolean()) {
        out->type = VELD_TOML_BOOLEAN;
        out->boolean = boolean->get();
    } else {
        out->type = VELD_TOML_OTHER;
    }
}

int fail(veld_toml_error *error, int code, unsigned line, unsigned column, const char *text)
{
    error->line = line;
    error->column = column;
    snprintf(error->text, sizeof error->text, "%s", text);
    return code;
}

/* 0, or the number of the first line longer than VELD_TOML_LINE_MAX. */
unsigned find_long_line(std::string_view text)
{
    unsigned line = 1;
    for (size_t start = 0; start < text.size(); line++) {
        size_t end = std::min(text.find('\n', start), text.size());
        if (end - start > VELD_TOML_LINE_MAX)
            return line;
        start = end + 1;
    }
    return 0;
}

void free_children(veld_toml *node)
{
    for (size_t i = 0; i < node->n; i++)
        free_children(&node->item[i]);
    free(node->item);
    free(node->key);
    free(node->text);
}

} // namespace

int veld_toml_parse(const char *text, size_t len, veld_toml **out, veld_toml_error *error)
{
    if (unsigned line = find_long_line({text, len}))
        return fail(error, VELD_E_FORMAT, line, 0,
                    "line too long; break arrays over several lines");
    veld_toml *root = nullptr;
    int rc;
    try {
        toml::table table = toml::parse(std::string_view{text, len});
        root = static_cast<veld_toml *>(calloc(1, sizeof *root));
        if (!root)
            throw std::bad_alloc();
        root->line = 1;
        convert(table, root, 0);
        *out = root;
        return 0;
    } catch (const toml::parse_error &e) {
        const auto &at = e.source().begin;
        rc = fail(error, VELD_E_FORMAT, at.line, at.column,
                  std::string(e.description()).c_str());
    } catch (const too_deep &e) {
        rc = fail(error, VELD_E_FORMAT, e.line, 0, "tables or arrays nested too deeply");
    } catch (const std::exception &) {
        rc = fail(error, VELD_E_NOMEM, 1, 0, "out of memory");
    }
    veld_toml_free(root);
    return rc;
}

void veld_toml_free(veld_toml *root)
{
    if (!root)
        return;
    free_children(root);
    free(root);
}
