#include "trust/rpc_auth.h"

#include "base/bytes.h"
#include "crypto/primitives.h"
#include "trust/wire.h"

#include <stdlib.h>
#include <string.h>
#include <veld/coord/v1/coord.pb-c.h>

typedef Veld__Coord__V1__Auth pb_auth;

static const char purpose[] = "veld rpc v1";
#define TEXT_MAX (sizeof purpose + VELD_RPC_METHOD_MAX + 1 + 32 + 8 + VELD_RPC_NONCE + 32)

/* What is signed; its length, 0 when the method's name is too long. */
static size_t text_to_sign(uint8_t text[TEXT_MAX], const struct veld_rpc_auth *a,
                           const char *method, const uint8_t certificate[32], const void *body,
                           size_t len)
{
    size_t method_len = strnlen(method, VELD_RPC_METHOD_MAX + 1) + 1;
    uint8_t *to = text;
    if (method_len > VELD_RPC_METHOD_MAX + 1)
        return 0;
    memcpy(to, purpose, sizeof purpose);
    memcpy(to += sizeof purpose, method, method_len);
    memcpy(to += method_len, certificate, 32);
    veld_store_be64(to += 32, a->time_ns);
    memcpy(to += 8, a->nonce, VELD_RPC_NONCE);
    veld_sha256(to += VELD_RPC_NONCE, &(struct veld_bytes){body, len}, 1);
    return (size_t)(to + 32 - text);
}

size_t veld_rpc_sign(uint8_t out[VELD_RPC_AUTH_MAX], const uint8_t seed[32],
                     const struct veld_rpc_auth *a, const char *method,
                     const uint8_t certificate[32], const void *body, size_t len)
{
    uint8_t text[TEXT_MAX], signature[64];
    pb_auth auth = VELD__COORD__V1__AUTH__INIT;
    size_t text_len = text_to_sign(text, a, method, certificate, body, len);
    if (text_len == 0)
        return 0;
    veld_ed25519_sign(signature, seed, text, text_len);
    auth.key = veld_wire_bytes(a->key, 32);
    auth.time_ns = a->time_ns;
    auth.nonce = veld_wire_bytes(a->nonce, VELD_RPC_NONCE);
    auth.signature = veld_wire_bytes(signature, sizeof signature);
    _Static_assert(VELD_RPC_AUTH_MAX >= 2 + 32 + 11 + 2 + VELD_RPC_NONCE + 2 + 64,
                   "an Auth fits");
    return veld__coord__v1__auth__pack(&auth, out);
}

int veld_rpc_verify(const uint8_t *auth, size_t auth_len, const char *method,
                    const uint8_t certificate[32], const void *body, size_t len,
                    struct veld_rpc_auth *out)
{
    uint8_t text[TEXT_MAX], signature[64];
    memset(out, 0, sizeof *out);
    pb_auth *a =
        veld_wire_unpack(&veld__coord__v1__auth__descriptor, auth, auth_len, VELD_RPC_AUTH_MAX);
    size_t text_len = 0;
    if (a && veld_wire_is_plain(a) && veld_wire_take_member(&a->key, out->key) &&
        veld_wire_take(&a->nonce, out->nonce, VELD_RPC_NONCE) &&
        veld_wire_take(&a->signature, signature, sizeof signature)) {
        out->time_ns = a->time_ns;
        text_len = text_to_sign(text, out, method, certificate, body, len);
    }
    veld_wire_free(a);
    int rc =
        text_len ? veld_ed25519_verify(signature, out->key, text, text_len) : VELD_E_FORMAT;
    if (rc < 0)
        memset(out, 0, sizeof *out);
    return rc;
}
