/*
 * What fuzz_trust, fuzz_trust_body and the program that makes their seeds agree on:
 * who there is in the network, and what the first byte of an input says.
 */
#ifndef VELD_FUZZ_TRUST_WORLD_H
#define VELD_FUZZ_TRUST_WORLD_H

#include "../support/trust_forge.h"
#include "trust/join_request.h"
#include "trust/revocations.h"
#include "trust/rpc_auth.h"
#include "trust/signal.h"

/* fuzz_trust: bytes as a stranger sends them. */
enum raw_kind {
    RAW_NETWORK,
    RAW_CHAIN,
    RAW_RECORD,
    RAW_REVOCATIONS,
    RAW_JOIN_REQUEST,
    RAW_TOKEN,
    RAW_SIGNAL,
    RAW_AUTH,
    RAW_KINDS
};

/* fuzz_trust_body: what comes after is signed for whom it is: bytes of a hostile member, admin or owner. */
enum body_kind {
    BODY_NETWORK,
    BODY_MEMBER_BY_OWNER,
    BODY_MEMBER_BY_ADMIN,
    BODY_MEMBER_BY_TOKEN,
    BODY_ADMIN,
    BODY_TOKEN,
    BODY_RECORD,
    BODY_REVOCATIONS_BY_OWNER,
    BODY_REVOCATIONS_BY_ADMIN,
    BODY_JOIN_REQUEST,
    BODY_SIGNAL,
    BODY_KINDS
};

#define WORLD_METHOD "/veld.coord.v1.Coord/Leave"

struct world {
    struct test_trust t;
    struct test_member member;        /* of the owner: 10.0.0.0/8, relay */
    struct veld_identity *other;      /* to whom signals go */
    struct veld_revocations *revoked; /* the owner's first list */
    struct test_chain by_token;       /* grants 10.0.0.0/8, relay */
};

/* Once a process; nothing of it is freed. */
static inline const struct world *world(void)
{
    static struct world w;
    if (w.other)
        return &w;
    test_trust_make(&w.t);
    w.member.id = test_trust_identity(1);
    w.other = test_trust_identity(2);
    struct veld_signer owner = test_owner(&w.t);
    struct veld_membership m = test_membership(&w.t, w.member.id->pub, "server1");
    m.routes[0] = test_prefix("10.0.0.0/8");
    m.n_routes = 1;
    m.flags = VELD_MEMBER_RELAY;
    test_trust_must(veld_membership_issue(&w.member.chain, &owner, &m), "member");
    test_member_read(&w.t, &w.member);
    struct veld_revoked_entry e = {.key = {0x80}};
    struct veld_blob list = {0};
    test_trust_must(veld_revocations_add(&list, &owner, w.t.network.id, NULL, &e, w.t.now_s),
                    "list");
    test_trust_must(veld_revocations_read(list.p, list.len, w.t.network.id, NULL, &w.revoked),
                    "list");
    veld_blob_clear(&list);
    test_chain_make(&w.by_token, &w.t, TEST_BY_TOKEN);
    w.by_token.token.routes[0] = m.routes[0];
    w.by_token.token.n_routes = 1;
    w.by_token.token.flags = VELD_MEMBER_RELAY;
    return &w;
}

#endif
