/* A machine that has an older list, peers that have newer ones, and peers that lie. */
#include "control/mesh/spread.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "trust/trust.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define PEERS 32
#define MS    VELD_NS_PER_MS
#define S     VELD_NS_PER_S
#define US    4 /* by which id the others know us */

static struct veld_spread *us, *other; /* `other` is peer 7 of ours */
static uint64_t now;
static uint8_t list[VELD_REVOCATIONS_MAX + 1];
static struct veld_spread_act act;

static void setup(void)
{
    us = veld_spread_new(PEERS);
    other = veld_spread_new(PEERS);
    cr_assert(us && other);
    now = 1000 * S;
    for (size_t i = 0; i < sizeof list; i++)
        list[i] = (uint8_t)(i * 7 + i / 251);
}

static void cleanup(void)
{
    veld_spread_free(us);
    veld_spread_free(other);
}

TestSuite(spread, .init = setup, .fini = cleanup, .timeout = 20);

/* A message to us, over the wire. */
static void hear(uint32_t peer, const struct veld_message *m)
{
    static uint8_t bytes[VELD_MESSAGE_MAX]; /* the part it names lies here */
    struct veld_message parsed;
    size_t len = veld_message_write(bytes, m);
    cr_assert_eq(veld_message_parse(bytes, len, &parsed), 0);
    veld_spread_on_message(us, peer, &parsed, now, &act);
}

static void offer(uint32_t peer, uint64_t epoch)
{
    hear(peer, &(struct veld_message){.type = VELD_MSG_REVOKED_EPOCH, .epoch = epoch});
}

static void part(uint32_t peer, uint64_t epoch, size_t total, size_t offset, size_t len)
{
    hear(peer, &(struct veld_message){.type = VELD_MSG_REVOKED_PART,
                                      .epoch = epoch,
                                      .total = (uint32_t)total,
                                      .offset = (uint32_t)offset,
                                      .part = list + offset,
                                      .part_len = (uint8_t)len});
}

static bool asks(uint32_t peer, uint64_t epoch, size_t offset)
{
    return act.send && act.to == peer && act.message.type == VELD_MSG_REVOKED_GET &&
           act.message.epoch == epoch && act.message.offset == offset;
}

static void tick_at(uint64_t ns)
{
    now = ns;
    veld_spread_tick(us, now, &act);
}

/* Answer what we asked as an honest peer would, until there is a list; how many questions it took. */
static unsigned fetch_from(uint32_t peer, uint64_t epoch, size_t total)
{
    unsigned n = 0;
    while (!act.got) {
        cr_assert(act.send && act.to == peer, "%u", n);
        size_t offset = act.message.offset;
        part(peer, epoch, total, offset, VELD_MIN(total - offset, VELD_REVOKED_PART_MAX));
        n++;
    }
    cr_assert_eq(act.from, peer);
    cr_assert_eq(act.epoch, epoch);
    cr_assert_eq(act.len, total);
    cr_assert_eq(memcmp(act.list, list, total), 0);
    return n;
}

/* ---- Between two who mean well ---- */

static void from_one_to_the_other(size_t len, unsigned loss_percent)
{
    struct veld_spread_act said;
    veld_spread_set(other, 9, list, len);
    veld_spread_on_use(other, US, &said);
    cr_assert(said.send && said.to == US && said.message.epoch == 9);
    veld_spread_on_use(us, 7, &act);
    cr_assert_not(act.send, "we have none");
    offer(7, 9);
    unsigned lost = 0, questions = 0;
    srand(1);
    while (!act.got) {
        if (act.send) {
            questions++;
            veld_spread_on_message(other, US, &act.message, now, &said);
            act.send = false;
            if (said.send && (unsigned)(rand() % 100) >= loss_percent) {
                now += 25 * MS;
                hear(7, &said.message);
                continue;
            }
            lost++;
        }
        cr_assert_neq(veld_spread_deadline(us), UINT64_MAX);
        tick_at(VELD_MAX(veld_spread_deadline(us), now));
    }
    cr_assert_eq(act.epoch, 9);
    cr_assert_eq(act.len, len);
    cr_assert_eq(memcmp(act.list, list, len), 0);
    cr_assert_leq(questions, (len + 199) / 200 + lost);
    veld_spread_set(us, 9, list, len);
    cr_assert_eq(veld_spread_deadline(us), UINT64_MAX);
    offer(7, 9);
    cr_assert_not(act.send, "it is no news");
}

Test(spread, a_short_list_and_the_longest)
{
    static const size_t lengths[] = {1, 199, 200, 201, 400, 12345, VELD_REVOCATIONS_MAX};
    for (size_t i = 0; i < VELD_ARRAY_LEN(lengths); i++) {
        from_one_to_the_other(lengths[i], 0);
        cleanup();
        setup();
    }
}

Test(spread, what_is_lost_is_asked_for_again)
{
    from_one_to_the_other(20000, 20);
}

Test(spread, who_has_an_older_one_is_told)
{
    veld_spread_set(us, 9, list, 500);
    offer(7, 3);
    cr_assert(act.send && act.to == 7);
    cr_assert_eq(act.message.type, VELD_MSG_REVOKED_EPOCH);
    cr_assert_eq(act.message.epoch, 9);
    veld_spread_on_use(us, 5, &act);
    cr_assert(act.send && act.to == 5 && act.message.epoch == 9);
}

Test(spread, a_newer_list_of_the_same_peer_begins_anew)
{
    offer(7, 9);
    part(7, 9, 1000, 0, 200);
    cr_assert(asks(7, 9, 200));
    offer(7, 10); /* it has learnt another one; what is under way is of no use */
    cr_assert(asks(7, 10, 0));
    part(7, 9, 1000, 200, 200);
    cr_assert_not(act.send, "too late");
    offer(7, 10);
    cr_assert_not(act.send, "asked already");
    part(7, 10, 300, 0, 200);
    cr_assert(asks(7, 10, 200));
    fetch_from(7, 10, 300);
}

/* ---- What is given ---- */

Test(spread, what_is_asked_for_is_given_no_faster_than_asked_nor_without_bound)
{
    veld_spread_set(us, 9, list, 5000);
    const struct veld_message get = {.type = VELD_MSG_REVOKED_GET, .epoch = 9, .offset = 4900};
    unsigned given = 0;
    for (unsigned i = 0; i < 1000; i++) { /* in one second */
        hear(7, &get);
        if (act.send) {
            cr_assert_eq(act.message.type, VELD_MSG_REVOKED_PART);
            cr_assert_eq(act.message.part_len, 100);
            cr_assert_eq(act.message.total, 5000);
            given++;
        }
        now += MS;
    }
    cr_assert(given >= VELD_SPREAD_PARTS_PER_S &&
                  given <= VELD_SPREAD_PARTS_PER_S + VELD_SPREAD_BURST,
              "%u", given);
    hear(8, &get);
    cr_assert(act.send, "another peer has its own share");
    tick_at(now + 100 * S);
    cr_assert_not(act.send, "and nothing is given that nobody asked for");
}

Test(spread, of_another_list_the_epoch_is_told_and_of_none_nothing)
{
    struct veld_message get = {.type = VELD_MSG_REVOKED_GET, .epoch = 9};
    hear(7, &get);
    cr_assert_not(act.send, "we have none");
    veld_spread_set(us, 10, list, 500);
    hear(7, &get);
    cr_assert(act.send && act.message.type == VELD_MSG_REVOKED_EPOCH);
    cr_assert_eq(act.message.epoch, 10);
    get = (struct veld_message){.type = VELD_MSG_REVOKED_GET, .epoch = 10, .offset = 500};
    hear(7, &get);
    cr_assert(act.send && act.message.type == VELD_MSG_REVOKED_EPOCH, "behind its end");
}

/* ---- Peers that are slow, silent or lie ---- */

Test(spread, who_does_not_answer_is_left)
{
    offer(7, 9);
    unsigned questions = 1;
    uint64_t began = now;
    while (veld_spread_deadline(us) != UINT64_MAX) {
        tick_at(veld_spread_deadline(us));
        questions += act.send;
    }
    cr_assert_eq(questions, VELD_SPREAD_TRIES);
    cr_assert_eq(now - began, VELD_SPREAD_TRIES * VELD_SPREAD_WAIT_MS * MS);
    offer(7, 9);
    cr_assert(asks(7, 9, 0), "when it is heard again");
}

Test(spread, parts_that_fit_nothing_are_not_taken)
{
    part(7, 9, 1000, 0, 200);
    cr_assert_not(act.send, "nobody asked");
    offer(7, 9);
    part(8, 9, 1000, 0, 200);
    cr_assert_not(act.send, "another peer was asked");
    part(7, 8, 1000, 0, 200);
    cr_assert_not(act.send, "another list was asked for");
    part(7, 9, 1000, 200, 200);
    cr_assert_not(act.send, "other bytes were asked for");
    part(7, 9, 1000, 0, 200);
    cr_assert(asks(7, 9, 200));
    part(7, 9, 1000, 0, 200);
    cr_assert_not(act.send, "twice");
}

Test(spread, who_lies_about_lengths_is_asked_no_more)
{
    static const struct {
        size_t total, len;
    } lies[] = {
        {VELD_REVOCATIONS_MAX + 1, 200}, /* longer than any list */
        {1000, 199},                     /* crumbs */
        {1000, 1},
    };
    for (uint32_t i = 0; i < VELD_ARRAY_LEN(lies); i++) {
        offer(i, 9);
        offer(20, 9);
        part(i, 9, lies[i].total, 0, lies[i].len);
        cr_assert(asks(20, 9, 0), "the next has its turn");
        veld_spread_gone(us, 20);
        offer(i, 9);
        cr_assert_not(act.send, "barred");
    }
    offer(9, 9);
    part(9, 9, 1000, 0, 200);
    part(9, 9, 1200, 200, 200); /* it has grown */
    cr_assert_not(act.send);
    cr_assert_eq(veld_spread_deadline(us), UINT64_MAX);
    now += VELD_SPREAD_BARRED_S * S;
    offer(9, 9);
    cr_assert(asks(9, 9, 0));
}

Test(spread, who_gave_a_bad_list_keeps_the_good_one_away_for_no_longer_than_it_took)
{
    offer(6, UINT64_MAX);
    offer(7, 9);
    cr_assert_not(act.send, "one at a time");
    part(6, UINT64_MAX, 5, 0, 5);
    cr_assert(act.got && act.from == 6);
    part(7, 9, 450, 5, 200);
    cr_assert_not(act.send, "it was not asked yet");
    veld_spread_refuse(us, 6, now);
    cr_assert_leq(veld_spread_deadline(us), now);
    tick_at(now);
    cr_assert(asks(7, 9, 0));
    cr_assert_eq(fetch_from(7, 9, 450), 3);
    veld_spread_set(us, 9, list, 450);
    offer(6, UINT64_MAX);
    cr_assert_not(act.send, "barred");
    veld_spread_gone(us, 6); /* and its id is another's */
    offer(6, 10);
    cr_assert(asks(6, 10, 0));
}

/* Each answers at the last moment, and promises the longest list there is. */
Test(spread, who_is_slow_does_not_keep_the_others_away)
{
    enum { SLOW = 5 };
    uint64_t began = now;
    for (uint32_t i = 0; i < SLOW; i++)
        offer(i, 100 + i);
    offer(7, 9);
    bool good = false;
    uint32_t asked = 0; /* peer 0 was, first */
    size_t offset = 0;
    while (!good) {
        uint64_t answer_at = now + VELD_SPREAD_WAIT_MS * MS - MS;
        if (veld_spread_deadline(us) < answer_at)
            tick_at(VELD_MAX(veld_spread_deadline(us), now));
        else {
            now = answer_at;
            part(asked, 100 + asked, VELD_REVOCATIONS_MAX, offset, 200);
        }
        if (act.send) {
            asked = act.to;
            offset = act.message.offset;
        }
        if (act.send && asked == 7) {
            fetch_from(7, 9, 3000);
            good = true;
        }
    }
    cr_assert_leq(now - began, SLOW * VELD_SPREAD_SLICE_S * S, "%.1f s",
                  (double)(now - began) / 1e9);
    veld_spread_set(us, 9, list, 3000);
    /* They go on to offer theirs, and each has more time than before. */
    tick_at(now);
    cr_assert(act.send && act.to == 0 && act.message.offset == 0);
    uint64_t slice = now;
    while (act.to == 0) {
        part(0, 100, VELD_REVOCATIONS_MAX, act.message.offset, 200);
        now += 500 * MS;
        if (veld_spread_deadline(us) <= now)
            tick_at(now);
    }
    cr_assert_geq(now - slice, 2 * VELD_SPREAD_SLICE_S * S);
}

Test(spread, alone_a_slow_one_has_all_the_time_it_needs)
{
    offer(7, 9);
    size_t have = 0;
    for (; have < 60000; have += 200) {
        now += 900 * MS;
        cr_assert_gt(veld_spread_deadline(us), now);
        part(7, 9, 60200, have, 200);
        cr_assert(asks(7, 9, have + 200));
    }
    part(7, 9, 60200, have, 200);
    cr_assert(act.got);
}

Test(spread, those_who_offer_are_remembered_within_bounds)
{
    for (uint32_t i = 0; i < PEERS; i++)
        offer(i, 9 + i);
    unsigned seen = 0;
    uint32_t last = UINT32_MAX;
    while (veld_spread_deadline(us) != UINT64_MAX && seen < 100) {
        tick_at(VELD_MAX(veld_spread_deadline(us), now));
        if (act.send && act.to != last) {
            last = act.to;
            seen++;
            cr_assert_lt(last, VELD_SPREAD_SOURCES_MAX);
            veld_spread_gone(us, last);
        }
    }
    cr_assert_geq(seen, VELD_SPREAD_SOURCES_MAX - 1);
    offer(PEERS, 99);
    cr_assert_not(act.send, "no id of ours");
    offer(PEERS - 1, 99);
    cr_assert(asks(PEERS - 1, 99, 0), "there is room again");
}

Test(spread, who_goes_is_asked_no_more)
{
    offer(6, 9);
    offer(7, 9);
    part(6, 9, 1000, 0, 200);
    veld_spread_gone(us, 6);
    tick_at(now);
    cr_assert(asks(7, 9, 0), "from the beginning: it may have another list");
    part(6, 9, 1000, 200, 200);
    cr_assert_not(act.send);
    veld_spread_gone(us, 7);
    cr_assert_eq(veld_spread_deadline(us), UINT64_MAX);
}

/* What we learnt from elsewhere meanwhile need not be fetched. */
Test(spread, a_list_from_elsewhere_ends_what_is_older)
{
    offer(6, 9);
    offer(7, 12);
    part(6, 9, 1000, 0, 200);
    veld_spread_set(us, 9, list, 1000);
    tick_at(now);
    cr_assert(asks(7, 12, 0));
    offer(7, 3); /* it has another one now */
    cr_assert_eq(act.message.type, VELD_MSG_REVOKED_EPOCH);
    cr_assert_eq(veld_spread_deadline(us), UINT64_MAX);
}
