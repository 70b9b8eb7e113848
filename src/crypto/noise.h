/*
 * Noise_IK and Noise_IKpsk2 over 25519, ChaChaPoly, SHA256 (The Noise Protocol
 * Framework, revision 34).
 *
 * One `veld_noise` per handshake and role. Initiator: init, write_initiation,
 * read_response, split. Responder: init, read_initiation, write_response,
 * split. A failing call wipes nothing it was not given to change: read
 * functions work on a copy and commit only on success, so a forged message
 * costs the real handshake nothing. veld_noise_wipe on every exit.
 *
 * The struct is a plain value: it may be copied (and every copy must be wiped).
 * Not shared between threads.
 */
#ifndef VELD_CRYPTO_NOISE_H
#define VELD_CRYPTO_NOISE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum veld_noise_pattern { VELD_NOISE_IK, VELD_NOISE_IKPSK2 };
enum veld_noise_role { VELD_NOISE_INITIATOR, VELD_NOISE_RESPONDER };

/*
 * DH(s, rs) depends on two long-lived keys alone, so its owner may keep it from
 * one handshake to the next, as secret as the keys are. True, and `shared` set,
 * when it is known for this remote static key.
 */
typedef bool veld_noise_kept_fn(void *ctx, const uint8_t remote_static[32], uint8_t shared[32]);

struct veld_noise {
    enum veld_noise_pattern pattern;
    enum veld_noise_role role;
    bool has_key;
    uint64_t nonce;
    uint8_t ck[32], h[32], k[32];
    uint8_t psk[32];
    uint8_t s_secret[32], s_pub[32]; /* own static */
    uint8_t e_secret[32], e_pub[32]; /* own ephemeral */
    uint8_t rs[32];                  /* remote static */
    uint8_t re[32];                  /* remote ephemeral */
    uint8_t shared[32];              /* DH(s, rs), once the first message is written or read */
    veld_noise_kept_fn *kept_shared;
    void *kept_ctx;
};

/* What a handshake yields: one key each way, and the hash that binds the transcript. */
struct veld_noise_keys {
    uint8_t send[32], recv[32];
    uint8_t hash[32];
};

struct veld_noise_config {
    enum veld_noise_pattern pattern;
    const uint8_t *static_secret, *static_public; /* own X25519 pair, 32 bytes each */
    const uint8_t *remote_static;                 /* initiator only */
    const uint8_t *psk;                           /* IKpsk2 only, 32 bytes */
    const uint8_t *prologue;
    size_t prologue_len;
    veld_noise_kept_fn *kept_shared; /* NULL: it is computed each time */
    void *kept_ctx;                  /* outlives the handshake's first message */
};

void veld_noise_init(struct veld_noise *n, enum veld_noise_role role,
                     const struct veld_noise_config *cfg);

/*
 * -> e, es, s, ss, payload. `out` receives 32 + 48 + payload_len + 16 bytes.
 * `ephemeral` is a fresh random X25519 secret (given, so that the caller's
 * randomness can be a test's). VELD_E_KEY when a DH yields zero.
 */
VELD_MUST_USE int veld_noise_write_initiation(struct veld_noise *n, const uint8_t ephemeral[32],
                                              const void *payload, size_t payload_len,
                                              uint8_t *out);
/* Payload (len - 96 bytes) goes to `payload`; n->rs is the initiator's static. VELD_E_AUTH, VELD_E_KEY, VELD_E_FORMAT. */
VELD_MUST_USE int veld_noise_read_initiation(struct veld_noise *n, const uint8_t *in,
                                             size_t len, uint8_t *payload);
/* <- e, ee, se, (psk,) payload. `out` receives 32 + payload_len + 16 bytes. */
VELD_MUST_USE int veld_noise_write_response(struct veld_noise *n, const uint8_t ephemeral[32],
                                            const void *payload, size_t payload_len,
                                            uint8_t *out);
VELD_MUST_USE int veld_noise_read_response(struct veld_noise *n, const uint8_t *in, size_t len,
                                           uint8_t *payload);

/* After the response was written or read. Leaves `n` wiped. */
void veld_noise_split(struct veld_noise *n, struct veld_noise_keys *out);
void veld_noise_wipe(struct veld_noise *n);

#endif
