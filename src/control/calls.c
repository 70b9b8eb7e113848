/*
 * Calls that control makes on its own: peers after a start, so that their
 * traffic does not wait for the old session to time out; and live peers after an
 * address change, so that they learn the new one.
 */
#include "control/control_impl.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_PER_TICK  20 /* a handshake costs about 0.1 ms */
#define CALLS_EVERY_MS  10
#define CALLED_AT_START 1000 /* configured peers that were no part of the last run */

/* ---- Where peers were ---- */

static int by_pub(const void *a, const void *b)
{
    return memcmp(((const struct veld_state_endpoint *)a)->pub,
                  ((const struct veld_state_endpoint *)b)->pub, 32);
}

struct veld_endpoint veld_calls_remembered(const struct veld_control *c, const uint8_t pub[32])
{
    struct veld_state_endpoint key, *known;
    memcpy(key.pub, pub, sizeof key.pub);
    known = c->calls.n_last ? bsearch(&key, c->calls.last, c->calls.n_last, sizeof key, by_pub)
                            : NULL;
    return known ? known->endpoint : (struct veld_endpoint){0};
}

static void forget_last(struct veld_calls *calls)
{
    free(calls->last);
    calls->last = NULL;
    calls->n_last = 0;
}

/* ---- Peers to call after a start ---- */

static void adopt_endpoint(struct veld_control *c, uint32_t id,
                           const struct veld_endpoint *endpoint)
{
    const struct veld_config_peer *peer = veld_control_peer_about(c, id);
    if (peer->endpoint.ip.family)
        return; /* what the config says comes first */
    struct veld_engine_peer_config cfg = {.endpoint = *endpoint,
                                          .keepalive_s = peer->keepalive_s};
    memcpy(cfg.pub, peer->pub, sizeof cfg.pub);
    if (veld_engine_peer_set(c->engine, id, &cfg) == 0 &&
        veld_dataplane_peer_set_endpoint(c->dataplane, id, endpoint) == 0)
        c->peers.peers[id].endpoint = *endpoint;
}

int veld_calls_plan(struct veld_control *c)
{
    struct veld_calls *calls = &c->calls;
    const struct control_peer *p;
    calls->ids = calloc(c->peers.max, sizeof *calls->ids);
    if (!calls->ids)
        return VELD_E_NOMEM;
    int rc = veld_state_endpoints_load(c->state, &calls->last, &calls->n_last);
    if (rc < 0)
        return rc;
    if (calls->n_last)
        qsort(calls->last, calls->n_last, sizeof calls->last[0], by_pub);
    for (uint32_t id = 0; (p = veld_peer_list_next(&c->peers, &id)); id++) {
        struct veld_endpoint last = veld_calls_remembered(c, p->about->pub);
        if (last.ip.family)
            adopt_endpoint(c, id, &last);
        if (last.ip.family || (p->about->endpoint.ip.family && id < CALLED_AT_START))
            calls->ids[calls->n++] = id;
    }
    if (!c->peers.network[0] && !c->lan_mode) /* nobody will come who could be remembered */
        forget_last(calls);
    return 0;
}

static void call_some(struct veld_control *c)
{
    for (int i = 0; i < CALLS_PER_TICK && c->calls.n > 0; i++) {
        uint32_t id = c->calls.ids[--c->calls.n];
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_NEED_SESSION, .peer = id});
    }
}

static gboolean on_tick(gpointer data)
{
    struct veld_control *c = data;
    call_some(c);
    if (c->calls.n > 0)
        return G_SOURCE_CONTINUE;
    c->calls.source = 0;
    return G_SOURCE_REMOVE;
}

void veld_calls_begin(struct veld_control *c)
{
    if (c->calls.n > 0 && !c->calls.source)
        c->calls.source = g_timeout_add(CALLS_EVERY_MS, on_tick, c);
}

void veld_calls_add(struct veld_control *c, uint32_t peer)
{
    c->calls.ids[c->calls.n++] = peer;
    veld_calls_begin(c);
}

void veld_calls_forget(struct veld_control *c, uint32_t peer)
{
    for (size_t i = c->calls.n; i-- > 0;) {
        if (c->calls.ids[i] == peer)
            c->calls.ids[i] = c->calls.ids[--c->calls.n];
    }
}

void veld_calls_stop(struct veld_control *c)
{
    if (c->calls.source)
        g_source_remove(c->calls.source);
    forget_last(&c->calls);
    free(c->calls.ids);
    c->calls = (struct veld_calls){0};
}

/* ---- After an address change ---- */

static void tell_of_network(struct veld_control *c, uint32_t id)
{
    const struct veld_endpoint *at = &c->peers.peers[id].endpoint;
    bool reached = veld_endpoint_is_circuit(at) || veld_host_has_route(at);
    veld_control_step(
        c, &(struct veld_event){.type = VELD_EV_NETWORK, .peer = id, .no_route = !reached});
}

void veld_control_on_address_change(void *ctx)
{
    struct veld_control *c = ctx;
    veld_lane_ports_forget_all(c);
    veld_publish_kernel_again(c);
    veld_self_on_address_change(c->self);
    if (c->self_stun)
        veld_self_stun_on_address_change(c);
    veld_portmap_on_change(c);
    if (c->mesh)
        veld_mesh_on_address_change(c->mesh);
    /* A ping from the new address makes the peer challenge it, and then move there. */
    for (size_t i = c->peers.n_live; i-- > 0;) {
        if (i < c->peers.n_live)
            veld_control_step(
                c, &(struct veld_event){.type = VELD_EV_PING, .peer = c->peers.live[i]});
        /* Networks that were left, or are entered, change what is near, and what is reached at all. */
        if (i < c->peers.n_live)
            tell_of_network(c, c->peers.live[i]);
    }
}
