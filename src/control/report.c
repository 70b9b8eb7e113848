/*
 * What the daemon says about itself: gathered here, shaped by status.c.
 */
#include "control/control_impl.h"
#include "control/api/status.h"

#include <stdlib.h>
#include <unistd.h>

#define HEALTH_MAX 4

static struct veld_status_peer *gather_peers(const struct veld_control *c)
{
    struct veld_status_peer *list = calloc(c->config->n_peers + 1, sizeof *list);
    for (size_t i = 0; list && i < c->config->n_peers; i++) {
        uint32_t id = c->by_config[i];
        list[i].config = &c->config->peers[i];
        if (veld_engine_peer_get(c->engine, id, &list[i].info) < 0 ||
            veld_dataplane_peer_activity(c->dataplane, id, &list[i].activity) < 0)
            continue;
    }
    return list;
}

/* Sentences with the command that mends each; `out` borrows from `c`. */
static size_t gather_health(const struct veld_control *c,
                            const struct veld_dataplane_info *info, const char *out[HEALTH_MAX])
{
    size_t n = 0;
    if (c->names_problem[0])
        out[n++] = c->names_problem;
    if (c->unsaved_timestamp_ns)
        out[n++] = "the state directory cannot be written, so no handshake is started; "
                   "free space with: df -h, or choose another with --state-dir";
    if (!info->udp_segment || !info->udp_gro)
        out[n++] = "this kernel lacks UDP segmentation offload, so throughput is reduced; "
                   "Linux 5.12 or later has it: uname -r";
    return n;
}

json_t *veld_control_status(void *ctx)
{
    const struct veld_control *c = ctx;
    const char *health[HEALTH_MAX];
    struct veld_status s = {
        .config = c->config,
        .pub = c->identity->pub,
        .pid = getpid(),
        .started_wall_ns = c->started_wall_ns,
        .dns_server = "-",
        .dns_method = c->resolver ? veld_resolver_method(c->resolver) : "off",
        .n_peers = c->config->n_peers,
        .health = health,
    };
    veld_dataplane_get_info(c->dataplane, &s.dataplane);
    veld_dataplane_get_stats(c->dataplane, &s.dataplane_stats);
    veld_engine_get_stats(c->engine, &s.engine_stats);
    if (c->dns) {
        struct veld_ip server = veld_dns_server_address(c->dns);
        veld_ip_format(&server, s.dns_server);
    }
    s.n_health = gather_health(c, &s.dataplane, health);

    struct veld_status_peer *peers = gather_peers(c);
    s.peers = peers;
    json_t *json = peers ? veld_status_json(&s) : NULL;
    free(peers);
    return json;
}
