#include "base/bytes.h"
#include "control/mesh/members.h"

#include "../support/random.h"
#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/veld-test-members.XXXXXX";
static char path[64];
static const struct veld_network network;
static struct veld_pins *pins;
static struct veld_members *members;
static struct veld_diag diag;

static struct veld_members *make_table(void)
{
    struct veld_members_self self = {.pub = {0xff}, .network = &network, .pins = pins};
    strcpy(self.name, "self");
    cr_assert_eq(veld_ip_parse("10.100.255.1", &self.ipv4), 0);
    return veld_members_new(&self);
}

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/pins.json", dir);
    cr_assert_eq(veld_pins_load(&pins, path, network.id, &diag), 0, "%s", diag.text);
    members = make_table();
}

static void cleanup(void)
{
    veld_members_free(members);
    veld_pins_free(pins);
    rmdir(dir);
}

TestSuite(members, .init = setup, .fini = cleanup, .timeout = 60);

/* ---- What members say, unsigned: who verified it is not what is tested here ---- */

struct says {
    uint32_t key;
    const char *name, *ipv4; /* ipv4 NULL: none */
    uint64_t sequence, serial, not_before, since;
};

static struct veld_member_news make_news(const struct says *s)
{
    struct veld_member_news n = {.online = true, .since = s->since ? s->since : 1000};
    struct veld_record *r = &n.record;
    memcpy(r->membership.member, &s->key, sizeof s->key);
    snprintf(r->membership.name, sizeof r->membership.name, "%s", s->name);
    r->membership.serial = s->serial;
    r->membership.not_before_s = s->not_before;
    r->sequence = s->sequence;
    if (s->ipv4)
        cr_assert_eq(veld_ip_parse(s->ipv4, &r->ipv4), 0);
    r->ipv6 = (struct veld_ip){.family = 6, .b = {0xfd}};
    memcpy(r->ipv6.b + 12, &s->key, sizeof s->key);
    char bytes[128];
    int len = snprintf(bytes, sizeof bytes, "%u %s %s %zu %zu", s->key, s->name,
                       s->ipv4 ? s->ipv4 : "", (size_t)s->sequence, (size_t)s->serial);
    cr_assert_eq(veld_blob_set(&n.bytes, bytes, (size_t)len), 0);
    return n;
}

static int apply_to(struct veld_members *t, const struct says *s)
{
    struct veld_member_news n = make_news(s);
    int rc = veld_members_apply(t, &n);
    veld_blob_clear(&n.bytes);
    return rc;
}

static int apply(const struct says s)
{
    return apply_to(members, &s);
}

/* Its key, name, address and sequence; more by name. */
#define SAYS(k, n, a, s, ...)                                                                  \
    ((struct says){.key = (k), .name = (n), .ipv4 = (a), .sequence = (s), ##__VA_ARGS__})

static const uint8_t *pub(uint32_t key)
{
    static uint8_t p[32];
    memcpy(p, &key, sizeof key);
    return p;
}

static const struct veld_member *find(uint32_t key)
{
    return veld_members_find(members, pub(key));
}

static enum veld_member_standing standing(uint32_t key)
{
    const struct veld_member *m = find(key);
    cr_assert_not_null(m, "%u", key);
    return m->standing;
}

/* The keys to look at again, as bits; all taken. */
static unsigned changes(void)
{
    uint8_t p[32];
    unsigned bits = 0;
    while (veld_members_next_change(members, p))
        bits |= 1u << veld_load_le32(p);
    return bits;
}

static void pin(uint32_t key)
{
    struct veld_pin shown = veld_member_pin(find(key), 77);
    cr_assert_eq(veld_pins_add(pins, &shown), 0);
    veld_members_on_pinned(members, pub(key));
}

/* ---- One member ---- */

Test(members, one_comes_changes_and_goes)
{
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.2", 5)), 0);
    cr_assert_eq(changes(), 1u << 1);
    const struct veld_member *m = find(1);
    cr_assert_str_eq(m->name, "b");
    cr_assert(m->listed && m->online);
    cr_assert_eq(m->standing, VELD_MEMBER_GOOD);
    cr_assert_gt(m->record.len, 0);

    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.2", 5)), 0, "the same again");
    cr_assert_eq(changes(), 0);
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.3", 6, .since = 2000)), 0);
    cr_assert_eq(changes(), 1u << 1);
    cr_assert_eq(find(1)->since, 2000, "under this address");
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.3", 7, .since = 3000)), 0);
    cr_assert_eq(find(1)->since, 2000);

    veld_members_drop(members, pub(1));
    cr_assert_eq(changes(), 1u << 1);
    cr_assert_null(find(1));
    cr_assert_eq(veld_members_count(members), 0);
}

Test(members, one_is_heard_of_without_its_record)
{
    struct says a = {.key = 1, .name = "a", .ipv4 = "10.100.0.1", .sequence = 1, .serial = 1};
    struct veld_member_presence p = {.revision = 8, .last_seen_s = 99};
    uint8_t changed[32];
    memcpy(p.pub, &a.key, sizeof a.key);
    cr_assert_eq(veld_members_presence(members, &p), VELD_E_NOENT);
    cr_assert_eq(veld_members_count(members), 0, "nobody comes in by it");
    cr_assert_eq(apply_to(members, &a), 0);
    while (veld_members_next_change(members, changed))
        ;
    cr_assert_eq(veld_members_presence(members, &p), 0);
    cr_assert(veld_members_next_change(members, changed));
    const struct veld_member *m = veld_members_find(members, p.pub);
    cr_assert(!m->online && m->listed);
    cr_assert_eq(m->last_seen_s, 99);
    cr_assert_eq(m->revision, 8);
}

Test(members, ones_own_record_is_no_members)
{
    cr_assert_eq(apply(SAYS(0xff, "other", NULL, 1)), VELD_E_EXIST);
    cr_assert_eq(veld_members_count(members), 0);
}

/* A server can put any record together with any membership of that member. */
Test(members, neither_record_nor_membership_goes_back)
{
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.2", 5, .serial = 5)), 0);
    changes();
    const struct says old[] = {
        SAYS(1, "b", "10.100.0.9", 4, .serial = 5), SAYS(1, "b", "10.100.0.9", 4, .serial = 6),
        SAYS(1, "b", "10.100.0.9", 6, .serial = 4), SAYS(1, "b", "10.100.0.9", 5, .serial = 4),
        SAYS(1, "b", "10.100.0.9", 5, .serial = 5), SAYS(1, "b", "10.100.0.9", 0),
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(old); i++) {
        cr_expect_eq(apply_to(members, &old[i]), VELD_E_REPLAY, "case %zu", i);
        cr_expect_eq(find(1)->sequence, 5);
        cr_expect_eq(find(1)->ipv4.b[3], 2);
        cr_expect_eq(changes(), 0);
    }
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.9", 5, .serial = 6)), 0, "a newer membership");
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.8", 6, .serial = 6)), 0, "a newer record");
    cr_assert_eq(find(1)->ipv4.b[3], 8);
}

Test(members, what_was_unlisted_does_not_come_back_older)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5)), 0);
    veld_members_unlist(members, pub(1));
    cr_assert_eq(apply(SAYS(1, "b", NULL, 4)), VELD_E_REPLAY);
    cr_assert_eq(find(1)->sequence, 5);
}

/* Nor when it was forgotten meanwhile, for whatever reason. */
Test(members, what_was_forgotten_does_not_come_back_older)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5, .serial = 5)), 0);
    veld_members_unlist(members, pub(1));
    veld_members_drop(members, pub(1));
    cr_assert_null(find(1));
    cr_assert_eq(apply(SAYS(1, "b", NULL, 4, .serial = 5)), VELD_E_REPLAY);
    cr_assert_eq(apply(SAYS(1, "b", NULL, 6, .serial = 4)), VELD_E_REPLAY);
    cr_assert_null(find(1));
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5, .serial = 5)), 0, "the same");
}

/* ---- What the server lists ---- */

Test(members, the_server_takes_nobody_away)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5)), 0);
    changes();
    veld_members_unlist(members, pub(1));
    veld_members_unlist(members, pub(7));
    cr_assert_eq(changes(), 1u << 1);
    cr_assert_not(find(1)->listed);
    cr_assert_eq(standing(1), VELD_MEMBER_GOOD);
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5)), 0);
    cr_assert_eq(changes(), 1u << 1);
    cr_assert(find(1)->listed);
}

Test(members, a_reset_unlists_who_does_not_follow)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5)), 0);
    cr_assert_eq(apply(SAYS(2, "c", NULL, 5)), 0);
    cr_assert_eq(apply(SAYS(3, "d", NULL, 5)), 0);
    veld_members_synced(members); /* without a reset it says nothing about who is known */
    cr_assert(find(1)->listed);
    veld_members_reset(members);
    cr_assert(veld_members_is_resetting(members));
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5)), 0, "the same");
    cr_assert_eq(apply(SAYS(3, "d", NULL, 4)), VELD_E_REPLAY, "listed all the same");
    cr_assert(find(2)->listed, "not yet");
    veld_members_synced(members);
    cr_assert_not(veld_members_is_resetting(members));
    cr_assert(find(1)->listed);
    cr_assert_not(find(2)->listed);
    cr_assert(find(3)->listed);
}

/* ---- Claims ---- */

Test(members, a_name_belongs_to_who_was_known_earlier)
{
    cr_assert_eq(apply(SAYS(2, "b", NULL, 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5, .since = 2000)), 0);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);
    cr_assert_eq(standing(1), VELD_MEMBER_NAME_TAKEN);
    changes();
    veld_members_drop(members, pub(2));
    cr_assert_eq(standing(1), VELD_MEMBER_GOOD);
    cr_assert_eq(changes(), 1u << 1 | 1u << 2);
}

/* Of those learned together, to the older membership; then to the smaller key. */
Test(members, an_older_membership_counts_before_a_younger)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5, .not_before = 900)), 0);
    cr_assert_eq(apply(SAYS(2, "b", NULL, 5, .not_before = 800)), 0);
    cr_assert_eq(apply(SAYS(3, "b", NULL, 5, .not_before = 800)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_NAME_TAKEN);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);
    cr_assert_eq(standing(3), VELD_MEMBER_NAME_TAKEN);
}

Test(members, an_address_belongs_to_who_was_known_earlier)
{
    cr_assert_eq(apply(SAYS(2, "b", "10.100.0.2", 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(1, "c", "10.100.0.2", 5, .since = 2000)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_ADDRESS_TAKEN);
    cr_assert_eq(apply(SAYS(1, "c", "10.100.0.3", 6, .since = 2000)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_GOOD);
    cr_assert_eq(apply(SAYS(1, "c", "10.100.0.2", 7, .since = 3000)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_ADDRESS_TAKEN);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);
}

/* One who takes another's name later has no older right to it than the name is old. */
Test(members, an_address_leads_to_its_holder)
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse("10.100.0.2", &ip), 0);
    cr_assert_null(veld_members_of_ipv4(members, &ip));
    cr_assert_eq(apply(SAYS(2, "c", "10.100.0.2", 5, .since = 2000)), 0);
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.2", 5, .since = 1000)), 0);
    cr_assert_eq(veld_members_of_ipv4(members, &ip), find(1));
    veld_members_drop(members, pub(1));
    cr_assert_eq(veld_members_of_ipv4(members, &ip), find(2));
    veld_members_drop(members, pub(2));
    cr_assert_null(veld_members_of_ipv4(members, &ip));
}

Test(members, a_claim_is_as_old_as_its_name)
{
    cr_assert_eq(apply(SAYS(1, "a", NULL, 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(2, "b", NULL, 5, .since = 2000)), 0);
    cr_assert_eq(apply(SAYS(1, "b", NULL, 6, .since = 3000)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_NAME_TAKEN);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);
}

Test(members, who_is_not_listed_gives_way)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(2, "b", NULL, 5, .since = 2000)), 0);
    veld_members_unlist(members, pub(1));
    cr_assert_eq(standing(1), VELD_MEMBER_NAME_TAKEN);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);
}

Test(members, nobody_is_this_machine)
{
    cr_assert_eq(apply(SAYS(1, "self", "10.100.0.2", 5)), 0);
    cr_assert_eq(apply(SAYS(2, "b", "10.100.255.1", 5)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_OWN_CLAIM);
    cr_assert_eq(standing(2), VELD_MEMBER_OWN_CLAIM);
}

/* ---- Pins ---- */

Test(members, a_pin_counts_before_all_else)
{
    cr_assert_eq(apply(SAYS(2, "b", "10.100.0.2", 5, .since = 2000)), 0);
    pin(2);
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(3, "c", "10.100.0.2", 5, .since = 1000)), 0);
    cr_assert_eq(standing(1), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(standing(3), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);

    /* Also when the pinned one is not there, or not listed. */
    veld_members_unlist(members, pub(2));
    cr_assert_eq(standing(1), VELD_MEMBER_KEY_CHANGED);
    veld_members_drop(members, pub(2));
    cr_assert_eq(standing(1), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(standing(3), VELD_MEMBER_KEY_CHANGED);
}

/* The claim of one whose key is not the pinned one stands in nobody's way. */
Test(members, one_blocked_by_a_pin_takes_nothing)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 5)), 0);
    pin(1);
    veld_members_drop(members, pub(1));
    cr_assert_eq(apply(SAYS(2, "b", "10.100.0.7", 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(3, "c", "10.100.0.7", 5, .since = 2000)), 0);
    cr_assert_eq(standing(2), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(standing(3), VELD_MEMBER_GOOD);
}

Test(members, who_is_pinned_blocks_the_others)
{
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.2", 5, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(2, "b", "10.100.0.3", 5, .since = 2000)), 0);
    cr_assert_eq(apply(SAYS(3, "c", "10.100.0.2", 5, .since = 2000)), 0);
    changes();
    pin(1);
    cr_assert_eq(standing(1), VELD_MEMBER_GOOD);
    cr_assert_eq(standing(2), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(standing(3), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(changes() & (1u << 2 | 1u << 3), 1u << 2 | 1u << 3);
}

Test(members, accepting_a_key_lets_its_owner_in)
{
    cr_assert_eq(apply(SAYS(1, "b", "10.100.0.2", 5)), 0);
    pin(1);
    cr_assert_eq(apply(SAYS(2, "b", "10.100.0.2", 5)), 0);
    changes();
    struct veld_pin accepted = veld_member_pin(find(2), 99);
    cr_assert_eq(veld_pins_accept(pins, &accepted), 0);
    veld_members_on_pins_changed(members);
    cr_assert_eq(standing(2), VELD_MEMBER_GOOD);
    cr_assert_eq(standing(1), VELD_MEMBER_KEY_CHANGED);
    cr_assert_eq(changes(), 1u << 1 | 1u << 2);
    cr_assert_eq(veld_pins_forget(pins, "b"), 0);
    veld_members_on_pins_changed(members);
    cr_assert_eq(standing(1), VELD_MEMBER_GOOD, "its key is the smaller one");
    cr_assert_eq(standing(2), VELD_MEMBER_NAME_TAKEN);
}

/* ---- Bounds ---- */

Test(members, the_table_is_bounded)
{
    char name[16];
    for (uint32_t i = 1000; i < 1000 + VELD_MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "m%u", i);
        cr_assert_eq(apply(SAYS(i, name, NULL, 1)), 0);
    }
    cr_assert_eq(apply(SAYS(1, "one-more", NULL, 1)), VELD_E_FULL);
    cr_assert_eq(apply(SAYS(1000, "m1000", NULL, 2)), 0, "one that is known");
    veld_members_unlist(members, pub(1007));
    cr_assert_eq(apply(SAYS(1, "one-more", NULL, 1)), 0, "in place of the unlisted");
    cr_assert_null(find(1007));
    cr_assert_eq(apply(SAYS(2, "two-more", NULL, 1)), VELD_E_FULL);
    cr_assert_eq(veld_members_count(members), VELD_MEMBERS_MAX);
}

static double seconds_of_cpu(clock_t since)
{
    return (double)(clock() - since) / CLOCKS_PER_SEC;
}

/* A server and somebody with a token for many can make as many members claim the same. */
Test(members, many_that_claim_the_same_cost_little)
{
    char name[16];
    clock_t began = clock();
    for (unsigned round = 1; round <= 4; round++) {
        veld_members_reset(members);
        for (uint32_t i = 1000; round % 2 && i < 1000 + VELD_MEMBERS_MAX; i++) {
            snprintf(name, sizeof name, "m%u", i);
            cr_assert_eq(apply(SAYS(i, name, "10.100.0.9", round)), 0);
        }
        veld_members_synced(members);
    }
    cr_assert_eq(veld_members_count(members), VELD_MEMBERS_MAX);
    cr_assert_lt(seconds_of_cpu(began), 2);
}

/* ---- Revocation and the end of memberships, with signatures ---- */

static void apply_signed(struct veld_members *t, const struct test_trust *rig,
                         const struct test_member *m)
{
    struct veld_record r = test_record(m, 1);
    struct veld_member_news n = {.bytes = test_peer_record(m, &r), .since = 1000};
    cr_assert_eq(
        veld_record_read(n.bytes.p, n.bytes.len, &rig->network, NULL, rig->now_s, &n.record),
        0);
    cr_assert_eq(veld_members_apply(t, &n), 0);
}

static struct veld_revocations *revoke_key(const struct test_trust *rig, const uint8_t key[32],
                                           const uint8_t (*kept)[32], size_t n_kept)
{
    struct veld_revoked_entry entry = {.kept = kept, .n_kept = n_kept};
    struct veld_signer owner = test_owner(rig);
    struct veld_blob list = {0};
    struct veld_revocations *r = NULL;
    memcpy(entry.key, key, 32);
    cr_assert_eq(veld_revocations_add(&list, &owner, rig->network.id, NULL, &entry, rig->now_s),
                 0);
    cr_assert_eq(veld_revocations_read(list.p, list.len, rig->network.id, NULL, &r), 0);
    veld_blob_clear(&list);
    return r;
}

Test(members, the_revoked_go)
{
    struct test_trust rig;
    test_trust_make(&rig);
    struct veld_members_self self = {.pub = {0xff}, .network = &rig.network, .pins = pins};
    struct veld_members *t = veld_members_new(&self);
    struct test_member m[] = {test_trust_join(&rig, 1, "a", TEST_BY_OWNER),
                              test_trust_join(&rig, 2, "b", TEST_BY_TOKEN),
                              test_trust_join(&rig, 3, "c", TEST_BY_TOKEN),
                              test_trust_join(&rig, 4, "d", TEST_BY_ADMIN),
                              test_trust_join(&rig, 5, "e", TEST_BY_ADMINS_TOKEN)};
    for (size_t i = 0; i < VELD_ARRAY_LEN(m); i++)
        apply_signed(t, &rig, &m[i]);

    struct veld_revocations *r = revoke_key(&rig, m[0].id->pub, NULL, 0);
    cr_assert_eq(veld_members_revoke(t, r, rig.now_s), 1);
    cr_assert_null(veld_members_find(t, m[0].id->pub));
    cr_assert_eq(veld_members_count(t), 4);
    veld_revocations_free(r);

    /* A token, but for one whom it let in. */
    r = revoke_key(&rig, m[1].membership.signer, (const uint8_t(*)[32])m[2].id->pub, 1);
    cr_assert_eq(veld_members_revoke(t, r, rig.now_s), 1);
    cr_assert_null(veld_members_find(t, m[1].id->pub));
    cr_assert_not_null(veld_members_find(t, m[2].id->pub));
    veld_revocations_free(r);

    r = revoke_key(&rig, rig.admin->pub, NULL, 0);
    cr_assert_eq(veld_members_revoke(t, r, rig.now_s), 2, "by himself, and by his token");
    cr_assert_null(veld_members_find(t, m[3].id->pub));
    cr_assert_null(veld_members_find(t, m[4].id->pub));
    veld_revocations_free(r);

    for (size_t i = 0; i < VELD_ARRAY_LEN(m); i++)
        test_member_free(&m[i]);
    veld_members_free(t);
    test_trust_free(&rig);
}

/* A revoked machine comes back: what is known first must not matter. */
Test(members, a_revoked_pin_stands_in_nobodys_way)
{
    enum order { RECORD_FIRST, LIST_FIRST, AT_START, NOT_REVOKED, TOKEN_REVOKED };
    struct test_trust rig;
    test_trust_make(&rig);
    struct test_member old = test_trust_join(&rig, 1, "b", TEST_BY_TOKEN);
    struct test_member again = test_trust_join(&rig, 2, "b", TEST_BY_OWNER);
    struct veld_revocations *of_key = revoke_key(&rig, old.id->pub, NULL, 0);
    struct veld_revocations *of_token = revoke_key(&rig, old.membership.signer, NULL, 0);
    for (enum order order = RECORD_FIRST; order <= TOKEN_REVOKED; order++) {
        struct veld_members_self self = {.pub = {0xff}, .network = &rig.network, .pins = pins};
        struct veld_members *t = veld_members_new(&self);
        const struct veld_revocations *r = order == NOT_REVOKED     ? NULL
                                           : order == TOKEN_REVOKED ? of_token
                                                                    : of_key;
        veld_pins_set_revoked(pins, order == AT_START ? r : NULL);
        struct veld_pin pinned = {.name = "b"};
        memcpy(pinned.pub, old.id->pub, 32);
        cr_assert_eq(veld_pins_accept(pins, &pinned), 0);
        if (order != AT_START)
            apply_signed(t, &rig, &old);
        if (order == RECORD_FIRST || order == AT_START || order == TOKEN_REVOKED)
            apply_signed(t, &rig, &again);
        if (r && order != AT_START) {
            veld_pins_set_revoked(pins, r);
            cr_assert_eq(veld_members_revoke(t, r, rig.now_s), 1);
            veld_members_on_pins_changed(t);
        }
        if (order == LIST_FIRST || order == NOT_REVOKED)
            apply_signed(t, &rig, &again);
        cr_expect_eq(veld_members_find(t, again.id->pub)->standing,
                     order >= NOT_REVOKED ? VELD_MEMBER_KEY_CHANGED : VELD_MEMBER_GOOD,
                     "order %d", (int)order);
        veld_pins_set_revoked(pins, NULL);
        veld_members_free(t);
    }
    veld_revocations_free(of_key);
    veld_revocations_free(of_token);
    test_member_free(&old);
    test_member_free(&again);
    test_trust_free(&rig);
}

Test(members, a_membership_ends)
{
    struct says s = SAYS(1, "b", NULL, 5);
    struct veld_member_news n = make_news(&s);
    n.record.membership.ends_s = 5000;
    cr_assert_eq(veld_members_apply(members, &n), 0);
    cr_assert_eq(apply(SAYS(2, "c", NULL, 5)), 0, "without end");
    changes();
    cr_assert_eq(veld_members_expire(members, 5000), 0);
    cr_assert_eq(veld_members_expire(members, 5001), 1);
    cr_assert_eq(changes(), 1u << 1);
    cr_assert_null(find(1));
    cr_assert_not_null(find(2));
}

/* ---- The order in which things come is nobody's advantage ---- */

#define KEYS     24
#define VERSIONS 3

/* What each member said in turn: each newer than the last, of few names and addresses. */
static void make_history(struct test_random *random, struct says *all, size_t *n)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "self"};
    static const char *const ips[] = {"10.100.0.1", "10.100.0.2",   "10.100.0.3",
                                      "10.100.0.4", "10.100.255.1", NULL};
    *n = 0;
    for (uint32_t key = 1; key <= KEYS; key++) {
        uint64_t serial = 1;
        size_t name = test_random_u64(random) % VELD_ARRAY_LEN(names);
        for (uint64_t v = 1; v <= VERSIONS; v++) {
            serial += test_random_u64(random) % 2;
            all[(*n)++] =
                (struct says){.key = key,
                              .name = names[name],
                              .ipv4 = ips[test_random_u64(random) % VELD_ARRAY_LEN(ips)],
                              .sequence = v,
                              .serial = serial,
                              .not_before = 1 + test_random_u64(random) % 3};
        }
    }
}

static void shuffle(struct test_random *random, struct says *all, size_t n)
{
    for (size_t i = n - 1; i > 0; i--) {
        size_t k = test_random_u64(random) % (i + 1);
        struct says s = all[i];
        all[i] = all[k];
        all[k] = s;
    }
}

static void expect_same(const struct veld_members *a, const struct veld_members *b, int round)
{
    for (uint32_t key = 1; key <= KEYS; key++) {
        const struct veld_member *x = veld_members_find(a, pub(key));
        const struct veld_member *y = veld_members_find(b, pub(key));
        cr_assert_eq(x->sequence, y->sequence);
        cr_assert_eq(x->standing, y->standing, "round %d, key %u: %s and %s", round, key,
                     veld_member_standing_name(x->standing),
                     veld_member_standing_name(y->standing));
    }
}

/* Each name and address is used once, and never this machine's. */
static void expect_apart(const struct veld_members *t)
{
    const struct veld_member **list = veld_members_list(t);
    size_t n = veld_members_count(t);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            if (list[i]->standing != VELD_MEMBER_GOOD || list[k]->standing != VELD_MEMBER_GOOD)
                continue;
            cr_assert_str_neq(list[i]->name, list[k]->name);
            cr_assert(!list[i]->ipv4.family || !veld_ip_equal(&list[i]->ipv4, &list[k]->ipv4));
        }
        cr_assert(list[i]->standing != VELD_MEMBER_GOOD || strcmp(list[i]->name, "self") != 0);
    }
    free(list);
}

Test(members, random_orders_converge)
{
    struct test_random random = {42};
    for (int round = 0; round < 300; round++) {
        struct says all[KEYS * VERSIONS];
        size_t n;
        struct veld_members *in_order = make_table();
        make_history(&random, all, &n);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(apply_to(in_order, &all[i]), 0);
        expect_apart(in_order);
        for (int order = 0; order < 4; order++) {
            struct veld_members *other = make_table();
            shuffle(&random, all, n);
            for (size_t i = 0; i < n; i++) {
                int rc = apply_to(other, &all[i]);
                cr_assert(rc == 0 || rc == VELD_E_REPLAY);
                if (test_random_u64(&random) % 8 == 0) /* and some twice */
                    (void)apply_to(other, &all[test_random_u64(&random) % (i + 1)]);
            }
            expect_same(in_order, other, round);
            veld_members_free(other);
        }
        veld_members_free(in_order);
    }
}

/* What is stored in the list's order and read back is judged as before. */
Test(members, the_list_keeps_the_order_of_claims)
{
    cr_assert_eq(apply(SAYS(1, "b", NULL, 1, .since = 3000)), 0);
    cr_assert_eq(apply(SAYS(2, "b", NULL, 1, .since = 1000)), 0);
    cr_assert_eq(apply(SAYS(3, "b", NULL, 1, .since = 2000)), 0);
    cr_assert_eq(apply(SAYS(4, "b", NULL, 1, .since = 500)), 0);
    veld_members_unlist(members, pub(4));
    const struct veld_member **list = veld_members_list(members);
    static const uint32_t order[] = {2, 3, 1, 4};
    for (size_t i = 0; i < VELD_ARRAY_LEN(order); i++)
        cr_expect_eq(veld_load_le32(list[i]->pub), order[i]);
    free(list);
}
