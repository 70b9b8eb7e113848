/*
 * Revocations: wherever a list comes from, it was verified before it is adopted.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"

void veld_mesh_check_self(struct veld_mesh *m)
{
    bool revoked = veld_membership_check(&m->profile.membership, m->revoked, 0) == VELD_E_PERM;
    if (revoked && !m->self_revoked)
        veld_error("this machine was revoked from %s; it is no member any more",
                   m->network.name);
    m->self_revoked = revoked;
}

/* Somebody whom the old list named is not in the new one: he may be told of again. */
static bool is_missing_any(const struct veld_revocations *now,
                           const struct veld_revocations *before)
{
    for (size_t i = 0; i < (before ? veld_revocations_count(before) : 0); i++) {
        if (!veld_revoked(now, veld_revocations_key(before, i)))
            return true;
    }
    return false;
}

void veld_mesh_adopt_revocations(struct veld_mesh *m, struct veld_revocations *list)
{
    struct veld_blob bytes = veld_revocations_bytes(list);
    struct veld_diag diag;
    if (veld_revocations_epoch(list) <= veld_revocations_epoch(m->revoked)) {
        veld_revocations_free(list);
        return;
    }
    bool shorter = is_missing_any(list, m->revoked);
    veld_revocations_free(m->revoked);
    m->revoked = list;
    size_t gone = veld_members_revoke(m->members, list, veld_mesh_now_s());
    veld_info("a list of %zu revoked keys is in effect; %zu members are none any more",
              veld_revocations_count(list), gone);
    veld_mesh_check_self(m);
    veld_mesh_drain(m);
    if (veld_profile_write(m->state_dir, m->config->network, VELD_PROFILE_REVOCATIONS, bytes.p,
                           bytes.len, &diag) < 0)
        veld_error("%s; until it can be written, a restart forgets who was revoked last",
                   diag.text);
    if (shorter) { /* hear of everybody again */
        m->revision = 0;
        veld_link_cut(m->link, "members that were revoked may be back: asking for all of them");
    }
}

void veld_mesh_verify_revocations(struct veld_mesh *m, const uint8_t *list, size_t len,
                                  uint64_t from)
{
    struct veld_intake_item item = {
        .kind = VELD_INTAKE_REVOCATIONS, .tag = from, .bytes = list, .len = len};
    if (veld_intake_try(m->intake, &item) < 0)
        veld_debug("a list of revocations is left for later");
}

void veld_mesh_on_revocations(struct veld_mesh *m, struct veld_intake_result *r)
{
    if (r->err == 0) {
        veld_mesh_adopt_revocations(m, r->event.revocations);
        r->event.revocations = NULL;
    } else if (r->err != VELD_E_REPLAY) {
        veld_mesh_refuse(m, VELD_REFUSAL_REVOCATIONS);
    }
}
