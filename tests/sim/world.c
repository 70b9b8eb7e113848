#include "paths.h"

#include "base/bytes.h"
#include "crypto/primitives.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ACTIVITY_NS (500 * VELD_NS_PER_MS)
#define HELD_MAX    64
/* 2026-01-01, where wall clocks start. */
#define EPOCH_NS (1767225600ull * VELD_NS_PER_S)

static struct veld_identity *identity[NODES_MAX];

static void make_identities(void)
{
    for (unsigned i = 0; i < NODES_MAX && !identity[i]; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1), 0x5e};
        identity[i] = veld_identity_from_seed(seed);
    }
}

void world_fail(struct world *w, const char *fmt, ...)
{
    if (w->failed)
        return;
    w->failed = true;
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(w->why, sizeof w->why, "at %.3f s: ", (double)w->now_ns / 1e9);
    vsnprintf(w->why + n, sizeof w->why - (size_t)n, fmt, ap);
    va_end(ap);
}

static void say(const struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const struct world *w, const char *fmt, ...)
{
    if (!w->verbose)
        return;
    va_list ap;
    va_start(ap, fmt);
    printf("%9.3f  ", (double)w->now_ns / 1e9);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

/* Addresses: 10.NODE.0.MOVES, and 10.200.0.0/16 belongs to nobody. */
static struct veld_endpoint address_of(unsigned node, unsigned moves)
{
    return (struct veld_endpoint){
        .ip = {.family = 4, .b = {10, (uint8_t)node, (uint8_t)(moves >> 8), (uint8_t)moves}},
        .port = 51820};
}

static bool belongs_to(const struct veld_endpoint *ep, unsigned node)
{
    return ep->ip.family == 4 && ep->ip.b[1] == node;
}

struct veld_endpoint world_nowhere(struct world *w)
{
    return address_of(200, (unsigned)test_random_below(&w->rng, 10));
}

void world_init(struct world *w, uint64_t seed, unsigned nodes)
{
    make_identities();
    memset(w->node, 0, sizeof w->node);
    w->rng.state = seed;
    w->paths = NULL;
    w->now_ns = VELD_NS_PER_S;
    w->net = (struct network){.delay_ns = 10 * VELD_NS_PER_MS};
    w->carries = w->most_carried = WORLD_CARRIES_MIN;
    w->n = nodes;
    w->failed = false;
    w->packets_n = w->keys_n = w->captured_n = 0;
    w->order = 0;
    w->free_n = PACKETS_MAX;
    for (unsigned i = 0; i < PACKETS_MAX; i++)
        w->free_packets[i] = (uint16_t)i;
    for (unsigned i = 0; i < nodes; i++) {
        w->node[i].identity = identity[i];
        w->node[i].home = w->node[i].address = address_of(i, 1);
        w->node[i].moves = 1;
    }
}

void world_end(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++)
        node_stop(w, i);
}

/* ---- The network ---- */

static void transmit(struct world *w, unsigned i, struct packet *p)
{
    if (!p->is_data && p->bytes[0] == VELD_INITIATION)
        w->captured[w->captured_n++ % CAPTURED_MAX] = *p;
    if (w->net.down || p->len > w->carries || test_random_chance(&w->rng, w->net.loss) ||
        (w->paths && !paths_leave(w, i, p)))
        return;
    unsigned copies = test_random_chance(&w->rng, w->net.duplicate) ? 2 : 1;
    while (copies-- > 0) {
        p->at_ns = w->now_ns + w->net.delay_ns + p->delay_ns +
                   test_random_below(&w->rng, w->net.jitter_ns + 1);
        packet_enqueue(w, p);
    }
    if (test_random_chance(&w->rng, w->net.hijack)) {
        /* Somebody on the way is quicker, under an address of its own. */
        p->at_ns = w->now_ns + w->net.delay_ns / 2;
        p->from = address_of(200, 7);
        packet_enqueue(w, p);
    }
}

void world_set_carries(struct world *w, unsigned bytes)
{
    say(w, "paths take %u bytes", bytes);
    w->carries = bytes;
    w->most_carried = VELD_MAX(w->most_carried, bytes);
}

void world_replay(struct world *w)
{
    if (w->captured_n == 0)
        return;
    struct packet p = w->captured[test_random_below(
        &w->rng, VELD_MIN(w->captured_n, (unsigned)CAPTURED_MAX))];
    p.from = address_of(200, 9);
    p.at_ns = w->now_ns;
    packet_enqueue(w, &p);
}

/* ---- The dataplane's model ---- */

static bool node_runs(const struct world *w, unsigned i)
{
    return w->node[i].engine && !w->node[i].asleep;
}

static struct session *session_find(struct node *node, uint32_t index)
{
    for (unsigned i = 0; index && i < SESSIONS_MAX; i++) {
        if (node->session[i].local_index == index)
            return &node->session[i];
    }
    return NULL;
}

struct session *node_current(struct world *w, unsigned i, unsigned peer)
{
    struct session *s = session_find(&w->node[i], w->node[i].link[peer].current);
    return s && s->reject_at_ns > w->now_ns ? s : NULL;
}

static unsigned peer_of_id(const struct node *node, uint32_t id)
{
    for (unsigned peer = 0; peer < NODES_MAX; peer++) {
        if (node->link[peer].known && node->link[peer].id == id)
            return peer;
    }
    return NODES_MAX;
}

static void send_on(struct world *w, unsigned i, struct session *s,
                    const struct veld_endpoint *to, const uint8_t *msg, size_t len, bool inner)
{
    struct node *node = &w->node[i];
    struct link *link = &node->link[s->peer];
    if (s->reject_at_ns <= w->now_ns)
        return;
    link->last_sent_ns = w->now_ns;
    if (inner) {
        link->last_sent_data_ns = w->now_ns;
        link->data_sent++;
    }
    struct packet p = {.from = node->address,
                       .to = to->ip.family ? *to : link->endpoint,
                       .is_data = true,
                       .len = (uint16_t)len};
    if (len)
        memcpy(p.bytes, msg, VELD_MIN(len, sizeof p.bytes));
    p.data.index = s->remote_index;
    p.data.counter = s->counter++;
    p.data.control = len > 0;
    p.data.inner = inner;
    memcpy(p.data.key, s->send_key, 32);
    if (p.to.ip.family)
        transmit(w, i, &p);
}

void node_send(struct world *w, unsigned i, unsigned peer)
{
    struct node *node = &w->node[i];
    struct link *link = &node->link[peer];
    if (!node->engine || !link->known)
        return;
    struct session *s = node_current(w, i, peer);
    if (s) {
        send_on(w, i, s, &(struct veld_endpoint){0}, NULL, 0, true);
        return;
    }
    if (link->held < HELD_MAX)
        link->held++;
    if (link->told)
        return;
    link->told = true;
    node_event(w, i, &(struct veld_event){.type = VELD_EV_NEED_SESSION, .peer = link->id});
}

static void install(struct world *w, unsigned i, const struct veld_action *a)
{
    struct node *node = &w->node[i];
    struct session *s = NULL;
    for (unsigned k = 0; k < SESSIONS_MAX && !s; k++)
        s = node->session[k].local_index ? NULL : &node->session[k];
    if (!s || session_find(node, a->index)) {
        world_fail(w, "node %u: no room for session %08x, or it exists", i, a->index);
        return;
    }
    for (unsigned k = 0; k < w->keys_n; k++) {
        if (memcmp(w->keys[k], a->session.send_key, 32) == 0)
            world_fail(w, "node %u: a send key came twice", i);
    }
    if (w->keys_n < KEYS_MAX)
        memcpy(w->keys[w->keys_n++], a->session.send_key, 32);
    *s = (struct session){.local_index = a->index,
                          .remote_index = a->session.remote_index,
                          .peer = peer_of_id(node, a->peer),
                          .reject_at_ns = a->session.reject_at_ns};
    memcpy(s->send_key, a->session.send_key, 32);
    memcpy(s->recv_key, a->session.recv_key, 32);
}

/* The other end's half of a session, if it has it and is up. */
static struct session *other_half(struct world *w, const struct session *s)
{
    struct session *o = session_find(&w->node[s->peer], s->remote_index);
    return o && memcmp(o->recv_key, s->send_key, 32) == 0 ? o : NULL;
}

static void retire(struct world *w, unsigned i, const struct veld_action *a)
{
    struct node *node = &w->node[i];
    struct session *s = session_find(node, a->index);
    if (!s) {
        world_fail(w, "node %u: retires unknown session %08x", i, a->index);
        return;
    }
    struct session *o = other_half(w, s);
    bool in_use = o && node_current(w, s->peer, i) == o;
    if (in_use && o->told && s->told && s->reject_at_ns > w->now_ns && !node->leaving)
        world_fail(w, "node %u: lost session %08x, which node %u sends on", i, a->index,
                   s->peer);
    if (node->link[s->peer].current == a->index)
        node->link[s->peer].current = 0;
    *s = (struct session){0};
}

static void use(struct world *w, unsigned i, const struct veld_action *a)
{
    struct session *s = session_find(&w->node[i], a->index);
    if (!s) {
        world_fail(w, "node %u: uses unknown session %08x", i, a->index);
        return;
    }
    struct session *o = other_half(w, s);
    if (o && memcmp(o->send_key, s->recv_key, 32) != 0)
        world_fail(w, "node %u: keys of session %08x differ", i, a->index);
    struct link *link = &w->node[i].link[s->peer];
    if (!link->endpoint.ip.family)
        world_fail(w, "node %u: uses session %08x and knows no endpoint", i, a->index);
    link->current = a->index;
    link->told = false;
    s->used = true;
    for (; link->held > 0; link->held--)
        send_on(w, i, s, &(struct veld_endpoint){0}, NULL, 0, true);
}

static void send_probes(struct world *w, unsigned i, struct session *s,
                        const struct veld_action *a)
{
    if (!s) {
        world_fail(w, "node %u: probe on unknown session %08x", i, a->index);
        return;
    }
    for (unsigned k = 0; k < a->probes.n; k++) {
        uint8_t bytes[VELD_MESSAGE_MAX];
        const struct veld_message m = {
            .type = VELD_MSG_PROBE, .id = a->probe_id, .size = a->probes.size[k]};
        (void)veld_message_write(bytes, &m);
        send_on(w, i, s, &(struct veld_endpoint){0}, bytes, m.size, false);
    }
}

static void set_endpoint(struct world *w, unsigned i, unsigned peer,
                         const struct veld_endpoint *to)
{
    char text[VELD_ENDPOINT_STRLEN];
    struct link *link = &w->node[i].link[peer];
    bool right = w->paths ? paths_belongs(w->paths, to, peer) : belongs_to(to, peer);
    say(w, "node %u: endpoint of %u is %s", i, peer, veld_endpoint_format(to, text));
    if (!right)
        world_fail(w, "node %u: endpoint of %u is %s, which is not its", i, peer, text);
    link->endpoint = *to;
    link->moves++;
    link->moved_ns = w->now_ns;
}

static void carry_out(struct world *w, unsigned i, const struct veld_action *a)
{
    struct node *node = &w->node[i];
    unsigned peer = peer_of_id(node, a->peer);
    struct session *s;
    switch (a->type) {
    case VELD_ACT_PERSIST_TIMESTAMP: node->timestamp_floor_ns = a->timestamp_floor_ns; break;
    case VELD_ACT_SEND: {
        say(w, "node %u sends %02x of %u bytes", i, a->bytes[0], a->len);
        struct packet p = {.from = node->address, .to = a->to, .len = a->len};
        memcpy(p.bytes, a->bytes, a->len);
        transmit(w, i, &p);
        break;
    }
    case VELD_ACT_INSTALL:
        say(w, "node %u installs %08x with %u", i, a->index, peer);
        install(w, i, a);
        break;
    case VELD_ACT_USE:
        say(w, "node %u uses %08x with %u", i, a->index, peer);
        use(w, i, a);
        break;
    case VELD_ACT_RETIRE:
        say(w, "node %u retires %08x", i, a->index);
        retire(w, i, a);
        break;
    case VELD_ACT_SEND_MESSAGE:
        say(w, "node %u message %d of %u bytes on %08x", i, a->len ? a->bytes[0] : 0, a->len,
            a->index);
        s = session_find(node, a->index);
        if (!s)
            world_fail(w, "node %u: message on unknown session %08x", i, a->index);
        else
            send_on(w, i, s, &a->to, a->bytes, a->len, false);
        break;
    case VELD_ACT_PROBE: send_probes(w, i, session_find(node, a->index), a); break;
    case VELD_ACT_SET_MTU:
        say(w, "node %u: path to %u takes %u%s", i, peer, a->mtu,
            a->mtu_known ? "" : " or more");
        if (a->mtu > w->most_carried)
            world_fail(w, "node %u: path to %u takes %u", i, peer, a->mtu);
        node->link[peer].mtu = a->mtu;
        break;
    case VELD_ACT_SET_ENDPOINT: set_endpoint(w, i, peer, &a->to); break;
    case VELD_ACT_BAD_KEY: world_fail(w, "node %u: the key of %u is fine", i, peer); break;
    case VELD_ACT_GAVE_UP:
        say(w, "node %u gives up on %u", i, peer);
        node->link[peer].told = false;
        node->link[peer].held = 0;
        break;
    case VELD_ACT_WANTED: node->link[peer].wanted = true; break;
    case VELD_ACT_PONG: break;
    }
}

void node_event(struct world *w, unsigned i, const struct veld_event *ev)
{
    struct node *node = &w->node[i];
    struct veld_now now = {.mono_ns = w->now_ns,
                           .wall_ns = EPOCH_NS + w->now_ns + (uint64_t)node->wall_offset_ns};
    struct veld_actions out;
    node->leaving = ev->type == VELD_EV_GOODBYE || ev->type == VELD_EV_REMOVE_PEER;
    int rc = veld_engine_step(node->engine, ev, &now, &out);
    bool fresh = ev->type == VELD_EV_REKEY && rc == VELD_E_LIMIT;
    if (rc < 0 && !fresh)
        world_fail(w, "node %u: event %d gives %s", i, ev->type, veld_strerror(rc));
    for (size_t k = 0; k < out.n && !w->failed; k++)
        carry_out(w, i, &out.a[k]);
    veld_actions_wipe(&out);
}

/* ---- Arrivals ---- */

static void receive_data(struct world *w, unsigned i, const struct packet *p)
{
    struct node *node = &w->node[i];
    struct session *s = session_find(node, p->data.index);
    if (!s || s->reject_at_ns <= w->now_ns || !veld_replay_check(&s->replay, p->data.counter))
        return;
    if (memcmp(s->recv_key, p->data.key, 32) != 0) {
        /* An index may by chance be one of before the restart. */
        if (node->restarts == 0)
            world_fail(w, "node %u: a datagram on %08x under another key", i, s->local_index);
        return;
    }
    bool newest = p->data.counter >= s->replay.next;
    if (!veld_replay_commit(&s->replay, p->data.counter))
        world_fail(w, "node %u: commit refuses what check allowed", i);

    struct link *link = &node->link[s->peer];
    struct veld_event ev = {
        .peer = link->id, .index = s->local_index, .from = p->from, .len = p->len};
    link->last_received_ns = w->now_ns;
    if (p->data.inner) {
        link->last_received_data_ns = w->now_ns;
        link->data_received++;
    }
    bool first = !s->heard;
    s->heard = true;
    if (first && !(s->used && w->confirm_unused_only)) {
        ev.type = VELD_EV_CONFIRMED;
        s->told = true;
        node_event(w, i, &ev);
    }
    if (newest && !veld_endpoint_equal(&p->from, &link->endpoint)) {
        ev.type = VELD_EV_MOVED;
        s->told = true;
        node_event(w, i, &ev);
    }
    if (p->data.control) {
        ev.type = VELD_EV_MESSAGE;
        s->told = true;
        ev.data = p->bytes;
        node_event(w, i, &ev);
    }
}

static void arrive(struct world *w, struct packet *p)
{
    unsigned at = w->paths ? paths_arrive(w, p) : NODES_MAX;
    for (unsigned i = 0; i < w->n; i++) {
        bool here = w->paths ? i == at : veld_endpoint_equal(&w->node[i].address, &p->to);
        if (!here || !node_runs(w, i))
            continue;
        if (p->is_data) {
            receive_data(w, i, p);
        } else {
            struct veld_event ev = {.type = VELD_EV_DATAGRAM,
                                    .from = p->from,
                                    .data = p->bytes,
                                    .len = p->len,
                                    .under_load = w->node[i].under_load};
            node_event(w, i, &ev);
        }
    }
}

/* ---- Nodes and time ---- */

void node_start(struct world *w, unsigned i)
{
    struct node *node = &w->node[i];
    const struct veld_engine_config cfg = {.identity = node->identity,
                                           .lanes =
                                               (uint8_t)(1 + test_random_below(&w->rng, 64)),
                                           .max_peers = NODES_MAX,
                                           .mtu = WORLD_CARRIES_MAX,
                                           .timestamp_floor_ns = node->timestamp_floor_ns,
                                           .random = test_random_fn,
                                           .random_ctx = &w->rng};
    node->engine = veld_engine_new(&cfg);
    node->next_activity_ns = w->now_ns + test_random_below(&w->rng, ACTIVITY_NS);
    for (unsigned peer = 0; peer < w->n; peer++) {
        struct link *link = &node->link[peer];
        *link = (struct link){0};
        if (peer == i)
            continue;
        memcpy(node->config[peer].pub, w->node[peer].identity->pub, 32);
        link->endpoint = node->config[peer].endpoint;
        link->known = veld_engine_peer_add(node->engine, &node->config[peer], &link->id) == 0;
        if (!link->known)
            world_fail(w, "node %u: peer %u cannot be added", i, peer);
    }
}

void node_stop(struct world *w, unsigned i)
{
    struct node *node = &w->node[i];
    say(w, "node %u stops", i);
    veld_engine_free(node->engine);
    node->engine = NULL;
    node->restarts++;
    memset(node->session, 0, sizeof node->session);
    memset(node->link, 0, sizeof node->link);
}

void node_move(struct world *w, unsigned i)
{
    w->node[i].address = address_of(i, ++w->node[i].moves);
    say(w, "node %u moves to 10.%u.0.%u", i, i, w->node[i].moves);
}

void node_move_home(struct world *w, unsigned i)
{
    w->node[i].address = w->node[i].home;
}

void node_sleep(struct world *w, unsigned i)
{
    say(w, "node %u sleeps", i);
    w->node[i].asleep = true;
}

void node_wake(struct world *w, unsigned i)
{
    say(w, "node %u wakes", i);
    w->node[i].asleep = false;
    w->node[i].next_activity_ns = w->now_ns + test_random_below(&w->rng, ACTIVITY_NS);
}

static void tell_activity(struct world *w, unsigned i)
{
    struct node *node = &w->node[i];
    node->next_activity_ns += ACTIVITY_NS;
    for (unsigned peer = 0; peer < w->n; peer++) {
        const struct link *link = &node->link[peer];
        if (!link->current)
            continue;
        node_event(w, i,
                   &(struct veld_event){.type = VELD_EV_ACTIVITY,
                                        .peer = link->id,
                                        .last_sent_ns = link->last_sent_ns,
                                        .last_sent_data_ns = link->last_sent_data_ns,
                                        .last_received_ns = link->last_received_ns,
                                        .last_received_data_ns = link->last_received_data_ns});
    }
}

static void run_timers(struct world *w, unsigned i)
{
    struct node *node = &w->node[i];
    for (unsigned guard = 0; veld_engine_deadline(node->engine) <= w->now_ns; guard++) {
        if (guard > 1000 || w->failed) {
            world_fail(w, "node %u: a timer is due for ever", i);
            return;
        }
        node_event(w, i, &(struct veld_event){.type = VELD_EV_TIMER});
    }
}

void world_run_until(struct world *w, uint64_t t_ns)
{
    while (!w->failed) {
        uint64_t next = t_ns;
        if (w->packets_n > 0)
            next = VELD_MIN(next, w->packet[w->heap[0]].at_ns);
        for (unsigned i = 0; i < w->n; i++) {
            if (!node_runs(w, i))
                continue;
            next = VELD_MIN(next, w->node[i].next_activity_ns);
            next = VELD_MIN(next, veld_engine_deadline(w->node[i].engine));
        }
        w->now_ns = VELD_MAX(next, w->now_ns);
        for (unsigned i = 0; i < w->n; i++) {
            if (!node_runs(w, i))
                continue;
            run_timers(w, i);
            if (w->node[i].next_activity_ns <= w->now_ns)
                tell_activity(w, i);
        }
        if (w->packets_n > 0 && w->packet[w->heap[0]].at_ns <= w->now_ns) {
            struct packet p = packet_dequeue(w);
            arrive(w, &p);
        } else if (w->now_ns >= t_ns) {
            return;
        }
    }
}
