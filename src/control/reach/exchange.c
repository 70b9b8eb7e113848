/*
 * Candidates are told to peers with sessions, and theirs become known.
 */
#include "control/control_impl.h"

#include "base/log.h"
#include "control/mesh/endpoints.h"

#define TOLD_PER_TICK 100 /* of a thousand live peers all know within five seconds */

/* ---- Ours ---- */

void veld_exchange_on_self_change(struct veld_control *c)
{
    struct veld_endpoint list[VELD_SELF_CANDIDATES_MAX];
    struct veld_now now = veld_clock_now();
    size_t n = veld_self_candidates(c->self, list);
    veld_candidates_set_own(c->candidates, list, n, &now);
}

void veld_exchange_on_use(struct veld_control *c, uint32_t peer)
{
    veld_candidates_on_use(c->candidates, peer);
}

void veld_exchange_tick(struct veld_control *c)
{
    uint64_t now_ns = veld_clock_mono_ns();
    struct veld_message m;
    unsigned told = 0;
    for (size_t i = 0; i < c->peers.n_live && told < TOLD_PER_TICK; i++) {
        uint32_t id = c->peers.live[i];
        if (!veld_candidates_due(c->candidates, id, now_ns, &m) ||
            veld_control_peer_send(c, id, &m) < 0)
            continue; /* without a session in use, or with a full queue: the next time */
        veld_candidates_sent(c->candidates, id, now_ns);
        told++;
    }
}

/* ---- Theirs ---- */

struct veld_endpoints_from veld_exchange_own_endpoints(const struct veld_control *c)
{
    struct veld_dataplane_info info;
    struct veld_endpoints_from from = {
        .networks = c->config->addrs,
        .n_networks = c->config->n_addrs,
        .routes = c->publish.kernel, /* as the kernel has been asked to route */
        .n_routes = c->publish.n_kernel,
        .family = c->config->listen.ip.family == 4 ? 4 : 0,
    };
    veld_dataplane_get_info(c->dataplane, &info);
    from.port = info.listen_port;
    from.n_addrs = veld_self_addresses(c->self, &from.addrs);
    from.n_tunnels = veld_self_tunnels(c->self, &from.tunnels);
    return from;
}

void veld_exchange_on_message(struct veld_control *c, uint32_t peer,
                              const struct veld_message *m)
{
    struct veld_endpoint usable[VELD_MEMBER_ENDPOINTS_MAX];
    char name[64];
    int rc = veld_candidates_accept(c->candidates, peer, m, veld_clock_mono_ns());
    if (rc < 0) {
        veld_debug("candidates of %s are not taken: %s", veld_control_peer_name(c, peer, name),
                   veld_strerror(rc));
        return;
    }
    struct veld_endpoints_from self = veld_exchange_own_endpoints(c);
    size_t n = veld_endpoints_usable(&self, NULL, 0, m->endpoints, m->n_endpoints, usable);
    rc = veld_control_peer_known(c, peer, VELD_KNOWN_SESSION, usable, n);
    if (rc < 0)
        veld_warn("candidates of %s: %s", veld_control_peer_name(c, peer, name),
                  veld_strerror(rc));
}
