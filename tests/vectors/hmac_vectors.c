/*
 * hmac-vectors FILE: Wycheproof's MacTest schema, HMAC-SHA-256. A truncated tag
 * is compared with the first bytes of the whole one.
 */
#include "crypto/primitives.h"
#include "vectors.h"

#include <string.h>
#include <strings.h>

static void run_case(const struct wycheproof_case *c)
{
    struct bytes key = vectors_hex(c->test, "key"), msg = vectors_hex(c->test, "msg");
    struct bytes tag = vectors_hex(c->test, "tag");
    size_t bits = wycheproof_bits(c, "tagSize", 256);
    if (bits == 0 || bits > 256 || bits % 8 != 0) {
        vectors_skip();
        return;
    }
    uint8_t mac[VELD_HASH_SIZE];
    veld_hmac(mac, key.p, key.len, &(struct veld_bytes){msg.p, msg.len}, 1);
    bool same = tag.len == bits / 8 && memcmp(mac, tag.p, tag.len) == 0;
    wycheproof_judge(c, same ? OUTCOME_MATCHES : OUTCOME_OTHER);
}

static void skip_case(const struct wycheproof_case *c)
{
    vectors_skip();
}

int main(int argc, char **argv)
{
    json_t *root = vectors_load(argc, argv);
    const char *algorithm = wycheproof_algorithm(root);
    bool ours = !*algorithm || strcasecmp(algorithm, "HMACSHA256") == 0 ||
                strcasecmp(algorithm, "HMAC-SHA-256") == 0;
    wycheproof_each(root, ours ? run_case : skip_case);
    return vectors_end();
}
