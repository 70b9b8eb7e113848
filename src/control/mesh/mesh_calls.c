/*
 * Signals between members, through the coord server: "I want to talk to you and
 * may be reached here", so that both sides' firewalls see something leave.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"
#include "crypto/primitives.h"

#include <string.h>

/* ---- Calling ---- */

void veld_mesh_on_wanted(void *ctx, uint32_t id)
{
    struct veld_mesh *m = ctx;
    const struct veld_member *member = veld_mesh_member_of_id(m, id);
    struct veld_now now = veld_clock_now();
    struct veld_blob sealed = {0};
    struct veld_call call = {.n_endpoints = m->record.n_endpoints};
    uint8_t nonce[24];
    if (!member || !member->online || !veld_link_is_connected(m->link) ||
        veld_signals_call(m->signals, member->pub, &now, &call.sequence) < 0)
        return;
    memcpy(call.endpoints, m->record.endpoints, sizeof call.endpoints);
    call.n_relays = veld_control_homes(m->control, call.relays);
    veld_random(nonce, sizeof nonce);
    int rc = veld_signal_seal(&sealed, m->identity, member->pub, m->profile.network.id, nonce,
                              &call);
    if (rc == 0)
        rc = veld_link_send_signal(m->link, member->pub, &sealed);
    veld_blob_clear(&sealed);
    if (rc < 0)
        veld_debug("cannot call %s through the coord server: %s", member->name,
                   veld_strerror(rc));
}

/* ---- Being called ---- */

static int open_call(struct veld_mesh *m, const struct veld_event_signal *s,
                     const struct veld_now *now, struct veld_call *call, enum veld_refusal *why)
{
    int rc = veld_signals_look(m->signals, s->from, now);
    *why = VELD_REFUSAL_SIGNAL_LIMIT;
    if (rc < 0)
        return rc;
    rc = veld_signal_open(s->sealed, s->len, m->identity, s->from, m->profile.network.id, call);
    *why = VELD_REFUSAL_SIGNAL_FORGED;
    if (rc < 0)
        return rc;
    rc = veld_signals_accept(m->signals, s->from, call->sequence, now);
    *why = rc == VELD_E_REPLAY ? VELD_REFUSAL_SIGNAL_REPLAYED : VELD_REFUSAL_SIGNAL_STALE;
    return rc;
}

void veld_mesh_on_signal(struct veld_mesh *m, const struct veld_event_signal *s)
{
    const struct veld_member *member = veld_members_find(m->members, s->from);
    struct veld_mesh_peer *p = veld_mesh_peer_of(m, s->from);
    struct veld_now now = veld_clock_now();
    struct veld_call call;
    enum veld_refusal why;
    if (!member || !p || member->standing != VELD_MEMBER_GOOD) {
        veld_mesh_refuse(m, member && member->standing != VELD_MEMBER_GOOD
                                ? VELD_REFUSAL_SIGNAL_BLOCKED
                                : VELD_REFUSAL_SIGNAL_STRANGER);
        return;
    }
    int rc = open_call(m, s, &now, &call, &why);
    if (rc == VELD_E_UNSUPPORTED)
        return; /* of a later version, and not for us */
    if (rc < 0) {
        veld_mesh_refuse(m, why);
        return;
    }
    memcpy(p->called_from, call.endpoints, sizeof p->called_from);
    p->n_called_from = call.n_endpoints;
    memcpy(p->called_through, call.relays, sizeof p->called_through);
    p->n_called_through = call.n_relays;
    p->called_sequence = member->sequence;
    veld_mesh_reconcile(m, s->from);
    p = veld_mesh_peer_of(m, s->from);
    if (p && veld_control_peer_call(m->control, p->id) < 0)
        veld_debug("%s calls, and cannot be answered", member->name);
}
