#include "base/bytes.h"
#include "control/mesh/event.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <veld/coord/v1/coord.pb-c.h>

static struct test_trust rig;

static void setup(void)
{
    test_trust_make(&rig);
}

static void cleanup(void)
{
    test_trust_free(&rig);
}

TestSuite(watch_event, .init = setup, .fini = cleanup, .timeout = 60);

#define MEMBERS_MAX 8

/* An event to be sent. */
struct sent {
    Veld__Coord__V1__WatchEvent event;
    Veld__Coord__V1__Member member[MEMBERS_MAX], *members[MEMBERS_MAX];
    Veld__Coord__V1__Signal signal[2], *signals[2];
    Veld__Coord__V1__Presence presence[2], *presences[2];
};

static void sent_begin(struct sent *s)
{
    memset(s, 0, sizeof *s);
    veld__coord__v1__watch_event__init(&s->event);
    s->event.members = s->members;
    s->event.signals = s->signals;
    s->event.presence = s->presences;
}

/* Takes `record` over. */
static Veld__Coord__V1__Member *sent_member(struct sent *s, struct veld_blob record)
{
    size_t i = s->event.n_members++;
    veld__coord__v1__member__init(&s->member[i]);
    s->members[i] = &s->member[i];
    s->member[i].peer = veld__trust__v1__peer_record__unpack(NULL, record.len, record.p);
    cr_assert_not_null(s->member[i].peer);
    veld_blob_clear(&record);
    return &s->member[i];
}

static void sent_revocations(struct sent *s, const struct veld_blob *list)
{
    s->event.revocations = veld__trust__v1__revocation_list__unpack(NULL, list->len, list->p);
    cr_assert_not_null(s->event.revocations);
}

static int read_sent(struct sent *s, const struct veld_revocations *revoked,
                     struct veld_watch_event *out)
{
    struct veld_event_known known = {
        .network = &rig.network, .revoked = revoked, .now_s = rig.now_s};
    size_t len = veld__coord__v1__watch_event__get_packed_size(&s->event);
    uint8_t *p = malloc(len + 1);
    veld__coord__v1__watch_event__pack(&s->event, p);
    int rc = veld_watch_event_read(p, len, &known, out);
    free(p);
    for (size_t i = 0; i < s->event.n_members; i++) {
        if (s->member[i].peer)
            veld__trust__v1__peer_record__free_unpacked(s->member[i].peer, NULL);
    }
    if (s->event.revocations)
        veld__trust__v1__revocation_list__free_unpacked(s->event.revocations, NULL);
    return rc;
}

static struct veld_blob signed_record(const struct test_member *m, uint64_t sequence)
{
    struct veld_record r = test_record(m, sequence);
    return test_peer_record(m, &r);
}

Test(watch_event, an_honest_event)
{
    struct test_member a = test_trust_join(&rig, 1, "a", TEST_BY_TOKEN);
    struct sent s;
    struct veld_watch_event e;
    sent_begin(&s);
    s.event.revision = 77;
    s.event.reset = true;
    struct veld_blob record = signed_record(&a, 9), copy = {0};
    cr_assert_eq(veld_blob_set(&copy, record.p, record.len), 0);
    Veld__Coord__V1__Member *m = sent_member(&s, record);
    m->online = true;
    m->revision = 76;
    m->last_seen = 1234;
    ProtobufCBinaryData removed[] = {{32, a.id->pub}, {31, a.id->pub}};
    s.event.removed = removed;
    s.event.n_removed = 2;
    for (size_t i = 0; i < 2; i++) {
        veld__coord__v1__presence__init(&s.presence[i]);
        s.presences[s.event.n_presence++] = &s.presence[i];
        s.presence[i].member = removed[i];
        s.presence[i].online = true;
        s.presence[i].revision = 70;
        s.presence[i].last_seen = 4321;
    }
    uint8_t sealed[VELD_SIGNAL_MAX + 1] = {7};
    for (size_t i = 0; i < 2; i++) {
        veld__coord__v1__signal__init(&s.signal[i]);
        s.signals[s.event.n_signals++] = &s.signal[i];
        s.signal[i].from = removed[0];
        s.signal[i].sealed = (ProtobufCBinaryData){VELD_SIGNAL_MAX + 1 - i, sealed};
    }

    cr_assert_eq(read_sent(&s, NULL, &e), 0);
    cr_assert(e.reset && !e.synced);
    cr_assert_eq(e.revision, 77);
    cr_assert_eq(e.n_members, 1);
    cr_assert_str_eq(e.members[0].record.membership.name, "a");
    cr_assert_eq(e.members[0].record.sequence, 9);
    cr_assert(e.members[0].online);
    cr_assert_eq(e.members[0].revision, 76);
    cr_assert_eq(e.members[0].last_seen_s, 1234);
    cr_assert_eq(e.members[0].bytes.len, copy.len);
    cr_assert_arr_eq(e.members[0].bytes.p, copy.p, copy.len);
    cr_assert_eq(e.n_presence, 1);
    cr_assert_arr_eq(e.presence[0].pub, a.id->pub, 32);
    cr_assert(e.presence[0].online);
    cr_assert_eq(e.presence[0].revision, 70);
    cr_assert_eq(e.presence[0].last_seen_s, 4321);
    cr_assert_eq(e.n_removed, 1);
    cr_assert_arr_eq(e.removed[0], a.id->pub, 32);
    cr_assert_eq(e.n_signals, 1);
    cr_assert_eq(e.signals[0].len, VELD_SIGNAL_MAX);
    cr_assert_eq(e.signals[0].sealed[0], 7);
    cr_assert_eq(e.refused[VELD_REFUSAL_MALFORMED], 3, "two short keys, a long signal");
    veld_watch_event_clear(&e);
    veld_blob_clear(&copy);
    test_member_free(&a);
}

/* What a hostile server may try with records: each is refused, counted, and keeps nobody else out. */
Test(watch_event, what_is_not_proved_is_refused)
{
    struct test_trust other;
    test_trust_make_nth(&other, 1);
    struct test_member a = test_trust_join(&rig, 1, "a", TEST_BY_TOKEN);
    struct test_member b = test_trust_join(&rig, 2, "b", TEST_BY_OWNER);
    struct test_member stranger = test_trust_join(&other, 3, "c", TEST_BY_OWNER);
    struct test_member late = test_trust_join(&rig, 4, "d", TEST_BY_OWNER);
    struct veld_signer owner = test_owner(&rig);
    late.membership.not_after_s = rig.now_s - 100;
    cr_assert_eq(veld_membership_issue(&late.chain, &owner, &late.membership), 0);

    struct sent s;
    struct veld_watch_event e;
    sent_begin(&s);
    sent_member(&s, signed_record(&stranger, 1)); /* another network's */
    Veld__Coord__V1__Member *m = sent_member(&s, signed_record(&a, 1));
    m->peer->record->signature.data[5] ^= 1; /* a changed record */
    struct test_member mixed = b;
    mixed.id = a.id; /* a's key in b's membership: a swapped key */
    mixed.membership = a.membership;
    sent_member(&s, signed_record(&mixed, 1));
    sent_member(&s, signed_record(&late, 1));
    sent_member(&s, signed_record(&b, 1));
    cr_assert_eq(read_sent(&s, NULL, &e), 0);
    cr_assert_eq(e.n_members, 1);
    cr_assert_str_eq(e.members[0].record.membership.name, "b");
    cr_assert_eq(e.refused[VELD_REFUSAL_FORGED], 3);
    cr_assert_eq(e.refused[VELD_REFUSAL_EXPIRED], 1);
    veld_watch_event_clear(&e);

    sent_begin(&s);
    m = sent_member(&s, signed_record(&b, 1));
    veld__trust__v1__peer_record__free_unpacked(m->peer, NULL);
    m->peer = NULL;
    uint8_t padding[VELD_EVENT_RECORD_MIN] = {0};
    ProtobufCBinaryData more[] = {{sizeof padding, padding}};
    s.event.removed = more;
    s.event.n_removed = 1;
    cr_assert_eq(read_sent(&s, NULL, &e), 0);
    cr_assert_eq(e.n_members, 0);
    cr_assert_eq(e.refused[VELD_REFUSAL_MALFORMED], 2);
    veld_watch_event_clear(&e);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&stranger);
    test_member_free(&late);
    test_trust_free(&other);
}

static struct veld_blob revoke(const struct veld_revocations *before, const uint8_t key[32])
{
    struct veld_revoked_entry entry = {0};
    struct veld_signer owner = test_owner(&rig);
    struct veld_blob list = {0};
    memcpy(entry.key, key, 32);
    cr_assert_eq(veld_revocations_add(&list, &owner, rig.network.id, before, &entry, rig.now_s),
                 0);
    return list;
}

/* The list that comes with records counts for them. */
Test(watch_event, revocations)
{
    struct test_member a = test_trust_join(&rig, 1, "a", TEST_BY_OWNER);
    struct test_member b = test_trust_join(&rig, 2, "b", TEST_BY_OWNER);
    struct veld_blob list = revoke(NULL, a.id->pub);
    struct veld_revocations *revoked;
    struct veld_watch_event e;
    struct sent s;
    sent_begin(&s);
    sent_revocations(&s, &list);
    sent_member(&s, signed_record(&a, 1));
    sent_member(&s, signed_record(&b, 1));
    cr_assert_eq(read_sent(&s, NULL, &e), 0);
    cr_assert_not_null(e.revocations);
    cr_assert_eq(e.revocation_epoch, veld_revocations_epoch(e.revocations));
    cr_assert(veld_revoked(e.revocations, a.id->pub));
    cr_assert_eq(e.n_members, 1);
    cr_assert_eq(e.refused[VELD_REFUSAL_REVOKED], 1);
    revoked = e.revocations;
    e.revocations = NULL;
    veld_watch_event_clear(&e);

    sent_begin(&s);
    sent_revocations(&s, &list);
    sent_member(&s, signed_record(&a, 1));
    cr_assert_eq(read_sent(&s, revoked, &e), 0);
    cr_assert_null(e.revocations, "known already");
    cr_assert_eq(e.revocation_epoch, veld_revocations_epoch(revoked));
    cr_assert_eq(e.refused[VELD_REFUSAL_REVOCATIONS], 0);
    cr_assert_eq(e.refused[VELD_REFUSAL_REVOKED], 1);
    veld_watch_event_clear(&e);

    /* One of the same epoch that revokes another; one that is forged. */
    struct veld_blob wrong = revoke(NULL, b.id->pub);
    sent_begin(&s);
    sent_revocations(&s, &wrong);
    sent_member(&s, signed_record(&b, 1));
    cr_assert_eq(read_sent(&s, revoked, &e), 0);
    cr_assert_null(e.revocations);
    cr_assert_eq(e.revocation_epoch, 0);
    cr_assert_eq(e.n_members, 1);
    cr_assert_eq(e.refused[VELD_REFUSAL_REVOCATIONS], 0);
    cr_assert_eq(e.refused[VELD_REFUSAL_REPLAYED], 1);
    veld_watch_event_clear(&e);
    sent_begin(&s);
    sent_revocations(&s, &wrong);
    s.event.revocations->list->signature.data[0] ^= 1;
    cr_assert_eq(read_sent(&s, NULL, &e), 0);
    cr_assert_null(e.revocations);
    cr_assert_eq(e.refused[VELD_REFUSAL_REVOCATIONS], 1);
    veld_watch_event_clear(&e);

    veld_revocations_free(revoked);
    veld_blob_clear(&list);
    veld_blob_clear(&wrong);
    test_member_free(&a);
    test_member_free(&b);
}

Test(watch_event, what_is_no_event_is_refused)
{
    struct veld_event_known known = {.network = &rig.network, .now_s = rig.now_s};
    struct veld_watch_event e;
    static const uint8_t cut[] = {0x22, 0x7f, 0x00};
    cr_assert_eq(veld_watch_event_read(cut, sizeof cut, &known, &e), VELD_E_FORMAT);
    cr_assert_null(e.members);
    cr_assert_eq(veld_watch_event_read(cut, 0, &known, &e), 0, "nothing at all");
    veld_watch_event_clear(&e);
}

/* A message of few bytes that asks for much memory: empty members, two bytes each. */
Test(watch_event, small_messages_take_little_memory)
{
    struct veld_event_known known = {.network = &rig.network, .now_s = rig.now_s};
    struct veld_watch_event e;
    static uint8_t bomb[VELD_EVENT_MAX + 2];
    for (size_t i = 0; i < sizeof bomb; i += 2)
        bomb[i] = 0x22;
    cr_assert_eq(veld_watch_event_read(bomb, VELD_EVENT_MAX, &known, &e), VELD_E_FORMAT);
    cr_assert_eq(veld_watch_event_read(bomb, 4096, &known, &e), VELD_E_FORMAT);
    for (size_t i = 0; i < sizeof bomb; i += 2)
        bomb[i] = 0x3a; /* signals */
    cr_assert_eq(veld_watch_event_read(bomb, 4096, &known, &e), 0);
    cr_assert_eq(e.n_signals, 0);
    cr_assert_eq(e.refused[VELD_REFUSAL_MALFORMED], 2048);
    veld_watch_event_clear(&e);

    /* A field that nobody knows, of all the bytes there may be, and of two more. */
    for (size_t len = VELD_EVENT_MAX; len <= sizeof bomb; len += 2) {
        size_t body = len - 4;
        const uint8_t head[] = {0x7a, (uint8_t)(body | 0x80), (uint8_t)(body >> 7 | 0x80),
                                (uint8_t)(body >> 14)};
        memcpy(bomb, head, sizeof head);
        int rc = veld_watch_event_read(bomb, len, &known, &e);
        cr_assert_eq(rc, len > VELD_EVENT_MAX ? VELD_E_FORMAT : 0, "%zu", len);
        veld_watch_event_clear(&e);
    }
}

Test(watch_event, signals_are_bounded)
{
    struct veld_event_known known = {.network = &rig.network, .now_s = rig.now_s};
    struct veld_watch_event e;
    uint8_t one[36] = {0x3a, 34, 0x0a, 32};
    uint8_t *many = malloc((VELD_EVENT_SIGNALS_MAX + 3) * sizeof one);
    for (size_t i = 0; i < VELD_EVENT_SIGNALS_MAX + 3; i++)
        memcpy(many + i * sizeof one, one, sizeof one);
    cr_assert_eq(
        veld_watch_event_read(many, (VELD_EVENT_SIGNALS_MAX + 3) * sizeof one, &known, &e), 0);
    cr_assert_eq(e.n_signals, VELD_EVENT_SIGNALS_MAX);
    cr_assert_eq(e.refused[VELD_REFUSAL_SIGNAL_LIMIT], 3);
    veld_watch_event_clear(&e);
    free(many);
}
