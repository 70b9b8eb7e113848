/*
 * One thread brings events faster than they are verified, another lists of
 * revocations, the control thread takes what comes out and stops in the midst:
 * nothing is lost, nothing overtakes, and nobody waits for ever.
 */
#include "control/mesh/intake.h"

#include "../support/trust_rig.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define EVENTS 400
#define LISTS  20

static struct test_trust rig;
static struct veld_intake *intake;
static struct veld_blob event, lists[LISTS];
static GMainLoop *loop;
static uint64_t seen_events, seen_lists, stop_after;
static _Atomic int refused;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "intake: %s\n", what);
        exit(1);
    }
}

static uint64_t now_s(void)
{
    return TEST_TRUST_NOW;
}

static void on_result(void *ctx, struct veld_intake_result *r)
{
    if (r->kind == VELD_INTAKE_EVENT) {
        must(r->tag == seen_events, "an event is missing, or overtook another");
        must(r->err == 0 && r->event.n_members == 1, "an event did not come out as it went in");
        seen_events++;
    } else {
        must(r->tag == seen_lists, "a list is missing, or overtook another");
        must(r->err == 0 && veld_revocations_count(r->event.revocations) == r->tag + 1,
             "a list did not come out as it went in");
        seen_lists++;
    }
    if (seen_events + seen_lists == stop_after)
        g_main_loop_quit(loop);
}

static void push(enum veld_intake_kind kind, uint64_t tag, const struct veld_blob *bytes)
{
    struct veld_intake_item item = {
        .kind = kind, .tag = tag, .bytes = bytes->p, .len = bytes->len};
    int rc = veld_intake_push(intake, &item);
    must(rc == 0 || rc == VELD_E_STATE, "push fails");
    if (rc < 0)
        atomic_fetch_add(&refused, 1);
}

static void *bring_events(void *ctx)
{
    for (uint64_t i = 0; i < EVENTS; i++)
        push(VELD_INTAKE_EVENT, i, &event);
    return NULL;
}

static void *bring_lists(void *ctx)
{
    for (uint64_t i = 0; i < LISTS; i++)
        push(VELD_INTAKE_REVOCATIONS, i, &lists[i]);
    return NULL;
}

/* An event of one member and much that nobody reads, so that few of them fill the way. */
static void make_event(void)
{
    struct test_member m = test_trust_join(&rig, 1, "a", TEST_BY_OWNER);
    struct veld_record r = test_record(&m, 1);
    struct veld_blob record = test_peer_record(&m, &r);
    size_t filler = 200000, n = 0;
    uint8_t *p = calloc(1, filler + record.len + 32);
    p[n++] = 0x7a; /* field 15, bytes */
    p[n++] = (uint8_t)(filler | 0x80);
    p[n++] = (uint8_t)(filler >> 7 | 0x80);
    p[n++] = (uint8_t)(filler >> 14);
    n += filler;
    size_t member = record.len + 3;
    p[n++] = 0x22; /* members */
    p[n++] = (uint8_t)(member | 0x80);
    p[n++] = (uint8_t)(member >> 7);
    p[n++] = 0x0a; /* peer */
    p[n++] = (uint8_t)(record.len | 0x80);
    p[n++] = (uint8_t)(record.len >> 7);
    memcpy(p + n, record.p, record.len);
    event = (struct veld_blob){p, n + record.len};
    veld_blob_clear(&record);
    test_member_free(&m);
}

static void make_lists(void)
{
    struct veld_revocations *before = NULL;
    struct veld_signer owner = test_owner(&rig);
    for (unsigned i = 0; i < LISTS; i++) {
        struct veld_revoked_entry entry = {.key = {0}};
        struct veld_revocations *now;
        struct veld_identity *id = test_trust_identity(100 + i);
        memcpy(entry.key, id->pub, 32);
        veld_identity_free(id);
        test_trust_must(
            veld_revocations_add(&lists[i], &owner, rig.network.id, before, &entry, rig.now_s),
            "list");
        test_trust_must(
            veld_revocations_read(lists[i].p, lists[i].len, rig.network.id, before, &now),
            "list");
        veld_revocations_free(before);
        before = now;
    }
    veld_revocations_free(before);
}

static void run(uint64_t results)
{
    struct veld_intake_config cfg = {
        .network = &rig.network, .now_s = now_s, .done = on_result};
    pthread_t events, more;
    seen_events = seen_lists = 0;
    stop_after = results;
    atomic_store(&refused, 0);
    must(veld_intake_open(&intake, &cfg) == 0, "open");
    must(pthread_create(&events, NULL, bring_events, NULL) == 0, "a thread");
    must(pthread_create(&more, NULL, bring_lists, NULL) == 0, "another thread");
    g_main_loop_run(loop);
    veld_intake_stop(intake);
    pthread_join(events, NULL);
    pthread_join(more, NULL);
    must((atomic_load(&refused) > 0) == (results < EVENTS + LISTS), "who was refused");
    veld_intake_close(intake);
}

int main(void)
{
    test_trust_make(&rig);
    loop = g_main_loop_new(NULL, FALSE);
    make_event();
    make_lists();
    run(EVENTS + LISTS);
    run(7); /* stopped while both wait for room, most likely */
    g_main_loop_unref(loop);
    veld_blob_clear(&event);
    for (unsigned i = 0; i < LISTS; i++)
        veld_blob_clear(&lists[i]);
    test_trust_free(&rig);
    return 0;
}
