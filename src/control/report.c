/*
 * What the daemon says about itself: gathered here, shaped by status.c.
 */
#include "control/control_impl.h"
#include "control/api/status.h"

#include <stdlib.h>
#include <unistd.h>

#define HEALTH_MAX      (7 + 16) /* ours, and the mesh's or LAN mode's */
#define ATTEMPTS_SILENT 3 /* initiations without an answer that make a peer worth a word */

/* Too few initiations were sent to say anything; by a circuit the first ones are sent at once. */
static bool is_early(const struct veld_status_peer *p)
{
    unsigned enough = ATTEMPTS_SILENT + (p->facts.relays ? VELD_HANDSHAKE_SOON_RETRIES - 1 : 0);
    return p->info.state == VELD_PEER_CONNECTING && p->info.attempts < enough;
}

/*
 * Why it is not reached: once it was asked often enough, or where there is nothing to wait for.
 */
static enum veld_why judge(const struct veld_control *c, uint32_t id,
                           struct veld_status_peer *p)
{
    const struct veld_peer_info *info = &p->info;
    bool wanted = info->state == VELD_PEER_CONNECTING || info->state == VELD_PEER_OFFLINE;
    if (!wanted && !(p->offline && info->state == VELD_PEER_IDLE))
        return VELD_WHY_NONE;
    veld_why_look(c, id, p, &p->facts);
    enum veld_why why = veld_why(&p->facts);
    bool is_certain = why == VELD_WHY_OFFLINE || why == VELD_WHY_NO_ENDPOINT;
    return is_early(p) && !is_certain ? VELD_WHY_NONE : why;
}

/* `*n` of them. */
static struct veld_status_peer *gather_peers(const struct veld_control *c, size_t *n)
{
    struct veld_status_peer *list = calloc(c->peers.n + 1, sizeof *list), *s = list;
    const struct control_peer *p;
    for (uint32_t id = 0; list && (p = veld_peer_list_next(&c->peers, &id)); id++) {
        struct veld_lane_use use;
        if (p->unproven)
            continue;
        s = &list[(*n)++];
        s->config = p->about;
        if (c->mesh)
            veld_mesh_peer_status(c->mesh, p->about->pub, s);
        if (veld_dataplane_peer_lane_use(c->dataplane, id, UINT64_MAX, &use) == 0)
            s->lane_ports = (unsigned)__builtin_popcountll(use.in_use);
        if (veld_engine_peer_get(c->engine, id, &s->info) < 0 ||
            veld_dataplane_peer_activity(c->dataplane, id, &s->activity) < 0)
            continue;
        s->relay = veld_relays_name(c, &s->info.endpoint);
        s->why = judge(c, id, s);
    }
    return list;
}

/* Who is not expected to be reached, or was not really asked, is not worth a word. */
static bool is_missed(const struct veld_status_peer *p)
{
    if (p->why == VELD_WHY_NO_ENDPOINT) /* there is nothing to ask; who is no member calls us */
        return p->is_member && p->info.state != VELD_PEER_IDLE;
    return p->why != VELD_WHY_NONE && p->info.state != VELD_PEER_IDLE && !is_early(p);
}

/* About the first of the peers that are not reached; empty: there is none. */
static void describe_missed(const struct veld_status_peer *peers, size_t n_peers,
                            uint64_t now_s, struct veld_diag *out)
{
    char ip[VELD_IP_STRLEN], at[VELD_ENDPOINT_STRLEN];
    char text[VELD_WHY_TEXT_STRLEN], next[VELD_WHY_NEXT_STRLEN];
    const struct veld_status_peer *p = NULL;
    size_t n = 0;
    for (size_t i = n_peers; i-- > 0;) {
        if (is_missed(&peers[i])) {
            p = &peers[i];
            n++;
        }
    }
    out->text[0] = '\0';
    if (n == 0)
        return;
    const struct veld_config_peer *about = p->config;
    const char *name = about->name[0] ? about->name : veld_ip_format(&about->addrs[0], ip);
    veld_why_text(p->why, &p->facts, now_s, text);
    veld_why_next(p->why, &p->facts, next);
    if (p->why == VELD_WHY_SILENT && p->facts.at.ip.family)
        snprintf(out->text, sizeof out->text, "%s does not answer at %s%s; %s", name,
                 veld_endpoint_format(&p->facts.at, at), n > 1 ? ", nor do others" : "", next);
    else
        snprintf(out->text, sizeof out->text, "%s is not reached%s: %s; %s", name,
                 n > 1 ? ", nor are others" : "", text, next);
}

/* Sentences with the command that mends each; `out` borrows from all that is given. */
static size_t gather_health(const struct veld_control *c,
                            const struct veld_dataplane_info *info,
                            const struct veld_status_mesh *mesh, const struct veld_diag *missed,
                            const char *out[HEALTH_MAX])
{
    size_t n = 0;
    for (size_t i = 0; mesh && i < mesh->n_health; i++)
        out[n++] = mesh->health[i];
    if (c->lan_mode)
        n += veld_lan_mode_health(c->lan_mode, out + n);
    if (missed->text[0])
        out[n++] = missed->text;
    if (veld_self_stun_is_silent(c))
        out[n++] =
            "UDP seems blocked: none of stun_servers answers; see that the firewall lets "
            "UDP out, and try: veld netcheck";
    if (c->names_problem[0])
        out[n++] = c->names_problem;
    if (c->publish.problem.text[0])
        out[n++] = c->publish.problem.text;
    if (c->unsaved_timestamp_ns)
        out[n++] = "the state directory cannot be written, so no handshake is started; "
                   "free space with: df -h, or choose another with --state-dir";
    if (!info->udp_segment || !info->udp_gro)
        out[n++] = "UDP segmentation offload is not in use, so throughput is reduced; it needs "
                   "Linux 5.12 or later (uname -r), and checksum offload of the interface "
                   "that the tunnel's datagrams leave by (ethtool -k)";
    return n;
}

json_t *veld_control_reach(const struct veld_control *c)
{
    static const char *const mappings[] = {[VELD_STUN_MAPPING_UNKNOWN] = "unknown",
                                           [VELD_STUN_MAPPING_SAME] = "same",
                                           [VELD_STUN_MAPPING_VARIES] = "varies"};
    struct veld_endpoint list[VELD_SELF_CANDIDATES_MAX];
    size_t n = veld_self_candidates(c->self, list);
    char at[VELD_ENDPOINT_STRLEN];
    json_t *candidates = json_array(), *o = json_object();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(candidates, json_string(veld_endpoint_format(&list[i], at)));
    json_object_set_new(o, "candidates", candidates);
    veld_relays_describe(c, o);
    if (c->portmap)
        json_object_set_new(o, "port_mapping", veld_portmap_json(c));
    for (unsigned i = 0; c->self_stun && i < 2; i++) {
        struct veld_stun_view v =
            veld_stun_client_view(veld_self_stun_client(c), (uint8_t)(i ? 6 : 4));
        struct veld_endpoint mapped =
            veld_self_mapped(c->self, i ? VELD_SELF_STUN6 : VELD_SELF_STUN4);
        json_object_set_new(o, i ? "ipv6" : "ipv4",
                            json_pack("{s:I, s:I, s:s, s:s, s:b}", "asked", (json_int_t)v.asked,
                                      "answered", (json_int_t)v.answered, "mapped",
                                      veld_endpoint_format(&mapped, at), "mapping",
                                      mappings[v.mapping], "behind_nat",
                                      veld_self_is_behind_nat(c->self, (uint8_t)(i ? 6 : 4))));
    }
    return o;
}

json_t *veld_control_status(void *ctx)
{
    const struct veld_control *c = ctx;
    if (!c->timer) /* a start that failed on its way: there is nothing to report yet */
        return NULL;
    const char *health[HEALTH_MAX];
    struct veld_status s = {
        .config = c->config,
        .pub = c->identity->pub,
        .pid = getpid(),
        .started_wall_ns = c->started_wall_ns,
        .now_wall_ns = veld_clock_now().wall_ns,
        .dns_server = "-",
        .dns_method = c->resolver ? veld_resolver_method(c->resolver) : "off",
        .settled = !c->publish.due_source,
        .health = health,
    };
    veld_dataplane_get_info(c->dataplane, &s.dataplane);
    veld_dataplane_get_stats(c->dataplane, &s.dataplane_stats);
    struct veld_dataplane_worker workers[VELD_WORKERS_MAX];
    for (unsigned i = 0; i < s.dataplane.workers; i++)
        veld_dataplane_get_worker(c->dataplane, i, &workers[i]);
    s.workers = workers;
    veld_engine_get_stats(c->engine, &s.engine_stats);
    struct veld_volunteer_counts relaying = veld_volunteer_count(c->volunteer);
    s.relaying = (struct veld_status_relaying){.enabled = c->config->relay,
                                               .circuits = relaying.ready,
                                               .half_open = relaying.half_open,
                                               .refused = relaying.refused,
                                               .ignored = relaying.ignored};
    if (c->dns) {
        struct veld_ip server = veld_dns_server_address(c->dns);
        veld_ip_format(&server, s.dns_server);
    }
    struct veld_status_peer *peers = gather_peers(c, &s.n_peers);
    if (!peers)
        return NULL;
    struct veld_diag missed;
    struct veld_status_mesh mesh;
    if (c->mesh) {
        veld_mesh_status(c->mesh, &mesh);
        s.mesh = &mesh;
    }
    describe_missed(peers, s.n_peers, s.now_wall_ns / VELD_NS_PER_S, &missed);
    s.n_health = gather_health(c, &s.dataplane, s.mesh, &missed, health);
    s.peers = peers;
    json_t *json = veld_status_json(&s);
    if (json)
        json_object_set_new(json, "reach", veld_control_reach(c));
    if (json && c->lan_mode)
        json_object_set_new(json, "lan", veld_lan_mode_status(c->lan_mode));
    free(peers);
    return json;
}
