#include "trust/revocations.h"
#include "trust/membership.h"

#include "../support/trust_forge.h"
#include "../support/trust_vectors.h"

#include <criterion/criterion.h>

static struct test_trust t, other;

static void init(void)
{
    test_trust_make(&t);
    test_trust_make_nth(&other, 1);
}

static void fini(void)
{
    test_trust_free(&t);
    test_trust_free(&other);
}

TestSuite(trust_revocations, .init = init, .fini = fini, .timeout = 120);

static struct veld_revocations *read_list(const struct veld_blob *b,
                                          const struct veld_revocations *before)
{
    struct veld_revocations *r;
    cr_assert_eq(veld_revocations_read(b->p, b->len, t.network.id, before, &r), 0);
    return r;
}

/* `before` (freed, if any) with one more key. */
static struct veld_revocations *grow(struct veld_signer by, struct veld_revocations *before,
                                     const uint8_t key[32], const uint8_t (*kept)[32],
                                     size_t n_kept)
{
    struct veld_revoked_entry e = {.kept = kept, .n_kept = n_kept};
    struct veld_blob list = {0};
    memcpy(e.key, key, 32);
    int rc = veld_revocations_add(&list, &by, t.network.id, before, &e, t.now_s);
    cr_assert_eq(rc, 0, "%s", veld_strerror(rc));
    struct veld_revocations *r = read_list(&list, before);
    veld_blob_clear(&list);
    veld_revocations_free(before);
    return r;
}

static const uint8_t *key_of(unsigned n)
{
    static uint8_t key[8][32];
    static unsigned next;
    uint8_t seed[32];
    next = (next + 1) % 8;
    test_trust_seed(seed, n);
    veld_ed25519_keypair(seed, key[next]);
    return key[next];
}

/* ---- what a list takes away ---- */

static int check(const struct test_member *m, const struct veld_revocations *r)
{
    struct veld_membership out;
    int rc = veld_membership_read(m->chain.p, m->chain.len, t.network.id, r, t.now_s, &out);
    cr_assert_eq(veld_membership_check(&m->membership, r, t.now_s), rc);
    return rc;
}

Test(trust_revocations, of_a_member_end_its_membership)
{
    struct veld_signer signers[] = {test_owner(&t), test_admin(&t)};
    for (size_t i = 0; i < VELD_ARRAY_LEN(signers); i++) {
        for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
            struct test_member m = test_trust_join(&t, 1, "server1", by);
            struct test_member bystander = test_trust_join(&t, 2, "server2", by);
            struct veld_revocations *r = grow(signers[i], NULL, m.id->pub, NULL, 0);
            cr_assert(veld_revoked(r, m.id->pub));
            cr_assert_not(veld_revoked(r, bystander.id->pub));
            cr_assert_not(veld_revoked(NULL, m.id->pub));
            cr_assert_eq(check(&m, r), VELD_E_PERM);
            cr_assert_eq(check(&bystander, r), 0);
            cr_assert_eq(check(&m, NULL), 0);
            veld_revocations_free(r);
            test_member_free(&m);
            test_member_free(&bystander);
        }
    }
}

Test(trust_revocations, of_a_token_end_what_it_admitted_but_for_whom_is_kept)
{
    struct veld_signer signers[] = {test_owner(&t), test_admin(&t)};
    enum test_by kinds[] = {TEST_BY_TOKEN, TEST_BY_ADMINS_TOKEN};
    for (size_t i = 0; i < 4; i++) {
        enum test_by by = kinds[i % 2];
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        struct test_member kept = test_trust_join(&t, 2, "server2", by);
        struct test_member elsewhere = test_trust_join(&t, 3, "server3", TEST_BY_ADMIN);
        uint8_t keep[1][32];
        memcpy(keep[0], kept.id->pub, 32);
        struct veld_revocations *r =
            grow(signers[i / 2], NULL, m.membership.signer, (const uint8_t(*)[32])keep, 1);
        cr_assert_eq(check(&m, r), VELD_E_PERM);
        cr_assert_eq(check(&kept, r), 0);
        cr_assert_eq(check(&elsewhere, r), 0);
        veld_revocations_free(r);
        test_member_free(&m);
        test_member_free(&kept);
        test_member_free(&elsewhere);
    }
}

Test(trust_revocations, of_an_admin_end_what_it_signed_but_for_whom_is_kept)
{
    enum test_by kinds[] = {TEST_BY_ADMIN, TEST_BY_ADMINS_TOKEN};
    struct test_member admin = {.id = t.admin, .chain = t.admin_chain};
    test_member_read(&t, &admin);
    for (size_t i = 0; i < 2; i++) {
        struct test_member m = test_trust_join(&t, 1, "server1", kinds[i]);
        struct test_member kept = test_trust_join(&t, 2, "server2", kinds[i]);
        struct test_member elsewhere = test_trust_join(&t, 3, "server3", TEST_BY_TOKEN);
        uint8_t keep[1][32];
        memcpy(keep[0], kept.id->pub, 32);
        struct veld_revocations *r =
            grow(test_owner(&t), NULL, t.admin->pub, (const uint8_t(*)[32])keep, 1);
        cr_assert_eq(check(&admin, r), VELD_E_PERM);
        cr_assert_eq(check(&m, r), VELD_E_PERM);
        cr_assert_eq(check(&kept, r), 0);
        cr_assert_eq(check(&elsewhere, r), 0);
        veld_revocations_free(r);
        test_member_free(&m);
        test_member_free(&kept);
        test_member_free(&elsewhere);
    }
}

static struct veld_signer second_admin(struct test_member *room)
{
    struct veld_signer owner = test_owner(&t);
    *room = (struct test_member){.id = test_trust_identity(50)};
    struct veld_membership m = test_membership(&t, room->id->pub, "admin2");
    m.flags = VELD_MEMBER_ADMIN;
    cr_assert_eq(veld_membership_issue(&room->chain, &owner, &m), 0);
    test_member_read(&t, room);
    return (struct veld_signer){room->id->seed, &room->chain};
}

Test(trust_revocations, by_an_admin_do_not_count_against_admins)
{
    struct test_member admin2, m = test_trust_join(&t, 1, "server1", TEST_BY_ADMIN);
    struct veld_signer second = second_admin(&admin2);
    struct test_member admin = {.id = t.admin, .chain = t.admin_chain};
    test_member_read(&t, &admin);
    struct veld_revocations *r = grow(second, NULL, t.admin->pub, NULL, 0);
    cr_assert_eq(check(&admin, r), 0);
    cr_assert_eq(check(&m, r), 0, "what an admin signed ended with another admin's word");
    /* Nor when the owner goes on from that list without a word of it. */
    r = grow(test_owner(&t), r, key_of(7), NULL, 0);
    cr_assert(veld_revoked(r, t.admin->pub));
    cr_assert_eq(check(&admin, r), 0);
    cr_assert_eq(check(&m, r), 0);
    /* But when it says so itself. */
    r = grow(test_owner(&t), r, t.admin->pub, NULL, 0);
    cr_assert_eq(check(&admin, r), VELD_E_PERM);
    cr_assert_eq(check(&m, r), VELD_E_PERM);
    veld_revocations_free(r);
    test_member_free(&admin2);
    test_member_free(&m);
}

/* ---- how lists follow each other ---- */

Test(trust_revocations, grow_by_owner_and_admins_in_turn)
{
    struct test_member admin2;
    struct veld_signer second = second_admin(&admin2);
    struct veld_signer by[] = {test_admin(&t), second, test_owner(&t),
                               test_admin(&t), second, test_owner(&t)};
    uint64_t epoch[] = {1, 2, 1ull << 32, 1ull << 32 | 1, 1ull << 32 | 2, 2ull << 32};
    struct veld_revocations *r = NULL;
    cr_assert_eq(veld_revocations_epoch(r), 0);
    cr_assert_eq(veld_revocations_count(r), 0);
    for (unsigned i = 0; i < VELD_ARRAY_LEN(by); i++) {
        r = grow(by[i], r, key_of(100 + i), NULL, 0);
        cr_assert_eq(veld_revocations_epoch(r), epoch[i]);
        cr_assert_eq(veld_revocations_count(r), i + 1);
        for (unsigned k = 0; k <= i; k++) {
            struct veld_revoked_entry e;
            cr_assert(veld_revocations_find(r, key_of(100 + k), &e));
            /* What an admin began stays an admin's when the owner takes it over. */
            cr_assert_eq(e.by_owner, k == 2 || k == 5, "%u of %u", k, i);
            cr_assert(i == 0 || k == 0 ||
                      memcmp(veld_revocations_key(r, k - 1), veld_revocations_key(r, k), 32) <
                          0);
        }
    }
    veld_revocations_free(r);
    test_member_free(&admin2);
}

Test(trust_revocations, are_not_taken_back_in_time)
{
    struct veld_revocations *first = grow(test_admin(&t), NULL, key_of(1), NULL, 0), *out;
    struct veld_revoked_entry e = {0};
    struct veld_blob b = {0}, again = veld_revocations_bytes(first);
    struct veld_signer admin = test_admin(&t), owner = test_owner(&t);
    memcpy(e.key, key_of(2), 32);
    cr_assert_eq(veld_revocations_add(&b, &owner, t.network.id, first, &e, t.now_s), 0);
    struct veld_revocations *second = read_list(&b, first);
    cr_assert_eq(veld_revocations_read(again.p, again.len, t.network.id, second, &out),
                 VELD_E_REPLAY);
    cr_assert_null(out);
    cr_assert_eq(veld_revocations_read(again.p, again.len, t.network.id, first, &out),
                 VELD_E_REPLAY);
    cr_assert_eq(veld_revocations_read(b.p, b.len, t.network.id, second, &out), VELD_E_REPLAY);
    /* An admin who has not the owner's list makes one of an older epoch. */
    cr_assert_eq(veld_revocations_add(&b, &admin, t.network.id, first, &e, t.now_s), 0);
    cr_assert_eq(veld_revocations_read(b.p, b.len, t.network.id, second, &out), VELD_E_REPLAY);
    veld_revocations_free(first);
    veld_revocations_free(second);
    veld_blob_clear(&b);
}

Test(trust_revocations, by_the_owner_may_be_replaced_by_an_admin_not)
{
    uint8_t keep[2][32];
    struct veld_revoked_entry e = {.kept = (const uint8_t(*)[32])keep, .n_kept = 2}, found;
    struct veld_signer admin = test_admin(&t);
    struct veld_blob b = {0};
    memcpy(keep[0], key_of(8), 32);
    memcpy(keep[1], key_of(9), 32);
    struct veld_revocations *r = grow(test_owner(&t), NULL, key_of(1), NULL, 0);
    memcpy(e.key, key_of(1), 32);
    cr_assert_eq(veld_revocations_add(&b, &admin, t.network.id, r, &e, t.now_s), VELD_E_EXIST);
    cr_assert_null(b.p);
    r = grow(test_owner(&t), r, key_of(1), e.kept, 2);
    cr_assert(veld_revocations_find(r, e.key, &found) && found.n_kept == 2);
    /* Of its own an admin may keep fewer, not more. */
    r = grow(admin, r, key_of(2), e.kept, 2);
    r = grow(admin, r, key_of(2), e.kept, 1);
    memcpy(e.key, key_of(2), 32);
    cr_assert_eq(veld_revocations_add(&b, &admin, t.network.id, r, &e, t.now_s), VELD_E_PERM);
    cr_assert_null(b.p);
    veld_revocations_free(r);
}

Test(trust_revocations, are_added_by_owner_and_admins_alone)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_TOKEN);
    struct veld_signer by[] = {test_owner(&other),           test_admin(&other),
                               {t.admin->seed, NULL},        {m.id->seed, &m.chain},
                               {m.id->seed, &t.admin_chain}, {m.id->seed, NULL}};
    struct veld_revoked_entry e = {0};
    struct veld_blob b = {0};
    for (size_t i = 0; i < VELD_ARRAY_LEN(by); i++) {
        cr_assert_eq(veld_revocations_add(&b, &by[i], t.network.id, NULL, &e, t.now_s),
                     VELD_E_AUTH, "%zu", i);
        cr_assert_null(b.p);
    }
    test_member_free(&m);
}

/* ---- what is forged ---- */

struct part {
    struct test_part by;
    uint8_t network[32];
    size_t network_len;
    uint64_t epoch, owner_epoch, issued;
    uint8_t key[4][32], kept[4][32];
    size_t n, n_kept; /* the kept are the first key's */
};

struct list {
    struct part list, base; /* base.by.by NULL: none */
    struct test_part admin_by;
    struct veld_membership admin;
};

static void sign_part(struct veld_statement *out, const struct part *p)
{
    pb_revoked room[4], *entries[4];
    ProtobufCBinaryData kept[4];
    pb_revocations body = VELD__TRUST__V1__REVOCATIONS__INIT;
    for (size_t i = 0; i < p->n; i++) {
        veld__trust__v1__revoked__init(&room[i]);
        room[i].key = veld_wire_bytes(p->key[i], 32);
        entries[i] = &room[i];
    }
    for (size_t i = 0; i < p->n_kept; i++)
        kept[i] = veld_wire_bytes(p->kept[i], 32);
    room[0].kept = kept;
    room[0].n_kept = p->n_kept;
    body.network_id = veld_wire_bytes(p->network, p->network_len);
    body.epoch = p->epoch;
    body.owner_epoch = p->owner_epoch;
    body.issued = p->issued;
    body.n_revoked = p->n;
    body.revoked = entries;
    test_sign(out, &p->by, &body);
}

static struct veld_blob pack_list(const struct list *l)
{
    struct veld_statement s[3] = {0};
    pb_signed view[3];
    struct veld_blob out = {0};
    pb_revocation_list list = VELD__TRUST__V1__REVOCATION_LIST__INIT;
    sign_part(&s[0], &l->list);
    veld_statement_view(&s[0], list.list = &view[0]);
    if (l->admin_by.by) {
        test_sign_membership(&s[1], &l->admin_by, &l->admin);
        veld_statement_view(&s[1], list.admin = &view[1]);
    }
    if (l->base.by.by) {
        sign_part(&s[2], &l->base);
        veld_statement_view(&s[2], list.owner_list = &view[2]);
    }
    cr_assert_eq(veld_wire_pack(&out, &list, SIZE_MAX), 0);
    for (size_t i = 0; i < 3; i++)
        veld_statement_clear(&s[i]);
    return out;
}

static void make_part(struct part *p, const uint8_t seed[32], uint64_t epoch, unsigned first)
{
    *p = (struct part){.by = {seed, VELD_PURPOSE_REVOCATIONS},
                       .network_len = 32,
                       .epoch = epoch,
                       .issued = t.now_s,
                       .n = 2,
                       .n_kept = 2};
    memcpy(p->network, t.network.id, 32);
    for (size_t i = 0; i < 4; i++) {
        memset(p->key[i], 0x10, 32);
        memset(p->kept[i], 0x20, 32);
        p->key[i][0] = p->kept[i][0] = (uint8_t)(first + i);
    }
}

enum kind { OWNER, ADMIN, BOTH };

/* Right in all parts: the owner's with keys 1 and 2, an admin's with 11 and 12. */
static void make_list(struct list *l, enum kind kind)
{
    memset(l, 0, sizeof *l);
    if (kind == OWNER) {
        make_part(&l->list, t.owner_seed, 1, 1);
        return;
    }
    make_part(&l->list, t.admin->seed, 1, 11);
    l->admin = test_membership(&t, t.admin->pub, "admin");
    l->admin.flags = VELD_MEMBER_ADMIN;
    l->admin_by = (struct test_part){t.owner_seed, VELD_PURPOSE_MEMBERSHIP};
    if (kind == BOTH) {
        make_part(&l->base, t.owner_seed, 1, 1);
        l->list.owner_epoch = 1;
    }
}

#define SPOIL(name, ...)                                                                       \
    static void name(struct list *l)                                                           \
    {                                                                                          \
        __VA_ARGS__;                                                                           \
    }
SPOIL(nothing, (void)l)
SPOIL(empty, l->list.n = l->list.n_kept = 0)
SPOIL(list_by_stranger, l->list.by.by = other.admin->seed)
SPOIL(list_by_other_owner, l->list.by.by = other.owner_seed)
SPOIL(list_by_owner, l->list.by.by = t.owner_seed)
SPOIL(list_by_admin, l->list.by.by = t.admin->seed)
SPOIL(list_as_membership, l->list.by.purpose = VELD_PURPOSE_MEMBERSHIP)
SPOIL(list_of_other_network, memcpy(l->list.network, other.network.id, 32))
SPOIL(goes_with_a_list_not_there, l->list.owner_epoch = 1)
SPOIL(network_cut, l->list.network_len = 31)
SPOIL(epoch_zero, l->list.epoch = 0)
SPOIL(epoch_last, l->list.epoch = UINT32_MAX)
SPOIL(epoch_too_great, l->list.epoch = 1ull << 32)
SPOIL(keys_out_of_order, l->list.key[0][0]++; l->list.key[1][0]--)
SPOIL(key_twice, memcpy(l->list.key[1], l->list.key[0], 32))
SPOIL(kept_out_of_order, l->list.kept[0][0]++; l->list.kept[1][0]--)
SPOIL(kept_twice, memcpy(l->list.kept[1], l->list.kept[0], 32))
SPOIL(base_by_stranger, l->base.by.by = other.admin->seed)
SPOIL(base_by_admin, l->base.by.by = t.admin->seed)
SPOIL(base_of_other_network, memcpy(l->base.network, other.network.id, 32))
SPOIL(base_epoch_zero, l->base.epoch = l->list.owner_epoch = 0)
SPOIL(base_epoch_too_great, l->base.epoch = l->list.owner_epoch = 1ull << 32)
SPOIL(base_as_membership, l->base.by.purpose = VELD_PURPOSE_MEMBERSHIP)
SPOIL(base_is_another, l->base.epoch = 2)
SPOIL(base_goes_with_another, l->base.owner_epoch = 1)
SPOIL(base_taken_away, l->base.by.by = NULL)
SPOIL(base_key_again, memcpy(l->list.key[0], l->base.key[1], 32))
SPOIL(base_of_the_owner_itself, make_part(&l->base, t.owner_seed, 1, 21))
SPOIL(base_lists_the_admin, memset(l->base.key[1], 0xff, 32);
      memcpy(l->base.key[1], t.admin->pub, 32);
      if (memcmp(l->base.key[0], l->base.key[1], 32) > 0) l->base.key[0][0] = 0)
SPOIL(list_names_the_admin, l->list.n = l->list.n_kept = 1;
      memcpy(l->list.key[0], t.admin->pub, 32))
SPOIL(admin_missing, l->admin_by.by = NULL)
SPOIL(admin_by_itself, l->admin_by.by = t.admin->seed)
SPOIL(admin_by_stranger, l->admin_by.by = other.owner_seed)
SPOIL(admin_as_token, l->admin_by.purpose = VELD_PURPOSE_TOKEN)
SPOIL(admin_is_none, l->admin.flags = VELD_MEMBER_RELAY)
SPOIL(admin_is_another, memcpy(l->admin.member, other.admin->pub, 32))
SPOIL(admin_of_other_network, memcpy(l->admin.network_id, other.network.id, 32))
SPOIL(admin_was_over, l->admin.not_after_s = l->list.issued - 1)
SPOIL(admin_was_not_yet, l->admin.not_before_s = l->list.issued + VELD_CLOCK_SKEW_S + 1)
SPOIL(admin_was_soon, l->admin.not_before_s = l->list.issued + VELD_CLOCK_SKEW_S)
SPOIL(needless_admin, struct list more; make_list(&more, ADMIN); l->admin = more.admin;
      l->admin_by = more.admin_by)

static const struct {
    const char *what;
    enum kind kind;
    void (*spoil)(struct list *l);
    int rc;
} table[] = {
#define F(kind, spoil, rc)                                                                     \
    {                                                                                          \
#kind " " #spoil, kind, spoil, rc                                                      \
    }
    F(OWNER, nothing, 0),
    F(OWNER, empty, 0),
    F(OWNER, list_by_stranger, VELD_E_AUTH),
    F(OWNER, list_by_other_owner, VELD_E_AUTH),
    F(OWNER, list_by_admin, VELD_E_AUTH),
    F(OWNER, list_as_membership, VELD_E_AUTH),
    F(OWNER, list_of_other_network, VELD_E_AUTH),
    F(OWNER, network_cut, VELD_E_FORMAT),
    F(OWNER, epoch_zero, VELD_E_FORMAT),
    F(OWNER, epoch_last, 0),
    F(OWNER, epoch_too_great, VELD_E_FORMAT),
    F(OWNER, keys_out_of_order, VELD_E_FORMAT),
    F(OWNER, key_twice, VELD_E_FORMAT),
    F(OWNER, kept_out_of_order, VELD_E_FORMAT),
    F(OWNER, kept_twice, VELD_E_FORMAT),
    F(OWNER, base_of_the_owner_itself, VELD_E_FORMAT),
    F(OWNER, needless_admin, VELD_E_AUTH),
    F(OWNER, list_names_the_admin, 0),
    F(ADMIN, nothing, 0),
    F(ADMIN, empty, 0),
    F(ADMIN, list_by_stranger, VELD_E_AUTH),
    F(ADMIN, list_by_owner, VELD_E_AUTH),
    F(ADMIN, list_as_membership, VELD_E_AUTH),
    F(ADMIN, list_of_other_network, VELD_E_AUTH),
    F(ADMIN, goes_with_a_list_not_there, VELD_E_AUTH),
    F(ADMIN, epoch_zero, VELD_E_FORMAT),
    F(ADMIN, epoch_last, 0),
    F(ADMIN, epoch_too_great, VELD_E_FORMAT),
    F(ADMIN, key_twice, VELD_E_FORMAT),
    F(ADMIN, list_names_the_admin, 0),
    F(ADMIN, admin_missing, VELD_E_AUTH),
    F(ADMIN, admin_by_itself, VELD_E_AUTH),
    F(ADMIN, admin_by_stranger, VELD_E_AUTH),
    F(ADMIN, admin_as_token, VELD_E_AUTH),
    F(ADMIN, admin_is_none, VELD_E_AUTH),
    F(ADMIN, admin_is_another, VELD_E_AUTH),
    F(ADMIN, admin_of_other_network, VELD_E_AUTH),
    F(ADMIN, admin_was_over, VELD_E_RANGE),
    F(ADMIN, admin_was_not_yet, VELD_E_RANGE),
    F(ADMIN, admin_was_soon, 0),
    F(BOTH, nothing, 0),
    F(BOTH, empty, 0),
    F(BOTH, list_by_owner, VELD_E_AUTH),
    F(BOTH, base_by_stranger, VELD_E_AUTH),
    F(BOTH, base_by_admin, VELD_E_AUTH),
    F(BOTH, base_as_membership, VELD_E_AUTH),
    F(BOTH, base_of_other_network, VELD_E_AUTH),
    F(BOTH, base_epoch_zero, VELD_E_FORMAT),
    F(BOTH, base_epoch_too_great, VELD_E_FORMAT),
    F(BOTH, base_is_another, VELD_E_AUTH),
    F(BOTH, base_goes_with_another, VELD_E_AUTH),
    F(BOTH, base_taken_away, VELD_E_AUTH),
    F(BOTH, base_key_again, VELD_E_FORMAT),
    F(BOTH, base_lists_the_admin, VELD_E_PERM),
    F(BOTH, admin_missing, VELD_E_FORMAT),
};

Test(trust_revocations, are_refused_when_forged)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        struct list l;
        struct veld_revocations *r;
        make_list(&l, table[i].kind);
        table[i].spoil(&l);
        struct veld_blob b = pack_list(&l);
        int rc = veld_revocations_read(b.p, b.len, t.network.id, NULL, &r);
        cr_expect_eq(rc, table[i].rc, "%s: %s", table[i].what, veld_strerror(rc));
        cr_expect_eq(r == NULL, rc < 0, "%s", table[i].what);
        veld_revocations_free(r);
        veld_blob_clear(&b);
    }
}

/* ---- of one owner's list, one after another ---- */

#define STEP(name, ...) SPOIL(name, l->list.epoch++; __VA_ARGS__)
STEP(one_more, l->list.n = 3)
STEP(just_the_same, (void)l)
STEP(one_less, l->list.n = 1)
STEP(another, l->list.key[1][0]++)
STEP(keeps_one_less, l->list.n_kept = 1)
STEP(keeps_another_less, l->list.n_kept = 1; l->list.kept[0][0]++)
STEP(keeps_one_more, l->list.n_kept = 3)
STEP(keeps_another, l->list.kept[1][0]++)
STEP(keeps_another_instead, l->list.kept[0][0] -= 5)
STEP(base_drops_one, l->base.n = 1)
/* Of two lists that the owner signed for one epoch: what was its own is an admin's. */
STEP(base_hands_one_to_an_admin, l->base.n = 1; memcpy(l->list.key[2], l->list.key[1], 32);
     memcpy(l->list.key[1], l->list.key[0], 32); memcpy(l->list.key[0], l->base.key[1], 32);
     l->list.n = 3; l->list.n_kept = 0)
STEP(base_has_one_more, l->base.n = 3)
STEP(on_the_next_base, l->base.epoch++; l->list.owner_epoch++; l->list.epoch = 1;
     l->list.n = l->list.n_kept = 0)
STEP(without_a_base, l->base.by.by = NULL; l->list.owner_epoch = 0; l->list.epoch = 100)

Test(trust_revocations, by_an_admin_hold_all_of_the_list_before)
{
    struct {
        const char *what;
        enum kind kind;
        void (*step)(struct list *l);
        int rc;
    } steps[] = {
        F(ADMIN, one_more, 0),
        F(ADMIN, just_the_same, 0),
        F(ADMIN, one_less, VELD_E_PERM),
        F(ADMIN, another, VELD_E_PERM),
        F(ADMIN, keeps_one_less, 0),
        F(ADMIN, keeps_another_less, 0),
        F(ADMIN, keeps_one_more, VELD_E_PERM),
        F(ADMIN, keeps_another, VELD_E_PERM),
        F(ADMIN, keeps_another_instead, VELD_E_PERM),
        F(BOTH, one_more, 0),
        F(BOTH, one_less, VELD_E_PERM),
        F(BOTH, base_drops_one, VELD_E_PERM),
        F(BOTH, base_hands_one_to_an_admin, VELD_E_PERM),
        F(BOTH, base_has_one_more, 0),
        F(BOTH, on_the_next_base, 0),
        F(BOTH, without_a_base, VELD_E_REPLAY),
        F(OWNER, one_less, 0),
        F(OWNER, keeps_one_more, 0),
        F(OWNER, empty, VELD_E_REPLAY),
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(steps); i++) {
        struct list l;
        struct veld_revocations *after;
        make_list(&l, steps[i].kind);
        struct veld_blob b = pack_list(&l);
        struct veld_revocations *before = read_list(&b, NULL);
        steps[i].step(&l);
        veld_blob_clear(&b);
        b = pack_list(&l);
        int rc = veld_revocations_read(b.p, b.len, t.network.id, before, &after);
        cr_expect_eq(rc, steps[i].rc, "%s: %s", steps[i].what, veld_strerror(rc));
        veld_revocations_free(before);
        veld_revocations_free(after);
        veld_blob_clear(&b);
    }
}

/* An admin that the owner revoked has the owner's next list against it, however great its epoch. */
Test(trust_revocations, by_the_owner_overrule_an_admin)
{
    struct list l;
    struct veld_revocations *out;
    make_list(&l, BOTH);
    l.list.epoch = UINT32_MAX;
    struct veld_blob last = pack_list(&l);
    struct veld_revocations *r = read_list(&last, NULL);
    struct veld_signer admin = test_admin(&t);
    struct veld_revoked_entry e = {.key = {1}};
    struct veld_blob b = {0};
    cr_assert_eq(veld_revocations_add(&b, &admin, t.network.id, r, &e, t.now_s), VELD_E_FULL);
    r = grow(test_owner(&t), r, t.admin->pub, NULL, 0);
    cr_assert_eq(veld_revocations_read(last.p, last.len, t.network.id, r, &out), VELD_E_REPLAY);
    /* Nor may it go on from a greater list that it makes up itself, or that it is in. */
    cr_assert_eq(veld_revocations_add(&b, &admin, t.network.id, r, &e, t.now_s), VELD_E_PERM);
    make_list(&l, BOTH);
    l.base.epoch = l.list.owner_epoch = 3;
    struct veld_blob later = pack_list(&l); /* the owner forgot it in this one */
    cr_assert_eq(veld_revocations_read(later.p, later.len, t.network.id, r, &out), VELD_E_PERM);
    veld_revocations_free(r);
    veld_blob_clear(&last);
    veld_blob_clear(&later);
}

/* ---- wrong bytes ---- */

static bool is_list(const uint8_t *p, size_t len)
{
    struct veld_revocations *r;
    bool taken = veld_revocations_read(p, len, t.network.id, NULL, &r) == 0;
    cr_assert_eq(r != NULL, taken);
    veld_revocations_free(r);
    return taken;
}

Test(trust_revocations, are_refused_with_any_bit_wrong)
{
    for (enum kind kind = OWNER; kind <= BOTH; kind++) {
        struct list l;
        make_list(&l, kind);
        struct veld_blob b = pack_list(&l);
        cr_assert(is_list(b.p, b.len));
        cr_assert_eq(test_damage(&b, is_list), 0);
        veld_blob_clear(&b);
    }
}

/* Parts of the wrong shape, and more parts than there are. */
Test(trust_revocations, are_refused_in_another_shape)
{
    struct list l;
    make_list(&l, BOTH);
    struct veld_blob b = pack_list(&l);
    pb_revocation_list *whole = veld_wire_unpack(&veld__trust__v1__revocation_list__descriptor,
                                                 b.p, b.len, VELD_REVOCATIONS_MAX);
    cr_assert_not_null(whole);
    uint8_t one = 1;
    ProtobufCMessageUnknownField field = {
        .tag = 15, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = &one};
    whole->base.n_unknown_fields = 1;
    whole->base.unknown_fields = &field;
    cr_assert_eq(veld_wire_pack(&b, whole, VELD_REVOCATIONS_MAX), 0);
    whole->base.n_unknown_fields = 0;
    whole->base.unknown_fields = NULL;
    cr_assert_not(is_list(b.p, b.len));
    pb_signed *parts[] = {whole->list, whole->admin, whole->owner_list};
    for (size_t i = 0; i < VELD_ARRAY_LEN(parts); i++) {
        struct veld_revocations *r;
        parts[i]->signature.len--;
        cr_assert_eq(veld_wire_pack(&b, whole, VELD_REVOCATIONS_MAX), 0);
        parts[i]->signature.len++;
        cr_assert_eq(veld_revocations_read(b.p, b.len, t.network.id, NULL, &r), VELD_E_FORMAT,
                     "%zu", i);
    }
    cr_assert_eq(veld_wire_pack(&b, whole, VELD_REVOCATIONS_MAX), 0);
    cr_assert(is_list(b.p, b.len));
    veld_wire_free(whole);
    veld_blob_clear(&b);
}

/* `n` keys, the first of which keeps `n_kept` members; by the owner, or by the admin alone. */
static struct veld_blob great_list(bool by_admin, size_t n, size_t n_kept)
{
    static uint8_t key[VELD_REVOKED_MAX + 1][32];
    static pb_revoked room[VELD_REVOKED_MAX + 1], *list[VELD_REVOKED_MAX + 1];
    static ProtobufCBinaryData kept[VELD_REVOKED_MAX + 1];
    struct veld_statement s;
    struct veld_blob out = {0};
    pb_signed view;
    pb_revocation_list whole = VELD__TRUST__V1__REVOCATION_LIST__INIT;
    pb_revocations body = VELD__TRUST__V1__REVOCATIONS__INIT;
    for (size_t i = 0; i < VELD_REVOKED_MAX + 1; i++) {
        veld_store_be32(key[i], (uint32_t)i);
        veld__trust__v1__revoked__init(list[i] = &room[i]);
        kept[i] = room[i].key = veld_wire_bytes(key[i], 32);
    }
    room[0].n_kept = n_kept;
    room[0].kept = kept;
    body.network_id = veld_wire_bytes(t.network.id, 32);
    body.epoch = 1;
    body.n_revoked = n;
    body.revoked = list;
    body.issued = t.now_s;
    test_sign(
        &s,
        &(struct test_part){by_admin ? t.admin->seed : t.owner_seed, VELD_PURPOSE_REVOCATIONS},
        &body);
    veld_statement_view(&s, &view);
    whole.list = &view;
    pb_chain *chain = by_admin ? veld_chain_unpack(t.admin_chain.p, t.admin_chain.len) : NULL;
    whole.admin = chain ? chain->membership : NULL;
    cr_assert_eq(veld_wire_pack(&out, &whole, SIZE_MAX), 0);
    veld_wire_free(chain);
    veld_statement_clear(&s);
    return out;
}

Test(trust_revocations, are_bounded)
{
    struct {
        size_t n, n_kept;
        bool good;
    } c[] = {{VELD_REVOKED_MAX, VELD_KEPT_MAX, true},
             {VELD_REVOKED_MAX + 1, 0, false},
             {1, VELD_KEPT_MAX + 1, false}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        struct veld_blob b = great_list(false, c[i].n, c[i].n_kept);
        cr_assert_leq(b.len, VELD_REVOCATIONS_MAX);
        cr_assert_eq(is_list(b.p, b.len), c[i].good, "%zu", i);
        veld_blob_clear(&b);
    }
    uint8_t *room = calloc(1, VELD_REVOCATIONS_MAX + 1);
    cr_assert_not(is_list(room, VELD_REVOCATIONS_MAX + 1));
    cr_assert_not(is_list(NULL, 0));
    free(room);
}

Test(trust_revocations, are_added_until_the_list_is_full)
{
    struct veld_signer by[] = {test_owner(&t), test_admin(&t)};
    struct veld_blob b = great_list(false, VELD_REVOKED_MAX, 0), out = {0};
    struct veld_revocations *r = read_list(&b, NULL);
    struct veld_revoked_entry e = {.key = {0xff}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(by); i++)
        cr_assert_eq(veld_revocations_add(&out, &by[i], t.network.id, r, &e, t.now_s),
                     VELD_E_FULL);
    memcpy(e.key, veld_revocations_key(r, 7), 32);
    cr_assert_eq(veld_revocations_add(&out, &by[0], t.network.id, r, &e, t.now_s), 0);
    e.n_kept = VELD_KEPT_MAX + 1;
    cr_assert_eq(veld_revocations_add(&out, &by[0], t.network.id, r, &e, t.now_s), VELD_E_FULL);
    veld_revocations_free(r);
    veld_blob_clear(&b);
    veld_blob_clear(&out);
}

/* An admin that fills the list is put out all the same, and whom it let in may be kept. */
Test(trust_revocations, by_an_admin_leave_room_for_the_owners)
{
    struct {
        size_t n, n_kept;
        bool good;
    } c[] = {{VELD_REVOKED_BY_ADMIN_MAX, VELD_KEPT_BY_ADMIN_MAX, true},
             {VELD_REVOKED_BY_ADMIN_MAX + 1, 0, false},
             {1, VELD_KEPT_BY_ADMIN_MAX + 1, false}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        struct veld_blob b = great_list(true, c[i].n, c[i].n_kept);
        cr_assert_eq(is_list(b.p, b.len), c[i].good, "%zu", i);
        veld_blob_clear(&b);
    }
    struct veld_blob b = great_list(true, c[0].n, c[0].n_kept), out = {0};
    struct veld_signer admin = test_admin(&t);
    struct veld_revocations *r = read_list(&b, NULL);
    struct veld_revoked_entry e = {.key = {0xff}};
    cr_assert_eq(veld_revocations_add(&out, &admin, t.network.id, r, &e, t.now_s), VELD_E_FULL);
    uint8_t(*keep)[32] = calloc(VELD_KEPT_BY_ADMIN_MAX, 32);
    for (size_t i = 0; i < VELD_KEPT_BY_ADMIN_MAX; i++)
        veld_store_be32(keep[i], (uint32_t)i);
    r = grow(test_owner(&t), r, t.admin->pub, (const uint8_t(*)[32])keep,
             VELD_KEPT_BY_ADMIN_MAX);
    cr_assert(veld_revocations_find(r, t.admin->pub, &e) && e.by_owner);
    free(keep);
    veld_revocations_free(r);
    veld_blob_clear(&b);
    veld_blob_clear(&out);
}

/* Whatever order members are given in, and however often. */
Test(trust_revocations, keep_members_in_order)
{
    uint8_t keep[5][32];
    struct veld_revoked_entry found;
    for (size_t i = 0; i < 5; i++)
        memset(keep[i], (int)(i * 2 % 3), 32);
    struct veld_revocations *r =
        grow(test_owner(&t), NULL, key_of(1), (const uint8_t(*)[32])keep, 5);
    cr_assert(veld_revocations_find(r, key_of(1), &found));
    cr_assert_eq(found.n_kept, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(found.kept[i][0], i);
    veld_revocations_free(r);
}

/* The owner's list and an admin's on top of it, from another implementation. */
Test(trust_revocations, are_as_another_implementation_makes_them)
{
    struct veld_blob expected = test_hex(VECTOR_REVOCATIONS), id = test_hex(VECTOR_ID);
    struct veld_blob member = test_hex(VECTOR_MEMBER), second = test_hex(VECTOR_OTHER);
    struct veld_blob chain = {0}, made = {0};
    uint8_t owner_seed[32], token_seed[32], admin_seed[32];
    struct veld_signer owner = {.seed = owner_seed}, admin = {admin_seed, &chain};
    struct veld_membership m = {
        .name = "admin", .flags = VELD_MEMBER_ADMIN, .not_before_s = 1800000000, .serial = 1};
    struct veld_revoked_entry e = {.kept = (const uint8_t(*)[32])member.p, .n_kept = 1};
    struct veld_revocations *r, *before;
    memset(owner_seed, 1, 32);
    memset(token_seed, 3, 32);
    memset(admin_seed, 6, 32);
    veld_ed25519_keypair(admin_seed, m.member);
    memcpy(m.network_id, id.p, 32);
    cr_assert_eq(veld_membership_issue(&chain, &owner, &m), 0);
    veld_ed25519_keypair(token_seed, e.key);
    cr_assert_eq(veld_revocations_add(&made, &owner, id.p, NULL, &e, 1800000100), 0);
    cr_assert_eq(veld_revocations_read(made.p, made.len, id.p, NULL, &before), 0);
    e = (struct veld_revoked_entry){0};
    memcpy(e.key, second.p, 32);
    cr_assert_eq(veld_revocations_add(&made, &admin, id.p, before, &e, 1800000200), 0);
    cr_assert_eq(made.len, expected.len);
    cr_assert_arr_eq(made.p, expected.p, made.len);
    cr_assert_eq(veld_revocations_read(expected.p, expected.len, id.p, before, &r), 0);
    cr_assert_eq(veld_revocations_epoch(r), 1ull << 32 | 1);
    veld_revocations_free(before);
    veld_revocations_free(r);
    struct veld_blob *all[] = {&expected, &id, &member, &second, &chain, &made};
    for (size_t i = 0; i < VELD_ARRAY_LEN(all); i++)
        veld_blob_clear(all[i]);
}
