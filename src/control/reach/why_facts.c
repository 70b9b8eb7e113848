/*
 * What why.h asks to know of a peer, gathered from the parts that know it.
 */
#include "control/control_impl.h"

static void add_family(const struct veld_endpoint *at, bool *v4, bool *v6)
{
    *v4 = *v4 || at->ip.family == 4;
    *v6 = *v6 || at->ip.family == 6;
}

static void look_at_candidates(const struct veld_control *c, uint32_t id,
                               const struct veld_endpoint *at, struct veld_why_facts *out)
{
    struct veld_endpoint own[VELD_SELF_CANDIDATES_MAX], known[VELD_CANDIDATES_MAX];
    size_t n_own = veld_self_candidates(c->self, own);
    size_t n_known = veld_known_compose(c->known, id, known);
    for (size_t i = 0; i < n_own; i++)
        add_family(&own[i], &out->own_v4, &out->own_v6);
    for (size_t i = 0; i < n_known; i++)
        add_family(&known[i], &out->peer_v4, &out->peer_v6);
    add_family(&veld_peer_list_get(&c->peers, id)->about->endpoint, &out->peer_v4,
               &out->peer_v6);
    add_family(at, &out->peer_v4, &out->peer_v6);
}

static void look_at_stun(const struct veld_control *c, struct veld_why_facts *out)
{
    out->hears_udp = c->peers.n_live > 0;
    if (!c->self_stun || !veld_self_stun_is_over(c))
        return;
    struct veld_stun_view v4 = veld_stun_client_view(veld_self_stun_client(c), 4);
    struct veld_stun_view v6 = veld_stun_client_view(veld_self_stun_client(c), 6);
    out->asked_stun = v4.asked + v6.asked > 0;
    out->hears_udp = out->hears_udp || v4.answered + v6.answered > 0;
}

void veld_why_look(const struct veld_control *c, uint32_t id, const struct veld_status_peer *p,
                   struct veld_why_facts *out)
{
    const struct veld_endpoint *at = &p->info.endpoint;
    *out = (struct veld_why_facts){
        .is_member = p->is_member || c->lan_mode,
        .has_coord = c->mesh != NULL,
        .presence = p->offline  ? VELD_WHY_IS_OFFLINE
                    : p->online ? VELD_WHY_IS_ONLINE
                                : VELD_WHY_UNKNOWN,
        .last_seen_s = p->last_seen_s,
    };
    if (p->offline) /* which says it all */
        return;
    if (!veld_endpoint_is_circuit(at)) {
        out->at = *at;
        out->at_is_configured =
            at->ip.family &&
            veld_endpoint_equal(at, &veld_peer_list_get(&c->peers, id)->about->endpoint);
    }
    look_at_candidates(c, id, at, out);
    look_at_stun(c, out);
    veld_relays_look(c, id, out);
}
