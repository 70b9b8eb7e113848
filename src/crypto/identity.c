#include "crypto/identity.h"

#include "crypto/primitives.h"
#include "crypto/secret_file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- in memory ---- */

static void derive(struct veld_identity *id)
{
    veld_ed25519_keypair(id->seed, id->pub);
    veld_ed25519_secret_to_x25519(id->x_secret, id->seed);
    veld_x25519_public(id->x_pub, id->x_secret);
}

struct veld_identity *veld_identity_generate(void)
{
    struct veld_identity *id = veld_secure_alloc(sizeof *id);
    if (!id)
        return NULL;
    veld_random(id->seed, sizeof id->seed);
    derive(id);
    return id;
}

struct veld_identity *veld_identity_from_seed(const uint8_t seed[32])
{
    struct veld_identity *id = veld_secure_alloc(sizeof *id);
    if (!id)
        return NULL;
    memcpy(id->seed, seed, sizeof id->seed);
    derive(id);
    return id;
}

void veld_identity_free(struct veld_identity *id)
{
    veld_secure_free(id);
}

/* ---- on disk ---- */

int veld_identity_load(const char *path, struct veld_identity **out, struct veld_diag *diag)
{
    uint8_t seed[32];
    char remedy[PATH_MAX + 16];
    snprintf(remedy, sizeof remedy, "veld keygen %s", path);
    int rc = veld_secret_file_read(path, "identity", remedy, seed, diag);
    if (rc == 0) {
        struct veld_identity *id = veld_identity_from_seed(seed);
        if (id)
            *out = id;
        else
            rc = veld_fail(diag, VELD_E_NOMEM, "%s: no guarded memory for the identity", path);
    }
    veld_wipe(seed, sizeof seed);
    return rc;
}

int veld_identity_save(const struct veld_identity *id, const char *path, struct veld_diag *diag)
{
    return veld_secret_file_create(path, "identity", id->seed, diag);
}

int veld_identity_load_or_make(const char *path, struct veld_identity **out, bool *made,
                               struct veld_diag *diag)
{
    *made = false;
    int rc = veld_identity_load(path, out, diag);
    if (rc != VELD_E_NOENT)
        return rc;
    struct veld_identity *id = veld_identity_generate();
    if (!id)
        return veld_fail(diag, VELD_E_NOMEM, "%s: no guarded memory for the identity", path);
    rc = veld_identity_save(id, path, diag);
    if (rc == 0) {
        *made = true;
        *out = id;
        return 0;
    }
    veld_identity_free(id);
    /* Another process was faster: theirs it is. */
    return rc == VELD_E_EXIST ? veld_identity_load(path, out, diag) : rc;
}

/* ---- public keys as text ---- */

void veld_pubkey_format(const uint8_t pub[32], char out[VELD_PUBKEY_STRLEN])
{
    if (veld_base64_encode(out, VELD_PUBKEY_STRLEN, pub, 32) < 0)
        out[0] = '\0';
}

int veld_pubkey_parse(const char *text, uint8_t pub[32])
{
    uint8_t key[32], x_public[32];
    if (veld_base64_decode(key, sizeof key, text, strlen(text)) < 0)
        return VELD_E_FORMAT;
    int rc = veld_ed25519_public_to_x25519(x_public, key);
    if (rc == 0)
        memcpy(pub, key, sizeof key);
    return rc;
}

void veld_pubkey_fingerprint(const uint8_t pub[32], char out[VELD_FINGERPRINT_STRLEN])
{
    uint8_t hash[VELD_HASH_SIZE];
    veld_sha256(hash, &(struct veld_bytes){pub, 32}, 1);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
