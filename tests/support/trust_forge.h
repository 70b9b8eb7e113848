/*
 * Chains, records and lists as nobody honest would sign them: each part's signer,
 * purpose and contents are set one by one.
 *
 *   struct test_chain c;
 *   test_chain_make(&c, &t, TEST_BY_ADMINS_TOKEN);    what is right
 *   c.token.by = other_seed;                          what is wrong with it
 *   struct veld_blob bytes = test_chain_pack(&c);
 */
#ifndef VELD_TESTS_TRUST_FORGE_H
#define VELD_TESTS_TRUST_FORGE_H

#include "hex.h"
#include "trust/chain.h"
#include "trust_rig.h"

/* A part: absent when nobody signed it. */
struct test_part {
    const uint8_t *by; /* seed */
    const char *purpose;
};

struct test_chain {
    struct test_part admin_by, token_by, member_by;
    struct veld_membership admin, member;
    struct veld_grant token;
    uint8_t token_network[32], token_seed[32];
};

/* `message`, signed; veld_statement_clear. */
static inline void test_sign(struct veld_statement *out, const struct test_part *by,
                             const void *message)
{
    memset(out, 0, sizeof *out);
    test_trust_must(
        veld_statement_sign(out, by->purpose, by->by, message, VELD_REVOCATIONS_MAX), "sign");
}

/* Bytes that need not be a message, signed as a body. */
static inline void test_sign_bytes(struct veld_statement *out, const struct test_part *by,
                                   const void *p, size_t len)
{
    size_t head = strlen(by->purpose) + 1;
    uint8_t *text = malloc(head + len);
    memset(out, 0, sizeof *out);
    test_trust_must(text && veld_blob_set(&out->body, p, len) == 0 ? 0 : VELD_E_NOMEM, "sign");
    memcpy(text, by->purpose, head);
    if (len)
        memcpy(text + head, p, len);
    veld_ed25519_keypair(by->by, out->signer);
    veld_ed25519_sign(out->signature, by->by, text, head + len);
    free(text);
}

static inline void test_sign_membership(struct veld_statement *out, const struct test_part *by,
                                        const struct veld_membership *m)
{
    struct veld_wire_routes routes;
    char name[VELD_LABEL_MAX + 1];
    pb_membership body = VELD__TRUST__V1__MEMBERSHIP__INIT;
    memcpy(name, m->name, sizeof name);
    body.network_id = veld_wire_bytes(m->network_id, 32);
    body.member = veld_wire_bytes(m->member, 32);
    body.name = name;
    body.n_routes = m->n_routes;
    body.routes = veld_wire_put_routes(&routes, m->routes, m->n_routes);
    body.flags = m->flags;
    body.not_before = m->not_before_s;
    body.not_after = m->not_after_s;
    body.serial = m->serial;
    test_sign(out, by, &body);
}

static inline void test_sign_token(struct veld_statement *out, const struct test_part *by,
                                   const uint8_t network_id[32], const struct veld_grant *g)
{
    struct veld_wire_routes routes;
    pb_token body = VELD__TRUST__V1__TOKEN__INIT;
    body.network_id = veld_wire_bytes(network_id, 32);
    body.token_key = veld_wire_bytes(g->token_key, 32);
    body.created = g->created_s;
    body.expires = g->expires_s;
    body.uses = g->uses;
    body.n_routes = g->n_routes;
    body.routes = veld_wire_put_routes(&routes, g->routes, g->n_routes);
    body.flags = g->flags;
    test_sign(out, by, &body);
}

/* Right in all parts: "server1" (test_trust_identity(1)), without routes and flags. */
static inline void test_chain_make(struct test_chain *c, const struct test_trust *t,
                                   enum test_by by)
{
    struct veld_identity *id = test_trust_identity(1);
    const uint8_t *signer =
        by == TEST_BY_ADMIN || by == TEST_BY_ADMINS_TOKEN ? t->admin->seed : t->owner_seed;
    memset(c, 0, sizeof *c);
    c->member = test_membership(t, id->pub, "server1");
    c->member_by = (struct test_part){signer, VELD_PURPOSE_MEMBERSHIP};
    if (signer == t->admin->seed) {
        c->admin = test_membership(t, t->admin->pub, "admin");
        c->admin.flags = VELD_MEMBER_ADMIN;
        c->admin_by = (struct test_part){t->owner_seed, VELD_PURPOSE_MEMBERSHIP};
    }
    if (by == TEST_BY_TOKEN || by == TEST_BY_ADMINS_TOKEN) {
        test_trust_seed(c->token_seed, 4000000);
        memcpy(c->token_network, t->network.id, 32);
        veld_ed25519_keypair(c->token_seed, c->token.token_key);
        c->token.created_s = t->now_s - 7200;
        c->token.expires_s = t->now_s + 7200;
        c->token_by = (struct test_part){signer, VELD_PURPOSE_TOKEN};
        c->member_by.by = c->token_seed;
    }
    veld_identity_free(id);
}

static inline struct veld_blob test_chain_pack(const struct test_chain *c)
{
    struct veld_statement part[3] = {0};
    pb_signed view[3];
    struct veld_blob out = {0};
    pb_chain chain = VELD__TRUST__V1__CHAIN__INIT;
    test_sign_membership(&part[0], &c->member_by, &c->member);
    veld_statement_view(&part[0], &view[0]);
    chain.membership = &view[0];
    if (c->token_by.by) {
        test_sign_token(&part[1], &c->token_by, c->token_network, &c->token);
        veld_statement_view(&part[1], &view[1]);
        chain.token = &view[1];
    }
    if (c->admin_by.by) {
        test_sign_membership(&part[2], &c->admin_by, &c->admin);
        veld_statement_view(&part[2], &view[2]);
        chain.admin = &view[2];
    }
    test_trust_must(veld_wire_pack(&out, &chain, SIZE_MAX), "chain");
    for (size_t i = 0; i < 3; i++)
        veld_statement_clear(&part[i]);
    return out;
}

/* `message` signed and packed as a Signed. */
static inline struct veld_blob test_signed(const char *purpose, const uint8_t seed[32],
                                           const void *message)
{
    struct veld_statement s;
    pb_signed view;
    struct veld_blob out = {0};
    test_sign(&s, &(struct test_part){seed, purpose}, message);
    veld_statement_view(&s, &view);
    test_trust_must(veld_wire_pack(&out, &view, SIZE_MAX), "signed");
    veld_statement_clear(&s);
    return out;
}

/* Hexadecimal text (of trust_vectors.h) as bytes; veld_blob_clear. */
static inline struct veld_blob test_hex(const char *text)
{
    struct veld_blob b = {calloc(1, strlen(text) / 2 + 1), strlen(text) / 2};
    test_trust_must(b.p && hex_decode(text, strlen(text), b.p) == 0 ? 0 : VELD_E_FORMAT, "hex");
    return b;
}

/*
 * Every way to change `good` by one bit of each byte, and every way to cut it short:
 * `accepts` must take none of them. Returns the number of tries that were taken.
 */
static inline size_t test_damage(const struct veld_blob *good,
                                 bool (*accepts)(const uint8_t *p, size_t len))
{
    size_t taken = 0;
    for (size_t i = 0; i < good->len; i++) {
        /* Of exact size, for AddressSanitizer to watch. */
        uint8_t *cut = malloc(i ? i : 1);
        test_trust_must(cut ? 0 : VELD_E_NOMEM, "damage");
        memcpy(cut, good->p, i);
        taken += accepts(cut, i);
        free(cut);
        good->p[i] ^= (uint8_t)(1u << i % 8);
        taken += accepts(good->p, good->len);
        good->p[i] ^= (uint8_t)(1u << i % 8);
    }
    return taken;
}

#endif
