#include "trust/token.h"

#include "crypto/primitives.h"
#include "trust/chain.h"
#include "trust/network.h"

#include <string.h>

typedef Veld__Trust__V1__TokenText pb_token_text;

static const char prefix[] = "veld1";
#define PREFIX_LEN (sizeof prefix - 1)
#define BYTES_MAX  ((VELD_TOKEN_TEXT_MAX - 1 - PREFIX_LEN) / 4 * 3)

/* HOST:PORT in visible ASCII; whether it can be reached is for who tries. */
static bool take_coord(const char *text, char out[VELD_COORD_TEXT_MAX])
{
    size_t len = strnlen(text, VELD_COORD_TEXT_MAX);
    if (len == 0 || len == VELD_COORD_TEXT_MAX || !strchr(text, ':'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    memcpy(out, text, len + 1);
    return true;
}

/* ---- read ---- */

/* The message inside a text (veld_wire_free), or NULL. */
static pb_token_text *unpack_text(const char *text)
{
    uint8_t bytes[BYTES_MAX];
    size_t len = strnlen(text, VELD_TOKEN_TEXT_MAX), n;
    pb_token_text *t = NULL;
    if (len < VELD_TOKEN_TEXT_MAX && strncmp(text, prefix, PREFIX_LEN) == 0 &&
        veld_base64url_decode(bytes, sizeof bytes, &n, text + PREFIX_LEN, len - PREFIX_LEN) ==
            0)
        t = veld_wire_unpack(&veld__trust__v1__token_text__descriptor, bytes, n, sizeof bytes);
    veld_wipe(bytes, sizeof bytes);
    if (t && veld_wire_is_plain(t) && veld_signed_is_shaped(t->token, VELD_SIGNED_MAX) &&
        (!t->admin || veld_signed_is_shaped(t->admin, VELD_SIGNED_MAX)))
        return t;
    veld_wire_free(t);
    return NULL;
}

/* The signatures, up to whoever is the owner, whose network it then is. */
static int read_grant(const pb_token_text *t, uint8_t network_id[32], struct veld_grant *g)
{
    struct veld_membership admin;
    veld_network_id(network_id, (t->admin ? t->admin : t->token)->signer.data);
    int rc = t->admin ? veld_chain_admin(t->admin, network_id, &admin) : 0;
    return rc == 0 ? veld_chain_grant(t->token, network_id, t->admin ? &admin : NULL, g) : rc;
}

static int from_text(const pb_token_text *t, struct veld_token *out)
{
    struct veld_grant g;
    uint8_t key[32];
    if (!take_coord(t->coord, out->coord) || !veld_wire_take_label(t->network, out->network) ||
        !veld_wire_take(&t->seed, out->seed, 32) ||
        (t->certificate.len != 0 && !veld_wire_take(&t->certificate, out->certificate, 32)))
        return VELD_E_FORMAT;
    int rc = read_grant(t, out->network_id, &g);
    if (rc < 0)
        return rc;
    veld_ed25519_keypair(out->seed, key);
    if (memcmp(key, g.token_key, sizeof key) != 0)
        return VELD_E_AUTH;
    out->has_certificate = t->certificate.len != 0;
    memcpy(out->token_key, g.token_key, 32);
    out->created_s = g.created_s;
    out->expires_s = g.expires_s;
    out->uses = g.uses;
    memcpy(out->routes, g.routes, sizeof out->routes);
    out->n_routes = g.n_routes;
    out->flags = g.flags;
    return 0;
}

int veld_token_read(const char *text, struct veld_token *out)
{
    memset(out, 0, sizeof *out);
    pb_token_text *t = unpack_text(text);
    int rc = t ? from_text(t, out) : VELD_E_FORMAT;
    if (rc < 0)
        veld_wipe(out, sizeof *out);
    veld_wire_free(t);
    return rc;
}

/* ---- make ---- */

static int write_text(char text[VELD_TOKEN_TEXT_MAX], const pb_token_text *t)
{
    struct veld_blob bytes = {0};
    int rc = veld_wire_pack(&bytes, t, BYTES_MAX);
    memcpy(text, prefix, PREFIX_LEN);
    if (rc == 0)
        rc = veld_base64url_encode(text + PREFIX_LEN, VELD_TOKEN_TEXT_MAX - PREFIX_LEN, bytes.p,
                                   bytes.len);
    veld_blob_clear(&bytes); /* wipes */
    return rc;
}

static int sign_token(struct veld_statement *s, const uint8_t seed[32],
                      const uint8_t network_id[32], const struct veld_token *t)
{
    struct veld_wire_routes routes;
    uint8_t key[32];
    pb_token body = VELD__TRUST__V1__TOKEN__INIT;
    if (t->n_routes > VELD_MEMBER_ROUTES_MAX)
        return VELD_E_FORMAT;
    veld_ed25519_keypair(t->seed, key);
    body.network_id = veld_wire_bytes(network_id, 32);
    body.token_key = veld_wire_bytes(key, sizeof key);
    body.created = t->created_s;
    body.expires = t->expires_s;
    body.uses = t->uses;
    body.n_routes = t->n_routes;
    body.routes = veld_wire_put_routes(&routes, t->routes, t->n_routes);
    body.flags = t->flags;
    return veld_statement_sign(s, VELD_PURPOSE_TOKEN, seed, &body, VELD_SIGNED_MAX);
}

int veld_token_make(char text[VELD_TOKEN_TEXT_MAX], const struct veld_signer *signer,
                    const uint8_t network_id[32], const struct veld_token *t)
{
    struct veld_statement s = {0};
    struct veld_token made;
    pb_token_text out = VELD__TRUST__V1__TOKEN_TEXT__INIT;
    pb_signed view;
    pb_chain *own = NULL;
    char coord[VELD_COORD_TEXT_MAX], network[VELD_LABEL_MAX + 1];
    memset(text, 0, VELD_TOKEN_TEXT_MAX);
    if (!take_coord(t->coord, coord) || !veld_wire_take_label(t->network, network))
        return VELD_E_FORMAT;
    int rc = veld_signer_open(signer, network_id, &own, &out.admin);
    if (rc == 0)
        rc = sign_token(&s, signer->seed, network_id, t);
    if (rc == 0) {
        veld_statement_view(&s, &view);
        out.coord = coord;
        if (t->has_certificate)
            out.certificate = veld_wire_bytes(t->certificate, 32);
        out.network = network;
        out.seed = veld_wire_bytes(t->seed, 32);
        out.token = &view;
        rc = write_text(text, &out);
    }
    if (rc == 0) {
        rc = veld_token_read(text, &made);
        veld_wipe(&made, sizeof made);
    }
    if (rc < 0)
        veld_wipe(text, VELD_TOKEN_TEXT_MAX);
    veld_statement_clear(&s);
    veld_wire_free(own);
    return rc;
}

/* ---- use ---- */

int veld_token_admit(struct veld_blob *chain, const char *text, const uint8_t member[32],
                     const char *name, uint64_t now_s, uint64_t last_serial)
{
    struct veld_token t;
    struct veld_membership m = {.not_before_s = now_s,
                                .serial = veld_serial_after(last_serial, now_s)};
    veld_blob_clear(chain);
    if (!veld_label_is_valid(name))
        return VELD_E_FORMAT;
    int rc = veld_token_read(text, &t);
    pb_token_text *parts = rc == 0 ? unpack_text(text) : NULL;
    if (rc == 0 && !parts)
        rc = VELD_E_NOMEM;
    if (rc == 0) {
        memcpy(m.network_id, t.network_id, 32);
        memcpy(m.member, member, 32);
        strcpy(m.name, name);
        memcpy(m.routes, t.routes, sizeof m.routes);
        m.n_routes = t.n_routes;
        m.flags = t.flags;
        rc = veld_membership_sign(chain, t.seed, &m, parts->token, parts->admin);
    }
    veld_wire_free(parts);
    veld_wipe(&t, sizeof t);
    return rc;
}
