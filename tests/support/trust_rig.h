/*
 * A network with its owner, an admin, a token and members, from fixed seeds: what
 * tests of everything that reads signed statements begin with.
 *
 *   struct test_trust t;
 *   test_trust_make(&t);
 *   struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_OWNER);
 *   ... m.id, m.chain, test_trust_record(&t, &m, ...)
 *   test_member_free(&m); test_trust_free(&t);
 *
 * Whatever fails here aborts: it is not what is under test.
 */
#ifndef VELD_TESTS_TRUST_RIG_H
#define VELD_TESTS_TRUST_RIG_H

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"
#include "trust/membership.h"
#include "trust/network.h"
#include "trust/record.h"
#include "trust/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_TRUST_NOW 1800000000u /* seconds; everything below was made then */

struct test_trust {
    uint8_t owner_seed[32], owner[32];
    struct veld_blob network_bytes; /* Signed */
    struct veld_network network;    /* "mynet", 10.100.0.0/16 */
    struct veld_identity *admin;    /* "admin", admitted by the owner */
    struct veld_blob admin_chain;
    uint64_t now_s;
};

enum test_by { TEST_BY_OWNER, TEST_BY_ADMIN, TEST_BY_TOKEN, TEST_BY_ADMINS_TOKEN };

struct test_member {
    struct veld_identity *id;
    struct veld_blob chain;
    struct veld_membership membership; /* as read */
};

static inline void test_trust_must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "trust rig: %s: %s\n", what, veld_strerror(rc));
        abort();
    }
}

/* The `n`-th of a row of fixed seeds. Not for keys that matter. */
static inline void test_trust_seed(uint8_t seed[32], unsigned n)
{
    char text[32];
    int len = snprintf(text, sizeof text, "veld test seed %u", n);
    veld_sha256(seed, &(struct veld_bytes){text, (size_t)len}, 1);
}

/* veld_identity_free */
static inline struct veld_identity *test_trust_identity(unsigned n)
{
    uint8_t seed[32];
    test_trust_seed(seed, n);
    struct veld_identity *id = veld_identity_from_seed(seed);
    test_trust_must(id ? 0 : VELD_E_NOMEM, "identity");
    return id;
}

static inline struct veld_prefix test_prefix(const char *text)
{
    struct veld_prefix p;
    test_trust_must(veld_prefix_parse(text, &p), text);
    return p;
}

static inline struct veld_signer test_owner(const struct test_trust *t)
{
    return (struct veld_signer){.seed = t->owner_seed};
}

static inline struct veld_signer test_admin(const struct test_trust *t)
{
    return (struct veld_signer){.seed = t->admin->seed, .chain = &t->admin_chain};
}

/* A membership to be signed: of the network, from an hour ago on, without end, nothing allowed. */
static inline struct veld_membership test_membership(const struct test_trust *t,
                                                     const uint8_t member[32], const char *name)
{
    struct veld_membership m = {.not_before_s = t->now_s - 3600, .serial = t->now_s - 3600};
    memcpy(m.network_id, t->network.id, 32);
    memcpy(m.member, member, 32);
    snprintf(m.name, sizeof m.name, "%s", name);
    return m;
}

/* Networks of other numbers have other owners, admins and ids. */
static inline void test_trust_make_nth(struct test_trust *t, unsigned n)
{
    struct veld_prefix range = test_prefix("10.100.0.0/16");
    test_trust_must(veld_crypto_init(), "libsodium");
    memset(t, 0, sizeof *t);
    t->now_s = TEST_TRUST_NOW;
    test_trust_seed(t->owner_seed, 1000000 + n);
    veld_ed25519_keypair(t->owner_seed, t->owner);
    test_trust_must(
        veld_network_make(&t->network_bytes, t->owner_seed, "mynet", &range, t->now_s - 86400),
        "network");
    test_trust_must(veld_network_read(t->network_bytes.p, t->network_bytes.len, &t->network),
                    "network");
    t->admin = test_trust_identity(2000000 + n);
    struct veld_membership m = test_membership(t, t->admin->pub, "admin");
    struct veld_signer owner = test_owner(t);
    m.flags = VELD_MEMBER_ADMIN;
    test_trust_must(veld_membership_issue(&t->admin_chain, &owner, &m), "admin");
}

static inline void test_trust_make(struct test_trust *t)
{
    test_trust_make_nth(t, 0);
}

static inline void test_trust_free(struct test_trust *t)
{
    veld_blob_clear(&t->network_bytes);
    veld_blob_clear(&t->admin_chain);
    veld_identity_free(t->admin);
    memset(t, 0, sizeof *t);
}

/* Any number of uses, of 24 hours, nothing granted; change it before veld_token_make. `n` makes the seed. */
static inline struct veld_token test_token(const struct test_trust *t, unsigned n)
{
    struct veld_token token = {.coord = "coord.example:50051",
                               .has_certificate = true,
                               .certificate = {1, 2, 3},
                               .network = "mynet",
                               .created_s = t->now_s - 7200,
                               .expires_s = t->now_s + 79200};
    test_trust_seed(token.seed, 3000000 + n);
    return token;
}

static inline void test_member_read(const struct test_trust *t, struct test_member *m)
{
    test_trust_must(veld_membership_read(m->chain.p, m->chain.len, t->network.id, NULL,
                                         t->now_s, &m->membership),
                    "member");
}

/* A member of the network; those of one number are one device. */
static inline struct test_member test_trust_join(const struct test_trust *t, unsigned n,
                                                 const char *name, enum test_by by)
{
    struct test_member m = {.id = test_trust_identity(n)};
    struct veld_membership wish = test_membership(t, m.id->pub, name);
    struct veld_signer signer =
        by == TEST_BY_ADMIN || by == TEST_BY_ADMINS_TOKEN ? test_admin(t) : test_owner(t);
    if (by == TEST_BY_OWNER || by == TEST_BY_ADMIN) {
        test_trust_must(veld_membership_issue(&m.chain, &signer, &wish), name);
    } else {
        char text[VELD_TOKEN_TEXT_MAX];
        struct veld_token token = test_token(t, by);
        test_trust_must(veld_token_make(text, &signer, t->network.id, &token), "token");
        test_trust_must(veld_token_admit(&m.chain, text, m.id->pub, name, t->now_s - 3600, 0),
                        name);
    }
    test_member_read(t, &m);
    return m;
}

static inline void test_member_free(struct test_member *m)
{
    veld_identity_free(m->id);
    veld_blob_clear(&m->chain);
    memset(m, 0, sizeof *m);
}

/* What a member says of itself: nothing but its name yet. */
static inline struct veld_record test_record(const struct test_member *m, uint64_t sequence)
{
    return (struct veld_record){.membership = m->membership, .sequence = sequence};
}

/* `r` signed by the member and put together with its chain: an encoded PeerRecord. */
static inline struct veld_blob test_peer_record(const struct test_member *m,
                                                const struct veld_record *r)
{
    struct veld_blob record = {0}, out = {0};
    test_trust_must(veld_record_sign(&record, m->id->seed, r), "record");
    test_trust_must(veld_record_join(&out, &record, &m->chain), "peer record");
    veld_blob_clear(&record);
    return out;
}

#endif
