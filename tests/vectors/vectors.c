#include "vectors.h"

#include "../support/hex.h"
#include "crypto/primitives.h"

#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *program, *file;
    json_t *root;
    unsigned agree, skipped, differ;
    void **blocks;
    size_t block_count;
} run;

static void *check_memory(void *p)
{
    if (!p)
        vectors_unusable("out of memory");
    return p;
}

void vectors_unusable(const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "%s: %s: ", run.program, run.file);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

json_t *vectors_load(int argc, char **argv)
{
    run.program = basename(argv[0]);
    bool if_present = argc > 1 && strcmp(argv[1], "--if-present") == 0;
    if (argc != 2 + if_present) {
        fprintf(stderr, "usage: %s [--if-present] FILE\n", run.program);
        exit(2);
    }
    run.file = argv[1 + if_present];
    if (if_present && access(run.file, F_OK) != 0) {
        printf("skipped: %s is not there\n", run.file);
        exit(77);
    }
    if (veld_crypto_init() < 0)
        vectors_unusable("libsodium does not start");
    json_error_t error;
    run.root = json_load_file(run.file, 0, &error);
    if (!run.root)
        vectors_unusable("line %d: %s", error.line, error.text);
    return run.root;
}

/* ---- fields ---- */

struct bytes vectors_alloc(size_t len)
{
    run.blocks =
        check_memory(realloc(run.blocks, (run.block_count + 1) * sizeof run.blocks[0]));
    struct bytes b = {check_memory(malloc(len ? len : 1)), len};
    run.blocks[run.block_count++] = b.p;
    return b;
}

const char *vectors_string(json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    if (!s)
        vectors_unusable("\"%s\" is not there, or not a string", key);
    return s;
}

json_t *vectors_array(json_t *object, const char *key)
{
    json_t *a = json_object_get(object, key);
    if (!json_is_array(a))
        vectors_unusable("\"%s\" is not there, or not an array", key);
    return a;
}

struct bytes vectors_hex(json_t *object, const char *key)
{
    const char *text = vectors_string(object, key);
    size_t len = strlen(text);
    struct bytes b = vectors_alloc(len / 2);
    if (hex_decode(text, len, b.p) < 0)
        vectors_unusable("\"%s\" is not hexadecimal: %.80s", key, text);
    return b;
}

bool vectors_hex_if_any(json_t *object, const char *key, struct bytes *out)
{
    json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return false;
    *out = vectors_hex(object, key);
    return true;
}

/* ---- the count ---- */

void vectors_agree(void)
{
    run.agree++;
}

void vectors_skip(void)
{
    run.skipped++;
}

void vectors_differ(const char *which, const char *why)
{
    run.differ++;
    printf("%s: %s\n", which, why);
}

int vectors_end(void)
{
    for (size_t i = 0; i < run.block_count; i++)
        free(run.blocks[i]);
    free(run.blocks);
    json_decref(run.root);
    if (run.differ)
        printf("%u vectors DISAGREE\n", run.differ);
    bool nothing = run.agree + run.differ == 0;
    if (nothing)
        printf("nothing in %s could be run\n", run.file);
    printf("%u vectors agree, %u skipped\n", run.agree, run.skipped);
    return nothing ? 2 : run.differ ? 1 : 0;
}

/* ---- Wycheproof ---- */

const char *wycheproof_algorithm(json_t *root)
{
    const char *s = json_string_value(json_object_get(root, "algorithm"));
    return s ? s : "";
}

static int parse_expected(json_t *test)
{
    const char *result = vectors_string(test, "result");
    if (strcmp(result, "valid") == 0)
        return WYCHEPROOF_VALID;
    if (strcmp(result, "acceptable") == 0)
        return WYCHEPROOF_ACCEPTABLE;
    if (strcmp(result, "invalid") == 0)
        return WYCHEPROOF_INVALID;
    vectors_unusable("result \"%s\" is none of valid, acceptable, invalid", result);
}

void wycheproof_each(json_t *root, void (*fn)(const struct wycheproof_case *))
{
    size_t i, j;
    json_t *group, *test;
    json_array_foreach(vectors_array(root, "testGroups"), i, group)
    {
        json_array_foreach(vectors_array(group, "tests"), j, test)
        {
            struct wycheproof_case c = {.group = group, .test = test};
            json_t *id = json_object_get(test, "tcId");
            if (!json_is_integer(id))
                vectors_unusable("a test of group %zu has no tcId", i);
            snprintf(c.which, sizeof c.which, "tcId %lld", (long long)json_integer_value(id));
            c.expected = parse_expected(test);
            fn(&c);
        }
    }
}

const char *wycheproof_disagreement(const struct wycheproof_case *c,
                                    enum wycheproof_outcome outcome)
{
    if (c->expected == WYCHEPROOF_INVALID)
        return outcome == OUTCOME_MATCHES ? "is invalid, but was accepted" : NULL;
    if (outcome == OUTCOME_OTHER)
        return "gives another result";
    if (outcome == OUTCOME_REFUSED && c->expected == WYCHEPROOF_VALID)
        return "is valid, but was refused";
    return NULL;
}

void wycheproof_judge(const struct wycheproof_case *c, enum wycheproof_outcome outcome)
{
    const char *why = wycheproof_disagreement(c, outcome);
    if (why)
        vectors_differ(c->which, why);
    else
        vectors_agree();
}

size_t wycheproof_bits(const struct wycheproof_case *c, const char *key, size_t otherwise)
{
    json_t *value = json_object_get(c->group, key);
    if (!value)
        return otherwise;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        vectors_unusable("\"%s\" is not a number of bits", key);
    return (size_t)json_integer_value(value);
}
