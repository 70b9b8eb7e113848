/*
 * Calls that control makes: pings asked for over the local API; peers called
 * after a start, so that their traffic does not wait for the old session to time
 * out; and live peers after an address change, so that they learn the new one.
 */
#include "control/control_impl.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_PER_TICK  20   /* every 10 ms: a handshake costs about 0.1 ms */
#define CALLED_AT_START 1000 /* configured peers that were no part of the last run */

/* ---- Pings ---- */

/* By name, full name, address or public key, as people would type it. */
static bool find_peer(const struct veld_control *c, const char *text, uint32_t *id)
{
    struct veld_ip ip = {0};
    uint8_t pub[32];
    bool is_ip = veld_ip_parse(text, &ip) == 0, is_key = veld_pubkey_parse(text, pub) == 0;
    size_t len = strlen(text);
    static const char suffix[] = "." VELD_DNS_DOMAIN;
    if (len > sizeof suffix - 1 &&
        g_ascii_strcasecmp(text + len - (sizeof suffix - 1), suffix) == 0)
        len -= sizeof suffix - 1;
    for (size_t i = 0; i < c->config->n_peers; i++) {
        const struct veld_config_peer *p = &c->config->peers[i];
        bool hit =
            strlen(p->name) == len && len > 0 && g_ascii_strncasecmp(p->name, text, len) == 0;
        hit |= is_key && memcmp(p->pub, pub, sizeof pub) == 0;
        for (size_t a = 0; is_ip && a < p->n_addrs; a++)
            hit |= veld_ip_equal(&p->addrs[a], &ip);
        if (hit) {
            *id = c->by_config[i];
            return true;
        }
    }
    return false;
}

int veld_control_ping(void *ctx, const char *peer, struct veld_api_request *req,
                      struct veld_diag *diag)
{
    struct veld_control *c = ctx;
    uint32_t id;
    if (!find_peer(c, peer, &id))
        return veld_fail(diag, VELD_E_NOENT, "no peer is called %s; 'veld peers' lists them",
                         peer);
    for (size_t i = 0; i < PINGS_MAX; i++) {
        if (c->pings[i].request)
            continue;
        c->pings[i] = (struct control_ping){
            .request = req,
            .peer = id,
            .deadline_ns = veld_clock_mono_ns() + PING_TIMEOUT_S * VELD_NS_PER_S,
        };
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_PING, .peer = id});
        return 0;
    }
    return veld_fail(diag, VELD_E_FULL, "%d pings are waiting already; try again", PINGS_MAX);
}

static void answer(struct control_ping *ping, unsigned http_status, json_t *body)
{
    struct veld_api_request *request = ping->request;
    ping->request = NULL;
    veld_api_reply(request, http_status, body);
}

void veld_control_on_pong(struct veld_control *c, const struct veld_action *pong)
{
    char name[64], at[VELD_ENDPOINT_STRLEN], ip[VELD_IP_STRLEN];
    const struct veld_config_peer *peer = &c->config->peers[c->peers[pong->peer].config_index];
    for (size_t i = 0; i < PINGS_MAX; i++) {
        if (!c->pings[i].request || c->pings[i].peer != pong->peer)
            continue;
        answer(&c->pings[i], 200,
               json_pack("{s:s, s:s, s:o, s:I}", "name",
                         veld_control_peer_name(c, pong->peer, name), "ip",
                         veld_ip_format(&peer->addrs[0], ip), "path",
                         json_sprintf("direct %s", veld_endpoint_format(&pong->to, at)),
                         "rtt_us", (json_int_t)((pong->rtt_ns + 500) / VELD_NS_PER_US)));
    }
}

void veld_control_expire_pings(struct veld_control *c, uint64_t now_ns)
{
    for (size_t i = 0; i < PINGS_MAX; i++) {
        if (!c->pings[i].request || c->pings[i].deadline_ns > now_ns)
            continue;
        char name[64];
        struct veld_peer_info info;
        bool reachable = veld_engine_peer_get(c->engine, c->pings[i].peer, &info) == 0 &&
                         info.endpoint.ip.family;
        answer(&c->pings[i], 504,
               json_pack("{s:o}", "error",
                         json_sprintf(reachable
                                          ? "no answer from %s within %d s"
                                          : "%s has no known endpoint yet; it must call this "
                                            "machine first, or give its endpoint in the "
                                            "config (%d s waited)",
                                      veld_control_peer_name(c, c->pings[i].peer, name),
                                      PING_TIMEOUT_S)));
    }
}

/* ---- Peers to call after a start ---- */

static void adopt_endpoint(struct veld_control *c, uint32_t id,
                           const struct veld_state_endpoint *last)
{
    const struct veld_config_peer *peer = &c->config->peers[c->peers[id].config_index];
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
    /* A ping from the new address makes the peer challenge it, and then move there. */
    for (size_t i = c->n_live; i-- > 0;) {
        if (i < c->n_live)
            veld_control_step(c,
                              &(struct veld_event){.type = VELD_EV_PING, .peer = c->live[i]});
    }
}
