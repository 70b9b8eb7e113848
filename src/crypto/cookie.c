#include "crypto/cookie.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/primitives.h"

#include <assert.h>
#include <string.h>

#define MACS_SIZE   (2 * VELD_MAC_SIZE)
#define LIFETIME_NS (VELD_COOKIE_SECRET_LIFETIME_S * VELD_NS_PER_S)
/*
 * A secret makes cookies for half of its life and checks them for all of it, so
 * that every cookie is good for at least that half.
 */
#define ROTATE_NS (LIFETIME_NS / 2)

static void labelled_key(uint8_t out[32], const char *label, const uint8_t pub[32])
{
    const struct veld_bytes parts[] = {{label, strlen(label)}, {pub, 32}};
    veld_sha256(out, parts, VELD_ARRAY_LEN(parts));
}

/* Times are stored so that 0 can mean "none", even on a clock that starts at 0. */
static uint64_t stamp(uint64_t now_ns)
{
    return now_ns ? now_ns : 1;
}

static bool younger_than(uint64_t made_ns, uint64_t now_ns, uint64_t age_ns)
{
    return made_ns != 0 && (now_ns < made_ns || now_ns - made_ns < age_ns);
}

void veld_cookie_checker_init(struct veld_cookie_checker *c, const uint8_t own_pub[32])
{
    *c = (struct veld_cookie_checker){0};
    labelled_key(c->mac1_key, "veld mac1", own_pub);
    labelled_key(c->reply_key, "veld cookie", own_pub);
}

void veld_cookie_jar_init(struct veld_cookie_jar *j, const uint8_t peer_pub[32])
{
    *j = (struct veld_cookie_jar){0};
    labelled_key(j->mac1_key, "veld mac1", peer_pub);
    labelled_key(j->reply_key, "veld cookie", peer_pub);
}

/* ---- macs ---- */

static void compute_mac1(uint8_t out[VELD_MAC_SIZE], const uint8_t key[32], const uint8_t *msg,
                         size_t len)
{
    veld_mac16(out, key, &(struct veld_bytes){msg, len - MACS_SIZE}, 1);
}

static void compute_mac2(uint8_t out[VELD_MAC_SIZE], const uint8_t cookie[VELD_COOKIE_SIZE],
                         const uint8_t *msg, size_t len)
{
    uint8_t key[32] = {0};
    memcpy(key, cookie, VELD_COOKIE_SIZE);
    veld_mac16(out, key, &(struct veld_bytes){msg, len - VELD_MAC_SIZE}, 1);
    veld_wipe(key, sizeof key);
}

/* What a cookie stands for. Only its maker reads it, so the layout is no part of the protocol. */
static void compute_cookie(uint8_t out[VELD_COOKIE_SIZE], const uint8_t secret[32],
                           const struct veld_endpoint *from)
{
    uint8_t where[1 + 16 + 2 + 4];
    where[0] = from->ip.family;
    memcpy(where + 1, from->ip.b, 16);
    veld_store_be16(where + 17, from->port);
    veld_store_be32(where + 19, from->scope);
    veld_mac16(out, secret, &(struct veld_bytes){where, sizeof where}, 1);
}

void veld_cookie_sign(struct veld_cookie_jar *j, uint8_t *msg, size_t len, uint64_t now_ns)
{
    assert(len >= MACS_SIZE);
    uint8_t *mac1 = msg + len - MACS_SIZE, *mac2 = msg + len - VELD_MAC_SIZE;
    compute_mac1(mac1, j->mac1_key, msg, len);
    memcpy(j->last_mac1, mac1, VELD_MAC_SIZE);
    j->last_mac1_valid = true;
    if (younger_than(j->cookie_received_ns, now_ns, LIFETIME_NS))
        compute_mac2(mac2, j->cookie, msg, len);
    else
        memset(mac2, 0, VELD_MAC_SIZE);
}

bool veld_cookie_check_mac1(const struct veld_cookie_checker *c, const uint8_t *msg, size_t len)
{
    if (len < MACS_SIZE)
        return false;
    uint8_t expected[VELD_MAC_SIZE];
    compute_mac1(expected, c->mac1_key, msg, len);
    return veld_equal(expected, msg + len - MACS_SIZE, VELD_MAC_SIZE);
}

static bool mac2_matches(const uint8_t secret[32], const uint8_t *msg, size_t len,
                         const struct veld_endpoint *from)
{
    uint8_t cookie[VELD_COOKIE_SIZE], expected[VELD_MAC_SIZE];
    compute_cookie(cookie, secret, from);
    compute_mac2(expected, cookie, msg, len);
    bool ok = veld_equal(expected, msg + len - VELD_MAC_SIZE, VELD_MAC_SIZE);
    veld_wipe(cookie, sizeof cookie);
    veld_wipe(expected, sizeof expected);
    return ok;
}

bool veld_cookie_check_mac2(const struct veld_cookie_checker *c, const uint8_t *msg, size_t len,
                            const struct veld_endpoint *from, uint64_t now_ns)
{
    if (len < MACS_SIZE || veld_is_zero(msg + len - VELD_MAC_SIZE, VELD_MAC_SIZE))
        return false; /* zeros say that there is no cookie */
    return (younger_than(c->secret_made_ns, now_ns, LIFETIME_NS) &&
            mac2_matches(c->secret, msg, len, from)) ||
           (younger_than(c->previous_made_ns, now_ns, LIFETIME_NS) &&
            mac2_matches(c->previous_secret, msg, len, from));
}

/* ---- replies ---- */

static void rotate_if_due(struct veld_cookie_checker *c, uint64_t now_ns,
                          veld_random_fn *random, void *random_ctx)
{
    if (younger_than(c->secret_made_ns, now_ns, ROTATE_NS))
        return;
    memcpy(c->previous_secret, c->secret, sizeof c->previous_secret);
    c->previous_made_ns = c->secret_made_ns;
    random(random_ctx, c->secret, sizeof c->secret);
    c->secret_made_ns = stamp(now_ns);
}

void veld_cookie_reply(struct veld_cookie_checker *c, const uint8_t *msg, size_t len,
                       uint32_t index, const struct veld_endpoint *from, uint64_t now_ns,
                       veld_random_fn *random, void *random_ctx,
                       uint8_t out[VELD_COOKIE_REPLY_SIZE])
{
    assert(len >= VELD_COOKIE_REPLY_SIZE);
    rotate_if_due(c, now_ns, random, random_ctx);

    veld_header_write(out, &(struct veld_header){.type = VELD_COOKIE_REPLY, .index = index});
    uint8_t *nonce = out + VELD_COOKIE_REPLY_NONCE_OFFSET;
    random(random_ctx, nonce, VELD_COOKIE_NONCE_SIZE);
    uint8_t cookie[VELD_COOKIE_SIZE];
    compute_cookie(cookie, c->secret, from);
    veld_xseal(out + VELD_COOKIE_REPLY_SEALED_OFFSET, c->reply_key, nonce,
               msg + len - MACS_SIZE, VELD_MAC_SIZE, cookie, sizeof cookie);
    veld_wipe(cookie, sizeof cookie);
}

int veld_cookie_accept(struct veld_cookie_jar *j, const uint8_t reply[VELD_COOKIE_REPLY_SIZE],
                       uint64_t now_ns)
{
    uint8_t cookie[VELD_COOKIE_SIZE];
    if (!j->last_mac1_valid ||
        veld_xopen(cookie, j->reply_key, reply + VELD_COOKIE_REPLY_NONCE_OFFSET, j->last_mac1,
                   sizeof j->last_mac1, reply + VELD_COOKIE_REPLY_SEALED_OFFSET,
                   VELD_COOKIE_SIZE + VELD_TAG_SIZE) < 0)
        return VELD_E_AUTH;
    memcpy(j->cookie, cookie, sizeof j->cookie);
    j->cookie_received_ns = stamp(now_ns);
    j->last_mac1_valid = false; /* one reply a message: the same one again answers nothing */
    veld_wipe(cookie, sizeof cookie);
    return 0;
}
