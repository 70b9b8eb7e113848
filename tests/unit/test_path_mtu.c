/*
 * The search against a path that carries datagrams up to some size, loses some,
 * and answers after a round trip, on a virtual clock.
 */
#include "control/engine/path_mtu.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "support/random.h"
#include "wire/path_size.h"

#include <criterion/criterion.h>

#define RTT_NS  (20 * VELD_NS_PER_MS)
#define WAIT_NS (200 * VELD_NS_PER_MS)
#define TICK_NS (500 * VELD_NS_PER_MS) /* how often traffic is looked at */
#define FULL    1420
#define FLYING  256

struct path {
    struct veld_path_mtu m;
    uint64_t now_ns, tick_ns, settled_ns;
    unsigned carries;  /* inner bytes; 0: nobody is there */
    unsigned loss;     /* per mille */
    bool data, silent; /* data flows; nothing comes back */
    bool sends_all;    /* data as large as allowed: silent when that is too large */
    struct test_random random;
    unsigned n_flying, sent, sent_at_once;
    struct {
        uint64_t at_ns;
        uint32_t id;
        uint16_t size;
    } flying[FLYING];
};

static void send_probes(struct path *p, const struct veld_probes *probes)
{
    cr_assert_leq(probes->n, VELD_PROBES_AT_ONCE);
    p->sent += probes->n;
    for (unsigned i = 0; i < probes->n; i++) {
        cr_assert_leq(probes->size[i], p->m.max);
        cr_assert_geq(probes->size[i], p->m.floor);
        cr_assert(i == 0 || probes->size[i] > probes->size[i - 1]);
        if (probes->size[i] > p->carries || test_random_chance(&p->random, p->loss))
            continue;
        cr_assert_lt(p->n_flying, FLYING);
        p->flying[p->n_flying].at_ns = p->now_ns + RTT_NS;
        p->flying[p->n_flying].id = p->m.id;
        p->flying[p->n_flying++].size = probes->size[i];
    }
}

static void start(struct path *p, uint8_t family, unsigned carries, unsigned loss)
{
    uint64_t seed = p->random.state;
    *p = (struct path){.now_ns = VELD_NS_PER_S, .carries = carries, .loss = loss};
    p->random.state = seed + 1;
    p->tick_ns = p->now_ns;
    struct veld_probes out;
    veld_path_mtu_start(&p->m, family, FULL, p->now_ns, WAIT_NS, &out);
    send_probes(p, &out);
}

static void one_answer(struct path *p)
{
    struct veld_probes out;
    uint32_t id = p->flying[0].id;
    uint16_t size = p->flying[0].size;
    memmove(p->flying, p->flying + 1, --p->n_flying * sizeof p->flying[0]);
    veld_path_mtu_answered(&p->m, id, size, p->now_ns, WAIT_NS, &out);
    send_probes(p, &out);
}

static void run(struct path *p, uint64_t ns)
{
    uint64_t end_ns = p->now_ns + ns;
    struct veld_probes out;
    for (;;) {
        uint64_t next = VELD_MIN(p->m.due_ns, p->tick_ns);
        if (p->n_flying)
            next = VELD_MIN(next, p->flying[0].at_ns);
        if (next > end_ns)
            break;
        p->now_ns = VELD_MAX(next, p->now_ns);
        if (p->n_flying && p->flying[0].at_ns <= p->now_ns) {
            one_answer(p);
        } else if (p->m.due_ns <= p->now_ns) {
            veld_path_mtu_due(&p->m, p->now_ns, WAIT_NS, &out);
            send_probes(p, &out);
        } else {
            p->tick_ns += TICK_NS;
            bool silent = p->silent || (p->sends_all && p->m.mtu > p->carries);
            if (p->data)
                veld_path_mtu_traffic(&p->m, p->now_ns, silent ? VELD_NS_PER_S : 0, p->now_ns,
                                      WAIT_NS, &out);
            else
                out.n = 0;
            send_probes(p, &out);
        }
    }
    p->now_ns = end_ns;
}

static struct path p;

static void reset(void)
{
    p.random.state = 4711;
}

TestSuite(path_mtu, .init = reset);

static const uint8_t families[] = {4, 6, VELD_FAMILY_CIRCUIT};

Test(path_mtu, a_usual_path_is_at_full_size_after_one_round_trip)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(families); i++) {
        uint8_t family = families[i];
        start(&p, family, FULL, 0);
        cr_assert_eq(p.m.mtu, 1280 - veld_path_overhead(family), "it begins safely");
        cr_assert_not(p.m.known);
        run(&p, RTT_NS);
        cr_assert_eq(p.m.mtu, FULL);
        cr_assert(p.m.known);
        cr_assert_eq(p.sent, 1);
        cr_assert_eq(p.m.due_ns, VELD_NEVER);
    }
}

/* What a relay adds has room on every IPv6 path; IPv4's larger one is not counted on. */
Test(path_mtu, a_circuit_begins_safely)
{
    cr_assert_eq(veld_path_base(VELD_FAMILY_CIRCUIT), 1280 - 40 - 8 - 32 - 16);
    cr_assert_eq(veld_path_floor(VELD_FAMILY_CIRCUIT), 576 - 40 - 8 - 32 - 16);
}

/* Every size there is: never more than passes, and at most 8 bytes less. */
Test(path_mtu, any_path_is_found)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(families); i++) {
        uint8_t family = families[i];
        for (unsigned carries = veld_path_floor(family); carries <= FULL; carries++) {
            start(&p, family, carries, 0);
            run(&p, WAIT_NS + RTT_NS);
            cr_assert(p.m.mtu <= carries || p.m.mtu == p.m.base);
            run(&p, 10 * VELD_NS_PER_S);
            cr_assert(p.m.known);
            cr_assert_leq(p.m.mtu, carries);
            cr_assert_leq(carries - p.m.mtu, VELD_MTU_PRECISION, "%u found as %u", carries,
                          p.m.mtu);
            cr_assert_lt(p.sent, 100);
        }
    }
}

/* Those that links have are found exactly, one wait and one round trip after the start. */
Test(path_mtu, usual_links_are_found_at_once)
{
    static const unsigned outer[] = {576, 1280, 1300, 1400, 1420, 1440, 1460, 1480};
    for (size_t i = 0; i < VELD_ARRAY_LEN(outer); i++) {
        start(&p, 4, outer[i] - 60, 0);
        run(&p, WAIT_NS + RTT_NS);
        cr_assert_eq(VELD_MAX(p.m.mtu, 1220), VELD_MAX(outer[i] - 60, 1220));
        run(&p, 3 * WAIT_NS);
        cr_assert(p.m.known);
        cr_assert_eq(p.m.mtu, outer[i] - 60);
    }
}

/* A third of all probes and answers lost: what is found passes, and is soon found. */
Test(path_mtu, loss_makes_no_path_larger_and_few_smaller)
{
    unsigned small = 0;
    for (unsigned run_n = 0; run_n < 500; run_n++) {
        unsigned carries = 1000 + run_n % 421;
        start(&p, 4, carries, 333);
        p.data = true;
        run(&p, 60 * VELD_NS_PER_S);
        cr_assert(p.m.mtu <= carries);
        small += carries - p.m.mtu > 40;
    }
    cr_assert_leq(small, 100, "%u of 500", small);
}

Test(path_mtu, single_losses_do_not_shrink)
{
    start(&p, 4, FULL, 0);
    run(&p, RTT_NS);
    p.data = true;
    for (unsigned i = 0; i < 1000; i++) {
        run(&p, VELD_MTU_CHECK_S * VELD_NS_PER_S);
        cr_assert_eq(p.m.mtu, FULL);
        p.carries = 0; /* for two of three probes of a check */
        run(&p, TICK_NS + WAIT_NS + WAIT_NS / 2);
        p.carries = FULL;
        run(&p, 2 * WAIT_NS);
        cr_assert_eq(p.m.mtu, FULL);
    }
    cr_assert_gt(p.sent, 1500, "it did check");
}

Test(path_mtu, idle_paths_are_left_alone)
{
    start(&p, 4, FULL, 0);
    run(&p, 3600 * VELD_NS_PER_S);
    cr_assert_eq(p.sent, 1);
}

Test(path_mtu, a_black_hole_is_found_and_left)
{
    static const unsigned outer[] = {1440, 1400, 1300, 1280, 576};
    for (size_t i = 0; i < VELD_ARRAY_LEN(outer); i++) {
        start(&p, 4, FULL, 0);
        p.data = true;
        run(&p, 60 * VELD_NS_PER_S);
        cr_assert_eq(p.m.mtu, FULL);
        p.carries = outer[i] - 60;
        run(&p, (VELD_MTU_CHECK_S + 1) * VELD_NS_PER_S + 6 * WAIT_NS);
        cr_assert_eq(p.m.mtu, p.carries);
        run(&p, 4 * WAIT_NS);
        cr_assert(p.m.known);
    }
}

Test(path_mtu, silence_hurries_the_check)
{
    start(&p, 4, FULL, 0);
    p.data = p.sends_all = true;
    run(&p, 62 * VELD_NS_PER_S);
    p.carries = 1240;
    run(&p, 3 * VELD_NS_PER_S + 5 * WAIT_NS);
    cr_assert_eq(p.m.mtu, 1240);
}

Test(path_mtu, a_silent_peer_changes_nothing)
{
    start(&p, 4, FULL, 0);
    p.data = true;
    run(&p, 60 * VELD_NS_PER_S);
    unsigned before = p.sent;
    p.carries = 0;
    p.silent = true;
    run(&p, 120 * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, FULL);
    cr_assert(p.m.known);
    cr_assert_leq(p.sent - before, 8 * (1 + 3 * VELD_PROBES_AT_ONCE));
    p.carries = 1340;
    p.silent = false;
    run(&p, (VELD_MTU_ABSENT_S + 2) * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, 1340, "it was there again, and was asked");
}

Test(path_mtu, nobody_there_at_the_start_leaves_the_path_unknown)
{
    start(&p, 4, 0, 0);
    run(&p, 20 * VELD_NS_PER_S);
    cr_assert_not(p.m.known);
    cr_assert_eq(p.m.mtu, 1220);
    p.carries = FULL;
    run(&p, VELD_MTU_ABSENT_S * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, FULL);
    cr_assert(p.m.known);
}

Test(path_mtu, a_path_that_grows_is_raised)
{
    start(&p, 4, 1340, 0);
    run(&p, 10 * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, 1340);
    unsigned before = p.sent;
    p.carries = FULL;
    run(&p, (VELD_MTU_RAISE_S - 20) * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, 1340);
    cr_assert_eq(p.sent, before);
    run(&p, 20 * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, FULL);
}

/* Checks while data flows do not put the raise off. */
Test(path_mtu, a_busy_path_is_raised_too)
{
    start(&p, 4, 1340, 0);
    p.data = true;
    run(&p, 10 * VELD_NS_PER_S);
    p.carries = FULL;
    run(&p, VELD_MTU_RAISE_S * VELD_NS_PER_S);
    cr_assert_eq(p.m.mtu, FULL);
}

Test(path_mtu, answers_of_another_search_count_for_nothing)
{
    struct veld_probes out;
    start(&p, 4, 0, 0);
    uint32_t old = p.m.id;
    veld_path_mtu_start(&p.m, 4, FULL, p.now_ns, WAIT_NS, &out);
    veld_path_mtu_answered(&p.m, old, FULL, p.now_ns, WAIT_NS, &out);
    cr_assert_eq(p.m.mtu, 1220);
    veld_path_mtu_answered(&p.m, p.m.id, FULL + 1, p.now_ns, WAIT_NS, &out);
    cr_assert_eq(p.m.mtu, 1220, "nor of what was never asked");
    veld_path_mtu_stop(&p.m);
    veld_path_mtu_answered(&p.m, p.m.id, FULL, p.now_ns, WAIT_NS, &out);
    cr_assert_eq(p.m.mtu, 1220);
    cr_assert_eq(p.m.due_ns, VELD_NEVER);
}

Test(path_mtu, a_late_answer_is_as_true)
{
    struct veld_probes out;
    start(&p, 4, 1340, 0);
    run(&p, 10 * VELD_NS_PER_S);
    veld_path_mtu_answered(&p.m, p.m.id, 1400, p.now_ns, WAIT_NS, &out);
    cr_assert_eq(p.m.mtu, 1400);
}

/* An interface of 1300 bytes: found without waiting for a probe, whatever was in use. */
Test(path_mtu, what_our_kernel_refuses_is_not_waited_for)
{
    struct veld_probes out;
    start(&p, 4, 1240, 0);
    uint64_t began_ns = p.now_ns;
    for (unsigned size = FULL; size > 1240; size -= 20) {
        veld_path_mtu_refused(&p.m, (uint16_t)size, p.now_ns, WAIT_NS, &out);
        send_probes(&p, &out);
    }
    run(&p, RTT_NS);
    cr_assert_eq(p.m.mtu, 1240);
    cr_assert_lt(p.now_ns - began_ns, WAIT_NS);
    run(&p, 10 * VELD_NS_PER_S);
    cr_assert(p.m.known);

    start(&p, 4, FULL, 0);
    run(&p, VELD_NS_PER_S);
    p.carries = 1240;
    veld_path_mtu_refused(&p.m, 1241, p.now_ns, WAIT_NS, &out);
    cr_assert_eq(p.m.mtu, 1220, "at once");
    send_probes(&p, &out);
    run(&p, RTT_NS);
    cr_assert_eq(p.m.mtu, 1240);
    run(&p, 10 * VELD_NS_PER_S);
    cr_assert(p.m.known);
    uint32_t id = p.m.id;
    veld_path_mtu_refused(&p.m, 1300, p.now_ns, WAIT_NS, &out);
    cr_assert_eq(p.m.id, id, "what is larger than the path anyway tells nothing");
}
