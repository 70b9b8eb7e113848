/*
 * Pings asked for over the local API that wait for their pong: a bounded table.
 * Each request is answered exactly once, by a pong or by its time.
 */
#include "control/control_impl.h"

int veld_pings_add(struct veld_control *c, uint32_t peer, struct veld_api_request *req,
                   struct veld_diag *diag)
{
    for (size_t i = 0; i < PINGS_MAX; i++) {
        if (c->pings[i].request)
            continue;
        c->pings[i] = (struct control_ping){
            .request = req,
            .peer = peer,
            .deadline_ns = veld_clock_mono_ns() + PING_TIMEOUT_S * VELD_NS_PER_S,
        };
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

void veld_pings_on_pong(struct veld_control *c, const struct veld_action *pong)
{
    char name[64], path[VELD_RELAYS_PATH_STRLEN], ip[VELD_IP_STRLEN];
    const struct veld_config_peer *peer = veld_control_peer_about(c, pong->peer);
    for (size_t i = 0; i < PINGS_MAX; i++) {
        if (!c->pings[i].request || c->pings[i].peer != pong->peer)
            continue;
        answer(&c->pings[i], 200,
               json_pack("{s:s, s:s, s:s, s:b, s:I}", "name",
                         veld_control_peer_name(c, pong->peer, name), "ip",
                         veld_ip_format(&peer->addrs[0], ip), "path",
                         veld_relays_path(c, &pong->to, path), "direct",
                         !veld_endpoint_is_circuit(&pong->to), "rtt_us",
                         (json_int_t)((pong->rtt_ns + 500) / VELD_NS_PER_US)));
    }
}

/* ": UDP blocked; see ...", of a peer in no session; else "". */
static void describe_why(const struct veld_control *c, uint32_t id, char *out, size_t size)
{
    char text[VELD_WHY_TEXT_STRLEN], next[VELD_WHY_NEXT_STRLEN];
    struct veld_status_peer p = {0};
    struct veld_why_facts facts;
    out[0] = '\0';
    if (veld_engine_peer_get(c->engine, id, &p.info) < 0 || p.info.state == VELD_PEER_ACTIVE)
        return;
    if (c->mesh)
        veld_mesh_peer_status(c->mesh, p.info.pub, &p);
    veld_why_look(c, id, &p, &facts);
    enum veld_why why = veld_why(&facts);
    snprintf(out, size, ": %s; %s",
             veld_why_text(why, &facts, veld_clock_now().wall_ns / VELD_NS_PER_S, text),
             veld_why_next(why, &facts, next));
}

void veld_pings_expire(struct veld_control *c, uint64_t now_ns)
{
    char name[64], why[VELD_WHY_TEXT_STRLEN + VELD_WHY_NEXT_STRLEN];
    for (size_t i = 0; i < PINGS_MAX; i++) {
        uint32_t id = c->pings[i].peer;
        if (!c->pings[i].request || c->pings[i].deadline_ns > now_ns)
            continue;
        describe_why(c, id, why, sizeof why);
        answer(
            &c->pings[i], 504,
            json_pack("{s:o}", "error",
                      json_sprintf("no answer from %s within %d s%s",
                                   veld_control_peer_name(c, id, name), PING_TIMEOUT_S, why)));
    }
}

void veld_pings_fail(struct veld_control *c, uint32_t peer, const char *why)
{
    char name[64];
    veld_control_peer_name(c, peer, name);
    for (size_t i = 0; i < PINGS_MAX; i++) {
        if (c->pings[i].request && c->pings[i].peer == peer)
            answer(&c->pings[i], 409,
                   json_pack("{s:o}", "error", json_sprintf("%s: %s", name, why)));
    }
}
