/*
 * The volunteer in whatever order things happen: with random events (volunteer_play.h), and with
 * the daemon's own ends of a circuit, on a network that loses, repeats and reorders what they say,
 * restarted with and without a goodbye.
 */
#include "../support/random.h"
#include "../support/volunteer_play.h"

#include "control/reach/own_circuits.h"

#include <criterion/criterion.h>

#define SEEDS 300
#define RELAY 99 /* as its members call it */

TestSuite(volunteer_random, .timeout = 60);

Test(volunteer_random, whatever_happens_nothing_leaks_and_forwards_are_in_pairs)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct test_random r = {seed};
        uint8_t bytes[2000];
        test_random_fill(&r, bytes, sizeof bytes);
        cr_log_info("seed %lu", seed);
        play(bytes, sizeof bytes);
    }
}

/* ---- With members as they are ---- */

enum { A, B, ENDS };
#define STEP_NS (20 * VELD_NS_PER_MS)
#define TICK_NS (500 * VELD_NS_PER_MS)
#define HEAL_NS (70 * VELD_NS_PER_S) /* a circuit is looked after once a minute */

struct flying {
    uint64_t at_ns;
    bool to_relay;
    uint32_t end; /* who sent it, or gets it */
    struct veld_message m;
};

/* Both ends of one circuit, as the daemon has them (own_circuits.h), and what is on its way. */
static struct net {
    struct test_random r;
    unsigned lost; /* of a thousand */
    struct flying list[1024];
    size_t n;
    struct {
        struct veld_circuit_numbers *numbers;
        struct veld_own_circuits *own;
        struct veld_circuit set; /* in its dataplane; number 0: none is */
    } ends[ENDS];
} net;

static void launch(bool to_relay, uint32_t end, const struct veld_message *m)
{
    for (unsigned copies = 1 + test_random_chance(&net.r, 100); copies > 0; copies--) {
        if (test_random_chance(&net.r, net.lost))
            continue;
        cr_assert_lt(net.n, VELD_ARRAY_LEN(net.list));
        uint64_t delay = test_random_below(&net.r, 300 * VELD_NS_PER_MS);
        net.list[net.n++] = (struct flying){rig.now_ns + delay, to_relay, end, *m};
    }
}

static uint32_t end_of(const void *ctx)
{
    return ctx == &net.ends[B];
}

/* Is what this end sends delivered to the other one's circuit? */
static bool flows(uint32_t end)
{
    const struct veld_circuit *here = &net.ends[end].set, *there = &net.ends[!end].set;
    const struct veld_forward *f = &rig.forwards[here->remote_index % VELD_CIRCUITS_MAX].f;
    return here->number && there->number && f->number == here->remote_index && f->from == end &&
           f->to == !end && f->to_index == there->number;
}

static enum veld_reached end_reached(void *ctx, uint32_t peer)
{
    return flows(A) && flows(B) ? VELD_REACHED_RELAYED : VELD_REACHED_NOT_YET;
}

static bool end_is_relay(void *ctx, uint32_t relay)
{
    return relay == RELAY;
}

static bool end_is_direct(void *ctx, uint32_t relay)
{
    return true;
}

static int end_send(void *ctx, uint32_t relay, const struct veld_message *m)
{
    launch(true, end_of(ctx), m);
    return 0;
}

static void end_call(void *ctx, uint32_t relay)
{
}

static int end_circuit_set(void *ctx, const struct veld_circuit *c)
{
    net.ends[end_of(ctx)].set = *c;
    return 0;
}

static void end_circuit_remove(void *ctx, uint32_t number)
{
    net.ends[end_of(ctx)].set.number = 0;
}

static void end_on_ready(void *ctx, uint32_t peer, const struct veld_endpoint *list, size_t n)
{
}

static void end_begin(uint32_t end)
{
    struct veld_own_circuits_ops ops = {.ctx = &net.ends[end],
                                        .reached = end_reached,
                                        .is_relay = end_is_relay,
                                        .is_direct = end_is_direct,
                                        .send = end_send,
                                        .call = end_call,
                                        .circuit_set = end_circuit_set,
                                        .circuit_remove = end_circuit_remove,
                                        .on_ready = end_on_ready};
    net.ends[end].numbers = veld_circuit_numbers_new();
    net.ends[end].own = veld_own_circuits_new(net.ends[end].numbers, &ops);
    net.ends[end].set.number = 0;
}

static void end_stop(uint32_t end)
{
    veld_own_circuits_free(net.ends[end].own);
    veld_circuit_numbers_free(net.ends[end].numbers);
}

static void want(uint32_t end)
{
    uint8_t pub[32];
    rig_pub(!end, pub);
    (void)!veld_own_circuits_want(net.ends[end].own, !end, pub, RELAY, rig.now_ns, rig.now_ns);
}

/* What was said in sessions that are over is not heard. */
static void forget_flying(uint32_t end)
{
    for (size_t i = net.n; i-- > 0;) {
        if (net.list[i].end == end)
            net.list[i] = net.list[--net.n];
    }
}

static void new_session(uint32_t end)
{
    forget_flying(end);
    veld_volunteer_on_use(rig.v, end, rig.now_ns);
    veld_own_circuits_on_session(net.ends[end].own, RELAY, rig.now_ns);
}

/* With a goodbye, or without. */
static void restart_end(uint32_t end)
{
    if (test_random_chance(&net.r, 500))
        veld_volunteer_peer_left(rig.v, end);
    end_stop(end);
    end_begin(end);
    new_session(end);
}

/* Without a word to anybody. */
static void restart_relay(void)
{
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = false});
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = true});
    rig.n_sent = 0;
    new_session(A);
    new_session(B);
}

static void hear(const struct flying *f)
{
    if (f->to_relay)
        rig_say(f->end, &f->m);
    else if (f->m.type == VELD_MSG_CIRCUIT_OFFER)
        want(f->end);
    else
        veld_own_circuits_on_message(net.ends[f->end].own, RELAY, &f->m, rig.now_ns);
}

static void land(void)
{
    for (size_t i = net.n; i-- > 0;) {
        struct flying f = net.list[i];
        if (f.at_ns > rig.now_ns)
            continue;
        net.list[i] = net.list[--net.n];
        hear(&f);
    }
    for (size_t i = 0; i < rig.n_sent; i++)
        launch(false, rig.sent[i].to, &rig.sent[i].m);
    rig.n_sent = 0;
}

/* Who has a circuit sends by it. */
static void send_by(uint32_t end)
{
    const struct veld_circuit *here = &net.ends[end].set;
    uint32_t slot = here->remote_index % VELD_CIRCUITS_MAX;
    if (here->number == 0 || rig.forwards[slot].f.number != here->remote_index)
        return;
    rig.forwards[slot].use.datagrams++;
    rig.forwards[slot].use.last_ns = rig.now_ns;
}

/* A alone seeks B, and goes on as long as it is not reached. */
static void step(void)
{
    rig.now_ns += STEP_NS;
    if (rig.now_ns % (5 * VELD_NS_PER_S) < STEP_NS) {
        send_by(A);
        send_by(B);
    }
    if (rig.now_ns % (5 * VELD_NS_PER_S) < STEP_NS && !(flows(A) && flows(B)))
        want(A);
    for (uint32_t end = A; end < ENDS; end++)
        veld_own_circuits_run(net.ends[end].own, rig.now_ns);
    if (rig.now_ns % TICK_NS < STEP_NS) {
        veld_volunteer_tick(rig.v, rig.now_ns);
        rig_check();
    }
    land();
}

/* How long it takes until both are heard by each other. */
static uint64_t heal(uint64_t seed)
{
    uint64_t begun_ns = rig.now_ns;
    while (!flows(A) || !flows(B)) {
        cr_assert_lt(rig.now_ns - begun_ns, HEAL_NS, "seed %lu", seed);
        step();
    }
    return rig.now_ns - begun_ns;
}

static void suffer(uint64_t for_ns)
{
    for (uint64_t end = rig.now_ns + for_ns; rig.now_ns < end; step()) {
        if (test_random_chance(&net.r, 1))
            restart_end((uint32_t)test_random_below(&net.r, ENDS));
        if (test_random_chance(&net.r, 1))
            restart_relay();
    }
}

static void begin(uint64_t seed, unsigned lost)
{
    rig_open();
    net = (struct net){.r = {seed}, .lost = lost};
    end_begin(A);
    end_begin(B);
    want(A);
}

static void stop(void)
{
    end_stop(A);
    end_stop(B);
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = false});
    rig_check();
    rig_close();
}

Test(volunteer_random, both_ends_have_their_circuit_in_four_round_trips)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        begin(seed, 0);
        cr_assert_leq(heal(seed), 2 * VELD_NS_PER_S);
        stop();
    }
}

Test(volunteer_random, both_ends_find_together_again_whatever_was_lost_and_restarted)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        begin(seed, 300);
        suffer(60 * VELD_NS_PER_S);
        net.lost = 0;
        heal(seed);
        stop();
    }
}
