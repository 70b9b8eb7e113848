#include "control/mesh/intake.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <glib.h>
#include <string.h>

static struct test_trust rig;
static struct veld_intake *intake;
static GString *came; /* one character a result */
static struct veld_intake_result last;
static unsigned last_members, last_revoked;
static char plain[16];

static uint64_t now_s(void)
{
    return TEST_TRUST_NOW;
}

static void on_result(void *ctx, struct veld_intake_result *r)
{
    static const char letters[] = "CER.";
    g_string_append_c(came,
                      r->err < 0 && r->kind != VELD_INTAKE_PLAIN ? 'x' : letters[r->kind]);
    last = *r;
    if (r->kind == VELD_INTAKE_PLAIN)
        snprintf(plain, sizeof plain, "%s", (const char *)r->plain.p);
    last_members = (unsigned)r->event.n_members;
    last_revoked = (unsigned)veld_revocations_count(r->event.revocations);
    if (r->err == 0)
        for (size_t i = 0; i < r->event.n_members; i++)
            g_string_append_printf(came, "%u", (unsigned)r->event.members[i].since);
}

static void open_with(const struct veld_blob *revocations)
{
    struct veld_intake_config cfg = {
        .network = &rig.network, .now_s = now_s, .done = on_result};
    if (revocations)
        cfg.revocations = *revocations;
    cr_assert_eq(veld_intake_open(&intake, &cfg), 0);
}

static void setup(void)
{
    test_trust_make(&rig);
    came = g_string_new(NULL);
}

static void cleanup(void)
{
    veld_intake_close(intake);
    g_string_free(came, TRUE);
    test_trust_free(&rig);
}

TestSuite(intake, .init = setup, .fini = cleanup, .timeout = 60);

static int try_item(enum veld_intake_kind kind, const void *bytes, size_t len)
{
    struct veld_intake_item item = {.kind = kind,
                                    .tag = 5,
                                    .err = kind == VELD_INTAKE_PLAIN ? VELD_E_IO : 0,
                                    .bytes = bytes,
                                    .len = len};
    return veld_intake_try(intake, &item);
}

static void take(size_t results)
{
    while (came->len < results)
        g_main_context_iteration(NULL, TRUE);
}

/* A WatchEvent of one member, or of two. */
static struct veld_blob event_of(const struct test_member *m, size_t n)
{
    uint8_t *p = malloc(4096 * n);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        struct veld_record r = test_record(&m[i], 1);
        struct veld_blob record = test_peer_record(&m[i], &r);
        size_t len = record.len + 3;
        const uint8_t head[] = {0x22, (uint8_t)(len | 0x80),        (uint8_t)(len >> 7),
                                0x0a, (uint8_t)(record.len | 0x80), (uint8_t)(record.len >> 7)};
        cr_assert_lt(len, 4096 - sizeof head);
        memcpy(p + at, head, sizeof head);
        memcpy(p + at + sizeof head, record.p, record.len);
        at += sizeof head + record.len;
        veld_blob_clear(&record);
    }
    return (struct veld_blob){p, at};
}

static struct veld_blob revocation_of(const uint8_t key[32])
{
    struct veld_revoked_entry entry = {.key = {0}};
    struct veld_signer owner = test_owner(&rig);
    struct veld_blob list = {0};
    memcpy(entry.key, key, 32);
    cr_assert_eq(veld_revocations_add(&list, &owner, rig.network.id, NULL, &entry, rig.now_s),
                 0);
    return list;
}

Test(intake, what_goes_in_comes_out_verified_and_in_order)
{
    struct test_member m[2] = {test_trust_join(&rig, 1, "a", TEST_BY_TOKEN),
                               test_trust_join(&rig, 2, "b", TEST_BY_OWNER)};
    struct veld_blob event = event_of(m, 2), list = revocation_of(m[0].id->pub);
    open_with(NULL);
    cr_assert_eq(try_item(VELD_INTAKE_CACHED, event.p, event.len), 0);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, event.p, event.len), 0);
    take(6);
    cr_assert_eq(last_members, 2);
    cr_assert_eq(try_item(VELD_INTAKE_REVOCATIONS, list.p, list.len), 0);
    take(7);
    cr_assert_eq(last_revoked, 1);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, event.p, event.len), 0);
    take(9);
    cr_assert_eq(last_members, 1, "by the list that came before");
    cr_assert_eq(last.event.refused[VELD_REFUSAL_REVOKED], 1);
    cr_assert_eq(try_item(VELD_INTAKE_REVOCATIONS, list.p, list.len), 0);
    take(10);
    cr_assert_eq(last.err, VELD_E_REPLAY, "it is known");
    cr_assert_eq(try_item(VELD_INTAKE_REVOCATIONS, "\x01", 1), 0);
    take(11);
    cr_assert_eq(last.err, VELD_E_FORMAT);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, "\x01", 1), 0);
    take(12);
    cr_assert_eq(last.err, VELD_E_FORMAT);
    cr_assert_str_eq(came->str, "C23E44RE5xxx", "numbered in the order they were learned in");
    veld_blob_clear(&event);
    veld_blob_clear(&list);
    test_member_free(&m[0]);
    test_member_free(&m[1]);
}

Test(intake, the_list_known_at_the_start_counts)
{
    struct test_member a = test_trust_join(&rig, 1, "a", TEST_BY_TOKEN);
    struct veld_blob event = event_of(&a, 1), list = revocation_of(a.id->pub);
    open_with(&list);
    cr_assert_eq(try_item(VELD_INTAKE_CACHED, event.p, event.len), 0);
    take(1);
    cr_assert_eq(last_members, 0);
    cr_assert_eq(last.event.refused[VELD_REFUSAL_REVOKED], 1);
    veld_blob_clear(&event);
    veld_blob_clear(&list);
    test_member_free(&a);
}

Test(intake, what_is_not_looked_at_keeps_its_place)
{
    open_with(NULL);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, NULL, 0), 0);
    cr_assert_eq(try_item(VELD_INTAKE_PLAIN, "gone", 4), 0);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, NULL, 0), 0);
    cr_assert_eq(try_item(VELD_INTAKE_PLAIN, NULL, 0), 0);
    take(2);
    cr_assert_str_eq(plain, "gone");
    cr_assert_eq(last.err, VELD_E_IO);
    cr_assert_eq(last.tag, 5);
    take(4);
    cr_assert_str_eq(came->str, "E.E.");
    cr_assert_str_eq(plain, "");
}

/* Until it takes no more; what is verified meanwhile is not taken. How many went in. */
static unsigned fill(enum veld_intake_kind kind, const void *bytes, size_t len)
{
    unsigned n = 0;
    int rc = 0;
    for (int i = 0; i < 10; i++) {
        while (n < 100 && (rc = try_item(kind, bytes, len)) == 0)
            n++;
        g_usleep(20000);
    }
    cr_assert_eq(rc, VELD_E_FULL);
    return n;
}

/* A server that has more to say than is verified keeps no member's list away, nor late. */
Test(intake, lists_go_before_all_that_waits)
{
    static uint8_t bytes[VELD_EVENT_MAX];
    struct test_member a = test_trust_join(&rig, 1, "a", TEST_BY_TOKEN);
    struct veld_blob list = revocation_of(a.id->pub);
    open_with(NULL);
    unsigned n = fill(VELD_INTAKE_EVENT, bytes, sizeof bytes / 2);
    cr_assert_eq(try_item(VELD_INTAKE_REVOCATIONS, list.p, list.len), 0);
    cr_assert_eq(fill(VELD_INTAKE_REVOCATIONS, list.p, list.len), VELD_INTAKE_LISTS - 1);
    take(n + VELD_INTAKE_LISTS);
    size_t before = strcspn(came->str, "R");
    cr_assert_leq(before, VELD_INTAKE_EVENTS + 1, "%s", came->str);
    cr_assert_gt(n, before, "%s", came->str);
    veld_blob_clear(&list);
    test_member_free(&a);
}

Test(intake, what_waits_is_bounded)
{
    static uint8_t bytes[VELD_EVENT_MAX];
    open_with(NULL);
    unsigned n = fill(VELD_INTAKE_EVENT, bytes, sizeof bytes);
    cr_assert_geq(n, 3);
    /* The rest of the bound stands in the way out, and one is being verified. */
    cr_assert_leq(n, 4 + VELD_INTAKE_EVENTS + 1);
    take(n);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, bytes, sizeof bytes), 0);
    veld_intake_stop(intake);
    cr_assert_eq(try_item(VELD_INTAKE_EVENT, bytes, 1), VELD_E_STATE);
    struct veld_intake_item item = {.kind = VELD_INTAKE_EVENT};
    cr_assert_eq(veld_intake_push(intake, &item), VELD_E_STATE);
}
