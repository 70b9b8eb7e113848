/* The commands of dataplane.h that change what workers read: peers, routes, sessions. */
#include "dataplane/state.h"

#include "wire/path_size.h"

#include <stdlib.h>

static void wake_all(struct veld_dataplane *dp)
{
    for (unsigned i = 0; i < dp->n_workers; i++)
        veld_worker_wake(dp->workers[i]);
}

/* ---- Peers ---- */

int veld_dataplane_peer_add(struct veld_dataplane *dp, uint32_t id)
{
    veld_dataplane_check(dp);
    return veld_peers_add(&dp->tables.peers, id);
}

/* Out of every table; its keys go when no worker can hold it. */
static void retire(struct veld_dataplane *dp, struct veld_session *s)
{
    struct veld_peer *peer = s->peer;
    veld_index_remove(&dp->tables.index, s);
    if (atomic_load_explicit(&peer->tx, memory_order_relaxed) == s) {
        atomic_store_explicit(&peer->tx, NULL, memory_order_release);
        atomic_store_explicit(&peer->need_told, false, memory_order_relaxed);
    }
    struct veld_session **link = &peer->sessions;
    while (*link != s)
        link = &(*link)->next_of_peer;
    *link = s->next_of_peer;
    veld_session_retire(s);
}

void veld_dataplane_peer_remove(struct veld_dataplane *dp, uint32_t id)
{
    veld_dataplane_check(dp);
    struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    if (!peer)
        return;
    while (peer->sessions)
        retire(dp, peer->sessions);
    veld_circuits_forget_peer(&dp->tables.circuits, peer->ref);
    veld_peer_set_path(peer, NULL);
    veld_peers_remove(&dp->tables.peers, peer);
    wake_all(dp); /* what waits for it is dropped */
}

int veld_dataplane_peer_set_endpoint(struct veld_dataplane *dp, uint32_t id,
                                     const struct veld_endpoint *ep)
{
    veld_dataplane_check(dp);
    struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    if (!peer)
        return VELD_E_NOENT;
    if (ep->ip.family == 0) {
        veld_peer_set_path(peer, NULL);
        return 0;
    }
    bool circuit = veld_endpoint_is_circuit(ep);
    struct sockaddr_storage sa;
    struct veld_path *path = calloc(1, sizeof *path);
    if (!path)
        return VELD_E_NOMEM;
    int rc = circuit ? 0 : veld_endpoint_to_sockaddr(ep, dp->udp.family, &sa, &path->to_len);
    if (rc < 0) {
        free(path);
        return rc;
    }
    const struct veld_path *old = veld_peer_path(peer);
    path->endpoint = *ep;
    if (old) {
        path->previous = old->endpoint;
        path->previous_until_ns = veld_clock_mono_ns() + VELD_PATH_PREVIOUS_NS;
    }
    path->prefix = circuit ? VELD_RELAYED_OVERHEAD : 0;
    path->mtu = veld_path_base(ep->ip.family);
    if (!circuit)
        memcpy(&path->to, &sa, path->to_len);
    veld_peer_set_path(peer, path);
    return 0;
}

int veld_dataplane_peer_set_lane_ports(struct veld_dataplane *dp, uint32_t id, uint64_t workers)
{
    veld_dataplane_check(dp);
    struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    const struct veld_path *old = peer ? veld_peer_path(peer) : NULL;
    if (!old)
        return VELD_E_NOENT;
    if (old->lane_ports == workers)
        return 0;
    if (veld_endpoint_is_circuit(&old->endpoint))
        return VELD_E_UNSUPPORTED; /* a relay knows a member by its main port */
    struct veld_path *path = malloc(sizeof *path);
    if (!path)
        return VELD_E_NOMEM;
    *path = *old;
    path->lane_ports = workers;
    veld_peer_set_path(peer, path);
    return 0;
}

int veld_dataplane_peer_set_mtu(struct veld_dataplane *dp, uint32_t id,
                                struct veld_path_size size)
{
    veld_dataplane_check(dp);
    struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    const struct veld_path *old = peer ? veld_peer_path(peer) : NULL;
    if (!old)
        return VELD_E_NOENT;
    if (old->mtu == size.mtu && old->mtu_known == size.known)
        return 0;
    struct veld_path *path = malloc(sizeof *path);
    if (!path)
        return VELD_E_NOMEM;
    *path = *old;
    path->mtu = size.mtu;
    path->mtu_known = size.known;
    veld_peer_set_path(peer, path);
    return 0;
}

int veld_dataplane_peer_lane_use(const struct veld_dataplane *dp, uint32_t id,
                                 uint64_t since_ns, struct veld_lane_use *out)
{
    veld_dataplane_check(dp);
    const struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    if (!peer)
        return VELD_E_NOENT;
    *out = (struct veld_lane_use){0};
    const struct veld_path *path = veld_peer_path(peer);
    const struct veld_session *s = atomic_load_explicit(&peer->tx, memory_order_relaxed);
    if (path)
        out->in_use = path->lane_ports;
    if (!s)
        return 0;
    /* The last line is control's, which sends on lane 0. */
    for (unsigned w = 0; w <= dp->n_workers; w++) {
        const struct veld_activity_line *line = &peer->activity[w];
        if (w == dp->n_workers || w % s->n_lanes == 0) {
            out->lane0_ns = VELD_MAX(out->lane0_ns, veld_counter_get(&line->last_sent_ns));
            continue;
        }
        uint64_t bit = 1ull << w;
        out->have_port |= dp->udp.lane_fds[w] >= 0 ? bit : 0;
        out->busy |= veld_counter_get(&line->last_sent_data_ns) > since_ns ? bit : 0;
    }
    return 0;
}

int veld_dataplane_peer_activity(const struct veld_dataplane *dp, uint32_t id,
                                 struct veld_activity *out)
{
    veld_dataplane_check(dp);
    const struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    if (!peer)
        return VELD_E_NOENT;
    veld_activity_sum(peer->activity, veld_dataplane_threads(dp), out);
    return 0;
}

void veld_dataplane_peer_drop_held(struct veld_dataplane *dp, uint32_t id)
{
    veld_dataplane_check(dp);
    struct veld_peer *peer = veld_peers_get(&dp->tables.peers, id);
    if (!peer)
        return;
    atomic_fetch_add_explicit(&peer->drop_held, 1, memory_order_relaxed);
    atomic_store_explicit(&peer->need_told, false, memory_order_relaxed);
    wake_all(dp);
}

/* ---- Routes ---- */

int veld_dataplane_routes_publish(struct veld_dataplane *dp, const struct veld_route *routes,
                                  size_t n)
{
    veld_dataplane_check(dp);
    struct veld_route_entry *entries = calloc(n ? n : 1, sizeof *entries);
    if (!entries)
        return VELD_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct veld_peer *peer = veld_peers_get(&dp->tables.peers, routes[i].peer);
        if (!peer) {
            free(entries);
            return VELD_E_NOENT;
        }
        entries[i] = (struct veld_route_entry){routes[i].prefix, peer->ref};
    }
    struct veld_routes *built = veld_routes_build(entries, n);
    free(entries);
    if (!built)
        return VELD_E_NOMEM;
    /* Release pairs with the acquire in veld_tables_routes: the table is whole. */
    struct veld_routes *old =
        atomic_exchange_explicit(&dp->tables.routes, built, memory_order_acq_rel);
    veld_routes_retire(old);
    return 0;
}

/* ---- Sessions ---- */

static int ensure_activity(struct veld_dataplane *dp, struct veld_peer *peer)
{
    if (peer->activity)
        return 0;
    size_t size = veld_dataplane_threads(dp) * sizeof *peer->activity;
    peer->activity = aligned_alloc(VELD_CACHE_LINE, size);
    if (!peer->activity)
        return VELD_E_NOMEM;
    memset(peer->activity, 0, size);
    return 0;
}

int veld_dataplane_session_install(struct veld_dataplane *dp,
                                   const struct veld_session_params *p)
{
    veld_dataplane_check(dp);
    struct veld_peer *peer = veld_peers_get(&dp->tables.peers, p->peer);
    if (!peer)
        return VELD_E_NOENT;
    if (p->lanes < 1 || p->lanes > VELD_LANES_MAX)
        return VELD_E_RANGE;
    if (ensure_activity(dp, peer) < 0)
        return VELD_E_NOMEM;
    struct veld_session *s = veld_session_new(p, peer);
    if (!s)
        return VELD_E_NOMEM;
    int rc = veld_index_insert(&dp->tables.index, s);
    if (rc < 0) {
        veld_session_free(s);
        return rc;
    }
    s->next_of_peer = peer->sessions;
    peer->sessions = s;
    return 0;
}

int veld_dataplane_session_use(struct veld_dataplane *dp, uint32_t local_index)
{
    veld_dataplane_check(dp);
    struct veld_session *s = veld_index_find(&dp->tables.index, local_index);
    if (!s)
        return VELD_E_NOENT;
    /* Release pairs with the acquire in veld_peer_tx. */
    atomic_store_explicit(&s->peer->tx, s, memory_order_release);
    atomic_store_explicit(&s->peer->need_told, false, memory_order_relaxed);
    wake_all(dp);
    return 0;
}

void veld_dataplane_session_retire(struct veld_dataplane *dp, uint32_t local_index)
{
    veld_dataplane_check(dp);
    struct veld_session *s = veld_index_find(&dp->tables.index, local_index);
    if (s)
        retire(dp, s);
}
