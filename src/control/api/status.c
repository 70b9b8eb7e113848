#include "control/api/status.h"

#include "base/clock.h"
#include "crypto/identity.h"

#include <string.h>

/*
 * jansson's *_new functions take over the reference they are given, also when
 * it is NULL, and then fail. So a document is put together without looking at
 * each step: `ok` remembers whether all of them went well.
 */
struct builder {
    bool ok;
};

static void put(struct builder *b, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        b->ok = false;
}

static void append(struct builder *b, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        b->ok = false;
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *seconds(uint64_t wall_ns)
{
    return count(wall_ns / VELD_NS_PER_S);
}

static json_t *key_text(const uint8_t pub[32])
{
    char text[VELD_PUBKEY_STRLEN];
    veld_pubkey_format(pub, text);
    return json_string(text);
}

static json_t *prefix_list(struct builder *b, const struct veld_prefix *prefixes, size_t n)
{
    json_t *list = json_array();
    char text[VELD_PREFIX_STRLEN];
    for (size_t i = 0; i < n; i++)
        append(b, list, json_string(veld_prefix_format(&prefixes[i], text)));
    return list;
}

static json_t *address_list(struct builder *b, const struct veld_ip *addrs, size_t n)
{
    json_t *list = json_array();
    char text[VELD_IP_STRLEN];
    for (size_t i = 0; i < n; i++)
        append(b, list, json_string(veld_ip_format(&addrs[i], text)));
    return list;
}

static const char *state_name(enum veld_peer_state state)
{
    switch (state) {
    case VELD_PEER_IDLE: return "idle";
    case VELD_PEER_CONNECTING: return "connecting";
    case VELD_PEER_ACTIVE: return "active";
    case VELD_PEER_OFFLINE: return "offline";
    case VELD_PEER_BLOCKED: return "blocked: key changed";
    }
    return "idle";
}

/* A member that nobody talks to is as the coord server says. */
static json_t *peer_state(const struct veld_status_peer *p)
{
    if (p->info.state == VELD_PEER_BLOCKED && p->blocked)
        return json_sprintf("blocked: %s", p->blocked);
    if (p->info.state == VELD_PEER_IDLE && p->is_member && !p->online)
        return json_string(state_name(VELD_PEER_OFFLINE));
    return json_string(state_name(p->info.state));
}

static json_t *why_json(struct builder *b, const struct veld_status_peer *p, uint64_t now_s)
{
    char text[VELD_WHY_TEXT_STRLEN], next[VELD_WHY_NEXT_STRLEN];
    if (p->why == VELD_WHY_NONE)
        return json_null();
    json_t *o = json_object();
    put(b, o, "reason", json_string(veld_why_name(p->why)));
    put(b, o, "text", json_string(veld_why_text(p->why, &p->facts, now_s, text)));
    put(b, o, "next", json_string(veld_why_next(p->why, &p->facts, next)));
    return o;
}

static json_t *homes_json(struct builder *b, const struct veld_config_peer *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_relays; i++)
        append(b, list, key_text(c->relays[i]));
    return list;
}

static json_t *peer_json(struct builder *b, const struct veld_status_peer *p, uint64_t now_s)
{
    const struct veld_config_peer *c = p->config;
    const struct veld_peer_info *info = &p->info;
    bool active = info->state == VELD_PEER_ACTIVE;
    char endpoint[VELD_ENDPOINT_STRLEN];
    if (veld_endpoint_is_circuit(&info->endpoint))
        strcpy(endpoint, "-");
    else
        veld_endpoint_format(&info->endpoint, endpoint);

    json_t *o = json_object();
    put(b, o, "name", json_string(c->name));
    put(b, o, "pubkey", key_text(c->pub));
    put(b, o, "addresses", address_list(b, c->addrs, c->n_addrs));
    put(b, o, "routes", prefix_list(b, c->routes, c->n_routes));
    put(b, o, "state", peer_state(p));
    if (p->is_member)
        put(b, o, "online", json_boolean(p->online));
    put(b, o, "why", why_json(b, p, now_s));
    put(b, o, "path", json_string(!active ? "-" : p->relay ? "relay" : "direct"));
    put(b, o, "relay", active && p->relay ? json_string(p->relay) : json_null());
    put(b, o, "relays", json_boolean(c->relay));
    put(b, o, "homes", homes_json(b, c));
    put(b, o, "endpoint", json_string(endpoint));
    put(b, o, "keepalive", count(c->keepalive_s));
    put(b, o, "last_handshake", seconds(info->last_handshake_wall_ns));
    put(b, o, "attempts", count(info->attempts));
    put(b, o, "rx_bytes", count(p->activity.received_bytes));
    put(b, o, "tx_bytes", count(p->activity.sent_bytes));
    put(b, o, "rx_packets", count(p->activity.received_packets));
    put(b, o, "tx_packets", count(p->activity.sent_packets));
    put(b, o, "lane_ports", count(p->lane_ports));
    put(b, o, "mtu", info->mtu_known ? count(info->mtu) : json_null());
    put(b, o, "rtt_us", info->rtt_ns ? count(info->rtt_ns / VELD_NS_PER_US) : json_null());
    return o;
}

static json_t *network_json(struct builder *b, const struct veld_status_mesh *m)
{
    json_t *o = json_object();
    put(b, o, "name", json_string(m->network));
    put(b, o, "id", json_string(m->id));
    put(b, o, "lease", json_string(m->ipv4));
    put(b, o, "members", count(m->members));
    put(b, o, "online", count(m->online));
    put(b, o, "revocation_epoch", count(m->revocation_epoch));
    put(b, o, "revoked", count(m->n_revoked));
    return o;
}

static json_t *coord_json(struct builder *b, const struct veld_status_mesh *m)
{
    json_t *o = json_object(), *refused = json_object();
    for (size_t i = 0; i < m->n_refused; i++)
        put(b, refused, m->refused[i].name, count(m->refused[i].count));
    put(b, o, "address", json_string(m->coord));
    put(b, o, "state", json_string(m->coord_state));
    put(b, o, "since", seconds(m->coord_since_wall_ns));
    put(b, o, "last_error", m->coord_error[0] ? json_string(m->coord_error) : json_null());
    put(b, o, "connections", count(m->connections));
    put(b, o, "revision", count(m->revision));
    put(b, o, "clock_ahead", json_integer(m->skew_ns / (int64_t)VELD_NS_PER_S));
    put(b, o, "refused", refused);
    return o;
}

static json_t *refused_routes_json(struct builder *b, const struct veld_status_mesh *m)
{
    json_t *list = json_array();
    char text[VELD_PREFIX_STRLEN];
    for (size_t i = 0; i < m->n_routes; i++) {
        const struct veld_status_route *r = &m->routes[i];
        json_t *o = json_object();
        put(b, o, "route", json_string(veld_prefix_format(&r->prefix, text)));
        put(b, o, "peer", json_string(r->peer));
        put(b, o, "reason", json_string(r->reason));
        put(b, o, "text", json_string(r->text));
        if (r->taken_by)
            put(b, o, "taken_by", json_string(r->taken_by));
        append(b, list, o);
    }
    return list;
}

static json_t *interface_json(struct builder *b, const struct veld_status *s)
{
    json_t *o = json_object();
    put(b, o, "name", json_string(s->dataplane.interface));
    put(b, o, "mtu", count(s->config->mtu));
    put(b, o, "addresses", prefix_list(b, s->config->addrs, s->config->n_addrs));
    put(b, o, "routes", prefix_list(b, s->config->routes, s->config->n_routes));
    return o;
}

static json_t *dataplane_json(struct builder *b, const struct veld_dataplane_info *d)
{
    json_t *o = json_object();
    put(b, o, "workers", count(d->workers));
    put(b, o, "lanes", count(d->lanes));
    put(b, o, "aead", json_string(d->aead));
    put(b, o, "engine", json_string(d->engine));
    put(b, o, "engine_features", json_string(d->engine_features));
    put(b, o, "offload", json_string(d->offload));
    put(b, o, "udp_segment", json_boolean(d->udp_segment));
    put(b, o, "udp_gro", json_boolean(d->udp_gro));
    put(b, o, "lanes_steered", json_boolean(d->steered));
    return o;
}

static json_t *workers_json(struct builder *b, const struct veld_status *s)
{
    json_t *list = json_array();
    for (unsigned i = 0; s->workers && i < s->dataplane.workers; i++) {
        const struct veld_dataplane_stats *d = &s->workers[i].stats;
        json_t *o = json_object();
        put(b, o, "own_port", count(s->workers[i].own_port));
        put(b, o, "datagrams_received", count(d->datagrams_received));
        put(b, o, "datagrams_sent", count(d->datagrams_sent));
        put(b, o, "packets_from_tun", count(d->packets_from_tun));
        put(b, o, "packets_to_tun", count(d->packets_to_tun));
        append(b, list, o);
    }
    return list;
}

static json_t *relaying_json(struct builder *b, const struct veld_status *s)
{
    json_t *o = json_object();
    put(b, o, "enabled", json_boolean(s->relaying.enabled));
    put(b, o, "circuits", count(s->relaying.circuits));
    put(b, o, "half_open", count(s->relaying.half_open));
    put(b, o, "refused", count(s->relaying.refused));
    put(b, o, "ignored", count(s->relaying.ignored));
    put(b, o, "datagrams", count(s->dataplane_stats.datagrams_forwarded));
    put(b, o, "bytes", count(s->dataplane_stats.bytes_forwarded));
    return o;
}

static json_t *counters_json(struct builder *b, const struct veld_status *s)
{
    const struct veld_dataplane_stats *d = &s->dataplane_stats;
    const struct veld_engine_stats *e = &s->engine_stats;
    json_t *o = json_object();
    put(b, o, "datagrams_received", count(d->datagrams_received));
    put(b, o, "datagrams_sent", count(d->datagrams_sent));
    put(b, o, "packets_from_tun", count(d->packets_from_tun));
    put(b, o, "packets_to_tun", count(d->packets_to_tun));
    put(b, o, "super_packets_from_tun", count(d->super_packets_from_tun));
    put(b, o, "super_packets_to_tun", count(d->super_packets_to_tun));
    put(b, o, "initiations_sent", count(e->initiations_sent));
    put(b, o, "initiations_answered", count(e->initiations_answered));
    put(b, o, "handshakes_completed", count(e->handshakes_completed));
    put(b, o, "cookies_sent", count(e->cookies_sent));
    put(b, o, "cookies_received", count(e->cookies_received));
    return o;
}

/* Each reason is always there, so that a script need not ask whether it is. */
static json_t *drops_json(struct builder *b, const struct veld_status *s)
{
    json_t *o = json_object();
    for (unsigned i = 0; i < VELD_DROP_COUNT; i++)
        put(b, o, veld_drop_name((enum veld_drop)i),
            count(s->dataplane_stats.drops[i] + s->engine_stats.drops[i]));
    return o;
}

static json_t *dns_json(struct builder *b, const struct veld_status *s)
{
    json_t *o = json_object();
    put(b, o, "server", json_string(s->dns_server));
    put(b, o, "method", json_string(s->dns_method));
    return o;
}

static json_t *health_json(struct builder *b, const struct veld_status *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_health; i++)
        append(b, list, json_string(s->health[i]));
    return list;
}

static json_t *peers_json(struct builder *b, const struct veld_status *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_peers; i++)
        append(b, list, peer_json(b, &s->peers[i], s->now_wall_ns / VELD_NS_PER_S));
    return list;
}

json_t *veld_status_json(const struct veld_status *s)
{
    struct builder b = {.ok = true};
    struct veld_endpoint listen = s->config->listen;
    char fingerprint[VELD_FINGERPRINT_STRLEN], listen_text[VELD_ENDPOINT_STRLEN];
    veld_pubkey_fingerprint(s->pub, fingerprint);
    listen.port = s->dataplane.listen_port;
    veld_endpoint_format(&listen, listen_text);

    json_t *o = json_object();
    put(&b, o, "version", count(VELD_STATUS_VERSION));
    put(&b, o, "name", json_string(s->config->name));
    put(&b, o, "pubkey", key_text(s->pub));
    put(&b, o, "fingerprint", json_string(fingerprint));
    put(&b, o, "pid", count((uint64_t)s->pid));
    put(&b, o, "started", seconds(s->started_wall_ns));
    put(&b, o, "config", json_string(s->config->path));
    if (s->mesh) {
        put(&b, o, "network", network_json(&b, s->mesh));
        put(&b, o, "coord", coord_json(&b, s->mesh));
        put(&b, o, "refused_routes", refused_routes_json(&b, s->mesh));
    }
    put(&b, o, "interface", interface_json(&b, s));
    put(&b, o, "listen", json_string(listen_text));
    put(&b, o, "dataplane", dataplane_json(&b, &s->dataplane));
    put(&b, o, "workers", workers_json(&b, s));
    put(&b, o, "dns", dns_json(&b, s));
    put(&b, o, "peers", peers_json(&b, s));
    put(&b, o, "relaying", relaying_json(&b, s));
    put(&b, o, "counters", counters_json(&b, s));
    put(&b, o, "drops", drops_json(&b, s));
    put(&b, o, "settled", json_boolean(s->settled));
    put(&b, o, "health", health_json(&b, s));
    if (!b.ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}
