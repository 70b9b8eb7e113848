#include "crypto/aead_backends.h"

#include <sodium.h>

/*
 * libsodium, one datagram at a time: works on every CPU, and is what the other
 * backends are compared with. It keeps no state, so its context is a constant.
 */
static char no_state;

static bool sodium_usable(void)
{
    return true;
}

static struct veld_aead_ctx *sodium_new_ctx(void)
{
    return (struct veld_aead_ctx *)&no_state;
}

static void sodium_free_ctx(struct veld_aead_ctx *ctx)
{
}

static void sodium_seal(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct veld_aead_job *j = &jobs[i];
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(j->data, j->data + j->len, NULL,
                                                           j->data, j->len, j->ad, j->ad_len,
                                                           NULL, j->nonce, j->key);
    }
}

static void sodium_open(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct veld_aead_job *j = &jobs[i];
        j->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
                    j->data, NULL, j->data, j->len, j->data + j->len, j->ad, j->ad_len,
                    j->nonce, j->key) == 0;
    }
}

const struct veld_aead_backend veld_aead_sodium = {
    .name = "libsodium",
    .usable = sodium_usable,
    .new_ctx = sodium_new_ctx,
    .free_ctx = sodium_free_ctx,
    .seal = sodium_seal,
    .open = sodium_open,
};
