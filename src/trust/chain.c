#include "trust/chain.h"

#include "base/bytes.h"
#include "crypto/primitives.h"
#include "trust/network.h"

#include <string.h>

bool veld_is_owner(const uint8_t key[32], const uint8_t network_id[32])
{
    uint8_t id[32];
    veld_network_id(id, key);
    return memcmp(id, network_id, sizeof id) == 0;
}

/* The signer is looked at first: to verify costs a thousand times as much. */
int veld_chain_verify(const pb_signed *s, const char *purpose, const uint8_t network_id[32],
                      const struct veld_membership *admin)
{
    bool right = admin ? memcmp(s->signer.data, admin->member, 32) == 0
                       : veld_is_owner(s->signer.data, network_id);
    return right ? veld_signed_verify(s, purpose) : VELD_E_AUTH;
}

static bool is_network(const ProtobufCBinaryData *id, const uint8_t network_id[32])
{
    return memcmp(id->data, network_id, 32) == 0;
}

/* ---- memberships ---- */

static int member_from_body(const pb_signed *s, const uint8_t network_id[32],
                            struct veld_membership *m)
{
    pb_membership *b = veld_wire_unpack(&veld__trust__v1__membership__descriptor, s->body.data,
                                        s->body.len, VELD_SIGNED_MAX);
    int rc = VELD_E_FORMAT;
    if (b && veld_wire_take(&b->network_id, m->network_id, 32) &&
        veld_wire_take_member(&b->member, m->member) &&
        veld_wire_take_label(b->name, m->name) &&
        veld_wire_take_routes(b->routes, b->n_routes, m->routes, &m->n_routes) &&
        (b->not_after == 0 || b->not_after >= b->not_before)) {
        m->flags = b->flags;
        m->not_before_s = b->not_before;
        m->not_after_s = b->not_after;
        m->serial = b->serial;
        memcpy(m->signer, s->signer.data, 32);
        rc = is_network(&b->network_id, network_id) ? 0 : VELD_E_AUTH;
    }
    veld_wire_free(b);
    return rc;
}

int veld_chain_admin(const pb_signed *s, const uint8_t network_id[32],
                     struct veld_membership *out)
{
    memset(out, 0, sizeof *out);
    int rc = veld_chain_verify(s, VELD_PURPOSE_MEMBERSHIP, network_id, NULL);
    if (rc == 0)
        rc = member_from_body(s, network_id, out);
    if (rc == 0 && !(out->flags & VELD_MEMBER_ADMIN))
        rc = VELD_E_AUTH;
    if (rc < 0)
        memset(out, 0, sizeof *out);
    return rc;
}

/* Within what a token grants, and begun while it did. */
static int within_grant(const struct veld_membership *m, const struct veld_grant *g)
{
    if ((m->flags & ~g->flags) != 0 ||
        !veld_routes_are_within(m->routes, m->n_routes, g->routes, g->n_routes))
        return VELD_E_AUTH;
    if (g->expires_s != 0 && m->not_before_s > g->expires_s)
        return VELD_E_RANGE;
    if (g->created_s > m->not_before_s && g->created_s - m->not_before_s > VELD_CLOCK_SKEW_S)
        return VELD_E_RANGE;
    return 0;
}

int veld_chain_member(const pb_signed *s, const uint8_t network_id[32],
                      const struct veld_membership *admin, const struct veld_grant *grant,
                      struct veld_membership *out)
{
    int rc;
    memset(out, 0, sizeof *out);
    if (!grant)
        rc = veld_chain_verify(s, VELD_PURPOSE_MEMBERSHIP, network_id, admin);
    else if (memcmp(s->signer.data, grant->token_key, 32) != 0)
        rc = VELD_E_AUTH;
    else
        rc = veld_signed_verify(s, VELD_PURPOSE_MEMBERSHIP);
    if (rc == 0)
        rc = member_from_body(s, network_id, out);
    if (rc == 0 && admin && (out->flags & VELD_MEMBER_ADMIN))
        rc = VELD_E_AUTH;
    if (rc == 0 && grant)
        rc = within_grant(out, grant);
    if (rc < 0) {
        memset(out, 0, sizeof *out);
        return rc;
    }
    if (grant) {
        out->by_token = true;
        out->token_expires_s = grant->expires_s;
        out->token_uses = grant->uses;
    }
    out->begins_s = out->not_before_s;
    out->ends_s = out->not_after_s;
    if (admin) {
        memcpy(out->admin, admin->member, 32);
        out->begins_s = VELD_MAX(out->begins_s, admin->not_before_s);
        if (admin->not_after_s != 0 && (out->ends_s == 0 || admin->not_after_s < out->ends_s))
            out->ends_s = admin->not_after_s;
    }
    return 0;
}

/* ---- tokens ---- */

static int grant_from_body(const pb_signed *s, const uint8_t network_id[32],
                           struct veld_grant *g)
{
    pb_token *b = veld_wire_unpack(&veld__trust__v1__token__descriptor, s->body.data,
                                   s->body.len, VELD_SIGNED_MAX);
    int rc = VELD_E_FORMAT;
    if (b && b->network_id.len == 32 && veld_wire_take_member(&b->token_key, g->token_key) &&
        veld_wire_take_routes(b->routes, b->n_routes, g->routes, &g->n_routes) &&
        (b->expires == 0 || b->expires >= b->created)) {
        g->created_s = b->created;
        g->expires_s = b->expires;
        g->uses = b->uses;
        g->flags = b->flags;
        rc = is_network(&b->network_id, network_id) ? 0 : VELD_E_AUTH;
    }
    veld_wire_free(b);
    return rc;
}

int veld_chain_grant(const pb_signed *s, const uint8_t network_id[32],
                     const struct veld_membership *admin, struct veld_grant *out)
{
    memset(out, 0, sizeof *out);
    int rc = veld_chain_verify(s, VELD_PURPOSE_TOKEN, network_id, admin);
    if (rc == 0)
        rc = grant_from_body(s, network_id, out);
    if (rc == 0 && (out->flags & VELD_MEMBER_ADMIN))
        rc = VELD_E_AUTH;
    if (rc < 0)
        memset(out, 0, sizeof *out);
    return rc;
}

/* ---- chains ---- */

pb_chain *veld_chain_unpack(const uint8_t *p, size_t len)
{
    pb_chain *c = veld_wire_unpack(&veld__trust__v1__chain__descriptor, p, len, VELD_CHAIN_MAX);
    if (!c || veld_chain_is_shaped(c))
        return c;
    veld_wire_free(c);
    return NULL;
}

bool veld_chain_is_shaped(const pb_chain *c)
{
    return veld_wire_is_plain(c) && veld_signed_is_shaped(c->membership, VELD_SIGNED_MAX) &&
           (!c->token || veld_signed_is_shaped(c->token, VELD_SIGNED_MAX)) &&
           (!c->admin || veld_signed_is_shaped(c->admin, VELD_SIGNED_MAX));
}

int veld_chain_read(const pb_chain *c, const uint8_t network_id[32],
                    struct veld_membership *out)
{
    struct veld_membership admin;
    struct veld_grant grant;
    int rc = 0;
    memset(out, 0, sizeof *out);
    if (c->admin)
        rc = veld_chain_admin(c->admin, network_id, &admin);
    if (rc == 0 && c->token)
        rc = veld_chain_grant(c->token, network_id, c->admin ? &admin : NULL, &grant);
    if (rc == 0)
        rc = veld_chain_member(c->membership, network_id, c->admin ? &admin : NULL,
                               c->token ? &grant : NULL, out);
    if (rc == 0)
        veld_chain_digest(c, out->chain_digest);
    return rc;
}

void veld_chain_digest(const pb_chain *c, uint8_t digest[32])
{
    const pb_signed *part[] = {c->membership, c->token, c->admin};
    uint8_t len[VELD_ARRAY_LEN(part)][8];
    struct veld_bytes bytes[4 * VELD_ARRAY_LEN(part)];
    size_t n = 0;
    for (size_t i = 0; i < VELD_ARRAY_LEN(part); i++) {
        veld_store_be64(len[i], part[i] ? part[i]->body.len : UINT64_MAX);
        bytes[n++] = (struct veld_bytes){len[i], sizeof len[i]};
        if (!part[i])
            continue;
        bytes[n++] = (struct veld_bytes){part[i]->body.data, part[i]->body.len};
        bytes[n++] = (struct veld_bytes){part[i]->signer.data, 32};
        bytes[n++] = (struct veld_bytes){part[i]->signature.data, 64};
    }
    veld_sha256(digest, bytes, n);
}

/* ---- who signs here ---- */

int veld_signer_open(const struct veld_signer *signer, const uint8_t network_id[32],
                     pb_chain **chain, pb_signed **admin)
{
    uint8_t key[32];
    struct veld_membership m;
    *chain = NULL;
    *admin = NULL;
    veld_ed25519_keypair(signer->seed, key);
    if (!signer->chain)
        return veld_is_owner(key, network_id) ? 0 : VELD_E_AUTH;
    pb_chain *c = veld_chain_unpack(signer->chain->p, signer->chain->len);
    if (!c)
        return VELD_E_FORMAT;
    int rc =
        c->token || c->admin ? VELD_E_AUTH : veld_chain_admin(c->membership, network_id, &m);
    if (rc == 0 && memcmp(m.member, key, 32) != 0)
        rc = VELD_E_AUTH;
    if (rc < 0) {
        veld_wire_free(c);
        return rc;
    }
    *chain = c;
    *admin = c->membership;
    return 0;
}
