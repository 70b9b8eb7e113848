/*
 * TOML text as a plain tree with line numbers, so that everything which knows
 * what a config means can be C. The only C++ of the daemon is behind this.
 *
 * Invariant: children are in the order of the file; strings are valid UTF-8
 * (but may hold any character, NUL included: compare `len` with strlen); the
 * tree is at most VELD_TOML_DEPTH_MAX deep.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_CONFIG_CONFIG_TOML_H
#define VELD_CONTROL_CONFIG_CONFIG_TOML_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VELD_TOML_DEPTH_MAX 16
/* Bytes. The parser's stack grows with the dots of a key, and a key is on one line. */
#define VELD_TOML_LINE_MAX 16384

enum veld_toml_type {
    VELD_TOML_TABLE,
    VELD_TOML_ARRAY,
    VELD_TOML_STRING,
    VELD_TOML_INTEGER,
    VELD_TOML_BOOLEAN,
    VELD_TOML_OTHER, /* a float, date or time: nothing in a config is one */
};

struct veld_toml {
    enum veld_toml_type type;
    unsigned line;          /* of the key; of the value inside an array */
    char *key;              /* NULL inside an array and at the root */
    struct veld_toml *item; /* table and array: `n` children */
    size_t n;
    char *text; /* string; NUL added after `len` bytes */
    size_t len;
    int64_t integer;
    bool boolean;
};

struct veld_toml_error {
    unsigned line, column; /* from 1; column 0: the whole line */
    char text[256];
};

/* VELD_E_FORMAT with the parser's words in `error`; VELD_E_NOMEM. Free with veld_toml_free. */
VELD_MUST_USE int veld_toml_parse(const char *text, size_t len, struct veld_toml **out,
                                  struct veld_toml_error *error);
void veld_toml_free(struct veld_toml *root); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif
