#include "trust/membership.h"

#include "crypto/primitives.h"
#include "trust/chain.h"

#include <string.h>

/* Do revocations take away what `key` signed for `member`? */
static bool is_barred(const struct veld_revocations *r, const uint8_t key[32],
                      const uint8_t member[32], bool is_admin)
{
    struct veld_revoked_entry e;
    if (!veld_revocations_find(r, key, &e) || (is_admin && !e.by_owner))
        return false;
    for (size_t i = 0; i < e.n_kept; i++)
        if (memcmp(e.kept[i], member, 32) == 0)
            return false;
    return true;
}

static bool is_revoked(const struct veld_membership *m, const struct veld_revocations *r)
{
    struct veld_revoked_entry e;
    if (veld_revocations_find(r, m->member, &e) &&
        (e.by_owner || !(m->flags & VELD_MEMBER_ADMIN)))
        return true;
    return (m->by_token && is_barred(r, m->signer, m->member, false)) ||
           (!veld_is_zero(m->admin, 32) && is_barred(r, m->admin, m->member, true));
}

int veld_membership_check(const struct veld_membership *m,
                          const struct veld_revocations *revoked, uint64_t now_s)
{
    if (is_revoked(m, revoked))
        return VELD_E_PERM;
    if (now_s == 0)
        return 0;
    if (m->begins_s > now_s && m->begins_s - now_s > VELD_CLOCK_SKEW_S)
        return VELD_E_RANGE;
    return m->ends_s != 0 && now_s > m->ends_s ? VELD_E_RANGE : 0;
}

int veld_membership_read(const uint8_t *p, size_t len, const uint8_t network_id[32],
                         const struct veld_revocations *revoked, uint64_t now_s,
                         struct veld_membership *out)
{
    memset(out, 0, sizeof *out);
    pb_chain *c = veld_chain_unpack(p, len);
    int rc = c ? veld_chain_read(c, network_id, out) : VELD_E_FORMAT;
    if (rc == 0)
        rc = veld_membership_check(out, revoked, now_s);
    if (rc < 0)
        memset(out, 0, sizeof *out);
    veld_wire_free(c);
    return rc;
}

int veld_membership_sign(struct veld_blob *chain, const uint8_t seed[32],
                         const struct veld_membership *m, pb_signed *token, pb_signed *admin)
{
    struct veld_statement s = {0};
    struct veld_wire_routes routes;
    struct veld_membership made;
    pb_signed signed_view;
    pb_chain out = VELD__TRUST__V1__CHAIN__INIT;
    pb_membership body = VELD__TRUST__V1__MEMBERSHIP__INIT;
    char name[VELD_LABEL_MAX + 1];
    veld_blob_clear(chain);
    if (m->n_routes > VELD_MEMBER_ROUTES_MAX || !veld_wire_take_label(m->name, name))
        return VELD_E_FORMAT;
    body.network_id = veld_wire_bytes(m->network_id, 32);
    body.member = veld_wire_bytes(m->member, 32);
    body.name = name;
    body.n_routes = m->n_routes;
    body.routes = veld_wire_put_routes(&routes, m->routes, m->n_routes);
    body.flags = m->flags;
    body.not_before = m->not_before_s;
    body.not_after = m->not_after_s;
    body.serial = m->serial;
    int rc = veld_statement_sign(&s, VELD_PURPOSE_MEMBERSHIP, seed, &body, VELD_SIGNED_MAX);
    if (rc == 0) {
        veld_statement_view(&s, &signed_view);
        out.membership = &signed_view;
        out.token = token;
        out.admin = admin;
        rc = veld_wire_pack(chain, &out, VELD_CHAIN_MAX);
    }
    if (rc == 0)
        rc = veld_membership_read(chain->p, chain->len, m->network_id, NULL, 0, &made);
    if (rc < 0)
        veld_blob_clear(chain);
    veld_statement_clear(&s);
    return rc;
}

/* Seconds, so that whoever knows of no last one is most likely right; two may be of one second. */
uint64_t veld_serial_after(uint64_t last, uint64_t now_s)
{
    return now_s > last ? now_s : last + 1;
}

int veld_membership_issue(struct veld_blob *chain, const struct veld_signer *signer,
                          const struct veld_membership *m)
{
    pb_chain *own;
    pb_signed *admin;
    veld_blob_clear(chain);
    int rc = veld_signer_open(signer, m->network_id, &own, &admin);
    if (rc == 0)
        rc = veld_membership_sign(chain, signer->seed, m, NULL, admin);
    veld_wire_free(own);
    return rc;
}
