/*
 * x25519-vectors FILE: Wycheproof's XdhComp schema, curve25519. Keys in other
 * encodings (ASN.1, PEM, JWK) and on other curves are skipped.
 */
#include "crypto/primitives.h"
#include "vectors.h"

#include <string.h>
#include <strings.h>

static bool is_ours(const struct wycheproof_case *c)
{
    const char *curve = json_string_value(json_object_get(c->group, "curve"));
    const char *type = json_string_value(json_object_get(c->group, "type"));
    if (type && strcasecmp(type, "XdhComp") != 0)
        return false;
    return !curve || strcasecmp(curve, "curve25519") == 0 || strcasecmp(curve, "x25519") == 0;
}

static void run_case(const struct wycheproof_case *c)
{
    if (!is_ours(c)) {
        vectors_skip();
        return;
    }
    struct bytes pub = vectors_hex(c->test, "public"), secret = vectors_hex(c->test, "private");
    struct bytes shared = vectors_hex(c->test, "shared");
    if (pub.len != 32 || secret.len != 32) {
        vectors_skip();
        return;
    }
    uint8_t out[32];
    enum wycheproof_outcome outcome = OUTCOME_OTHER;
    if (veld_x25519(out, secret.p, pub.p) < 0) {
        /* The one thing that may be refused is a zero secret. */
        if (veld_is_zero(shared.p, shared.len) || c->expected == WYCHEPROOF_INVALID)
            outcome = OUTCOME_REFUSED;
    } else if (shared.len == sizeof out && memcmp(out, shared.p, sizeof out) == 0) {
        outcome = OUTCOME_MATCHES;
    }
    wycheproof_judge(c, outcome);
}

int main(int argc, char **argv)
{
    wycheproof_each(vectors_load(argc, argv), run_case);
    return vectors_end();
}
