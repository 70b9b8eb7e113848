/*
 * sim-meet [--runs N] [--seed S] [--verbose]
 *
 * Nodes behind NATs of all kinds, on shared networks and not, with relays between them
 * (paths.h). Each world:
 *  - within DIRECT_S of the first packet, pairs that can be direct are, both ways; data of the
 *    others goes by a circuit;
 *  - nothing that was sent is lost in the move from circuit to address, where the network itself
 *    loses nothing;
 *  - then nothing changes any more: no endpoint in STEADY_S where nothing is lost (pings that are
 *    lost make a path look dead), and MOVES_MAX times in all anywhere;
 *  - who slept is there at once with a new session;
 *  - a path that is dead in one direction alone is left within ONE_WAY_S;
 *  - a relay that dies is replaced within RELAY_S, whether or not somebody says that it has.
 */
#include "paths.h"
#include "run.h"

#define DIRECT_S  5
#define MOVE_S    15 /* of the first, talk is dense */
#define SETTLE_S  60
#define STEADY_S  130 /* new keys come within it */
#define RELAY_S   5
#define WAKE_S    2
#define ONE_WAY_S 5
#define HOUR_NS   (3600 * VELD_NS_PER_S)
#define MOVES_MAX 12
#define TALK_MS   100

static struct paths paths;

static uint64_t ms(uint64_t n)
{
    return n * VELD_NS_PER_MS;
}

/* What a knows of where b is: as signed records, signals and relays tell it. */
static void tell_candidates(struct world *w, unsigned a, unsigned b)
{
    struct veld_engine_peer_config *cfg = &w->node[a].config[b];
    struct veld_endpoint *to = w->node[a].candidates[b];
    size_t n = 0;
    for (unsigned r = 0; r < paths.n_relays; r++) {
        if (paths.relay[r].alive)
            to[n++] = paths_circuit(r, a, b);
    }
    to[n++] = paths_outer(b);
    to[n++] = paths_local(&paths, b);
    cfg->candidates = to;
    cfg->n_candidates = n;
}

static void set_up(struct world *w, struct test_random *r)
{
    bool lossy = test_random_chance(r, 300);
    w->net = (struct network){.delay_ns = ms(1 + test_random_below(r, 80)),
                              .jitter_ns = ms(test_random_below(r, 10))};
    world_set_carries(w, WORLD_CARRIES_MAX);
    paths_init(w, &paths);
    paths.lifetime_ns = (30 + test_random_below(r, 120)) * VELD_NS_PER_S;
    paths.n_relays = 2 + (unsigned)test_random_below(r, RELAYS_MAX - 1);
    for (unsigned k = 0; k < paths.n_relays; k++)
        paths.relay[k] = (struct relay){.alive = true,
                                        .delay_ns = ms(1 + test_random_below(r, 100)),
                                        .loss = lossy ? (unsigned)test_random_below(r, 50) : 0};
    for (unsigned i = 0; i < w->n; i++) {
        paths.nat[i].kind = (enum nat_kind)test_random_below(r, NAT_BLOCKED + 1);
        paths.nat[i].lan = test_random_chance(r, 250) ? 0 : i + 1;
        paths.nat[i].hairpin = test_random_chance(r, 500);
    }
    for (unsigned i = 0; i < w->n; i++) {
        for (unsigned peer = 0; peer < w->n; peer++)
            tell_candidates(w, i, peer);
        node_start(w, i);
    }
}

/* A peer that is called tries to reach who calls, a moment later (control/mesh). */
static void carry_calls(struct world *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        for (unsigned peer = 0; peer < w->n; peer++) {
            const struct link *back = &w->node[peer].link[i];
            if (!w->node[i].link[peer].wanted)
                continue;
            w->node[i].link[peer].wanted = false;
            node_event(w, peer, &(struct veld_event){.type = VELD_EV_CALLED, .peer = back->id});
        }
    }
}

/* Everybody talks to everybody, so often. */
static void talk_every(struct world *w, uint64_t every_ns, uint64_t ns)
{
    uint64_t end = w->now_ns + ns;
    while (w->now_ns < end && !w->failed) {
        for (unsigned i = 0; i < w->n; i++) {
            for (unsigned peer = 0; peer < w->n; peer++)
                node_send(w, i, peer);
        }
        world_run_until(w, w->now_ns + every_ns);
        carry_calls(w);
    }
}

static void talk(struct world *w, uint64_t ns)
{
    talk_every(w, ms(TALK_MS), ns);
}

/* Let what is on its way arrive. */
static void drain(struct world *w)
{
    world_run_until(w, w->now_ns + 2 * VELD_NS_PER_S);
}

static bool lossy(void)
{
    return paths.relay[0].loss || paths.relay[1].loss || paths.relay[2].loss;
}

static void check_paths(struct world *w)
{
    for (unsigned a = 0; a < w->n; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            const struct link *l = &w->node[a].link[b];
            if (a == b)
                continue;
            bool circuit = veld_endpoint_is_circuit(&l->endpoint);
            if (paths_direct(&paths, a, b) && (circuit || !l->current))
                world_fail(w, "%u and %u (NATs %d, %d) are not direct", a, b, paths.nat[a].kind,
                           paths.nat[b].kind);
            if (!paths_direct(&paths, a, b) && l->current && !circuit)
                world_fail(w, "%u and %u are direct", a, b);
        }
    }
}

static void check_nothing_is_lost(struct world *w)
{
    for (unsigned a = 0; a < w->n; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            const struct link *to = &w->node[a].link[b], *at = &w->node[b].link[a];
            if (a != b && (to->held || to->data_sent != at->data_received))
                world_fail(w, "of %u packets from %u to %u %u arrived, %u wait", to->data_sent,
                           a, b, at->data_received, to->held);
        }
    }
}

static void check_steady(struct world *w, uint64_t since_ns)
{
    for (unsigned a = 0; a < w->n; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            const struct link *l = &w->node[a].link[b];
            if (l->moves > MOVES_MAX || (!lossy() && l->moved_ns > since_ns))
                world_fail(w, "the endpoint of %u at %u moved %u times, last at %.3f s", b, a,
                           l->moves, (double)l->moved_ns / 1e9);
        }
    }
}

/* Most of what is sent in the next second arrives, all of it where nothing is lost. */
static void check_flows(struct world *w)
{
    unsigned sent[NODES_MAX][NODES_MAX], received[NODES_MAX][NODES_MAX];
    for (unsigned a = 0; a < w->n; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            sent[a][b] = w->node[a].link[b].data_sent;
            received[a][b] = w->node[a].link[b].data_received;
        }
    }
    talk(w, VELD_NS_PER_S);
    world_run_until(w, w->now_ns + VELD_NS_PER_S);
    for (unsigned a = 0; a < w->n && !w->failed; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            unsigned left = w->node[a].link[b].data_sent - sent[a][b],
                     came = w->node[b].link[a].data_received - received[b][a];
            if (a != b && (left == 0 || came < left / 2 || (!lossy() && came < left)))
                world_fail(w, "of %u packets from %u to %u %u arrived", left, a, b, came);
        }
    }
}

/* The relay that most likely carries something. */
static unsigned relay_in_use(const struct world *w)
{
    for (unsigned a = 0; a < w->n; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            const struct veld_endpoint *e = &w->node[a].link[b].endpoint;
            if (veld_endpoint_is_circuit(e))
                return paths_relay_of(e);
        }
    }
    return 0;
}

static void lose_a_relay(struct world *w, struct test_random *r)
{
    talk(w, ms(test_random_below(r, 7000)));
    paths.relay[relay_in_use(w)].alive = false;
    uint64_t dead_ns = w->now_ns;
    if (test_random_chance(r, 500)) {
        talk(w, ms(test_random_below(r, 1000)));
        for (unsigned a = 0; a < w->n && !w->failed; a++) {
            for (unsigned b = 0; b < w->n; b++) {
                tell_candidates(w, a, b);
                if (a != b && veld_engine_peer_set(w->node[a].engine, w->node[a].link[b].id,
                                                   &w->node[a].config[b]) < 0)
                    world_fail(w, "no candidates of %u for %u", b, a);
            }
        }
    }
    talk(w, dead_ns + RELAY_S * VELD_NS_PER_S - w->now_ns);
    check_flows(w);
}

/*
 * A laptop is closed and opened up to an hour later, by when its wall clock may say anything. What it
 * sends then arrives by a new session at once, whatever it was about when it was closed.
 */
static void sleep_and_wake(struct world *w, struct test_random *r)
{
    unsigned received[NODES_MAX];
    bool unreachable = test_random_chance(r, 250); /* its network went first */
    w->net.down = unreachable;
    if (unreachable)
        talk_every(w, VELD_NS_PER_S, ms(test_random_below(r, 100000)));
    node_sleep(w, 0);
    talk_every(w, VELD_NS_PER_S, ms(test_random_below(r, 20000)));
    world_run_until(w, w->now_ns + VELD_NS_PER_S * 60 + test_random_below(r, HOUR_NS));
    w->net.down = false;
    w->node[0].wall_offset_ns +=
        (int64_t)test_random_below(r, 48 * HOUR_NS) - 24 * (int64_t)HOUR_NS;
    node_wake(w, 0);
    for (unsigned b = 1; b < w->n; b++)
        received[b] = w->node[b].link[0].data_received;
    for (unsigned b = 1; b < w->n; b++)
        node_send(w, 0, b);
    world_run_until(w, w->now_ns + WAKE_S * VELD_NS_PER_S);
    for (unsigned b = 1; b < w->n; b++) {
        if (w->node[b].link[0].data_received == received[b] && !lossy())
            world_fail(w, "nothing arrives at %u after waking", b);
    }
    talk(w, MOVE_S * VELD_NS_PER_S);
}

/* What 0 sends to 1 is lost, and what comes back is not. */
static void lose_one_way(struct world *w)
{
    const struct link *to = &w->node[0].link[1], *at = &w->node[1].link[0];
    paths.blocked[0] = to->endpoint;
    talk(w, ONE_WAY_S * VELD_NS_PER_S);
    unsigned received = at->data_received;
    talk(w, 2 * VELD_NS_PER_S);
    if (at->data_received == received)
        world_fail(w, "0 does not notice that its path to 1 is dead");
    paths.blocked[0] = (struct veld_endpoint){0};
}

static bool run(struct world *w, uint64_t seed)
{
    struct test_random r = {seed ^ 0x6d656574};
    world_init(w, seed, 2 + (unsigned)test_random_below(&r, NODES_MAX - 1));
    set_up(w, &r);
    talk(w, DIRECT_S * VELD_NS_PER_S);
    if (!lossy())
        check_paths(w);
    talk(w, MOVE_S * VELD_NS_PER_S);
    talk_every(w, VELD_NS_PER_S, SETTLE_S * VELD_NS_PER_S);
    check_paths(w);
    uint64_t settled_ns = w->now_ns;
    talk_every(w, VELD_NS_PER_S, STEADY_S * VELD_NS_PER_S);
    check_steady(w, settled_ns);
    drain(w);
    if (!lossy())
        check_nothing_is_lost(w);
    sleep_and_wake(w, &r);
    lose_one_way(w);
    talk(w, MOVE_S * VELD_NS_PER_S);
    lose_a_relay(w, &r);
    world_end(w);
    return !w->failed;
}

int main(int argc, char **argv)
{
    return sim_main(argc, argv, run);
}
