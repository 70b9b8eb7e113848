#include "trust/signal.h"

#include "crypto/primitives.h"
#include "trust/wire.h"

#include <stdlib.h>
#include <string.h>

typedef Veld__Trust__V1__Signal pb_signal;
typedef Veld__Trust__V1__Call pb_call;

#define NONCE 24
#define TAG   16

/* Of two identities and a network, one key each way. `own` is one of the two. */
static int derive(uint8_t key[32], const struct veld_identity *own, const uint8_t other[32],
                  const uint8_t network_id[32], const uint8_t from[32], const uint8_t to[32])
{
    static const char purpose[] = "veld signal v1";
    static const uint8_t no_salt[VELD_HASH_SIZE];
    uint8_t x_public[32], shared[32], prk[32], info[sizeof purpose + 3 * 32];
    memcpy(info, purpose, sizeof purpose); /* with its NUL */
    memcpy(info + sizeof purpose, network_id, 32);
    memcpy(info + sizeof purpose + 32, from, 32);
    memcpy(info + sizeof purpose + 64, to, 32);
    int rc = veld_ed25519_public_to_x25519(x_public, other);
    if (rc == 0)
        rc = veld_x25519(shared, own->x_secret, x_public);
    if (rc == 0) {
        veld_hkdf_extract(prk, no_salt, sizeof no_salt, shared, sizeof shared);
        rc = veld_hkdf_expand(key, 32, prk, info, sizeof info);
    }
    veld_wipe(shared, sizeof shared);
    veld_wipe(prk, sizeof prk);
    return rc;
}

int veld_signal_seal(struct veld_blob *out, const struct veld_identity *from,
                     const uint8_t to[32], const uint8_t network_id[32],
                     const uint8_t nonce[24], const struct veld_call *call)
{
    struct veld_wire_endpoints endpoints;
    ProtobufCBinaryData relays[VELD_MEMBER_RELAYS_MAX];
    struct veld_call read; /* as the receiver will */
    struct veld_blob plain = {0};
    uint8_t key[32];
    pb_signal signal = VELD__TRUST__V1__SIGNAL__INIT;
    pb_call what = VELD__TRUST__V1__CALL__INIT;
    veld_blob_clear(out);
    if (call->n_endpoints > VELD_MEMBER_ENDPOINTS_MAX ||
        call->n_relays > VELD_MEMBER_RELAYS_MAX)
        return VELD_E_FORMAT;
    what.n_endpoints = call->n_endpoints;
    what.endpoints = veld_wire_put_endpoints(&endpoints, call->endpoints, call->n_endpoints);
    what.n_relays = call->n_relays;
    what.relays =
        veld_wire_put_relays(relays, (const uint8_t(*)[32])call->relays, call->n_relays);
    if (!veld_wire_take_endpoints(what.endpoints, what.n_endpoints, read.endpoints,
                                  &read.n_endpoints) ||
        !veld_wire_take_relays(what.relays, what.n_relays, from->pub, read.relays,
                               &read.n_relays))
        return VELD_E_FORMAT;
    signal.sequence = call->sequence;
    signal.what_case = VELD__TRUST__V1__SIGNAL__WHAT_CALL;
    signal.call = &what;
    int rc = veld_wire_pack(&plain, &signal, VELD_SIGNAL_MAX - NONCE - TAG);
    if (rc == 0)
        rc = derive(key, from, to, network_id, from->pub, to);
    if (rc == 0) {
        out->len = NONCE + plain.len + TAG;
        out->p = malloc(out->len);
        rc = out->p ? 0 : VELD_E_NOMEM;
    }
    if (rc == 0) {
        memcpy(out->p, nonce, NONCE);
        veld_xseal(out->p + NONCE, key, nonce, NULL, 0, plain.p, plain.len);
    } else {
        *out = (struct veld_blob){0};
    }
    veld_wipe(key, sizeof key);
    veld_blob_clear(&plain);
    return rc;
}

static int from_plain(const uint8_t *plain, size_t len, const uint8_t from[32],
                      struct veld_call *out)
{
    pb_signal *s =
        veld_wire_unpack(&veld__trust__v1__signal__descriptor, plain, len, VELD_SIGNAL_MAX);
    int rc = VELD_E_FORMAT;
    if (s && s->what_case != VELD__TRUST__V1__SIGNAL__WHAT_CALL)
        rc = VELD_E_UNSUPPORTED;
    else if (s &&
             veld_wire_take_endpoints(s->call->endpoints, s->call->n_endpoints, out->endpoints,
                                      &out->n_endpoints) &&
             veld_wire_take_relays(s->call->relays, s->call->n_relays, from, out->relays,
                                   &out->n_relays))
        rc = 0;
    if (rc == 0)
        out->sequence = s->sequence;
    veld_wire_free(s);
    return rc;
}

int veld_signal_open(const uint8_t *sealed, size_t len, const struct veld_identity *to,
                     const uint8_t from[32], const uint8_t network_id[32],
                     struct veld_call *out)
{
    uint8_t key[32], plain[VELD_SIGNAL_MAX];
    memset(out, 0, sizeof *out);
    if (len < NONCE + TAG || len > VELD_SIGNAL_MAX)
        return VELD_E_FORMAT;
    int rc = derive(key, to, from, network_id, from, to->pub);
    if (rc == 0)
        rc = veld_xopen(plain, key, sealed, NULL, 0, sealed + NONCE, len - NONCE);
    if (rc == 0)
        rc = from_plain(plain, len - NONCE - TAG, from, out);
    if (rc < 0)
        memset(out, 0, sizeof *out);
    veld_wipe(key, sizeof key);
    veld_wipe(plain, sizeof plain);
    return rc;
}
