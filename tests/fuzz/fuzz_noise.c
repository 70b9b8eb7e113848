/*
 * Handshake messages from a stranger. The first byte says to whom: an
 * initiation to a responder or a response to an initiator, of either pattern,
 * as it stands or laid (by exclusive or) over a genuine message, so that the
 * fuzzer gets past the ephemeral key and the first tag.
 *
 * Whatever comes: no memory error, and a message that fails changes nothing.
 */
#include "base/bytes.h"
#include "crypto/noise.h"
#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

#define TO_INITIATOR 0x01
#define IKPSK2       0x02
#define OVERLAY      0x04

#define PAYLOAD1 48
#define PAYLOAD2 8

static const uint8_t i_secret[32] = {1}, r_secret[32] = {2}, ei[32] = {3}, er[32] = {4};
static const uint8_t psk[32] = {5};

/* Both sides up to where the message under test is read, and the genuine one. */
struct scene {
    struct veld_noise reader;
    uint8_t genuine[32 + 48 + PAYLOAD1 + 16];
    size_t len;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct scene set_up(enum veld_noise_pattern pattern, enum veld_noise_role reader)
{
    uint8_t i_pub[32], r_pub[32], payload[PAYLOAD1] = {6};
    struct scene s = {.len = sizeof s.genuine};
    struct veld_noise i, r;
    veld_x25519_public(i_pub, i_secret);
    veld_x25519_public(r_pub, r_secret);
    struct veld_noise_config cfg = {.pattern = pattern,
                                    .static_secret = i_secret,
                                    .static_public = i_pub,
                                    .remote_static = r_pub,
                                    .psk = psk};
    veld_noise_init(&i, VELD_NOISE_INITIATOR, &cfg);
    cfg.static_secret = r_secret;
    cfg.static_public = r_pub;
    veld_noise_init(&r, VELD_NOISE_RESPONDER, &cfg);
    require(veld_noise_write_initiation(&i, ei, payload, PAYLOAD1, s.genuine) == 0);
    s.reader = r;
    if (reader == VELD_NOISE_INITIATOR) {
        require(veld_noise_read_initiation(&r, s.genuine, s.len, payload) == 0);
        require(veld_noise_write_response(&r, er, payload, PAYLOAD2, s.genuine) == 0);
        s.len = 32 + PAYLOAD2 + 16;
        s.reader = i;
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096 || veld_crypto_init() < 0)
        return 0;
    uint8_t mode = *data++;
    size--;
    enum veld_noise_role role =
        mode & TO_INITIATOR ? VELD_NOISE_INITIATOR : VELD_NOISE_RESPONDER;
    struct scene s = set_up(mode & IKPSK2 ? VELD_NOISE_IKPSK2 : VELD_NOISE_IK, role);

    size_t len = mode & OVERLAY ? s.len : size;
    uint8_t *msg = malloc(len ? len : 1), *payload = malloc(len ? len : 1);
    require(msg && payload);
    memcpy(msg, mode & OVERLAY ? s.genuine : data, len);
    for (size_t i = 0; mode & OVERLAY && i < VELD_MIN(size, len); i++)
        msg[i] ^= data[i];
    bool genuine = len == s.len && memcmp(msg, s.genuine, len) == 0;

    struct veld_noise before = s.reader;
    int rc = role == VELD_NOISE_INITIATOR
                 ? veld_noise_read_response(&s.reader, msg, len, payload)
                 : veld_noise_read_initiation(&s.reader, msg, len, payload);
    /* A stranger can make an initiation of its own to a known key, but not by chance. */
    require((rc == 0) == genuine);
    require(rc == 0 || memcmp(&before, &s.reader, sizeof before) == 0);
    free(msg);
    free(payload);
    return 0;
}
