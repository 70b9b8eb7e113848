/* The parts of the load generator (bench/load): what it counts must be true. */
#include "load/probe.h"
#include "load/search.h"
#include "load/tally.h"

#include <criterion/criterion.h>
#include <string.h>

static uint64_t counters[PROBE_COUNTERS];

static uint64_t key(void)
{
    return probe_key("a test");
}

static int give(struct tally *t, uint64_t trial, uint8_t flow, uint64_t sequence)
{
    uint8_t datagram[100];
    struct probe p = {.kind = PROBE_DATA, .flow = flow, .trial = trial, .sequence = sequence};
    probe_write(key(), &p, datagram, sizeof datagram);
    int kind = tally_add(t, datagram, sizeof datagram, &p);
    tally_counters(t, counters);
    return kind;
}

/* ---- probe ---- */

Test(udp_load, a_datagram_is_whole_at_every_size)
{
    uint8_t datagram[PROBE_SIZE_MIN + 40];
    for (size_t size = PROBE_SIZE_MIN; size <= sizeof datagram; size++) {
        struct probe p = {.kind = PROBE_PING, .flow = 3, .trial = 7, .sequence = 1 + size}, q;
        probe_write(key(), &p, datagram, size);
        cr_assert(probe_parse(datagram, size, &q));
        cr_assert(q.kind == p.kind && q.flow == 3 && q.trial == 7 && q.sequence == 1 + size);
        cr_assert(probe_intact(key(), &q, datagram, size));
    }
}

Test(udp_load, any_changed_bit_is_noticed)
{
    uint8_t datagram[61];
    struct probe p = {.kind = PROBE_DATA, .flow = 1, .trial = 2, .sequence = 3};
    probe_write(key(), &p, datagram, sizeof datagram);
    for (size_t bit = 0; bit < 8 * sizeof datagram; bit++) {
        struct probe q;
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert(!probe_parse(datagram, sizeof datagram, &q) ||
                      !probe_intact(key(), &q, datagram, sizeof datagram),
                  "bit %zu", bit);
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

Test(udp_load, a_cut_datagram_or_one_under_another_key_is_noticed)
{
    uint8_t datagram[64];
    struct probe p = {.kind = PROBE_DATA, .trial = 2, .sequence = 3};
    probe_write(key(), &p, datagram, sizeof datagram);
    for (size_t size = PROBE_SIZE_MIN; size < sizeof datagram; size++)
        cr_assert(!probe_intact(key(), &p, datagram, size));
    cr_assert(!probe_intact(probe_key("another"), &p, datagram, sizeof datagram));
    cr_assert(!probe_parse(datagram, PROBE_SIZE_MIN - 1, &p));
}

Test(udp_load, a_report_is_read_back_and_a_damaged_one_is_not)
{
    uint8_t report[PROBE_REPORT_LEN];
    uint64_t in[PROBE_COUNTERS], out[PROBE_COUNTERS];
    for (size_t i = 0; i < PROBE_COUNTERS; i++)
        in[i] = i + 1;
    probe_write_report(key(), 9, in, report);
    cr_assert(probe_read_report(key(), 9, report, sizeof report, out));
    cr_assert_arr_eq(in, out, sizeof in);
    cr_assert_not(probe_read_report(key(), 8, report, sizeof report, out));
    cr_assert_not(probe_read_report(key(), 9, report, sizeof report - 1, out));
    report[PROBE_HEADER] ^= 1;
    cr_assert_not(probe_read_report(key(), 9, report, sizeof report, out));
}

/* ---- tally ---- */

Test(udp_load, counts_loss_duplicates_and_reordering)
{
    struct tally *t = tally_new(key());
    static const uint64_t order[] = {0, 1, 4, 2, 2, 9, 5, 9};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        cr_assert_eq(give(t, 1, 0, order[i]), PROBE_DATA);
    cr_assert_eq(counters[COUNT_RECEIVED], 6); /* 0 1 2 4 5 9 */
    cr_assert_eq(counters[COUNT_BYTES], 600);
    cr_assert_eq(counters[COUNT_DUPLICATES], 2);
    cr_assert_eq(counters[COUNT_REORDERED], 2); /* 2 after 4, 5 after 9 */
    cr_assert_eq(counters[COUNT_EXTENT], 4);
    cr_assert_eq(counters[COUNT_GAPS], 4); /* 3 6 7 8 */
    tally_free(t);
}

Test(udp_load, flows_are_counted_apart)
{
    struct tally *t = tally_new(key());
    give(t, 1, 0, 5);
    give(t, 1, 63, 2);
    give(t, 1, 63, 5);
    cr_assert_eq(counters[COUNT_RECEIVED], 3);
    cr_assert_eq(counters[COUNT_DUPLICATES], 0);
    cr_assert_eq(counters[COUNT_REORDERED], 0);
    cr_assert_eq(counters[COUNT_GAPS], 5 + 4);
    tally_free(t);
}

Test(udp_load, a_duplicate_is_found_however_late)
{
    struct tally *t = tally_new(key());
    for (uint64_t i = 0; i < 100000; i++)
        give(t, 1, 0, i);
    give(t, 1, 0, 0);
    cr_assert_eq(counters[COUNT_DUPLICATES], 1);
    cr_assert_eq(counters[COUNT_RECEIVED], 100000);
    tally_free(t);
}

Test(udp_load, a_later_trial_starts_at_nothing_and_an_earlier_one_is_late)
{
    struct tally *t = tally_new(key());
    give(t, 5, 0, 0);
    give(t, 5, 0, 0);
    give(t, 6, 0, 0);
    cr_assert_eq(tally_trial(t), 6);
    cr_assert_eq(counters[COUNT_RECEIVED], 1);
    cr_assert_eq(counters[COUNT_DUPLICATES], 0);
    give(t, 5, 0, 1);
    cr_assert_eq(counters[COUNT_LATE], 1);
    cr_assert_eq(counters[COUNT_RECEIVED], 1);
    tally_free(t);
}

Test(udp_load, what_is_not_ours_counts_as_such_and_as_nothing_else)
{
    struct tally *t = tally_new(key());
    struct probe p = {.kind = PROBE_DATA, .trial = 1, .sequence = TALLY_SEQUENCES_MAX};
    uint8_t datagram[64];
    probe_write(key(), &p, datagram, sizeof datagram);
    cr_assert_eq(tally_add(t, datagram, sizeof datagram, &p), 0); /* out of bounds */
    p = (struct probe){.kind = PROBE_DATA, .trial = 1, .flow = TALLY_FLOWS};
    probe_write(key(), &p, datagram, sizeof datagram);
    cr_assert_eq(tally_add(t, datagram, sizeof datagram, &p), 0);
    p = (struct probe){.kind = PROBE_DATA, .trial = 1};
    probe_write(probe_key("forged"), &p, datagram, sizeof datagram);
    cr_assert_eq(tally_add(t, datagram, sizeof datagram, &p), 0);
    cr_assert_eq(tally_add(t, (const uint8_t *)"hello", 5, &p), 0);
    tally_counters(t, counters);
    cr_assert_eq(counters[COUNT_CORRUPT], 3);
    cr_assert_eq(counters[COUNT_FOREIGN], 1);
    cr_assert_eq(counters[COUNT_RECEIVED], 0);
    cr_assert_eq(tally_trial(t), 0);
    tally_free(t);
}

/* ---- search ---- */

/* A path that carries so much, from a sender that can send so much. */
struct model {
    double path, sender;
    double share; /* of the rate asked for that is sent at all; 0: all of it */
    unsigned disturb_every, calls, give_up_at;
    double seconds;
};

static bool model_try(void *context, double rate, double seconds, struct search_trial *out)
{
    struct model *m = context;
    m->calls++;
    m->seconds += seconds;
    if (m->share > 0)
        rate *= m->share;
    out->offered = rate < m->sender ? rate : m->sender;
    out->delivered = out->offered < m->path ? out->offered : m->path;
    if (m->disturb_every && m->calls % m->disturb_every == 0)
        out->delivered *= 0.9;
    out->loss = 1 - out->delivered / out->offered;
    return m->calls != m->give_up_at;
}

static const struct search_plan plan = {
    .start = 16000, .loss = 0.001, .tolerance = 0.04, .seconds = 0.3, .budget = 60};

Test(udp_load, search_finds_what_the_path_carries)
{
    for (double path = 700; path < 5e6; path *= 1.7) {
        struct model m = {.path = path, .sender = 1e9};
        struct search_result r;
        cr_assert(search_run(&plan, model_try, &m, &r));
        cr_assert(r.rate <= path * 1.0011 && r.rate > path * 0.94, "%g of %g", r.rate, path);
        cr_assert_leq(r.trial.loss, plan.loss);
        cr_assert_eq(r.sender_limited, false);
        cr_assert_lt(m.calls, 40);
    }
}

Test(udp_load, search_bears_single_disturbances)
{
    struct model m = {.path = 300000, .sender = 1e9, .disturb_every = 3};
    struct search_result r;
    cr_assert(search_run(&plan, model_try, &m, &r));
    cr_assert(r.rate > 0.9 * 300000, "%g", r.rate);
}

Test(udp_load, search_tells_when_the_sender_is_at_its_end)
{
    struct model m = {.path = 1e9, .sender = 400000};
    struct search_result r;
    cr_assert(search_run(&plan, model_try, &m, &r));
    cr_assert(r.sender_limited);
    cr_assert_float_eq(r.trial.delivered, 400000, 1);
}

Test(udp_load, search_asks_harder_of_a_sender_that_has_to_fight_for_its_time)
{
    /* It gets two thirds of what it asks for, up to what the path carries. */
    struct model m = {.path = 250000, .sender = 1e9, .share = 2.0 / 3};
    struct search_result r;
    cr_assert(search_run(&plan, model_try, &m, &r));
    cr_assert(r.trial.delivered > 0.9 * 250000, "%g", r.trial.delivered);
}

Test(udp_load, search_of_a_dead_path_ends_with_nothing)
{
    struct model m = {.path = 0, .sender = 1e9};
    struct search_result r;
    cr_assert(search_run(&plan, model_try, &m, &r));
    cr_assert_eq(r.rate, 0);
    cr_assert_lt(m.calls, 30);
}

Test(udp_load, search_keeps_to_its_budget_and_can_be_given_up)
{
    struct search_plan brief = plan;
    struct model m = {.path = 1e6, .sender = 1e9};
    struct search_result r;
    brief.budget = 1.5;
    cr_assert(search_run(&brief, model_try, &m, &r));
    cr_assert(r.rate > 0);
    cr_assert_leq(m.seconds, 1.5 + 2 * 0.3 + 0.91, "%g", m.seconds); /* the last trial too */
    m = (struct model){.path = 1e6, .sender = 1e9, .give_up_at = 4};
    cr_assert_not(search_run(&brief, model_try, &m, &r));
    cr_assert_eq(m.calls, 4);
}
