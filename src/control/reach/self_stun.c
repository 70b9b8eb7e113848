/*
 * Where STUN servers see this machine: whom it asks and when, by the main socket.
 *
 * Asked are `stun_servers`; else the coord server's host at its port; else connected peers that
 * have public addresses, which answer those whom they talk to. At the start, when addresses
 * change, for `veld netcheck`, and every REFRESH_NS while there is a session: never for an idle
 * machine. And when a peer is sought and the last round is FRESH_NS ago: behind a NAT the mapping may
 * have ended since, and the one that the peer is told of is another. And when there is a connection
 * to the coord server again: the NAT that ended the last one has forgotten the mapping as well.
 *
 * What a server says is a hint (self.h). Requests of others are answered only where they come from
 * the address of a peer with a session: nobody else learns that something listens here.
 */
#include "control/control_impl.h"

#include "base/log.h"
#include "control/mesh/policy.h"
#include "crypto/primitives.h"
#include "stun/stun.h"

#include <gio/gio.h>

#define SETTLE_MS  500 /* addresses come in twos, and routes after them */
#define REFRESH_NS (300 * VELD_NS_PER_S)
#define FRESH_NS                                                                               \
    (20 * VELD_NS_PER_S) /* NATs forget after 30 s at the earliest (RFC 4787, 4.3: 120) */
#define GAP_NS          (2 * VELD_NS_PER_S) /* between two rounds */
#define PEERS_ASKED_MAX 2

struct veld_self_stun {
    struct veld_control *control;
    struct veld_stun_client client;
    GCancellable *resolving;
    struct veld_endpoint server[VELD_STUN_SERVERS_MAX];
    size_t n_servers;
    unsigned lookups;   /* under way */
    guint begin, timer; /* sources; 0: none */
    uint64_t begun_ns;  /* the last round; 0: none yet */
    bool silent;        /* it ended without an answer */
    bool coord_away;    /* at the last tick */
};

struct lookup {
    struct veld_self_stun *s;
    uint16_t port;
};

/* ---- A round ---- */

static gboolean on_timer(gpointer data);

static void end_round(struct veld_self_stun *s)
{
    const struct veld_endpoint none = {0};
    s->silent = !veld_stun_client_view(&s->client, 4).answered &&
                !veld_stun_client_view(&s->client, 6).answered;
    if (veld_stun_client_lost(&s->client, 4))
        veld_self_add_mapped(s->control->self, VELD_SELF_STUN4, &none);
    if (veld_stun_client_lost(&s->client, 6))
        veld_self_add_mapped(s->control->self, VELD_SELF_STUN6, &none);
}

static void pump(struct veld_self_stun *s)
{
    uint64_t now = veld_clock_mono_ns(), next;
    struct veld_endpoint to;
    uint8_t id[VELD_STUN_ID_SIZE], bytes[VELD_STUN_REQUEST_SIZE];
    while (veld_stun_client_next(&s->client, now, &to, id)) {
        veld_stun_request_write(bytes, id);
        int rc = veld_dataplane_send_datagram(s->control->dataplane, &to, bytes, sizeof bytes);
        if (rc < 0 && rc != VELD_E_FULL)
            veld_stun_client_unsendable(&s->client, &to);
    }
    next = veld_stun_client_deadline(&s->client);
    if (s->timer)
        g_source_remove(s->timer);
    s->timer = 0;
    if (next != UINT64_MAX)
        s->timer = g_timeout_add((guint)(next > now ? (next - now) / VELD_NS_PER_MS + 1 : 1),
                                 on_timer, s);
    else if (s->client.n)
        end_round(s);
}

static gboolean on_timer(gpointer data)
{
    struct veld_self_stun *s = data;
    s->timer = 0;
    pump(s);
    return G_SOURCE_REMOVE;
}

static void add_peers(struct veld_self_stun *s)
{
    const struct veld_control *c = s->control;
    for (size_t i = 0; i < c->peers.n_live && s->n_servers < PEERS_ASKED_MAX; i++) {
        const struct veld_endpoint *e = &c->peers.peers[c->peers.live[i]].endpoint;
        if (veld_ip_is_global(&e->ip))
            s->server[s->n_servers++] = *e;
    }
}

static void begin_round(struct veld_self_stun *s)
{
    if (s->n_servers == 0)
        add_peers(s);
    veld_stun_client_begin(&s->client, s->server, s->n_servers, veld_clock_mono_ns());
    pump(s);
}

/* ---- Whom to ask ---- */

static void add_server(struct veld_self_stun *s, const struct veld_ip *ip, uint16_t port)
{
    if (s->n_servers < VELD_STUN_SERVERS_MAX)
        s->server[s->n_servers++] = (struct veld_endpoint){.ip = *ip, .port = port};
}

/* Of a name's addresses one of each family. */
static void add_resolved(struct lookup *l, const GList *list)
{
    bool have[7] = {false};
    for (; list; list = list->next) {
        char *text = g_inet_address_to_string(list->data);
        struct veld_ip ip;
        if (veld_ip_parse(text, &ip) == 0 && !have[ip.family]) {
            have[ip.family] = true;
            add_server(l->s, &ip, l->port);
        }
        g_free(text);
    }
}

static void on_resolved(GObject *source, GAsyncResult *result, gpointer data)
{
    struct lookup *l = data;
    GError *error = NULL;
    GList *list = g_resolver_lookup_by_name_finish(G_RESOLVER(source), result, &error);
    bool cancelled = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    if (error && !cancelled)
        veld_debug("a STUN server's name does not resolve: %s", error->message);
    g_clear_error(&error);
    if (!cancelled) {
        add_resolved(l, list);
        if (--l->s->lookups == 0)
            begin_round(l->s);
    }
    g_resolver_free_addresses(list);
    g_free(l);
}

static void look_up(struct veld_self_stun *s, const char *server)
{
    GSocketConnectable *at = g_network_address_parse(server, 0, NULL);
    struct veld_ip ip;
    if (!at)
        return;
    const char *host = g_network_address_get_hostname(G_NETWORK_ADDRESS(at));
    uint16_t port = g_network_address_get_port(G_NETWORK_ADDRESS(at));
    if (veld_ip_parse(host, &ip) == 0) {
        add_server(s, &ip, port);
    } else {
        struct lookup *l = g_new0(struct lookup, 1);
        GResolver *resolver = g_resolver_get_default();
        *l = (struct lookup){s, port};
        s->lookups++;
        g_resolver_lookup_by_name_async(resolver, host, s->resolving, on_resolved, l);
        g_object_unref(resolver);
    }
    g_object_unref(at);
}

/* What is under way is given up. */
static gboolean on_begin(gpointer data)
{
    struct veld_self_stun *s = data;
    const struct veld_control *c = s->control;
    s->begin = 0;
    s->begun_ns = veld_clock_mono_ns();
    g_cancellable_cancel(s->resolving);
    g_object_unref(s->resolving);
    s->resolving = g_cancellable_new();
    s->lookups = 0;
    s->n_servers = 0;
    for (size_t i = 0; i < c->config->n_stun_servers; i++)
        look_up(s, c->config->stun_servers[i]);
    if (c->config->n_stun_servers == 0 && c->mesh)
        look_up(s, veld_mesh_coord_address(c->mesh));
    if (s->lookups == 0)
        begin_round(s);
    return G_SOURCE_REMOVE;
}

void veld_self_stun_ask(struct veld_control *c)
{
    struct veld_self_stun *s = c->self_stun;
    uint64_t now = veld_clock_mono_ns();
    uint64_t next = s->begun_ns ? s->begun_ns + GAP_NS : 0;
    guint wait_ms = next > now ? (guint)((next - now) / VELD_NS_PER_MS) : 0;
    if (!s->begin)
        s->begin = g_timeout_add(MAX(wait_ms, SETTLE_MS), on_begin, s);
}

void veld_self_stun_on_wanted(struct veld_control *c)
{
    struct veld_self_stun *s = c->self_stun;
    bool nat = veld_self_is_behind_nat(c->self, 4) || veld_self_is_behind_nat(c->self, 6);
    if (!s || !nat || s->begin || veld_clock_mono_ns() - s->begun_ns < FRESH_NS)
        return;
    s->begin = g_idle_add(on_begin, s); /* somebody waits */
}

void veld_self_stun_on_address_change(struct veld_control *c)
{
    const struct veld_endpoint none = {0};
    veld_self_add_mapped(c->self, VELD_SELF_STUN4, &none);
    veld_self_add_mapped(c->self, VELD_SELF_STUN6, &none);
    veld_self_stun_ask(c);
}

void veld_self_stun_tick(struct veld_control *c)
{
    struct veld_self_stun *s = c->self_stun;
    bool away = c->mesh && !veld_mesh_is_connected(c->mesh), is_back = s->coord_away && !away;
    s->coord_away = away;
    bool is_due = c->peers.n_live > 0 && veld_clock_mono_ns() - s->begun_ns >= REFRESH_NS;
    if (is_due || is_back)
        veld_self_stun_ask(c);
}

/* ---- What comes ---- */

static void take_answer(struct veld_self_stun *s, const struct veld_endpoint *from,
                        const struct veld_stun *answer)
{
    static const uint8_t families[] = {4, 6};
    if (veld_stun_client_answer(&s->client, from, answer, veld_clock_mono_ns()) < 0)
        return;
    s->silent = false;
    for (unsigned i = 0; i < 2; i++) {
        struct veld_stun_view v = veld_stun_client_view(&s->client, families[i]);
        if (v.answered)
            veld_self_add_mapped(s->control->self, i ? VELD_SELF_STUN6 : VELD_SELF_STUN4,
                                 &v.mapped);
    }
    pump(s);
}

static void answer_peer(struct veld_control *c, const struct veld_dataplane_event *in,
                        const struct veld_stun *request)
{
    uint8_t bytes[VELD_STUN_RESPONSE_MAX];
    size_t len;
    if (!veld_self_public(c->self).ip.family ||
        !veld_peer_list_is_at(&c->peers, &in->from.ip) ||
        veld_stun_response_write(bytes, &len, request, in->len, &in->from) < 0)
        return;
    (void)!veld_dataplane_send_datagram(c->dataplane, &in->from, bytes, len); /* asked again */
}

void veld_self_stun_on_event(struct veld_control *c, const struct veld_dataplane_event *in)
{
    struct veld_stun m;
    if (!c->self_stun || veld_stun_parse(in->bytes, in->len, &m) < 0)
        return;
    if (m.kind == VELD_STUN_RESPONSE)
        take_answer(c->self_stun, &in->from, &m);
    else if (!veld_netcheck_is_own(c, &m))
        answer_peer(c, in, &m);
}

/* ---- To look at ---- */

const struct veld_stun_client *veld_self_stun_client(const struct veld_control *c)
{
    return &c->self_stun->client;
}

bool veld_self_stun_has_begun(const struct veld_control *c)
{
    return !c->self_stun->begin && !c->self_stun->lookups;
}

bool veld_self_stun_is_over(const struct veld_control *c)
{
    const struct veld_self_stun *s = c->self_stun;
    return veld_self_stun_has_begun(c) && veld_stun_client_deadline(&s->client) == UINT64_MAX;
}

bool veld_self_stun_is_silent(const struct veld_control *c)
{
    return c->self_stun && c->self_stun->silent && c->config->n_stun_servers > 0 &&
           c->peers.n_live == 0;
}

/* ---- Begin and end ---- */

static void draw(void *ctx, void *out, size_t len)
{
    veld_random(out, len);
}

void veld_self_stun_start(struct veld_control *c)
{
    struct veld_self_stun *s = c->self_stun = g_new0(struct veld_self_stun, 1);
    s->control = c;
    s->resolving = g_cancellable_new();
    veld_stun_client_init(&s->client, draw, NULL);
    veld_self_stun_ask(c);
}

void veld_self_stun_stop(struct veld_control *c)
{
    struct veld_self_stun *s = c->self_stun;
    if (!s)
        return;
    g_cancellable_cancel(s->resolving);
    g_object_unref(s->resolving);
    if (s->begin)
        g_source_remove(s->begin);
    if (s->timer)
        g_source_remove(s->timer);
    g_free(s);
    c->self_stun = NULL;
}
