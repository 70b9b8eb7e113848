/*
 * A mapping of the main UDP port at the default gateway: portmap_plan.h says when, veld-portmap
 * asks, and what it got is a candidate of this machine (self.h).
 *
 * Nothing here waits but the stop, which gives the mapping back, STOP_MS at most.
 */
#include "control/control_impl.h"

#include "base/bytes.h"
#include "base/log.h"
#include "control/host/child.h"
#include "control/mesh/policy.h"
#include "control/reach/portmap_plan.h"

#include <stdio.h>
#include <string.h>

#define PROGRAM      "veld-portmap"
#define ASK_MS       (VELD_PORTMAP_TIME_MAX_S * 1000)
#define UNMAP_MS     3000 /* without hurry */
#define STOP_MS      1500
#define LOOK_AGAIN_S 60 /* for a gateway, while there is none: routes are not watched */

struct veld_portmap {
    struct veld_control *control;
    struct veld_portmap_plan plan;
    struct veld_child *child; /* asks; NULL: none does */
    struct veld_child *unmap; /* gives back; NULL: none does */
    uint32_t number;          /* of the question */
    guint look, timer;        /* sources; 0: none */
};

/* ---- veld-portmap ---- */

struct job_text {
    char gateway[VELD_IP_STRLEN], own[VELD_IP_STRLEN], port[8], external[8];
};

static uint16_t own_port(const struct veld_portmap *m)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(m->control->dataplane, &info);
    return info.listen_port;
}

static void describe_job(const struct veld_portmap *m, const struct veld_gateway *gateway,
                         uint16_t external, struct job_text *out)
{
    veld_ip_format(&gateway->ip, out->gateway);
    veld_ip_format(&gateway->own, out->own);
    snprintf(out->port, sizeof out->port, "%u", own_port(m));
    snprintf(out->external, sizeof out->external, "%u", external);
}

static void on_unmapped(void *ctx, const char *text, size_t len)
{
    struct veld_portmap *m = ctx;
    m->unmap = NULL;
}

/*
 * Where that cannot be, it ends with its lease. Once the way out is another, the address that the
 * gateway had is anybody's.
 */
static void unmap(struct veld_portmap *m, const struct veld_gateway *gateway,
                  const struct veld_portmap_answer *a)
{
    struct job_text t;
    struct veld_diag why;
    struct veld_gateway now = veld_netif_gateway();
    if (!veld_gateway_equal(gateway, &now))
        return;
    describe_job(m, gateway, a->mapped.port, &t);
    const char *const argv[] = {
        "unmap",    veld_portmap_method_name(a->method), t.gateway,  t.own, t.port,
        t.external, a->url[0] ? a->url : NULL,           a->service, NULL};
    veld_child_end(m->unmap);
    m->unmap = NULL;
    if (veld_child_start(&m->unmap, PROGRAM, argv, UNMAP_MS, on_unmapped, m, &why) < 0)
        veld_debug("the port mapping is left to its lease: %s", why.text);
}

/* ---- What is known of it ---- */

static void tell_self(const struct veld_portmap *m)
{
    static const enum veld_self_source sources[] = {
        [VELD_PORTMAP_NATPMP] = VELD_SELF_NATPMP, [VELD_PORTMAP_UPNP] = VELD_SELF_UPNP};
    for (size_t i = 0; i < VELD_ARRAY_LEN(sources); i++) {
        bool held = veld_portmap_plan_holds(&m->plan) && m->plan.held.method == i;
        const struct veld_endpoint mapped =
            held ? m->plan.held.mapped : (struct veld_endpoint){0};
        struct veld_endpoint told = veld_self_mapped(m->control->self, sources[i]);
        if (!veld_endpoint_equal(&told, &mapped))
            veld_self_add_mapped(m->control->self, sources[i], &mapped);
    }
}

static void take_answer(struct veld_portmap *m, const char *text, size_t len)
{
    struct veld_portmap_answer a = {.result = VELD_PORTMAP_SILENT};
    struct veld_gateway gateway = m->plan.net.gateway;
    if (len > 0 && veld_portmap_answer_parse(text, len, &gateway.ip, &a) < 0)
        veld_debug("an answer about a port mapping that cannot be read");
    if (veld_portmap_plan_on_answer(&m->plan, m->number, &a, veld_clock_mono_ns()) ==
        VELD_PORTMAP_DO_UNMAP)
        unmap(m, &gateway, &a);
    tell_self(m);
}

static void rearm(struct veld_portmap *m);

static void on_answer(void *ctx, const char *text, size_t len)
{
    struct veld_portmap *m = ctx;
    m->child = NULL;
    take_answer(m, text, len);
    rearm(m);
}

/* ---- When ---- */

static void ask(struct veld_portmap *m)
{
    struct job_text t;
    struct veld_diag why;
    uint64_t now = veld_clock_mono_ns();
    bool holds = veld_portmap_plan_holds(&m->plan);
    describe_job(m, &m->plan.net.gateway, holds ? m->plan.held.mapped.port : own_port(m), &t);
    const char *const argv[] = {"map", t.gateway, t.own, t.port, t.external, NULL};
    m->number = veld_portmap_plan_begin(&m->plan, now);
    if (veld_child_start(&m->child, PROGRAM, argv, ASK_MS, on_answer, m, &why) < 0) {
        veld_debug("no port mapping: %s", why.text);
        veld_portmap_plan_on_answer(&m->plan, m->number, NULL, now);
    }
}

static gboolean on_timer(gpointer data)
{
    struct veld_portmap *m = data;
    m->timer = 0;
    if (veld_portmap_plan_is_due(&m->plan, veld_clock_mono_ns()))
        ask(m);
    tell_self(m);
    rearm(m);
    return G_SOURCE_REMOVE;
}

static void rearm(struct veld_portmap *m)
{
    uint64_t now = veld_clock_mono_ns(), next = veld_portmap_plan_deadline(&m->plan);
    if (m->timer)
        g_source_remove(m->timer);
    m->timer = 0;
    if (next != UINT64_MAX)
        m->timer = g_timeout_add((guint)(next > now ? (next - now) / VELD_NS_PER_MS + 1 : 0),
                                 on_timer, m);
}

/* ---- The network that this machine is in ---- */

static bool has_public_address(const struct veld_control *c)
{
    const struct veld_prefix *own;
    size_t n = veld_self_addresses(c->self, &own);
    for (size_t i = 0; i < n; i++) {
        if (own[i].ip.family == 4 && veld_ip_is_global(&own[i].ip))
            return true;
    }
    return false;
}

static bool listens_at(const struct veld_control *c, const struct veld_ip *own)
{
    static const uint8_t any[sizeof own->b];
    const struct veld_ip *listen = &c->config->listen.ip;
    return memcmp(listen->b, any, sizeof any) == 0 || veld_ip_equal(listen, own);
}

static struct veld_portmap_net look_at_net(const struct veld_portmap *m)
{
    const struct veld_control *c = m->control;
    struct veld_portmap_net net = {.why = VELD_PORTMAP_WHY_ASKING};
    if (!c->config->port_mapping)
        net.why = VELD_PORTMAP_WHY_OFF;
    else if (has_public_address(c))
        net.why = VELD_PORTMAP_WHY_PUBLIC;
    else if (!(net.gateway = veld_netif_gateway()).ip.family)
        net.why = VELD_PORTMAP_WHY_NO_GATEWAY;
    else if (!listens_at(c, &net.gateway.own))
        net.why = VELD_PORTMAP_WHY_NO_IPV4;
    return net;
}

static gboolean on_look(gpointer data);

static void look_in(struct veld_portmap *m, guint ms)
{
    if (m->look)
        g_source_remove(m->look);
    m->look = g_timeout_add(ms, on_look, m);
}

static gboolean on_look(gpointer data)
{
    struct veld_portmap *m = data;
    struct veld_portmap_plan *p = &m->plan;
    struct veld_portmap_net net = look_at_net(m);
    struct veld_gateway gateway = p->net.gateway;
    struct veld_portmap_answer held = p->held;
    m->look = 0;
    veld_portmap_plan_on_net(p, &net, veld_clock_mono_ns());
    if (held.result == VELD_PORTMAP_MAPPED && !veld_portmap_plan_holds(p))
        unmap(m, &gateway, &held);
    if (m->child && !p->asking) {
        veld_child_end(m->child);
        m->child = NULL;
    }
    if (net.why == VELD_PORTMAP_WHY_NO_GATEWAY)
        look_in(m, LOOK_AGAIN_S * 1000);
    tell_self(m);
    rearm(m);
    return G_SOURCE_REMOVE;
}

void veld_portmap_on_change(struct veld_control *c)
{
    if (c->portmap)
        look_in(c->portmap, VELD_PORTMAP_SETTLE_NS / VELD_NS_PER_MS);
}

/* ---- To look at ---- */

static const char *why_text(const struct veld_portmap_plan *p, char out[160])
{
    char gateway[VELD_IP_STRLEN], ip[VELD_IP_STRLEN];
    veld_ip_format(&p->net.gateway.ip, gateway);
    switch (p->why) {
    case VELD_PORTMAP_WHY_ASKING: return "the gateway is being asked";
    case VELD_PORTMAP_WHY_OFF: return "it is turned off (port_mapping)";
    case VELD_PORTMAP_WHY_PUBLIC: return "this machine has a public address";
    case VELD_PORTMAP_WHY_NO_IPV4: return "it listens elsewhere (listen_addr)";
    case VELD_PORTMAP_WHY_NO_GATEWAY: return "there is no default gateway for IPv4";
    case VELD_PORTMAP_WHY_NO_PROGRAM: return PROGRAM " is not installed";
    case VELD_PORTMAP_WHY_SILENT:
        snprintf(out, 160, "the gateway %s answers neither NAT-PMP nor UPnP", gateway);
        return out;
    case VELD_PORTMAP_WHY_REFUSED:
        snprintf(out, 160, "the gateway %s refuses; its settings may allow it", gateway);
        return out;
    case VELD_PORTMAP_WHY_NO_ADDRESS:
        snprintf(out, 160, "the gateway %s is not connected itself", gateway);
        return out;
    case VELD_PORTMAP_WHY_DOUBLE_NAT:
        snprintf(out, 160, "double NAT: the gateway %s is behind another, as %s", gateway,
                 veld_ip_format(&p->outside, ip));
        return out;
    }
    return "";
}

json_t *veld_portmap_json(const struct veld_control *c)
{
    const struct veld_portmap_plan *p = &c->portmap->plan;
    char at[VELD_ENDPOINT_STRLEN], why[160];
    if (!veld_portmap_plan_holds(p))
        return json_pack("{s:n, s:n, s:s}", "method", "mapped", "reason", why_text(p, why));
    return json_pack("{s:s, s:s, s:n}", "method", veld_portmap_method_name(p->held.method),
                     "mapped", veld_endpoint_format(&p->held.mapped, at), "reason");
}

/* ---- Begin and end ---- */

void veld_portmap_start(struct veld_control *c)
{
    struct veld_portmap *m = c->portmap = g_new0(struct veld_portmap, 1);
    m->control = c;
    veld_portmap_plan_init(&m->plan);
    on_look(m);
}

void veld_portmap_stop(struct veld_control *c)
{
    struct veld_portmap *m = c->portmap;
    if (!m)
        return;
    if (m->look)
        g_source_remove(m->look);
    /* What is asked for just now would stay behind. */
    if (m->child)
        veld_child_wait(m->child, STOP_MS / 2);
    if (veld_portmap_plan_holds(&m->plan))
        unmap(m, &m->plan.net.gateway, &m->plan.held);
    if (m->unmap)
        veld_child_wait(m->unmap, STOP_MS);
    if (m->timer)
        g_source_remove(m->timer);
    g_free(m);
    c->portmap = NULL;
}
