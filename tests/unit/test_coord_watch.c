/* Watch, SendSignal, ListPeers: who is told what, and who is online. */
#include "../support/coord_asserts.h"
#include "../support/coord_dump.h"

#include "coord/service/events.h"
#include "coord/service/impl.h"
#include "coord/service/page.h"
#include "coord/service/watch.h"

static struct coord_rig r;
static struct test_member a, b, c;
static struct coord_watch wa, wb;

static void start(void)
{
    coord_open(&r, NULL);
    ok(coord_create(&r));
    a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    b = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    c = test_trust_join(&r.trust, 3, "server3", TEST_BY_OWNER);
    ok(coord_register(&r, &a, 1));
    ok(coord_register(&r, &b, 1));
    memset(&wa, 0, sizeof wa);
    memset(&wb, 0, sizeof wb);
}

static void stop(void)
{
    coord_watch_free(&r, &wa);
    coord_watch_free(&r, &wb);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
    coord_close(&r);
}

TestSuite(coord_watch, .init = start, .fini = stop);

/* A has all there is. */
static void watch_a(void)
{
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert(wa.synced);
    wa.events = 0;
}

/* A member as registered, without its signatures: for when there are to be many. */
static void add_member(unsigned n, size_t peer_len)
{
    uint8_t peer[VELD_RECORD_MAX] = {0};
    Veld__Trust__V1__PeerRecord record = VELD__TRUST__V1__PEER_RECORD__INIT;
    Veld__Trust__V1__Signed said = VELD__TRUST__V1__SIGNED__INIT;
    static uint8_t body[VELD_RECORD_MAX];
    struct veld_membership m = {.serial = 1};
    uint8_t p[32];
    test_trust_seed(p, n);
    said.body = coord_bytes(body, peer_len);
    said.signer = coord_bytes(p, 32);
    record.record = &said;
    struct veld_blob none = {0}, some = {.p = peer};
    some.len = veld__trust__v1__peer_record__pack(&record, peer);
    snprintf(m.name, sizeof m.name, "m%u", n);
    memcpy(m.network_id, r.trust.network.id, 32);
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    veld_member_register(r.service->registry, net, p,
                         veld_facts_new(&m, 0x0a650000 + n, 1, &none, &some), &r.now);
}

static void remove_member(unsigned n)
{
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    uint8_t p[32];
    test_trust_seed(p, n);
    veld_member_remove(r.service->registry, veld_member_by_key(net, p), &r.now);
}

/* ---- changes ---- */

Test(coord_watch, all_first_then_what_changes)
{
    watch_a();
    cr_assert_eq(wa.resets, 1);
    cr_assert_eq(g_hash_table_size(wa.known), 2);
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 0);
    ok(coord_register(&r, &b, 2));
    cr_assert_eq(wa.ready, 1, "told once");
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 1);
    cr_assert_eq(coord_knows(&wa, &b)->revision, r.revision);
    cr_assert_eq(wa.revision, r.revision);
    ok(coord_leave(&r, &b, true));
    coord_drain(&r, &wa);
    cr_assert_null(coord_knows(&wa, &b));
    cr_assert_eq(wa.resets, 1);
}

Test(coord_watch, goes_on_from_a_revision)
{
    watch_a();
    coord_unwatch(&r, &wa);
    ok(coord_register(&r, &c, 1));
    ok(coord_leave(&r, &b, true));
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 1);
    cr_assert_eq(wa.resets, 1, "not again");
    cr_assert_not_null(coord_knows(&wa, &c));
    cr_assert_null(coord_knows(&wa, &b));
    coord_unwatch(&r, &wa);
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 2, "nothing changed, which is told too");
    cr_assert(wa.synced);
}

/* Two changes of one, or an arrival and its end, are told as what they came to. */
Test(coord_watch, a_slow_watcher_is_told_as_one)
{
    watch_a();
    ok(coord_register(&r, &c, 1));
    for (uint64_t i = 2; i < 50; i++)
        ok(coord_register(&r, &b, i));
    ok(coord_leave(&r, &c, true));
    cr_assert_eq(wa.ready, 1);
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 1);
    cr_assert_null(coord_knows(&wa, &c));
    cr_assert_eq(coord_knows(&wa, &b)->revision, wa.revision - 1);
}

Test(coord_watch, revisions_of_another_time_are_reset)
{
    watch_a();
    coord_unwatch(&r, &wa);
    wa.whole += 1000000;
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert_eq(wa.resets, 2);
    coord_unwatch(&r, &wa);
    wa.whole = 17; /* before this network was */
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert_eq(wa.resets, 3);
    coord_unwatch(&r, &wa);
    wa.whole = UINT64_MAX;
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert_eq(wa.resets, 4);
    cr_assert_eq(g_hash_table_size(wa.known), 2);
}

/* After more removals than are remembered, whoever may have missed one begins anew. */
Test(coord_watch, resync_when_removals_were_forgotten)
{
    struct veld_service_stats stats;
    for (unsigned i = 0; i < VELD_REMOVALS_MAX + 10; i++)
        add_member(100 + i, 20);
    cr_assert_eq(coord_commit(&r), 0);
    watch_a();
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wb);
    cr_assert_eq(g_hash_table_size(wb.known), VELD_REMOVALS_MAX + 12);
    for (unsigned i = 0; i < VELD_REMOVALS_MAX; i++)
        remove_member(100 + i);
    cr_assert_eq(coord_commit(&r), 0);
    coord_drain(&r, &wb);
    cr_assert_eq(g_hash_table_size(wb.known), 12);
    cr_assert_eq(wb.resets, 1, "as many as are remembered are told");
    for (unsigned i = 0; i < 10; i++)
        remove_member(100 + VELD_REMOVALS_MAX + i);
    cr_assert_eq(coord_commit(&r), 0);
    coord_drain(&r, &wb);
    cr_assert_eq(g_hash_table_size(wb.known), 2);
    cr_assert_eq(wb.resets, 1);
    coord_drain(&r, &wa); /* it slept through all of it */
    cr_assert_eq(g_hash_table_size(wa.known), 2);
    cr_assert_eq(wa.resets, 2);
    veld_service_get_stats(r.service, &stats);
    cr_assert_eq(stats.resyncs, 1);
    coord_unwatch(&r, &wa);
    coord_unwatch(&r, &wb);
    coord_reopen(&r);
    wb.whole -= 1; /* among the removals that are remembered */
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wb);
    cr_assert_eq(wb.resets, 1);
    wb.whole -= 9000;
    coord_unwatch(&r, &wb);
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wb);
    cr_assert_eq(wb.resets, 2);
}

/* A reset that takes many pages while removals are forgotten under it. */
Test(coord_watch, a_reset_that_is_overtaken_begins_anew)
{
    for (unsigned i = 0; i < VELD_REMOVALS_MAX + 200; i++)
        add_member(100 + i, 100);
    cr_assert_eq(coord_commit(&r), 0);
    ok(coord_watch(&r, &wa, &a));
    cr_assert(coord_next(&r, &wa));
    cr_assert(coord_next(&r, &wa));
    cr_assert_not(wa.synced);
    for (unsigned i = 0; i < VELD_REMOVALS_MAX + 100; i++)
        remove_member(100 + i);
    cr_assert_eq(coord_commit(&r), 0);
    coord_drain(&r, &wa);
    cr_assert(wa.synced);
    cr_assert_eq(wa.resets, 2);
    cr_assert_eq(g_hash_table_size(wa.known), 102);
}

/* But removals that were forgotten before it began are no reason to. */
Test(coord_watch, a_reset_ends)
{
    for (unsigned i = 0; i < VELD_REMOVALS_MAX + 2000; i++)
        add_member(100 + i, 20);
    for (unsigned i = 0; i < VELD_REMOVALS_MAX + 100; i++)
        remove_member(100 + 1800 + i);
    cr_assert_eq(coord_commit(&r), 0);
    ok(coord_watch(&r, &wa, &a));
    for (unsigned i = 0; i < 20 && coord_next(&r, &wa); i++)
        ;
    cr_assert(wa.synced);
    cr_assert_geq(wa.events, 4);
    cr_assert_eq(wa.resets, 1);
    cr_assert_eq(g_hash_table_size(wa.known), 1902);
}

/* They are forgotten with the commit, and not when that fails. */
Test(coord_watch, forgetting_that_could_not_be_written)
{
    for (unsigned i = 0; i < VELD_REMOVALS_MAX + 2; i++)
        add_member(100 + i, 20);
    for (unsigned i = 0; i < VELD_REMOVALS_MAX; i++)
        remove_member(100 + i);
    cr_assert_eq(coord_commit(&r), 0);
    char *before = coord_dump(r.service);
    remove_member(100 + VELD_REMOVALS_MAX);
    remove_member(100 + VELD_REMOVALS_MAX + 1);
    r.store->fail_at = 4; /* two forgotten, the head, and the commit */
    cr_assert_lt(coord_commit(&r), 0);
    r.store->fail_at = 0;
    char *after = coord_dump(r.service);
    cr_assert_str_eq(before, after);
    cr_assert(coord_is_as_stored(&r));
    remove_member(100 + VELD_REMOVALS_MAX);
    cr_assert_eq(coord_commit(&r), 0);
    cr_assert(coord_is_as_stored(&r));
    g_free(before);
    g_free(after);
}

Test(coord_watch, pages_are_bounded_and_complete)
{
    for (unsigned i = 0; i < 300; i++)
        add_member(100 + i, i % 10 == 0 ? 15000 : 1000);
    cr_assert_eq(coord_commit(&r), 0);
    ok(coord_watch(&r, &wa, &a));
    struct veld_shared_bytes *e;
    struct veld_coord_status status;
    size_t largest = 0;
    while (veld_watch_next(wa.w, &r.now, &e, &status)) {
        largest = MAX(largest, e->len);
        coord_apply(&wa, e);
        veld_shared_unref(e);
    }
    cr_assert_leq(largest, VELD_PAGE_BYTES);
    cr_assert_geq(largest, VELD_PAGE_BYTES / 2);
    cr_assert_eq(g_hash_table_size(wa.known), 302);
    cr_assert_leq(wa.events, 20, "%u", wa.events);
    cr_assert(wa.synced);
}

/* One encoding for all who are at the same place. */
Test(coord_watch, bytes_are_shared)
{
    struct veld_shared_bytes *x, *y;
    struct veld_coord_status status;
    ok(coord_watch(&r, &wa, &a));
    ok(coord_watch(&r, &wb, &b));
    cr_assert(veld_watch_next(wa.w, &r.now, &x, &status));
    cr_assert(veld_watch_next(wb.w, &r.now, &y, &status));
    cr_assert_eq(x, y, "the snapshot");
    veld_shared_unref(x);
    veld_shared_unref(y);
    ok(coord_register(&r, &c, 1));
    cr_assert(veld_watch_next(wa.w, &r.now, &x, &status));
    ok(coord_register(&r, &c, 2));
    cr_assert(veld_watch_next(wb.w, &r.now, &y, &status));
    cr_assert_neq(x, y, "another change came between");
    coord_drain(&r, &wa);
    veld_shared_unref(x);
    veld_shared_unref(y);
    ok(coord_register(&r, &c, 3));
    cr_assert(veld_watch_next(wa.w, &r.now, &x, &status));
    cr_assert(veld_watch_next(wb.w, &r.now, &y, &status));
    cr_assert_eq(x, y, "a change");
    coord_unwatch(&r, &wa);
    coord_unwatch(&r, &wb);
    coord_close(&r); /* who still sends it, still has it */
    cr_assert_eq(x->refs, 2);
    veld_shared_unref(x);
    veld_shared_unref(y);
    coord_open(&r, NULL);
}

/* What is kept for the next is given back when nobody comes for it. */
Test(coord_watch, kept_events_are_bounded)
{
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    for (unsigned i = 0; i < 2000; i++)
        add_member(100 + i, 12000);
    cr_assert_eq(coord_commit(&r), 0);
    watch_a();
    cr_assert_eq(g_hash_table_size(wa.known), 2002);
    cr_assert_leq(net->events.length * 60000, VELD_EVENTS_BYTES);
    cr_assert_geq(net->events.length, 200);
    coord_run(&r, 45 * VELD_NS_PER_S, VELD_NS_PER_S);
    cr_assert_eq(net->events.length, 0);
}

/* ---- before and after the commit ---- */

Test(coord_watch, nothing_is_told_that_may_be_undone)
{
    watch_a();
    r.hold = true;
    ok(coord_register(&r, &c, 1));
    cr_assert_eq(wa.ready, 0);
    cr_assert_not(coord_next(&r, &wa));
    cr_assert_eq(wa.end.code, VELD_CODE_OK);
    r.store->fail_at = 1;
    cr_assert_lt(coord_commit(&r), 0);
    cr_assert_eq(r.status.code, VELD_CODE_UNAVAILABLE);
    r.store->fail_at = 0;
    cr_assert_not(coord_next(&r, &wa));
    cr_assert_eq(wa.events, 0);
    ok(coord_register(&r, &c, 1));
    cr_assert_eq(coord_commit(&r), 0);
    cr_assert_eq(wa.ready, 1);
    coord_drain(&r, &wa);
    cr_assert_not_null(coord_knows(&wa, &c));
}

/* Nor to one who is not up to date yet, and so does not wait. */
Test(coord_watch, nor_is_a_snapshot_taken_of_it)
{
    ok(coord_watch(&r, &wa, &a));
    r.hold = true;
    ok(coord_register(&r, &c, 1));
    cr_assert_not(coord_next(&r, &wa));
    r.store->fail_at = 1;
    cr_assert_lt(coord_commit(&r), 0);
    r.store->fail_at = 0;
    cr_assert_eq(wa.ready, 1);
    coord_drain(&r, &wa);
    cr_assert(wa.synced);
    cr_assert_null(coord_knows(&wa, &c));
}

Test(coord_watch, a_watch_that_could_not_be_written_is_over)
{
    watch_a();
    r.hold = true;
    ok(coord_watch(&r, &wb, &b));
    cr_assert_eq(wb.ready, 0);
    r.store->fail_at = 1;
    cr_assert_lt(coord_commit(&r), 0);
    r.store->fail_at = 0;
    cr_assert_eq(wb.ready, 1);
    cr_assert_not(coord_next(&r, &wb));
    cr_assert_eq(wb.end.code, VELD_CODE_UNAVAILABLE);
    coord_unwatch(&r, &wb);
    coord_tick(&r);
    coord_drain(&r, &wa);
    cr_assert_not(coord_knows(&wa, &b)->online);
    r.hold = false;
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wa);
    cr_assert(coord_knows(&wa, &b)->online);
}

/* ---- one watch a member ---- */

Test(coord_watch, a_newer_watch_takes_the_place)
{
    struct coord_watch newer = {0};
    watch_a();
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wb);
    coord_drain(&r, &wa);
    ok(coord_signal(&r, &b, a.id->pub, "for whoever it is", 17));
    ok(coord_watch(&r, &newer, &a));
    cr_assert_not(coord_next(&r, &wa));
    cr_assert_eq(wa.end.code, VELD_CODE_ABORTED);
    coord_unwatch(&r, &wa);
    coord_drain(&r, &newer);
    cr_assert(newer.synced);
    cr_assert_eq(newer.signals, 1);
    coord_run(&r, 100 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wb);
    cr_assert(coord_knows(&wb, &a)->online, "the end of the former changes nothing");
    coord_watch_free(&r, &newer);
}

Test(coord_watch, a_newer_watch_that_failed_does_not)
{
    struct coord_watch newer = {0};
    watch_a();
    r.hold = true;
    ok(coord_watch(&r, &newer, &a));
    ok(coord_leave(&r, &b, true)); /* something to write */
    r.store->fail_at = 1;
    cr_assert_lt(coord_commit(&r), 0);
    r.store->fail_at = 0;
    cr_assert_not(coord_next(&r, &newer));
    cr_assert_eq(newer.end.code, VELD_CODE_UNAVAILABLE);
    coord_watch_free(&r, &newer);
    r.hold = false;
    cr_assert_not(coord_next(&r, &wa));
    cr_assert_eq(wa.end.code, VELD_CODE_OK);
    ok(coord_signal(&r, &b, a.id->pub, "x", 1));
    coord_drain(&r, &wa);
    cr_assert_eq(wa.signals, 1);
}

/* Opened and gone again within one turn; the one before it is over all the same. */
Test(coord_watch, closed_before_the_commit)
{
    struct coord_watch newer = {0};
    watch_a();
    r.hold = true;
    ok(coord_watch(&r, &newer, &a));
    coord_watch_free(&r, &newer);
    cr_assert_eq(coord_commit(&r), 0);
    cr_assert_not(coord_next(&r, &wa));
    cr_assert_eq(wa.end.code, VELD_CODE_ABORTED);
    coord_unwatch(&r, &wa);
    ok(coord_watch(&r, &wa, &a));
    ok(coord_watch(&r, &newer, &a));
    coord_unwatch(&r, &wa);
    coord_watch_free(&r, &newer);
    r.store->fail_at = 1;
    coord_commit(&r);
    r.store->fail_at = 0;
    r.hold = false;
    ok(coord_watch(&r, &wa, &a));
    coord_drain(&r, &wa);
    cr_assert(wa.synced);
}

/* ---- online ---- */

Test(coord_watch, online_while_watching_and_a_while_longer)
{
    watch_a();
    cr_assert(coord_knows(&wa, &a)->online);
    cr_assert_not(coord_knows(&wa, &b)->online);
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wa);
    cr_assert(coord_knows(&wa, &b)->online);
    cr_assert_eq(wa.presences, 1, "its record was known");
    coord_run(&r, 1000 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert(coord_knows(&wa, &b)->online);
    wa.events = 0;
    coord_unwatch(&r, &wb);
    uint64_t left_s = r.now.wall_ns / VELD_NS_PER_S;
    coord_run(&r, 59 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 0);
    coord_run(&r, 2 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 1);
    cr_assert_not(coord_knows(&wa, &b)->online);
    cr_assert_eq(coord_knows(&wa, &b)->last_seen, left_s);
}

Test(coord_watch, who_comes_back_in_time_was_never_gone)
{
    ok(coord_watch(&r, &wb, &b));
    watch_a();
    for (int i = 0; i < 5; i++) {
        coord_unwatch(&r, &wb);
        coord_run(&r, 50 * VELD_NS_PER_S, VELD_NS_PER_S);
        ok(coord_watch(&r, &wb, &b));
    }
    coord_run(&r, 100 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 0);
}

Test(coord_watch, who_leaves_is_offline_at_once)
{
    ok(coord_watch(&r, &wb, &b));
    watch_a();
    ok(coord_leave(&r, &b, false));
    cr_assert_not(coord_next(&r, &wb));
    cr_assert_eq(wb.end.code, VELD_CODE_ABORTED);
    coord_unwatch(&r, &wb);
    coord_drain(&r, &wa);
    cr_assert_not(coord_knows(&wa, &b)->online);
    wa.events = 0;
    coord_run(&r, 100 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert_eq(wa.events, 0);
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wa);
    cr_assert(coord_knows(&wa, &b)->online);
}

/* What could not be written is tried again. */
Test(coord_watch, leaving_while_the_disk_is_full)
{
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wb);
    watch_a();
    r.store->fail_at = 1;
    cr_assert_eq(coord_leave(&r, &b, false), VELD_CODE_UNAVAILABLE);
    coord_drain(&r, &wb);
    cr_assert_eq(wb.end.code, VELD_CODE_OK, "it goes on");
    coord_unwatch(&r, &wb);
    coord_run(&r, 100 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert(coord_knows(&wa, &b)->online);
    r.store->fail_at = 0;
    coord_run(&r, 100 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert_not(coord_knows(&wa, &b)->online);
}

/* Both come back after a restart: nobody is told anything. One who does not is told of in time. */
Test(coord_watch, a_restart_pushes_nothing)
{
    ok(coord_watch(&r, &wb, &b));
    watch_a();
    GBytes *before = test_store_image(r.store);
    for (int back = 1; back >= 0; back--) {
        coord_unwatch(&r, &wa);
        coord_unwatch(&r, &wb);
        coord_pass(&r, 10 * VELD_NS_PER_S);
        coord_reopen(&r);
        ok(coord_watch(&r, &wa, &a));
        ok(coord_register(&r, &a, 1));
        if (back)
            ok(coord_watch(&r, &wb, &b));
        coord_run(&r, 55 * VELD_NS_PER_S, VELD_NS_PER_S);
        coord_drain(&r, &wa);
        cr_assert_eq(wa.events, 1, "that it is up to date, and no more");
        cr_assert(coord_knows(&wa, &b)->online);
        GBytes *after = test_store_image(r.store);
        cr_assert(g_bytes_equal(before, after));
        g_bytes_unref(after);
        wa.events = 0;
    }
    coord_run(&r, 10 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &wa);
    cr_assert_not(coord_knows(&wa, &b)->online);
    cr_assert_eq(wa.resets, 1);
    g_bytes_unref(before);
}

/* ---- coalescing ---- */

Test(coord_watch, intervals_follow_the_number_of_watchers)
{
    cr_assert_eq(veld_watch_interval_ns(1), 0);
    cr_assert_eq(veld_watch_interval_ns(33), 0);
    cr_assert_eq(veld_watch_interval_ns(100), 3 * VELD_NS_PER_MS);
    cr_assert_eq(veld_watch_interval_ns(10000), 300 * VELD_NS_PER_MS);
    cr_assert_eq(veld_watch_interval_ns(1000000), 500 * VELD_NS_PER_MS);
}

/* Of many watchers, a lone change goes at once; those that follow close behind, together. */
Test(coord_watch, many_changes_are_told_together)
{
    static struct coord_watch w[100];
    static struct test_member m[100];
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        m[i] = test_trust_join(&r.trust, 100 + i, name, TEST_BY_OWNER);
        ok(coord_lease(&r, &m[i]));
        ok(coord_watch(&r, &w[i], &m[i]));
    }
    coord_run(&r, VELD_NS_PER_S, VELD_NS_PER_MS);
    for (unsigned i = 0; i < 100; i++) {
        coord_drain(&r, &w[i]);
        w[i].events = 0;
    }
    ok(coord_register(&r, &b, 2));
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(w[i].ready, 1, "at once");
        coord_drain(&r, &w[i]);
    }
    for (uint64_t k = 3; k < 30; k++) {
        ok(coord_register(&r, &b, k));
        coord_pass(&r, VELD_NS_PER_US);
        cr_assert_eq(w[0].ready, 0);
        cr_assert_not(coord_next(&r, &w[1]), "and not for the asking");
    }
    uint64_t due = veld_service_tick(r.service, &r.now);
    cr_assert_gt(due, r.now.mono_ns);
    cr_assert_leq(due, r.now.mono_ns + 3 * VELD_NS_PER_MS);
    ok(coord_watch(&r, &wa, &a)); /* one who is new does not wait */
    coord_drain(&r, &wa);
    cr_assert(wa.synced);
    cr_assert_eq(coord_knows(&wa, &b)->revision + 1, wa.revision);
    coord_pass(&r, due - r.now.mono_ns);
    coord_tick(&r);
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(w[i].ready, 1);
        coord_drain(&r, &w[i]);
        cr_assert_eq(w[i].events, 2);
        cr_assert_eq(coord_knows(&w[i], &b)->revision, coord_knows(&wa, &b)->revision);
    }
    for (unsigned i = 0; i < 100; i++) {
        coord_watch_free(&r, &w[i]);
        test_member_free(&m[i]);
    }
}

/* Behind by several pages: the record that changed on the first is told on the last. */
Test(coord_watch, who_comes_is_told_with_a_record_that_is_not_known)
{
    watch_a();
    ok(coord_register(&r, &c, 1));
    for (unsigned i = 0; i < 200; i++)
        add_member(100 + i, 1000);
    struct coord_watch wc = {0};
    ok(coord_watch(&r, &wc, &c));
    wa.events = wa.presences = 0;
    coord_drain(&r, &wa);
    cr_assert_geq(wa.events, 3);
    cr_assert(coord_knows(&wa, &c)->online);
    cr_assert_eq(wa.presences, 0);
    coord_watch_free(&r, &wc);
}

/* ---- signals ---- */

Test(coord_watch, signals_reach_one_member)
{
    watch_a();
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wb);
    coord_drain(&r, &wa);
    ok(coord_signal(&r, &b, a.id->pub, "sealed", 6));
    cr_assert_eq(wa.ready, 1);
    cr_assert_eq(wb.ready, 0);
    coord_drain(&r, &wa);
    coord_drain(&r, &wb);
    cr_assert_str_eq(wa.signal, "sealed");
    cr_assert_arr_eq(wa.signal_from, b.id->pub, 32);
    cr_assert_eq(wa.signals, 1);
    cr_assert_eq(wb.signals, 0);
    cr_assert(wa.synced);
}

Test(coord_watch, signals_to_who_is_not_there)
{
    watch_a();
    refused(coord_signal(&r, &a, b.id->pub, "x", 1), VELD_CODE_UNAVAILABLE, "not connected");
    refused(coord_signal(&r, &a, c.id->pub, "x", 1), VELD_CODE_UNAVAILABLE, "not connected");
    refused(coord_signal(&r, &c, a.id->pub, "x", 1), VELD_CODE_PERMISSION_DENIED,
            "only members");
    coord_unwatch(&r, &wa);
    refused(coord_signal(&r, &b, a.id->pub, "x", 1), VELD_CODE_UNAVAILABLE, "not connected");
}

Test(coord_watch, signals_are_bounded)
{
    static const uint8_t sealed[2049];
    watch_a();
    refused(coord_signal(&r, &b, a.id->pub, sealed, 2049), VELD_CODE_INVALID_ARGUMENT, "2048");
    refused(coord_signal(&r, &b, a.id->pub, sealed, 0), VELD_CODE_INVALID_ARGUMENT, "2048");
    for (size_t len = 0; len < 64; len += 31) {
        Veld__Coord__V1__SendSignalRequest q = VELD__COORD__V1__SEND_SIGNAL_REQUEST__INIT;
        q.network_id = coord_id(&r);
        q.to = coord_bytes(sealed, len);
        q.sealed = coord_bytes(sealed, 1);
        refused(coord_call(&r, b.id->seed, "SendSignal", &q), VELD_CODE_INVALID_ARGUMENT,
                "32 bytes");
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < VELD_SIGNALS_MAX; i++)
            ok(coord_signal(&r, &b, a.id->pub, sealed, 2048));
        refused(coord_signal(&r, &b, a.id->pub, sealed, 1), VELD_CODE_RESOURCE_EXHAUSTED,
                "too many signals");
        cr_assert_eq(r.service->signal_bytes, VELD_SIGNALS_MAX * 2048);
        wa.signals = 0;
        if (round == 1) { /* gone with their watch */
            coord_unwatch(&r, &wa);
            ok(coord_watch(&r, &wa, &a));
        }
        coord_drain(&r, &wa);
        cr_assert_eq(wa.signals, round == 1 ? 0 : VELD_SIGNALS_MAX);
        cr_assert_eq(r.service->signal_bytes, 0);
    }
    r.service->signal_bytes = VELD_SIGNAL_BYTES_MAX; /* of all watches together */
    refused(coord_signal(&r, &b, a.id->pub, sealed, 1), VELD_CODE_RESOURCE_EXHAUSTED,
            "too many signals");
    r.service->signal_bytes = 0;
}

/* A signal of somebody whom the receiver was not told of yet comes after that. */
Test(coord_watch, members_come_before_their_signals)
{
    watch_a();
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    net->told_ns = r.now.mono_ns; /* as with many watchers */
    net->tell_interval_ns = VELD_NS_PER_S;
    ok(coord_register(&r, &c, 1));
    cr_assert_eq(wa.ready, 0);
    ok(coord_signal(&r, &c, a.id->pub, "x", 1));
    cr_assert_eq(wa.ready, 1);
    cr_assert(coord_next(&r, &wa));
    cr_assert_not_null(coord_knows(&wa, &c));
    cr_assert_eq(wa.signals, 0);
    cr_assert(coord_next(&r, &wa));
    cr_assert_eq(wa.signals, 1);
}

Test(coord_watch, a_signal_that_could_not_be_committed_is_none)
{
    watch_a();
    r.hold = true;
    ok(coord_signal(&r, &b, a.id->pub, "x", 1));
    ok(coord_register(&r, &c, 1));
    r.store->fail_at = 1;
    cr_assert_lt(coord_commit(&r), 0);
    r.store->fail_at = 0;
    coord_drain(&r, &wa);
    cr_assert_eq(wa.signals, 0);
    cr_assert_eq(r.service->signal_bytes, 0);
}

/* ---- ListPeers ---- */

Test(coord_watch, list_peers_page_by_page)
{
    static const uint32_t limits[] = {0, 1, 7, 1000};
    for (unsigned i = 0; i < 200; i++)
        add_member(100 + i, 1000);
    ok(coord_lease(&r, &c)); /* nothing to show of it yet */
    coord_reopen(&r);
    for (size_t k = 0; k < VELD_ARRAY_LEN(limits); k++) {
        Veld__Coord__V1__ListPeersRequest q = VELD__COORD__V1__LIST_PEERS_REQUEST__INIT;
        unsigned members = 0, pages = 0;
        bool more = true;
        q.network_id = coord_id(&r);
        q.limit = limits[k];
        while (more) {
            ok(coord_call(&r, a.id->seed, "ListPeers", &q));
            cr_assert_leq(r.reply.len, VELD_PAGE_BYTES);
            Veld__Coord__V1__ListPeersReply *p =
                coord_reply(&r, &veld__coord__v1__list_peers_reply__descriptor);
            for (size_t i = 0; i < p->n_members; i++) {
                cr_assert_gt(p->members[i]->revision, q.after_revision);
                q.after_revision = p->members[i]->revision;
            }
            members += (unsigned)p->n_members;
            cr_assert(limits[k] == 0 || p->n_members <= limits[k]);
            more = p->more;
            cr_assert(!more || p->n_members > 0);
            pages++;
            veld__coord__v1__list_peers_reply__free_unpacked(p, NULL);
        }
        cr_assert_eq(members, 202, "%u", members);
        cr_assert_geq(pages, limits[k] == 1 ? 202 : 4);
    }
}
