#include "trust/chain.h"

#include "../support/trust_forge.h"

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

TestSuite(trust_chain, .init = init, .fini = fini, .timeout = 60);

Test(trust_chain, knows_the_owner_by_the_networks_id)
{
    cr_assert(veld_is_owner(t.owner, t.network.id));
    cr_assert_not(veld_is_owner(t.admin->pub, t.network.id));
    cr_assert_not(veld_is_owner(other.owner, t.network.id));
}

/* What is the same has the same digest, and nothing else has. */
Test(trust_chain, has_a_digest_of_its_own)
{
    uint8_t digest[9][32];
    size_t n = 0;
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        for (unsigned who = 1; who <= 2; who++) {
            struct test_member m = test_trust_join(&t, who, "server1", by);
            struct test_member again = test_trust_join(&t, who, "server1", by);
            pb_chain *c = veld_chain_unpack(m.chain.p, m.chain.len);
            cr_assert_not_null(c);
            veld_chain_digest(c, digest[n]);
            cr_assert_arr_eq(digest[n], m.membership.chain_digest, 32);
            cr_assert_arr_eq(digest[n], again.membership.chain_digest, 32);
            for (size_t i = 0; i < n; i++)
                cr_assert_neq(memcmp(digest[i], digest[n], 32), 0);
            n++;
            /* Each byte of each part counts, and in which part it is. */
            pb_signed *part[] = {c->membership, c->token, c->admin};
            for (size_t i = 0; i < 3; i++) {
                ProtobufCBinaryData *field[3] = {0};
                if (part[i]) {
                    field[0] = &part[i]->body;
                    field[1] = &part[i]->signer;
                    field[2] = &part[i]->signature;
                }
                for (size_t k = 0; k < 3 && field[k]; k++) {
                    field[k]->data[5] ^= 1;
                    veld_chain_digest(c, digest[8]);
                    cr_assert_neq(memcmp(digest[8], digest[n - 1], 32), 0);
                    field[k]->data[5] ^= 1;
                }
            }
            pb_signed *token = c->token;
            if (by == TEST_BY_TOKEN || by == TEST_BY_ADMIN) {
                c->token = c->admin;
                c->admin = token;
                veld_chain_digest(c, digest[8]);
                cr_assert_neq(memcmp(digest[8], digest[n - 1], 32), 0);
            }
            veld_wire_free(c);
            test_member_free(&m);
            test_member_free(&again);
        }
    }
}

/* Over which times a chain holds is what all its parts leave. */
Test(trust_chain, holds_while_all_its_parts_do)
{
    const uint64_t n = TEST_TRUST_NOW;
    struct {
        uint64_t from, to, admin_from, admin_to, begins, ends;
    } c[] = {
        {n - 10, 0, n - 20, 0, n - 10, 0},
        {n - 10, 0, n - 20, n + 5, n - 10, n + 5},
        {n - 10, n + 3, n - 20, 0, n - 10, n + 3},
        {n - 10, n + 3, n - 5, n + 5, n - 5, n + 3},
        {n - 10, n + 9, n - 5, n + 5, n - 5, n + 5},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        struct test_chain forged;
        struct veld_membership m;
        test_chain_make(&forged, &t, TEST_BY_ADMINS_TOKEN);
        forged.member.not_before_s = c[i].from;
        forged.member.not_after_s = c[i].to;
        forged.admin.not_before_s = c[i].admin_from;
        forged.admin.not_after_s = c[i].admin_to;
        struct veld_blob b = test_chain_pack(&forged);
        cr_assert_eq(veld_membership_read(b.p, b.len, t.network.id, NULL, n, &m), 0);
        cr_assert(m.begins_s == c[i].begins && m.ends_s == c[i].ends, "%zu", i);
        cr_assert_eq(veld_membership_check(&m, NULL, m.begins_s - VELD_CLOCK_SKEW_S), 0);
        cr_assert_eq(veld_membership_check(&m, NULL, m.begins_s - VELD_CLOCK_SKEW_S - 1),
                     VELD_E_RANGE);
        cr_assert_eq(veld_membership_check(&m, NULL, m.ends_s ? m.ends_s : UINT64_MAX), 0);
        if (m.ends_s)
            cr_assert_eq(veld_membership_check(&m, NULL, m.ends_s + 1), VELD_E_RANGE);
        veld_blob_clear(&b);
    }
}

Test(trust_chain, of_a_signer_shows_what_it_is)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_OWNER);
    struct veld_blob nonsense = {(uint8_t *)"\xff\xff", 2};
    struct veld_blob needless = {0};
    struct test_chain with_token;
    test_chain_make(&with_token, &t, TEST_BY_TOKEN);
    with_token.member = test_membership(&t, t.admin->pub, "admin");
    with_token.member.flags = VELD_MEMBER_ADMIN;
    with_token.member_by.by = t.owner_seed;
    needless = test_chain_pack(&with_token);
    struct {
        struct veld_signer by;
        int rc;
    } c[] = {
        {test_owner(&t), 0},
        {test_admin(&t), 0},
        {test_owner(&other), VELD_E_AUTH},
        {test_admin(&other), VELD_E_AUTH},
        {{m.id->seed, &m.chain}, VELD_E_AUTH},
        {{m.id->seed, &t.admin_chain}, VELD_E_AUTH},
        {{t.admin->seed, &nonsense}, VELD_E_FORMAT},
        {{t.admin->seed, &needless}, VELD_E_AUTH},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        pb_chain *chain;
        pb_signed *admin;
        cr_assert_eq(veld_signer_open(&c[i].by, t.network.id, &chain, &admin), c[i].rc, "%zu",
                     i);
        cr_assert_eq(chain != NULL, i == 1);
        cr_assert_eq(admin != NULL, i == 1);
        veld_wire_free(chain);
    }
    veld_blob_clear(&needless);
    test_member_free(&m);
}

/* Network ids that are too short, in what is signed by who may. */
Test(trust_chain, is_of_a_whole_id)
{
    struct veld_statement s;
    pb_signed view;
    struct veld_grant g;
    struct veld_membership m;
    char name[] = "admin";
    pb_token token = VELD__TRUST__V1__TOKEN__INIT;
    pb_membership membership = VELD__TRUST__V1__MEMBERSHIP__INIT;
    token.token_key = membership.member = veld_wire_bytes(t.admin->pub, 32);
    membership.name = name;
    membership.flags = VELD_MEMBER_ADMIN;
    for (size_t len = 31; len <= 32; len++) {
        token.network_id = membership.network_id = veld_wire_bytes(t.network.id, len);
        test_sign(&s, &(struct test_part){t.owner_seed, VELD_PURPOSE_TOKEN}, &token);
        veld_statement_view(&s, &view);
        cr_assert_eq(veld_chain_grant(&view, t.network.id, NULL, &g),
                     len == 32 ? 0 : VELD_E_FORMAT);
        veld_statement_clear(&s);
        test_sign(&s, &(struct test_part){t.owner_seed, VELD_PURPOSE_MEMBERSHIP}, &membership);
        veld_statement_view(&s, &view);
        cr_assert_eq(veld_chain_admin(&view, t.network.id, &m), len == 32 ? 0 : VELD_E_FORMAT);
        veld_statement_clear(&s);
    }
}
