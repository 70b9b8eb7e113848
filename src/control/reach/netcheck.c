/*
 * `veld netcheck`: a round of questions to the STUN servers, waited for, and what is known of this
 * machine's reach besides: what the coord server and relays take to answer, and whether the NAT
 * hairpins (hairpin.h).
 */
#include "control/control_impl.h"

#include "base/bytes.h"
#include "control/reach/hairpin.h"
#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

#define POLL_MS          50
#define NETCHECK_WAIT_NS (4 * VELD_NS_PER_S) /* three questions; less than `veld` waits */
#define RELAYS_MAX       8
#define RELAYS_WAIT_NS   (2 * VELD_NS_PER_S) /* one that has no session is called */

struct veld_netcheck {
    struct veld_control *control;
    struct veld_api_request *request;
    uint64_t begun_ns;
    guint source;
    struct veld_hairpin hairpin;
    uint32_t relays[RELAYS_MAX];
    size_t n_relays;
};

static json_t *servers(const struct veld_stun_client *client)
{
    json_t *list = json_array();
    char at[VELD_ENDPOINT_STRLEN];
    for (size_t i = 0; i < client->n; i++) {
        const struct veld_stun_query *q = &client->query[i];
        json_t *o = json_pack("{s:s, s:b}", "address", veld_endpoint_format(&q->server, at),
                              "answered", q->state == VELD_STUN_ANSWERED);
        if (q->state == VELD_STUN_ANSWERED)
            json_object_set_new(o, "mapped", json_string(veld_endpoint_format(&q->mapped, at)));
        if (q->rtt_ns)
            json_object_set_new(o, "rtt_us",
                                json_integer((json_int_t)(q->rtt_ns / VELD_NS_PER_US)));
        json_array_append_new(list, o);
    }
    return list;
}

/* The largest packets that paths carry to peers with sessions. */
static json_t *paths(const struct veld_control *c)
{
    json_t *list = json_array();
    char name[64];
    for (size_t i = 0; i < VELD_MIN(c->peers.n_live, 16); i++) {
        struct veld_peer_info info;
        if (veld_engine_peer_get(c->engine, c->peers.live[i], &info) == 0 && info.mtu)
            json_array_append_new(list,
                                  json_pack("{s:s, s:i, s:b}", "peer",
                                            veld_control_peer_name(c, c->peers.live[i], name),
                                            "mtu", (int)info.mtu, "known", info.mtu_known));
    }
    return list;
}

/* ---- The coord server ---- */

static json_t *coord(const struct veld_control *c)
{
    if (!c->mesh)
        return json_null();
    uint64_t rtt_ns = veld_mesh_coord_rtt_ns(c->mesh);
    return json_pack("{s:s, s:o}", "address", veld_mesh_coord_address(c->mesh), "rtt_us",
                     rtt_ns ? json_integer((json_int_t)(rtt_ns / VELD_NS_PER_US))
                            : json_null());
}

/* ---- Relays ---- */

/* Those with sessions are pinged, so that their round trips are fresh. */
static void relays_begin(struct veld_netcheck *n)
{
    struct veld_control *c = n->control;
    struct veld_peer_info info;
    n->n_relays = veld_relays_list(c, n->relays, RELAYS_MAX);
    for (size_t i = 0; i < n->n_relays; i++) {
        if (veld_relays_is_connected(c, n->relays[i], &info))
            veld_control_step(c,
                              &(struct veld_event){.type = VELD_EV_PING, .peer = n->relays[i]});
        else
            (void)!veld_control_peer_call(c, n->relays[i]);
    }
}

static bool relays_are_over(const struct veld_netcheck *n, uint64_t now_ns)
{
    struct veld_peer_info info;
    bool all = true;
    for (size_t i = 0; i < n->n_relays; i++)
        all &= veld_relays_is_connected(n->control, n->relays[i], &info);
    return all || now_ns - n->begun_ns >= RELAYS_WAIT_NS;
}

struct relay_view {
    uint32_t id;
    uint64_t rtt_ns; /* UINT64_MAX: it does not answer */
};

static int by_rtt(const void *a, const void *b)
{
    uint64_t x = ((const struct relay_view *)a)->rtt_ns;
    uint64_t y = ((const struct relay_view *)b)->rtt_ns;
    return (x > y) - (x < y);
}

/* The nearest first. */
static json_t *relays(const struct veld_netcheck *n)
{
    const struct veld_control *c = n->control;
    struct relay_view view[RELAYS_MAX];
    json_t *list = json_array();
    size_t count = 0;
    for (size_t i = 0; i < n->n_relays; i++) {
        struct veld_peer_info info;
        if (!veld_peer_list_get(&c->peers, n->relays[i]))
            continue; /* it has left meanwhile */
        bool answers = veld_relays_is_connected(c, n->relays[i], &info) && info.rtt_ns;
        view[count++] = (struct relay_view){n->relays[i], answers ? info.rtt_ns : UINT64_MAX};
    }
    if (count)
        qsort(view, count, sizeof view[0], by_rtt);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        bool answers = view[i].rtt_ns != UINT64_MAX;
        json_array_append_new(
            list,
            json_pack("{s:s, s:b, s:o}", "name", veld_control_peer_name(c, view[i].id, name),
                      "home", veld_peer_list_get(&c->peers, view[i].id)->home_keepalive_s > 0,
                      "rtt_us",
                      answers ? json_integer((json_int_t)(view[i].rtt_ns / VELD_NS_PER_US))
                              : json_null()));
    }
    return list;
}

/* ---- Hairpinning ---- */

/* To where this round has us, once it is one: an earlier mapping may have ended. */
static void hairpin_begin(struct veld_netcheck *n)
{
    const struct veld_control *c = n->control;
    struct veld_stun_view v = veld_stun_client_view(veld_self_stun_client(c), 4);
    uint8_t id[VELD_STUN_ID_SIZE];
    if (!veld_self_stun_has_begun(c) || !v.answered || !veld_self_is_behind_nat(c->self, 4))
        return;
    veld_random(id, sizeof id);
    veld_hairpin_begin(&n->hairpin, &v.mapped, id);
}

static void hairpin_step(struct veld_netcheck *n, uint64_t now_ns)
{
    uint8_t bytes[VELD_STUN_REQUEST_SIZE];
    hairpin_begin(n);
    if (!veld_hairpin_is_due(&n->hairpin, now_ns))
        return;
    veld_stun_request_write(bytes, n->hairpin.id);
    (void)!veld_dataplane_send_datagram(n->control->dataplane, &n->hairpin.to, bytes,
                                        sizeof bytes); /* else as one that is lost */
}

bool veld_netcheck_is_own(struct veld_control *c, const struct veld_stun *request)
{
    return c->netcheck && veld_hairpin_take(&c->netcheck->hairpin, request->id);
}

/* Null: not known, or there is no NAT that could. */
static json_t *hairpin(const struct veld_hairpin *h)
{
    enum veld_hairpin_verdict v = veld_hairpin_verdict(h);
    return v == VELD_HAIRPIN_UNKNOWN ? json_null() : json_boolean(v == VELD_HAIRPIN_YES);
}

/* ---- The whole ---- */

static json_t *describe(const struct veld_control *c, const struct veld_netcheck *n)
{
    const struct veld_stun_client *client = veld_self_stun_client(c);
    bool answered =
        veld_stun_client_view(client, 4).answered || veld_stun_client_view(client, 6).answered;
    json_t *udp = client->n == 0 ? json_null() : json_boolean(answered);
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", 1, "udp", udp,
                     "reach", veld_control_reach(c), "stun_servers", servers(client), "paths",
                     paths(c), "coord", coord(c), "relays", relays(n), "hairpin",
                     hairpin(&n->hairpin));
}

static void finish(struct veld_netcheck *n, unsigned status, json_t *body)
{
    struct veld_api_request *request = n->request;
    n->request = NULL;
    n->control->netcheck = NULL;
    g_free(n);
    veld_api_reply(request, status, body);
}

static gboolean on_poll(gpointer data)
{
    struct veld_netcheck *n = data;
    struct veld_control *c = n->control;
    uint64_t now_ns = veld_clock_mono_ns();
    hairpin_step(n, now_ns);
    if ((!veld_self_stun_is_over(c) || !veld_hairpin_is_over(&n->hairpin) ||
         !relays_are_over(n, now_ns)) &&
        now_ns - n->begun_ns < NETCHECK_WAIT_NS)
        return G_SOURCE_CONTINUE;
    finish(n, 200, describe(c, n));
    return G_SOURCE_REMOVE;
}

int veld_netcheck_begin(struct veld_control *c, struct veld_api_request *req,
                        struct veld_diag *diag)
{
    if (!c->self_stun)
        return veld_fail(diag, VELD_E_STATE, "veld-daemon is not up yet; try again");
    if (c->netcheck)
        return veld_fail(diag, VELD_E_FULL,
                         "a netcheck is under way; try again in a few seconds");
    struct veld_netcheck *n = c->netcheck = g_new0(struct veld_netcheck, 1);
    *n = (struct veld_netcheck){.control = c,
                                .request = req,
                                .begun_ns = veld_clock_mono_ns(),
                                .source = g_timeout_add(POLL_MS, on_poll, n)};
    if (c->mesh)
        veld_mesh_coord_ask_time(c->mesh);
    relays_begin(n);
    veld_self_stun_ask(c);
    return 0;
}

void veld_netcheck_end(struct veld_control *c)
{
    if (!c->netcheck)
        return;
    g_source_remove(c->netcheck->source);
    finish(c->netcheck, 503, json_pack("{s:s}", "error", "veld-daemon is stopping"));
}
