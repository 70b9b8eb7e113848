/*
 * mac1, mac2 and cookie replies: the cheap filters before any Diffie-Hellman
 * (after WireGuard, section 5.4.4 and 5.4.7 of its paper; the hash is keyed
 * BLAKE2b-128 and the labels are Veld's).
 *
 *   mac1 = MAC(key = SHA256("veld mac1" | P of the receiver), message up to mac1)
 *   mac2 = MAC(key = cookie, padded with zeros to 32, message up to mac2), or zeros
 *   cookie = MAC(key = secret, source address | source port)
 *   reply  = XSEAL(key = SHA256("veld cookie" | P of the replier), ad = the message's mac1, cookie)
 *
 * Invariant: a cookie is worth something only to the address it was sent to,
 * and only while the checker's secret lives (120 s).
 *
 * One checker per local identity, one jar per peer. Control thread.
 */
#ifndef VELD_CRYPTO_COOKIE_H
#define VELD_CRYPTO_COOKIE_H

#include "base/addr.h"
#include "base/err.h"
#include "wire/datagram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_COOKIE_SECRET_LIFETIME_S 120

typedef void veld_random_fn(void *ctx, void *out, size_t len);

/* The receiving side: checks macs, makes cookie replies. */
struct veld_cookie_checker {
    uint8_t mac1_key[32], reply_key[32];
    uint8_t secret[32],
        previous_secret[32]; /* previous: still accepted within its own lifetime */
    uint64_t secret_made_ns, previous_made_ns; /* 0: none */
};

/* The sending side: the last cookie a peer gave us, and what it needs to be accepted. */
struct veld_cookie_jar {
    uint8_t mac1_key[32], reply_key[32];
    uint8_t cookie[16];
    uint64_t cookie_received_ns; /* 0: none */
    uint8_t last_mac1[16];       /* of the last message sent: a reply must answer it */
    bool last_mac1_valid;
};

void veld_cookie_checker_init(struct veld_cookie_checker *c, const uint8_t own_pub[32]);
void veld_cookie_jar_init(struct veld_cookie_jar *j, const uint8_t peer_pub[32]);

/* Write both macs into the last 32 bytes of a handshake message of `len` bytes. */
void veld_cookie_sign(struct veld_cookie_jar *j, uint8_t *msg, size_t len, uint64_t now_ns);

/* True when mac1 is right (constant time). */
bool veld_cookie_check_mac1(const struct veld_cookie_checker *c, const uint8_t *msg,
                            size_t len);
/* True when mac2 is right for this sender's address. */
bool veld_cookie_check_mac2(const struct veld_cookie_checker *c, const uint8_t *msg, size_t len,
                            const struct veld_endpoint *from, uint64_t now_ns);

/*
 * A cookie reply to `msg` (whose sender's index is `index`), sealed to the
 * sender's address: VELD_COOKIE_REPLY_SIZE bytes, never longer than `msg`.
 * Rotates the secret when it is due, with randomness from `random`.
 */
void veld_cookie_reply(struct veld_cookie_checker *c, const uint8_t *msg, size_t len,
                       uint32_t index, const struct veld_endpoint *from, uint64_t now_ns,
                       veld_random_fn *random, void *random_ctx,
                       uint8_t out[VELD_COOKIE_REPLY_SIZE]);
/* Take the cookie of a reply. VELD_E_AUTH when it answers nothing we sent; the jar is then unchanged. */
VELD_MUST_USE int veld_cookie_accept(struct veld_cookie_jar *j,
                                     const uint8_t reply[VELD_COOKIE_REPLY_SIZE],
                                     uint64_t now_ns);

#endif
