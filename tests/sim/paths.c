#include "paths.h"

#include <string.h>

#define PORT 51820

void paths_init(struct world *w, struct paths *paths)
{
    memset(paths, 0, sizeof *paths);
    w->paths = paths;
}

static bool depends_on_port(enum nat_kind kind)
{
    return kind == NAT_PORT || kind == NAT_SYMMETRIC;
}

bool paths_direct(const struct paths *paths, unsigned a, unsigned b)
{
    enum nat_kind ka = paths->nat[a].kind, kb = paths->nat[b].kind;
    if (paths->nat[a].lan == paths->nat[b].lan)
        return true;
    if (ka == NAT_BLOCKED || kb == NAT_BLOCKED)
        return false;
    return !(ka == NAT_SYMMETRIC && depends_on_port(kb)) &&
           !(kb == NAT_SYMMETRIC && depends_on_port(ka));
}

/* ---- Addresses ---- */

struct veld_endpoint paths_local(const struct paths *paths, unsigned node)
{
    return (struct veld_endpoint){
        .ip = {.family = 4,
               .b = {192, 168, (uint8_t)paths->nat[node].lan, (uint8_t)(node + 1)}},
        .port = PORT};
}

struct veld_endpoint paths_outer(unsigned node)
{
    return (struct veld_endpoint){.ip = {.family = 4, .b = {203, 0, 113, (uint8_t)(node + 1)}},
                                  .port = PORT};
}

struct veld_endpoint paths_circuit(unsigned relay, unsigned node, unsigned peer)
{
    return veld_endpoint_circuit(1 + (relay * NODES_MAX + node) * NODES_MAX + peer);
}

static unsigned circuit_number(const struct veld_endpoint *circuit)
{
    return circuit->scope - 1;
}

unsigned paths_relay_of(const struct veld_endpoint *circuit)
{
    return circuit_number(circuit) / (NODES_MAX * NODES_MAX);
}

static unsigned circuit_node(const struct veld_endpoint *circuit)
{
    return circuit_number(circuit) / NODES_MAX % NODES_MAX;
}

static unsigned circuit_peer(const struct veld_endpoint *circuit)
{
    return circuit_number(circuit) % NODES_MAX;
}

static bool is_local(const struct veld_endpoint *ep)
{
    return ep->ip.b[0] == 192;
}

/* Of a local or outer address; NODES_MAX and more: of nobody. */
static unsigned host_of(const struct veld_endpoint *ep)
{
    return ep->ip.b[3] - 1u;
}

bool paths_belongs(const struct paths *paths, const struct veld_endpoint *ep, unsigned node)
{
    if (veld_endpoint_is_circuit(ep))
        return circuit_peer(ep) == node;
    if (is_local(ep))
        return host_of(ep) == node && ep->ip.b[2] == paths->nat[node].lan;
    return ep->ip.b[0] == 203 && host_of(ep) == node;
}

/* ---- NATs ---- */

static bool is_alive(const struct world *w, const struct flow *f)
{
    return f->remote.ip.family && w->now_ns - f->last_ns < w->paths->lifetime_ns;
}

/* The flow to `remote`, made if there is none. */
static struct flow *flow_to(struct world *w, struct nat *n, const struct veld_endpoint *remote)
{
    struct flow *oldest = &n->flow[0];
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        struct flow *f = &n->flow[i];
        if (is_alive(w, f) && veld_endpoint_equal(&f->remote, remote))
            return f;
        if (f->last_ns < oldest->last_ns)
            oldest = f;
    }
    uint16_t port =
        n->kind == NAT_SYMMETRIC ? (uint16_t)(1024 + test_random_below(&w->rng, 50000)) : PORT;
    *oldest = (struct flow){.remote = *remote, .port = port};
    return oldest;
}

static bool lets_in(const struct world *w, const struct nat *n, const struct packet *p)
{
    if (n->kind == NAT_NONE)
        return p->to.port == PORT;
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        const struct flow *f = &n->flow[i];
        if (!is_alive(w, f) || f->port != p->to.port)
            continue;
        if (n->kind == NAT_FULL_CONE ||
            (n->kind == NAT_ADDRESS && veld_ip_equal(&f->remote.ip, &p->from.ip)) ||
            veld_endpoint_equal(&f->remote, &p->from))
            return true;
    }
    return false;
}

/* ---- Packets ---- */

static bool leave_by_relay(struct world *w, unsigned i, struct packet *p)
{
    const struct relay *r = &w->paths->relay[paths_relay_of(&p->to)];
    if (circuit_node(&p->to) != i) {
        world_fail(w, "node %u sends by a circuit of another", i);
        return false;
    }
    p->delay_ns = r->delay_ns;
    return r->alive && !test_random_chance(&w->rng, r->loss);
}

bool paths_leave(struct world *w, unsigned i, struct packet *p)
{
    struct nat *n = &w->paths->nat[i];
    p->delay_ns = 0;
    if (veld_endpoint_equal(&p->to, &w->paths->blocked[i]))
        return false;
    if (veld_endpoint_is_circuit(&p->to))
        return leave_by_relay(w, i, p);
    unsigned to = host_of(&p->to);
    bool near = to < w->n && w->paths->nat[to].lan == n->lan;
    if (is_local(&p->to)) {
        p->from = paths_local(w->paths, i);
        return near && p->to.ip.b[2] == n->lan;
    }
    p->from = paths_outer(i);
    if (n->kind == NAT_BLOCKED || (near && n->kind != NAT_NONE && !n->hairpin))
        return false;
    if (n->kind != NAT_NONE) {
        struct flow *f = flow_to(w, n, &p->to);
        f->last_ns = w->now_ns;
        p->from.port = f->port;
    }
    return true;
}

unsigned paths_arrive(struct world *w, struct packet *p)
{
    if (veld_endpoint_is_circuit(&p->to)) {
        unsigned node = circuit_node(&p->to), peer = circuit_peer(&p->to),
                 relay = paths_relay_of(&p->to);
        p->from = paths_circuit(relay, peer, node);
        return w->paths->relay[relay].alive ? peer : NODES_MAX;
    }
    unsigned node = host_of(&p->to);
    if (node >= w->n)
        return NODES_MAX;
    return is_local(&p->to) || lets_in(w, &w->paths->nat[node], p) ? node : NODES_MAX;
}
