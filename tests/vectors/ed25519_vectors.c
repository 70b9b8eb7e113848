/*
 * ed25519-vectors FILE: Wycheproof's EddsaVerify schema, edwards25519. Where a
 * group carries the secret key, valid signatures must also be made, not only
 * verified.
 */
#include "crypto/primitives.h"
#include "vectors.h"

#include <string.h>
#include <strings.h>

/* The group's key object: newer files call it publicKey, older ones key. */
static json_t *key_of(const struct wycheproof_case *c)
{
    json_t *key = json_object_get(c->group, "publicKey");
    if (!json_is_object(key))
        key = json_object_get(c->group, "key");
    if (!json_is_object(key))
        vectors_unusable("%s: its group has no public key", c->which);
    return key;
}

static bool signs_alike(json_t *key, const uint8_t pub[32], struct bytes msg, struct bytes sig)
{
    struct bytes seed;
    uint8_t own_pub[32], own_sig[64];
    if (!vectors_hex_if_any(key, "sk", &seed) || seed.len != 32)
        return true;
    veld_ed25519_keypair(seed.p, own_pub);
    veld_ed25519_sign(own_sig, seed.p, msg.p, msg.len);
    return memcmp(own_pub, pub, 32) == 0 && sig.len == 64 && memcmp(own_sig, sig.p, 64) == 0;
}

static void run_case(const struct wycheproof_case *c)
{
    json_t *key = key_of(c);
    const char *curve = json_string_value(json_object_get(key, "curve"));
    struct bytes pub = vectors_hex(key, "pk");
    if (pub.len != 32 || (curve && strcasecmp(curve, "edwards25519") != 0)) {
        vectors_skip();
        return;
    }
    struct bytes msg = vectors_hex(c->test, "msg"), sig = vectors_hex(c->test, "sig");
    /* A signature is 64 bytes: any other length is refused before it gets to the verifier. */
    bool accepted = sig.len == 64 && veld_ed25519_verify(sig.p, pub.p, msg.p, msg.len) == 0;
    enum wycheproof_outcome outcome = accepted ? OUTCOME_MATCHES : OUTCOME_REFUSED;
    if (c->expected == WYCHEPROOF_VALID && !signs_alike(key, pub.p, msg, sig))
        outcome = OUTCOME_OTHER;
    wycheproof_judge(c, outcome);
}

int main(int argc, char **argv)
{
    wycheproof_each(vectors_load(argc, argv), run_case);
    return vectors_end();
}
