/*
 * Calls that control makes on its own: peers after a start, so that their
 * traffic does not wait for the old session to time out; and live peers after an
 * address change, so that they learn the new one.
 */
#include "control/control_impl.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_PER_TICK  20   /* every 10 ms: a handshake costs about 0.1 ms */
#define CALLED_AT_START 1000 /* configured peers that were no part of the last run */

/* ---- Peers to call after a start ---- */

static void adopt_endpoint(struct veld_control *c, uint32_t id,
                           const struct veld_state_endpoint *last)
{
    const struct veld_config_peer *peer = veld_control_peer_config(c, id);
    c->to_call[c->n_to_call++] = id;
    if (peer->endpoint.ip.family)
        return; /* what the config says comes first */
    struct veld_engine_peer_config cfg = {.endpoint = last->endpoint,
                                          .keepalive_s = peer->keepalive_s};
    memcpy(cfg.pub, peer->pub, sizeof cfg.pub);
    if (veld_engine_peer_set(c->engine, id, &cfg) == 0 &&
        veld_dataplane_peer_set_endpoint(c->dataplane, id, &last->endpoint) == 0)
        c->peers[id].endpoint = last->endpoint;
}

int veld_control_plan_calls(struct veld_control *c)
{
    struct veld_state_endpoint *last;
    size_t n;
    int rc = veld_state_endpoints_load(c->state, &last, &n);
    if (rc < 0)
        return rc;
    GHashTable *by_pub =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
    for (size_t i = 0; i < n; i++)
        g_hash_table_insert(by_pub, g_bytes_new_static(last[i].pub, sizeof last[i].pub),
                            &last[i]);
    for (size_t i = 0; i < c->config->n_peers; i++) {
        const struct veld_config_peer *peer = &c->config->peers[i];
        GBytes *key = g_bytes_new_static(peer->pub, sizeof peer->pub);
        const struct veld_state_endpoint *known = g_hash_table_lookup(by_pub, key);
        g_bytes_unref(key);
        if (known)
            adopt_endpoint(c, c->by_config[i], known);
        else if (peer->endpoint.ip.family && i < CALLED_AT_START)
            c->to_call[c->n_to_call++] = c->by_config[i];
    }
    g_hash_table_unref(by_pub);
    free(last);
    return 0;
}

void veld_control_call_some(struct veld_control *c)
{
    for (int i = 0; i < CALLS_PER_TICK && c->n_to_call > 0; i++) {
        uint32_t id = c->to_call[--c->n_to_call];
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_NEED_SESSION, .peer = id});
    }
}

/* ---- After an address change ---- */

void veld_control_on_address_change(void *ctx)
{
    struct veld_control *c = ctx;
    veld_lane_ports_forget_all(c);
    /* A ping from the new address makes the peer challenge it, and then move there. */
    for (size_t i = c->n_live; i-- > 0;) {
        if (i < c->n_live)
            veld_control_step(c,
                              &(struct veld_event){.type = VELD_EV_PING, .peer = c->live[i]});
    }
}
