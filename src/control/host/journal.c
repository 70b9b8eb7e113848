#include "control/host/journal.h"

#include "base/file.h"
#include "base/log.h"
#include "control/host/foreign_file.h"

#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_VERSION 1

enum change_kind { CHANGE_CONTENT, CHANGE_LINES };
static const char *const kind_names[] = {"content", "lines"};

struct bytes {
    char *p; /* NUL added */
    size_t len;
};

struct change {
    enum change_kind kind;
    char *path;
    struct bytes before; /* content: the whole file; lines: empty */
    struct bytes after;  /* content: the whole file; lines: those put in */
    bool created;        /* lines: the file was made for them */
};

struct veld_journal {
    char *dir;
    char *file;
    struct change changes[VELD_JOURNAL_CHANGES_MAX];
    size_t n;
};

static struct bytes bytes_copy(const char *p, size_t len)
{
    char *copy = g_malloc(len + 1);
    memcpy(copy, p, len);
    copy[len] = '\0';
    return (struct bytes){copy, len};
}

static void change_clear(struct change *c)
{
    g_free(c->path);
    g_free(c->before.p);
    g_free(c->after.p);
    *c = (struct change){0};
}

/* ---- the journal's own file ---- */

static json_t *bytes_to_json(const struct bytes *b)
{
    char *text = g_base64_encode((const guchar *)b->p, b->len);
    json_t *json = json_string(text);
    g_free(text);
    return json;
}

static bool bytes_from_json(const json_t *json, struct bytes *out)
{
    const char *text = json_string_value(json);
    if (!text || strlen(text) > VELD_JOURNAL_FILE_MAX * 2)
        return false;
    gsize len;
    guchar *raw = g_base64_decode(text, &len);
    *out = bytes_copy((const char *)raw, len);
    g_free(raw);
    char *again = g_base64_encode((const guchar *)out->p, len);
    bool exact = strcmp(again, text) == 0; /* the decoder skips what it does not know */
    g_free(again);
    return exact;
}

static json_t *change_to_json(const struct change *c)
{
    json_t *json = json_object();
    int bad = json_object_set_new(json, "path", json_string(c->path));
    bad |= json_object_set_new(json, "kind", json_string(kind_names[c->kind]));
    bad |= json_object_set_new(json, "before", bytes_to_json(&c->before));
    bad |= json_object_set_new(json, "after", bytes_to_json(&c->after));
    bad |= json_object_set_new(json, "created", json_boolean(c->created));
    if (!bad)
        return json;
    json_decref(json);
    return NULL;
}

static bool change_from_json(const json_t *json, struct change *out)
{
    const char *path = json_string_value(json_object_get(json, "path"));
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const json_t *created = json_object_get(json, "created");
    struct change c = {.created = json_is_true(created)};
    if (!path || path[0] != '/' || strlen(path) >= PATH_MAX || !kind ||
        !json_is_boolean(created))
        return false;
    if (strcmp(kind, kind_names[CHANGE_LINES]) == 0)
        c.kind = CHANGE_LINES;
    else if (strcmp(kind, kind_names[CHANGE_CONTENT]) != 0)
        return false;
    if (!bytes_from_json(json_object_get(json, "before"), &c.before) ||
        !bytes_from_json(json_object_get(json, "after"), &c.after)) {
        change_clear(&c);
        return false;
    }
    c.path = g_strdup(path);
    *out = c;
    return true;
}

/* Make the file say what `changes` says; no file when there are none. */
static int save(const struct veld_journal *j, struct veld_diag *diag)
{
    if (j->n == 0) {
        if (unlink(j->file) < 0 && errno != ENOENT)
            return veld_fail(diag, VELD_E_IO, "cannot remove %s: %s", j->file, strerror(errno));
        return 0;
    }
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < j->n; i++)
        bad |= json_array_append_new(list, change_to_json(&j->changes[i]));
    json_t *root = json_pack("{s:i, s:o}", "version", JOURNAL_VERSION, "changes", list);
    char *text = root && !bad ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!text)
        return veld_fail(diag, VELD_E_FORMAT,
                         "cannot write down a change: its path is not UTF-8");
    int rc = veld_file_replace(j->file, text, strlen(text), 0600);
    if (rc < 0)
        veld_fail(diag, rc, "cannot write %s: %s", j->file, strerror(errno));
    free(text);
    return rc;
}

static int damaged(const struct veld_journal *j, const char *how, struct veld_diag *diag)
{
    return veld_fail(
        diag, VELD_E_FORMAT,
        "%s, which says what to put back after a crash, is damaged (%s); check that "
        "no line of veld-daemon is left in /etc/resolv.conf, then remove %s",
        j->file, how, j->file);
}

static int load(struct veld_journal *j, struct veld_diag *diag)
{
    if (access(j->file, F_OK) < 0 && errno == ENOENT)
        return 0;
    json_error_t error;
    json_t *root = json_load_file(j->file, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return damaged(j, error.text, diag);
    const json_t *list = json_object_get(root, "changes");
    size_t n = json_array_size(list), i = 0;
    bool known = json_integer_value(json_object_get(root, "version")) == JOURNAL_VERSION;
    if (known && json_is_array(list) && n <= VELD_JOURNAL_CHANGES_MAX)
        while (i < n && change_from_json(json_array_get(list, i), &j->changes[i]))
            i++;
    j->n = i;
    bool whole = known && json_is_array(list) && i == n;
    json_decref(root);
    return whole ? 0 : damaged(j, "it is not what this version of Veld writes", diag);
}

/* ---- undoing ---- */

static bool same(const struct bytes *a, const char *b, size_t b_len, bool is_proc)
{
    size_t a_len = a->len;
    if (is_proc) {
        a_len -= a_len > 0 && a->p[a_len - 1] == '\n';
        b_len -= b_len > 0 && b[b_len - 1] == '\n';
    }
    return a_len == b_len && memcmp(a->p, b, a_len) == 0;
}

static int undo_content(const struct change *c, const char *now, size_t len,
                        struct veld_diag *diag)
{
    bool is_proc = veld_foreign_is_proc(c->path);
    if (same(&c->before, now, len, is_proc))
        return 0;
    if (!same(&c->after, now, len, is_proc)) {
        veld_warn("%s has been changed by somebody else since: left as it is", c->path);
        return 0;
    }
    int rc = veld_foreign_write(c->path, c->before.p, c->before.len, diag);
    if (rc == 0)
        veld_info("%s is as it was before", c->path);
    return rc;
}

static int undo_lines(const struct change *c, const char *now, size_t len,
                      struct veld_diag *diag)
{
    const char *at = memmem(now, len, c->after.p, c->after.len);
    if (!at)
        return 0;
    size_t head = (size_t)(at - now);
    size_t tail = len - head - c->after.len;
    if (head + tail == 0 && c->created && unlink(c->path) == 0) {
        veld_info("%s is removed again", c->path);
        return 0;
    }
    char *rest = g_malloc(head + tail + 1);
    memcpy(rest, now, head);
    memcpy(rest + head, at + c->after.len, tail);
    int rc = veld_foreign_write(c->path, rest, head + tail, diag);
    g_free(rest);
    if (rc == 0)
        veld_info("took Veld's line out of %s again", c->path);
    return rc;
}

static int undo(const struct change *c, struct veld_diag *diag)
{
    char *now = g_malloc(VELD_JOURNAL_FILE_MAX + 1);
    size_t len;
    int lock = veld_foreign_lock(c->path);
    int rc = veld_file_read(c->path, now, VELD_JOURNAL_FILE_MAX + 1, &len);
    if (rc == VELD_E_NOENT)
        rc = 0; /* gone, and our change with it */
    else if (rc < 0)
        veld_fail(diag, rc, "cannot read %s: %s", c->path, veld_strerror(rc));
    else if (c->kind == CHANGE_LINES)
        rc = undo_lines(c, now, len, diag);
    else
        rc = undo_content(c, now, len, diag);
    veld_foreign_unlock(lock);
    g_free(now);
    return rc;
}

/* Newest first. What could not be undone stays in the journal. */
static void undo_all(struct veld_journal *j)
{
    struct veld_diag diag;
    size_t kept = j->n;
    for (size_t i = j->n; i-- > 0;) {
        if (undo(&j->changes[i], &diag) < 0) {
            veld_error("a change of veld-daemon could not be undone: %s", diag.text);
            j->changes[--kept] = j->changes[i];
        } else {
            change_clear(&j->changes[i]);
        }
    }
    memmove(j->changes, j->changes + kept, (j->n - kept) * sizeof j->changes[0]);
    j->n -= kept;
    if (save(j, &diag) < 0)
        veld_error("%s", diag.text);
}

/* ---- changing ---- */

/* Write the change down, then make it. Takes what `c` holds. */
static int apply(struct veld_journal *j, struct change *c, const char *content, size_t len,
                 struct veld_diag *diag)
{
    if (j->n == VELD_JOURNAL_CHANGES_MAX) {
        int rc =
            veld_fail(diag, VELD_E_FULL, "%s holds %d changes already: no room to change %s",
                      j->file, VELD_JOURNAL_CHANGES_MAX, c->path);
        change_clear(c);
        return rc;
    }
    j->changes[j->n++] = *c;
    int rc = save(j, diag);
    bool written_down = rc == 0;
    if (rc == 0 && content)
        rc = veld_foreign_write(c->path, content, len, diag);
    if (rc < 0) {
        change_clear(&j->changes[--j->n]);
        struct veld_diag ignored; /* an entry whose change was not made is harmless */
        if (written_down && save(j, &ignored) < 0)
            veld_warn("%s", ignored.text);
    }
    return rc;
}

/* 1 when there is no such file yet. */
static int resolve(const char *path, char real[PATH_MAX], struct veld_diag *diag)
{
    int rc = veld_foreign_resolve(path, real);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc, "%s does not exist, or is a link to nowhere", path);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot find %s: %s", path, veld_strerror(rc));
    return rc;
}

/* The content of `real`; free it in any case. */
static int read_now(const char *real, struct bytes *now, struct veld_diag *diag)
{
    *now = (struct bytes){g_malloc0(VELD_JOURNAL_FILE_MAX + 1), 0};
    int rc = veld_file_read(real, now->p, VELD_JOURNAL_FILE_MAX + 1, &now->len);
    if (rc == VELD_E_RANGE)
        return veld_fail(diag, rc, "%s is longer than %d bytes: not changed", real,
                         VELD_JOURNAL_FILE_MAX);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot read %s: %s", real, veld_strerror(rc));
    return 0;
}

int veld_journal_edit(struct veld_journal *j, const char *path, const char *content, size_t len,
                      struct veld_diag *diag)
{
    char real[PATH_MAX];
    struct bytes now;
    if (len > VELD_JOURNAL_FILE_MAX)
        return veld_fail(diag, VELD_E_RANGE, "more than %d bytes for %s", VELD_JOURNAL_FILE_MAX,
                         path);
    int rc = resolve(path, real, diag);
    if (rc != 0)
        return rc < 0 ? rc : veld_fail(diag, VELD_E_NOENT, "%s does not exist", path);
    rc = read_now(real, &now, diag);
    if (rc == 0 && !same(&now, content, len, veld_foreign_is_proc(real))) {
        struct change c = {.kind = CHANGE_CONTENT,
                           .path = g_strdup(real),
                           .before = bytes_copy(now.p, now.len),
                           .after = bytes_copy(content, len)};
        rc = apply(j, &c, content, len, diag);
    }
    g_free(now.p);
    return rc;
}

/* The comment names the directory, so that equal lines of two daemons differ. */
static char *marked_lines(const struct veld_journal *j, const char *line)
{
    char *text = g_strdup_printf("# veld-daemon (%s) put the next line here and takes it out "
                                 "when it stops; by hand: delete both",
                                 j->dir);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = '?';
    char *both = g_strdup_printf("%s\n%s\n", text, line);
    g_free(text);
    return both;
}

int veld_journal_insert(struct veld_journal *j, const char *path, const char *line,
                        struct veld_diag *diag)
{
    char real[PATH_MAX];
    struct bytes now;
    int missing = resolve(path, real, diag);
    if (missing < 0)
        return missing;
    int lock = veld_foreign_lock(real);
    int rc = 0;
    if (missing)
        now = bytes_copy("", 0);
    else
        rc = read_now(real, &now, diag);
    if (rc == 0) {
        char *lines = marked_lines(j, line);
        size_t n = strlen(lines);
        bool there =
            memmem(now.p, now.len, lines, n) != NULL; /* adopted: undone with the rest */
        char *content = g_malloc(n + now.len + 1);
        memcpy(content, lines, n);
        memcpy(content + n, now.p, now.len);
        struct change c = {.kind = CHANGE_LINES,
                           .path = g_strdup(real),
                           .before = bytes_copy("", 0),
                           .after = {lines, n},
                           .created = missing != 0};
        rc = apply(j, &c, there ? NULL : content, n + now.len, diag);
        g_free(content);
    }
    g_free(now.p);
    veld_foreign_unlock(lock);
    return rc;
}

/* ---- life ---- */

static void journal_free(struct veld_journal *j)
{
    for (size_t i = 0; i < j->n; i++)
        change_clear(&j->changes[i]);
    g_free(j->dir);
    g_free(j->file);
    g_free(j);
}

int veld_journal_open(struct veld_journal **out, const char *dir, struct veld_diag *diag)
{
    char real[PATH_MAX];
    if (!realpath(dir, real))
        return veld_fail(diag, VELD_E_NOENT, "cannot use the state directory %s: %s", dir,
                         strerror(errno));
    struct veld_journal *j = g_new0(struct veld_journal, 1);
    j->dir = g_strdup(real);
    j->file = g_strdup_printf("%s/undo.json", real);
    int rc = load(j, diag);
    if (rc < 0) {
        journal_free(j);
        return rc;
    }
    if (j->n > 0) {
        veld_info("the last run did not stop cleanly: undoing what it changed");
        undo_all(j);
    }
    *out = j;
    return 0;
}

void veld_journal_close(struct veld_journal *j)
{
    if (!j)
        return;
    undo_all(j);
    journal_free(j);
}
