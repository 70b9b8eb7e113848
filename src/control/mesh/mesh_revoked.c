/*
 * Revocations: a list is adopted once it is verified, wherever it comes from, and
 * handed on to members (spread.h) and to a server that has an older one.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"
#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

#define HAND_IN_MAX_MS 10000 /* some member is the first, and the others hear of it */
#define HAND_IN_MEMBERS                                                                        \
    10 /* that see after a connection whether the server still has the list */

/* True when it changed whether this machine is a member. */
static bool check_self(struct veld_mesh *m)
{
    bool before = m->self_revoked;
    bool revoked = veld_membership_check(&m->profile.membership, m->revoked, 0) == VELD_E_PERM;
    if (revoked && !m->self_revoked)
        veld_error("this machine was revoked from %s; it is no member any more",
                   m->network.name);
    m->self_revoked = revoked;
    return revoked != before;
}

/* ---- Handing on to members ---- */

static void verify(struct veld_mesh *m, const struct veld_blob *list, uint64_t from)
{
    struct veld_intake_item item = {
        .kind = VELD_INTAKE_REVOCATIONS, .tag = from, .bytes = list->p, .len = list->len};
    /* What finds no room has its turn with the next tick; the server is asked again anyway. */
    if (veld_intake_try(m->intake, &item) == VELD_E_FULL && from != VELD_MESH_FROM_SERVER &&
        veld_blob_set(&m->offered, list->p, list->len) < 0)
        veld_debug("a list of revocations is dropped for want of memory");
}

static void plan_tick(struct veld_mesh *m);

static void carry_out(struct veld_mesh *m, const struct veld_spread_act *act)
{
    if (act->send) {
        int rc = veld_control_peer_send(m->control, act->to, &act->message);
        if (rc < 0)
            veld_debug("a message about revocations is lost: %s", veld_strerror(rc));
    }
    if (act->got) {
        struct veld_blob list = {(uint8_t *)(uintptr_t)act->list, act->len}; /* only read */
        m->offered_epoch = act->epoch;
        m->offered_by = act->from;
        verify(m, &list, act->from);
    }
    plan_tick(m);
}

static gboolean on_tick(gpointer data)
{
    struct veld_mesh *m = data;
    struct veld_spread_act act = {0};
    struct veld_blob again = m->offered;
    m->spread_source = 0;
    m->offered = (struct veld_blob){0};
    if (again.p)
        verify(m, &again, m->offered_by);
    veld_blob_clear(&again);
    veld_spread_tick(m->spread, veld_clock_mono_ns(), &act);
    carry_out(m, &act);
    return G_SOURCE_REMOVE;
}

static void plan_tick(struct veld_mesh *m)
{
    uint64_t deadline = veld_spread_deadline(m->spread), now = veld_clock_mono_ns();
    if (m->offered.p)
        deadline = now + VELD_NS_PER_S;
    if (m->spread_source)
        g_source_remove(m->spread_source);
    m->spread_source = 0;
    if (deadline != UINT64_MAX)
        m->spread_source = g_timeout_add(
            deadline > now ? (guint)((deadline - now) / VELD_NS_PER_MS + 1) : 1, on_tick, m);
}

void veld_mesh_on_use(void *ctx, uint32_t id)
{
    struct veld_mesh *m = ctx;
    struct veld_spread_act act = {0};
    veld_spread_on_use(m->spread, id, &act);
    carry_out(m, &act);
}

void veld_mesh_on_message(void *ctx, uint32_t id, const struct veld_message *msg)
{
    struct veld_mesh *m = ctx;
    struct veld_spread_act act = {0};
    veld_spread_on_message(m->spread, id, msg, veld_clock_mono_ns(), &act);
    carry_out(m, &act);
}

static void hand_on(struct veld_mesh *m)
{
    struct veld_blob bytes = veld_revocations_bytes(m->revoked);
    struct veld_message told;
    const uint32_t *live;
    veld_spread_set(m->spread, veld_revocations_epoch(m->revoked), bytes.p, bytes.len);
    size_t n = veld_control_peers_live(m->control, &live);
    uint32_t *ids = n ? g_memdup2(live, n * sizeof *ids) : NULL;
    for (size_t i = 0; i < n && veld_spread_told(m->spread, &told); i++) {
        if (veld_control_peer_send(m->control, ids[i], &told) < 0)
            veld_debug("a member is told of revocations when its session is used anew");
    }
    g_free(ids);
}

/* ---- Handing in to the server ---- */

static gboolean on_hand_in(gpointer data)
{
    struct veld_mesh *m = data;
    struct veld_blob bytes = veld_revocations_bytes(m->revoked);
    m->hand_in_source = 0;
    if (m->server_epoch < veld_revocations_epoch(m->revoked) &&
        veld_link_send_revocations(m->link, &bytes) < 0)
        veld_debug("the coord server is not told of revocations");
    return G_SOURCE_REMOVE;
}

/* Unless the server shows meanwhile that it has the list. */
static void hand_in_soon(struct veld_mesh *m)
{
    uint32_t random;
    veld_random(&random, sizeof random);
    if (!m->hand_in_source)
        m->hand_in_source = g_timeout_add(random % HAND_IN_MAX_MS, on_hand_in, m);
}

/*
 * A server that lost its database, or went back to an older one, does not say so. A
 * few members of many show it the list again, which it refuses when it has it.
 */
void veld_mesh_on_connected(struct veld_mesh *m)
{
    uint32_t random;
    m->server_epoch = 0;
    veld_random(&random, sizeof random);
    if (m->revoked && random % (1 + veld_members_count(m->members) / HAND_IN_MEMBERS) == 0)
        hand_in_soon(m);
}

/* ---- Adopting ---- */

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

static void keep(struct veld_mesh *m)
{
    struct veld_blob bytes = veld_revocations_bytes(m->revoked);
    struct veld_diag diag;
    if (veld_profile_write(m->state_dir, m->config->network, VELD_PROFILE_REVOCATIONS, bytes.p,
                           bytes.len, &diag) < 0)
        veld_error("%s; until it can be written, a restart forgets who was revoked last",
                   diag.text);
}

void veld_mesh_adopt_revocations(struct veld_mesh *m, struct veld_revocations *list)
{
    if (veld_revocations_epoch(list) <= veld_revocations_epoch(m->revoked)) {
        veld_revocations_free(list);
        return;
    }
    bool shorter = is_missing_any(list, m->revoked);
    veld_pins_set_revoked(m->pins, list);
    veld_revocations_free(m->revoked);
    m->revoked = list;
    size_t gone = veld_members_revoke(m->members, list, veld_mesh_now_s());
    veld_info("a list of %zu revoked keys is in effect; it ends %zu memberships known here",
              veld_revocations_count(list), gone);
    veld_members_on_pins_changed(m->members); /* a pin stands no more, or again */
    bool changed = check_self(m);
    veld_mesh_drain(m);
    hand_on(m);
    if (changed) /* who is no member talks to nobody */
        veld_mesh_reconcile_all(m);
    keep(m);
    if (veld_revocations_epoch(list) > m->server_epoch)
        hand_in_soon(m);
    if (shorter) { /* hear of everybody again */
        m->revision = 0;
        veld_link_cut(m->link, "members that were revoked may be back: asking for all of them");
    }
}

void veld_mesh_on_list(struct veld_mesh *m, const struct veld_blob *list)
{
    verify(m, list, VELD_MESH_FROM_SERVER);
}

void veld_mesh_on_verified(struct veld_mesh *m, struct veld_intake_result *r)
{
    if (r->err == 0) {
        if (r->tag == VELD_MESH_FROM_SERVER)
            m->server_epoch =
                MAX(m->server_epoch, veld_revocations_epoch(r->event.revocations));
        veld_mesh_adopt_revocations(m, r->event.revocations);
        r->event.revocations = NULL;
        return;
    }
    if (r->err != VELD_E_REPLAY && r->tag == VELD_MESH_FROM_SERVER)
        veld_mesh_refuse_server(m, VELD_REFUSAL_REVOCATIONS, 1);
    else if (r->err != VELD_E_REPLAY)
        veld_mesh_refuse(m, VELD_REFUSAL_REVOCATIONS);
    /* One that came by another way meanwhile was no lie. */
    if (r->tag != VELD_MESH_FROM_SERVER &&
        (r->err != VELD_E_REPLAY || m->offered_epoch > veld_revocations_epoch(m->revoked)))
        veld_spread_refuse(m->spread, (uint32_t)r->tag, veld_clock_mono_ns());
    plan_tick(m);
}

/* ---- Begin and end ---- */

int veld_mesh_spread_start(struct veld_mesh *m)
{
    m->spread = veld_spread_new(veld_control_peers_max(m->control));
    if (!m->spread)
        return VELD_E_NOMEM;
    if (m->revoked) {
        struct veld_blob bytes = veld_revocations_bytes(m->revoked);
        veld_spread_set(m->spread, veld_revocations_epoch(m->revoked), bytes.p, bytes.len);
    }
    return 0;
}

void veld_mesh_spread_stop(struct veld_mesh *m)
{
    if (m->spread_source)
        g_source_remove(m->spread_source);
    if (m->hand_in_source)
        g_source_remove(m->hand_in_source);
    m->spread_source = m->hand_in_source = 0;
    veld_spread_free(m->spread);
    m->spread = NULL;
    veld_blob_clear(&m->offered);
}
