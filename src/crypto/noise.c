#include "crypto/noise.h"

#include "base/bytes.h"
#include "crypto/primitives.h"

#include <assert.h>
#include <string.h>

/*
 * Names and section numbers are those of The Noise Protocol Framework,
 * revision 34. Both patterns have the pre-message "<- s":
 *
 *   IK:      -> e, es, s, ss      <- e, ee, se
 *   IKpsk2:  -> e, es, s, ss      <- e, ee, se, psk
 */

#define DH_LEN      32
#define TAG_LEN     16
#define MESSAGE_MAX 65535 /* section 3 */

#define INITIATION_OVERHEAD (DH_LEN + (DH_LEN + TAG_LEN) + TAG_LEN)
#define RESPONSE_OVERHEAD   (DH_LEN + TAG_LEN)

/* ---- SymmetricState, section 5.2 ---- */

static void initialize_symmetric(struct veld_noise *n)
{
    const char *name = n->pattern == VELD_NOISE_IK ? "Noise_IK_25519_ChaChaPoly_SHA256"
                                                   : "Noise_IKpsk2_25519_ChaChaPoly_SHA256";
    size_t len = strlen(name);
    if (len <= sizeof n->h)
        memcpy(n->h, name, len); /* the rest is zero */
    else
        veld_sha256(n->h, &(struct veld_bytes){name, len}, 1);
    memcpy(n->ck, n->h, sizeof n->ck);
}

static void mix_hash(struct veld_noise *n, const void *data, size_t len)
{
    const struct veld_bytes parts[] = {{n->h, sizeof n->h}, {data, len}};
    veld_sha256(n->h, parts, VELD_ARRAY_LEN(parts));
}

/* Noise's HKDF(ck, ikm, outputs) is RFC 5869's with empty info; `len` = 32 * outputs. */
static void hkdf(const uint8_t ck[32], const void *ikm, size_t ikm_len, uint8_t *out,
                 size_t len)
{
    uint8_t prk[VELD_HASH_SIZE];
    veld_hkdf_extract(prk, ck, 32, ikm, ikm_len);
    int rc = veld_hkdf_expand(out, len, prk, NULL, 0);
    assert(rc == 0);
    (void)rc;
    veld_wipe(prk, sizeof prk);
}

static void set_key(struct veld_noise *n, const uint8_t k[32])
{
    memcpy(n->k, k, sizeof n->k);
    n->nonce = 0;
    n->has_key = true;
}

static void mix_key(struct veld_noise *n, const uint8_t ikm[32])
{
    uint8_t out[2][32];
    hkdf(n->ck, ikm, 32, out[0], sizeof out);
    memcpy(n->ck, out[0], 32);
    set_key(n, out[1]);
    veld_wipe(out, sizeof out);
}

static void mix_key_and_hash(struct veld_noise *n, const uint8_t ikm[32])
{
    uint8_t out[3][32];
    hkdf(n->ck, ikm, 32, out[0], sizeof out);
    memcpy(n->ck, out[0], 32);
    mix_hash(n, out[1], 32);
    set_key(n, out[2]);
    veld_wipe(out, sizeof out);
}

/* In these patterns every encryption comes after a MixKey, so there always is a key. */
static void encrypt_and_hash(struct veld_noise *n, const void *plaintext, size_t len,
                             uint8_t *out)
{
    assert(n->has_key);
    veld_seal(out, n->k, n->nonce++, n->h, sizeof n->h, plaintext, len);
    mix_hash(n, out, len + TAG_LEN);
}

static int decrypt_and_hash(struct veld_noise *n, const uint8_t *sealed, size_t len,
                            uint8_t *out)
{
    assert(n->has_key);
    int rc = veld_open(out, n->k, n->nonce, n->h, sizeof n->h, sealed, len);
    if (rc < 0)
        return rc;
    n->nonce++;
    mix_hash(n, sealed, len);
    return 0;
}

/* ---- tokens, section 5.3; "e" as section 9.2 has it for psk patterns ---- */

static void mix_ephemeral(struct veld_noise *n, const uint8_t e[32])
{
    mix_hash(n, e, 32);
    if (n->pattern == VELD_NOISE_IKPSK2)
        mix_key(n, e);
}

static void write_e(struct veld_noise *n, const uint8_t secret[32], uint8_t out[32])
{
    memcpy(n->e_secret, secret, 32);
    veld_x25519_public(n->e_pub, secret);
    memcpy(out, n->e_pub, 32);
    mix_ephemeral(n, n->e_pub);
}

static void read_e(struct veld_noise *n, const uint8_t in[32])
{
    memcpy(n->re, in, 32);
    mix_ephemeral(n, n->re);
}

static int mix_dh(struct veld_noise *n, const uint8_t secret[32], const uint8_t public_key[32])
{
    uint8_t shared[32];
    int rc = veld_x25519(shared, secret, public_key);
    if (rc == 0)
        mix_key(n, shared);
    veld_wipe(shared, sizeof shared);
    return rc;
}

static int mix_ss(struct veld_noise *n)
{
    if (!n->kept_shared || !n->kept_shared(n->kept_ctx, n->rs, n->shared)) {
        int rc = veld_x25519(n->shared, n->s_secret, n->rs);
        if (rc < 0)
            return rc;
    }
    mix_key(n, n->shared);
    return 0;
}

static void mix_psk(struct veld_noise *n)
{
    if (n->pattern == VELD_NOISE_IKPSK2)
        mix_key_and_hash(n, n->psk);
}

/* ---- the handshake ---- */

void veld_noise_init(struct veld_noise *n, enum veld_noise_role role,
                     const struct veld_noise_config *cfg)
{
    *n = (struct veld_noise){.pattern = cfg->pattern,
                             .role = role,
                             .kept_shared = cfg->kept_shared,
                             .kept_ctx = cfg->kept_ctx};
    memcpy(n->s_secret, cfg->static_secret, sizeof n->s_secret);
    memcpy(n->s_pub, cfg->static_public, sizeof n->s_pub);
    if (role == VELD_NOISE_INITIATOR)
        memcpy(n->rs, cfg->remote_static, sizeof n->rs);
    if (cfg->pattern == VELD_NOISE_IKPSK2)
        memcpy(n->psk, cfg->psk, sizeof n->psk);

    initialize_symmetric(n);
    mix_hash(n, cfg->prologue, cfg->prologue_len);
    /* pre-message <- s */
    mix_hash(n, role == VELD_NOISE_INITIATOR ? n->rs : n->s_pub, 32);
}

/* The one exit of each message: keep the copy's state only when all went well. */
static int finish(struct veld_noise *n, struct veld_noise *copy, int rc)
{
    if (rc == 0)
        *n = *copy;
    veld_noise_wipe(copy);
    return rc;
}

static int write_initiation(struct veld_noise *n, const uint8_t ephemeral[32],
                            const void *payload, size_t payload_len, uint8_t *out)
{
    int rc;
    /* e */
    write_e(n, ephemeral, out);
    out += DH_LEN;
    /* es */
    if ((rc = mix_dh(n, n->e_secret, n->rs)) < 0)
        return rc;
    /* s */
    encrypt_and_hash(n, n->s_pub, DH_LEN, out);
    out += DH_LEN + TAG_LEN;
    /* ss */
    if ((rc = mix_ss(n)) < 0)
        return rc;
    /* payload */
    encrypt_and_hash(n, payload, payload_len, out);
    return 0;
}

int veld_noise_write_initiation(struct veld_noise *n, const uint8_t ephemeral[32],
                                const void *payload, size_t payload_len, uint8_t *out)
{
    assert(n->role == VELD_NOISE_INITIATOR && !n->has_key);
    if (payload_len > MESSAGE_MAX - INITIATION_OVERHEAD)
        return VELD_E_RANGE;
    struct veld_noise copy = *n;
    int rc = write_initiation(&copy, ephemeral, payload, payload_len, out);
    if (rc < 0)
        memset(out, 0, INITIATION_OVERHEAD + payload_len);
    return finish(n, &copy, rc);
}

static int read_initiation(struct veld_noise *n, const uint8_t *in, size_t len,
                           uint8_t *payload)
{
    int rc;
    /* e */
    read_e(n, in);
    in += DH_LEN;
    /* es */
    if ((rc = mix_dh(n, n->s_secret, n->re)) < 0)
        return rc;
    /* s */
    if ((rc = decrypt_and_hash(n, in, DH_LEN + TAG_LEN, n->rs)) < 0)
        return rc;
    in += DH_LEN + TAG_LEN;
    /* ss */
    if ((rc = mix_ss(n)) < 0)
        return rc;
    /* payload */
    return decrypt_and_hash(n, in, len - DH_LEN - (DH_LEN + TAG_LEN), payload);
}

int veld_noise_read_initiation(struct veld_noise *n, const uint8_t *in, size_t len,
                               uint8_t *payload)
{
    assert(n->role == VELD_NOISE_RESPONDER && !n->has_key);
    if (len < INITIATION_OVERHEAD || len > MESSAGE_MAX)
        return VELD_E_FORMAT;
    struct veld_noise copy = *n;
    return finish(n, &copy, read_initiation(&copy, in, len, payload));
}

static int write_response(struct veld_noise *n, const uint8_t ephemeral[32],
                          const void *payload, size_t payload_len, uint8_t *out)
{
    int rc;
    /* e */
    write_e(n, ephemeral, out);
    out += DH_LEN;
    /* ee */
    if ((rc = mix_dh(n, n->e_secret, n->re)) < 0)
        return rc;
    /* se */
    if ((rc = mix_dh(n, n->e_secret, n->rs)) < 0)
        return rc;
    /* psk */
    mix_psk(n);
    /* payload */
    encrypt_and_hash(n, payload, payload_len, out);
    return 0;
}

int veld_noise_write_response(struct veld_noise *n, const uint8_t ephemeral[32],
                              const void *payload, size_t payload_len, uint8_t *out)
{
    assert(n->role == VELD_NOISE_RESPONDER && n->has_key);
    if (payload_len > MESSAGE_MAX - RESPONSE_OVERHEAD)
        return VELD_E_RANGE;
    struct veld_noise copy = *n;
    int rc = write_response(&copy, ephemeral, payload, payload_len, out);
    if (rc < 0)
        memset(out, 0, RESPONSE_OVERHEAD + payload_len);
    return finish(n, &copy, rc);
}

static int read_response(struct veld_noise *n, const uint8_t *in, size_t len, uint8_t *payload)
{
    int rc;
    /* e */
    read_e(n, in);
    in += DH_LEN;
    /* ee */
    if ((rc = mix_dh(n, n->e_secret, n->re)) < 0)
        return rc;
    /* se */
    if ((rc = mix_dh(n, n->s_secret, n->re)) < 0)
        return rc;
    /* psk */
    mix_psk(n);
    /* payload */
    return decrypt_and_hash(n, in, len - DH_LEN, payload);
}

int veld_noise_read_response(struct veld_noise *n, const uint8_t *in, size_t len,
                             uint8_t *payload)
{
    assert(n->role == VELD_NOISE_INITIATOR && n->has_key);
    if (len < RESPONSE_OVERHEAD || len > MESSAGE_MAX)
        return VELD_E_FORMAT;
    struct veld_noise copy = *n;
    return finish(n, &copy, read_response(&copy, in, len, payload));
}

void veld_noise_split(struct veld_noise *n, struct veld_noise_keys *out)
{
    assert(n->has_key);
    uint8_t k[2][32];
    hkdf(n->ck, NULL, 0, k[0], sizeof k);
    /* Section 5.3: the first key is for what the initiator sends. */
    bool initiator = n->role == VELD_NOISE_INITIATOR;
    memcpy(out->send, k[initiator ? 0 : 1], 32);
    memcpy(out->recv, k[initiator ? 1 : 0], 32);
    memcpy(out->hash, n->h, 32);
    veld_wipe(k, sizeof k);
    veld_noise_wipe(n);
}

void veld_noise_wipe(struct veld_noise *n)
{
    veld_wipe(n, sizeof *n);
}
