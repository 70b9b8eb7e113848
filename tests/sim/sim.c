/*
 * sim [--runs N] [--seed S] [--verbose]
 *
 * Runs N worlds (world.h), seeds S, S + 1, ...: minutes of loss, delay,
 * reordering, duplication, simultaneous opens, clock steps, sleep, restarts, roaming,
 * goodbyes, hijacked and replayed datagrams; then the network heals, and within
 * HEAL_S every pair must have agreed on one session and carry data both ways.
 *
 * Exit 0 when all held; 1 with the failing seed and how to run it again.
 */
#include "run.h"

#include <string.h>

#define HEAL_S  45 /* the longest: silence, a held-off retry, the configured address next */
#define CHECK_S 3

static uint64_t ms(uint64_t n)
{
    return n * VELD_NS_PER_MS;
}

/* A usual path more often than not. */
static void any_path(struct world *w, struct test_random *r)
{
    unsigned range = WORLD_CARRIES_MAX - WORLD_CARRIES_MIN;
    world_set_carries(w, test_random_chance(r, 500)
                             ? WORLD_CARRIES_MAX
                             : WORLD_CARRIES_MIN + (unsigned)test_random_below(r, range + 1));
}

/* Several addresses of which some may be the peer's, instead of one, or beside it. */
static void scatter(struct world *w, struct test_random *r, unsigned i, unsigned peer)
{
    struct veld_engine_peer_config *cfg = &w->node[i].config[peer];
    bool knows = cfg->endpoint.ip.family != 0;
    cfg->candidates = w->node[i].candidates[peer];
    cfg->n_candidates = 1 + test_random_below(r, VELD_CANDIDATES_MAX);
    for (size_t k = 0; k < cfg->n_candidates; k++)
        w->node[i].candidates[peer][k] = world_nowhere(w);
    if (!knows || test_random_chance(r, 300))
        return;
    w->node[i].candidates[peer][test_random_below(r, cfg->n_candidates)] = w->node[peer].home;
    cfg->endpoint = test_random_chance(r, 500) ? (struct veld_endpoint){0} : world_nowhere(w);
}

static void set_up(struct world *w, struct test_random *r)
{
    static const unsigned losses[] = {0, 0, 10, 50, 100, 200, 300, 400, 500};
    static const uint16_t keepalives[] = {0, 0, 0, 5, 25};
    w->net = (struct network){
        .loss = losses[test_random_below(r, sizeof losses / sizeof losses[0])],
        .duplicate = test_random_chance(r, 500) ? (unsigned)test_random_below(r, 200) : 0,
        .hijack = test_random_chance(r, 300) ? (unsigned)test_random_below(r, 50) : 0,
        .delay_ns = ms(1 + test_random_below(r, 200)),
        .jitter_ns = ms(test_random_chance(r, 500) ? test_random_below(r, 1500)
                                                   : test_random_below(r, 20)),
    };
    any_path(w, r);
    w->confirm_unused_only = test_random_chance(r, 200);
    for (unsigned i = 0; i < w->n; i++) {
        w->node[i].wall_offset_ns =
            (int64_t)(test_random_below(r, 600) * VELD_NS_PER_S) - 300 * (int64_t)VELD_NS_PER_S;
        for (unsigned peer = 0; peer < w->n; peer++) {
            /* One of each pair may not know where the other is. */
            bool knows = peer > i || test_random_chance(r, 700);
            w->node[i].config[peer].endpoint =
                knows ? w->node[peer].home : (struct veld_endpoint){0};
            if (test_random_chance(r, 400))
                scatter(w, r, i, peer);
            w->node[i].config[peer].keepalive_s =
                keepalives[test_random_below(r, sizeof keepalives / sizeof keepalives[0])];
        }
        node_start(w, i);
    }
}

static void open_all_at_once(struct world *w, struct test_random *r, uint64_t within_ns)
{
    uint64_t start = w->now_ns, at[NODES_MAX];
    bool opened[NODES_MAX] = {0};
    for (unsigned i = 0; i < w->n; i++)
        at[i] = start + test_random_below(r, within_ns + 1);
    for (unsigned k = 0; k < w->n; k++) {
        unsigned next = NODES_MAX;
        for (unsigned i = 0; i < w->n; i++) {
            if (!opened[i] && (next == NODES_MAX || at[i] < at[next]))
                next = i;
        }
        opened[next] = true;
        world_run_until(w, at[next]);
        for (unsigned peer = 0; peer < w->n; peer++)
            node_send(w, next, peer);
    }
}

static void say_goodbye(struct world *w, unsigned i)
{
    for (unsigned peer = 0; peer < w->n; peer++) {
        const struct link *link = &w->node[i].link[peer];
        if (link->known)
            node_event(w, i, &(struct veld_event){.type = VELD_EV_GOODBYE, .peer = link->id});
    }
}

static void restart(struct world *w, struct test_random *r, unsigned i)
{
    if (test_random_chance(r, 500))
        say_goodbye(w, i);
    node_stop(w, i);
    world_run_until(w,
                    w->now_ns + ms(test_random_chance(r, 500) ? test_random_below(r, 100)
                                                              : test_random_below(r, 20000)));
    node_start(w, i);
}

/* The wall clock, either way. */
static void step_clock(struct world *w, struct test_random *r, unsigned i)
{
    const uint64_t most = (test_random_chance(r, 500) ? 24 : 1) * 3600 * VELD_NS_PER_S;
    w->node[i].wall_offset_ns += (int64_t)test_random_below(r, 2 * most) - (int64_t)most;
}

/* Something that happens to people's networks. */
static void mishap(struct world *w, struct test_random *r)
{
    unsigned i = (unsigned)test_random_below(r, w->n),
             peer = (unsigned)test_random_below(r, w->n);
    switch (test_random_below(r, 13)) {
    case 0: restart(w, r, i); break;
    case 1: node_move(w, i); break;
    case 2: step_clock(w, r, i); break;
    case 3: /* an outage */
        w->net.down = true;
        world_run_until(w, w->now_ns + ms(test_random_below(r, 60000)));
        w->net.down = false;
        break;
    case 4: open_all_at_once(w, r, ms(test_random_below(r, 500))); break;
    case 5: w->node[i].under_load = !w->node[i].under_load; break;
    case 6: world_replay(w); break;
    case 7:
        if (w->node[i].link[peer].known)
            node_event(w, i,
                       &(struct veld_event){.type = VELD_EV_GOODBYE,
                                            .peer = w->node[i].link[peer].id});
        break;
    case 8:
        if (w->node[i].link[peer].known)
            node_event(
                w, i,
                &(struct veld_event){.type = VELD_EV_PING, .peer = w->node[i].link[peer].id});
        break;
    case 9: /* message limit */
        if (w->node[i].link[peer].current)
            node_event(w, i,
                       &(struct veld_event){.type = VELD_EV_REKEY_DUE,
                                            .index = w->node[i].link[peer].current});
        break;
    case 10:
        if (w->node[i].link[peer].known)
            node_event(
                w, i,
                &(struct veld_event){.type = VELD_EV_REKEY, .peer = w->node[i].link[peer].id});
        break;
    case 11: any_path(w, r); break;
    default: /* a lid is closed, and opened */
        node_sleep(w, i);
        world_run_until(w, w->now_ns + ms(test_random_below(r, 600000)));
        if (test_random_chance(r, 500))
            step_clock(w, r, i);
        node_wake(w, i);
        break;
    }
}

static void chaos(struct world *w, struct test_random *r)
{
    if (test_random_chance(r, 600))
        open_all_at_once(w, r, test_random_chance(r, 500) ? 0 : ms(test_random_below(r, 400)));
    uint64_t end =
        w->now_ns + ms(test_random_below(r, test_random_chance(r, 200) ? 500000 : 60000));
    unsigned calm = (unsigned)test_random_below(r, 100); /* how seldom mishaps are */
    bool talk[NODES_MAX];
    for (unsigned i = 0; i < NODES_MAX; i++)
        talk[i] = test_random_chance(r, 600);
    while (w->now_ns < end && !w->failed) {
        world_run_until(w, w->now_ns + ms(test_random_below(r, 2500)));
        unsigned i = (unsigned)test_random_below(r, w->n);
        if (talk[i])
            node_send(w, i, (unsigned)test_random_below(r, w->n));
        if (test_random_below(r, 100) >= calm && test_random_chance(r, 100))
            mishap(w, r);
        if (test_random_chance(r, 10))
            talk[i] = !talk[i];
    }
}

static void talk_for(struct world *w, unsigned seconds)
{
    for (unsigned k = 0; k < seconds && !w->failed; k++) {
        for (unsigned i = 0; i < w->n; i++) {
            for (unsigned peer = 0; peer < w->n; peer++)
                node_send(w, i, peer);
        }
        world_run_until(w, w->now_ns + VELD_NS_PER_S);
    }
}

static void check_pair(struct world *w, unsigned a, unsigned b)
{
    const struct session *sa = node_current(w, a, b), *sb = node_current(w, b, a);
    if (!sa || !sb)
        world_fail(w, "no session between %u and %u after healing", a, b);
    else if (sa->remote_index != sb->local_index || sb->remote_index != sa->local_index ||
             memcmp(sa->send_key, sb->recv_key, 32) || memcmp(sb->send_key, sa->recv_key, 32))
        world_fail(w, "%u sends on %08x and %u on %08x: not the same session", a,
                   sa->local_index, b, sb->remote_index);
    if (w->node[a].link[b].mtu > w->carries)
        world_fail(w, "%u sends %u packets of %u bytes where %u pass", a, b,
                   w->node[a].link[b].mtu, w->carries);
}

static void heal(struct world *w, struct test_random *r)
{
    any_path(w, r);
    w->net = (struct network){.delay_ns = ms(5)};
    for (unsigned i = 0; i < w->n; i++) {
        w->node[i].under_load = false;
        node_move_home(w, i);
    }
    talk_for(w, HEAL_S);
    unsigned sent[NODES_MAX][NODES_MAX], received[NODES_MAX][NODES_MAX];
    for (unsigned a = 0; a < w->n; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            sent[a][b] = w->node[a].link[b].data_sent;
            received[a][b] = w->node[a].link[b].data_received;
        }
    }
    talk_for(w, CHECK_S);
    for (unsigned a = 0; a < w->n && !w->failed; a++) {
        for (unsigned b = 0; b < w->n; b++) {
            if (a == b)
                continue;
            check_pair(w, a, b);
            if (w->node[a].link[b].data_sent - sent[a][b] != CHECK_S ||
                w->node[b].link[a].data_received - received[b][a] != CHECK_S)
                world_fail(w, "data from %u to %u does not arrive after healing", a, b);
        }
    }
}

static bool run(struct world *w, uint64_t seed)
{
    struct test_random r = {seed ^ 0x76656c64};
    static const unsigned sizes[] = {2, 2, 2, 2, 2, 3, 4};
    world_init(w, seed, sizes[test_random_below(&r, sizeof sizes / sizeof sizes[0])]);
    set_up(w, &r);
    chaos(w, &r);
    if (!w->failed)
        heal(w, &r);
    world_end(w);
    return !w->failed;
}

int main(int argc, char **argv)
{
    return sim_main(argc, argv, run);
}
