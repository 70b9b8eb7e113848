/*
 * A request for another membership (more routes, relaying) whose answer nobody at the command
 * line waits for any more: asked after while it lies in the network's folder, and the
 * answer, proved, put where the command line tool would have put it.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"
#include "trust/join_request.h"

#include <stdio.h>
#include <string.h>

#define ASK_GAP_S 15

/* Of this machine in this network under its name: the answer to another is not for us. */
static bool is_ours(const struct veld_mesh *m, const struct veld_join_request *r)
{
    return memcmp(r->network_id, m->profile.network.id, sizeof r->network_id) == 0 &&
           memcmp(r->member, m->identity->pub, sizeof r->member) == 0 &&
           strcmp(r->name, m->profile.membership.name) == 0;
}

/* The command that allows all of it; where that would be too long, the one that lists them. */
static void note_approval(struct veld_mesh *m, const struct veld_join_request *r)
{
    char code[VELD_JOIN_CODE_STRLEN], route[VELD_PREFIX_STRLEN];
    const size_t size = sizeof m->asked_approval;
    veld_join_code(r->network_id, r->member, code);
    size_t len = (size_t)snprintf(m->asked_approval, size, "veld approve %s", code);
    for (size_t i = 0; len < size && i < r->n_routes; i++)
        len +=
            (size_t)snprintf(m->asked_approval + len, size - len, "%s%s",
                             i ? "," : " --routes ", veld_prefix_format(&r->routes[i], route));
    if (len < size && r->relay)
        len += (size_t)snprintf(m->asked_approval + len, size - len, " --relay");
    if (len >= size)
        strcpy(m->asked_approval, "veld approve");
}

/* Does it ask for what this machine's membership does not allow? Notes what. */
static bool asks_for_more(struct veld_mesh *m, const struct veld_blob *request)
{
    const struct veld_membership *may = &m->profile.membership;
    struct veld_join_request r;
    if (veld_join_request_read(request->p, request->len, &r) < 0 || !is_ours(m, &r))
        return false;
    note_approval(m, &r);
    m->asked_relay = r.relay && !(may->flags & VELD_MEMBER_RELAY);
    m->asked_route = (struct veld_prefix){0};
    for (size_t i = 0; i < r.n_routes; i++) {
        if (veld_routes_are_within(&r.routes[i], 1, may->routes, may->n_routes))
            continue;
        m->asked_route = r.routes[i];
        return true;
    }
    return m->asked_relay;
}

static void read_request(struct veld_mesh *m, struct veld_blob *out)
{
    struct veld_diag ignored;
    m->asks = veld_profile_read(m->state_dir, m->config->network, VELD_PROFILE_REQUEST,
                                VELD_SIGNED_MAX, out, &ignored) == 0 &&
              asks_for_more(m, out);
}

void veld_mesh_look_at_request(struct veld_mesh *m)
{
    struct veld_blob request = {0};
    read_request(m, &request);
    veld_blob_clear(&request);
}

void veld_mesh_ask_after_request(struct veld_mesh *m)
{
    struct veld_blob request = {0};
    uint64_t now_ns = veld_clock_mono_ns();
    if (m->self_revoked || !veld_link_is_connected(m->link) ||
        (m->asked_ns && now_ns - m->asked_ns < ASK_GAP_S * VELD_NS_PER_S))
        return;
    m->asked_ns = now_ns;
    read_request(m, &request);
    if (m->asks && veld_link_send_join(m->link, &request) < 0)
        veld_debug("the coord server is asked after the request later");
    veld_blob_clear(&request);
}

/* The answer to what was asked before this request is none to it. */
static bool is_news(const struct veld_mesh *m, const struct veld_membership *next)
{
    return memcmp(next->member, m->identity->pub, sizeof next->member) == 0 &&
           strcmp(next->name, m->profile.membership.name) == 0 &&
           next->serial > m->profile.membership.serial;
}

static void forget_request(struct veld_mesh *m)
{
    struct veld_diag diag;
    m->asks = false;
    if (veld_profile_unlink(m->state_dir, m->config->network, VELD_PROFILE_REQUEST, &diag) < 0)
        veld_warn("%s", diag.text);
}

static void take_membership(struct veld_mesh *m, const struct veld_blob *chain)
{
    struct veld_diag diag;
    int rc = veld_profile_write(m->state_dir, m->config->network, VELD_PROFILE_MEMBERSHIP,
                                chain->p, chain->len, &diag);
    if (rc == 0) {
        forget_request(m);
        rc = veld_mesh_reload(m, &diag);
    }
    if (rc < 0)
        veld_warn("%s", diag.text);
    else
        veld_info("this machine's request was approved: %zu routes are offered%s",
                  m->record.n_routes, m->record.relay ? ", and it relays for others" : "");
}

void veld_mesh_on_answer(void *ctx, enum veld_coord_join state, const struct veld_blob *chain)
{
    struct veld_mesh *m = ctx;
    struct veld_membership next;
    if (!m->asks || state == VELD_JOIN_WAITING)
        return;
    if (state == VELD_JOIN_REFUSED) {
        veld_warn("what this machine asked for was refused by the network's owner or an admin");
        forget_request(m);
        return;
    }
    int rc = veld_membership_read(chain->p, chain->len, m->profile.network.id, m->revoked,
                                  veld_mesh_now_s(), &next);
    if (rc < 0)
        veld_mesh_refuse_server(m, veld_refusal_of(rc), 1);
    else if (is_news(m, &next))
        take_membership(m, chain);
}
