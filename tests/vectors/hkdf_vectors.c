/*
 * hkdf-vectors FILE: Wycheproof's HkdfTest schema, HKDF-SHA-256.
 */
#include "crypto/primitives.h"
#include "vectors.h"

#include <string.h>
#include <strings.h>

#define SIZE_LIMIT (1 << 20) /* well past what HKDF can give */

static void run_case(const struct wycheproof_case *c)
{
    struct bytes ikm = vectors_hex(c->test, "ikm"), salt = vectors_hex(c->test, "salt");
    struct bytes info = vectors_hex(c->test, "info"), okm = vectors_hex(c->test, "okm");
    json_t *size = json_object_get(c->test, "size");
    json_int_t len = size ? json_integer_value(size) : (json_int_t)okm.len;
    if ((size && !json_is_integer(size)) || len < 0 || len > SIZE_LIMIT)
        vectors_unusable("%s: \"size\" is not a number of bytes up to %d", c->which,
                         SIZE_LIMIT);

    uint8_t prk[VELD_HASH_SIZE];
    struct bytes out = vectors_alloc((size_t)len);
    veld_hkdf_extract(prk, salt.p, salt.len, ikm.p, ikm.len);
    enum wycheproof_outcome outcome = OUTCOME_REFUSED;
    if (veld_hkdf_expand(out.p, out.len, prk, info.p, info.len) == 0)
        outcome = out.len == okm.len && memcmp(out.p, okm.p, okm.len) == 0 ? OUTCOME_MATCHES
                                                                           : OUTCOME_OTHER;
    wycheproof_judge(c, outcome);
}

static void skip_case(const struct wycheproof_case *c)
{
    vectors_skip();
}

int main(int argc, char **argv)
{
    json_t *root = vectors_load(argc, argv);
    const char *algorithm = wycheproof_algorithm(root);
    bool ours = !*algorithm || strcasecmp(algorithm, "HKDF-SHA-256") == 0;
    wycheproof_each(root, ours ? run_case : skip_case);
    return vectors_end();
}
