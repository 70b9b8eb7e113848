/*
 * What the vector runners share: loading a JSON file, its hexadecimal fields,
 * and the count that ends in an exit code.
 *
 * A runner: vectors_load; for each vector one of vectors_agree, _skip, _differ;
 * return vectors_end(). Exit codes: 0 every vector agrees, 1 one does not, 2 the
 * file cannot be used (or nothing in it could be run), 77 with --if-present and
 * no such file.
 *
 * One file a process; a single thread. All memory is freed by vectors_end.
 */
#ifndef VELD_TESTS_VECTORS_H
#define VELD_TESTS_VECTORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *p; /* never NULL; of exactly `len` bytes, so that sanitizers see an overrun */
    size_t len;
};

/* Reads "[--if-present] FILE" from the command line. Exits when it cannot be used. */
json_t *vectors_load(int argc, char **argv);

/* Say why the file is of no use, and exit 2. */
void vectors_unusable(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

struct bytes vectors_alloc(size_t len);
/* A field that must be there, in hexadecimal. */
struct bytes vectors_hex(json_t *object, const char *key);
/* The same, or false when there is no such field. */
bool vectors_hex_if_any(json_t *object, const char *key, struct bytes *out);
/* A field that must be a string or an array. */
const char *vectors_string(json_t *object, const char *key);
json_t *vectors_array(json_t *object, const char *key);

void vectors_agree(void);
void vectors_skip(void);
void vectors_differ(const char *which, const char *why);
int vectors_end(void);

/* ---- Wycheproof's schemas ---- */

struct wycheproof_case {
    json_t *group, *test;
    char which[32]; /* "tcId N" */
    enum { WYCHEPROOF_VALID, WYCHEPROOF_ACCEPTABLE, WYCHEPROOF_INVALID } expected;
};

/* What the code under test made of a case. */
enum wycheproof_outcome { OUTCOME_MATCHES, OUTCOME_REFUSED, OUTCOME_OTHER };

/* The file's algorithm; "" when it names none. */
const char *wycheproof_algorithm(json_t *root);
void wycheproof_each(json_t *root, void (*fn)(const struct wycheproof_case *));
/*
 * valid must match, acceptable may be refused too, invalid must do anything but
 * match.
 */
void wycheproof_judge(const struct wycheproof_case *c, enum wycheproof_outcome outcome);
const char *wycheproof_disagreement(const struct wycheproof_case *c,
                                    enum wycheproof_outcome outcome);
/* group[key] as a number of bits; `otherwise` when it is not there. */
size_t wycheproof_bits(const struct wycheproof_case *c, const char *key, size_t otherwise);

#endif
