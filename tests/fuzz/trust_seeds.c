/*
 * trust-seeds DIRECTORY: writes the seeds of fuzz_trust and fuzz_trust_body into
 * DIRECTORY/trust and DIRECTORY/trust_body. For when the messages change.
 */
#include "trust_world.h"

#include <limits.h>
#include <sys/stat.h>

static const char *directory;

static void put(const char *target, const char *name, uint8_t kind, struct veld_blob b)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, target);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%s/%s", directory, target, name);
    FILE *f = fopen(path, "wb");
    bool good = f && fputc(kind, f) == kind && fwrite(b.p, 1, b.len, f) == b.len;
    if (!f || fclose(f) != 0 || !good) {
        perror(path);
        exit(1);
    }
    veld_blob_clear(&b);
}

/* A Signed whole for the one target, its body for the other. */
static void put_signed(const char *name, enum raw_kind raw, enum body_kind body,
                       struct veld_blob b)
{
    struct veld_blob inside = {0};
    pb_signed *s =
        veld_wire_unpack(&veld__trust__v1__signed__descriptor, b.p, b.len, VELD_SIGNED_MAX);
    test_trust_must(s ? veld_blob_set(&inside, s->body.data, s->body.len) : VELD_E_FORMAT,
                    name);
    veld_wire_free(s);
    put("trust_body", name, body, inside);
    put("trust", name, raw, b);
}

static struct veld_blob body_of(const pb_signed *s)
{
    struct veld_blob b = {0};
    test_trust_must(veld_blob_set(&b, s->body.data, s->body.len), "body");
    return b;
}

static void put_chains(const struct world *w)
{
    static const char *const names[] = {"member-by-owner", "member-by-admin", "member-by-token",
                                        "member-by-admins-token"};
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&w->t, 1, "server1", by);
        pb_chain *c = veld_chain_unpack(m.chain.p, m.chain.len);
        put("trust", names[by], RAW_CHAIN, m.chain);
        if (by == TEST_BY_ADMINS_TOKEN)
            put("trust_body", "admin", BODY_ADMIN, body_of(c->admin));
        else
            put("trust_body", names[by], (uint8_t)(BODY_MEMBER_BY_OWNER + by),
                body_of(c->membership));
        veld_wire_free(c);
        veld_identity_free(m.id);
    }
    struct test_chain full = w->by_token;
    full.member.routes[0] = test_prefix("10.1.0.0/16");
    full.member.n_routes = 1;
    full.member.flags = VELD_MEMBER_RELAY;
    struct veld_blob b = test_chain_pack(&full);
    pb_chain *c = veld_chain_unpack(b.p, b.len);
    put("trust_body", "member-by-token-full", BODY_MEMBER_BY_TOKEN, body_of(c->membership));
    put("trust_body", "token", BODY_TOKEN, body_of(c->token));
    veld_wire_free(c);
    veld_blob_clear(&b);
}

static void put_records(const struct world *w)
{
    struct veld_record r = test_record(&w->member, 1);
    struct veld_blob b = {0};
    test_trust_must(veld_ip_parse("10.100.0.2", &r.ipv4), "address");
    test_trust_must(veld_endpoint_parse("192.0.2.1:4500", &r.endpoints[0]), "endpoint");
    test_trust_must(veld_endpoint_parse("[2001:db8::1]:4500", &r.endpoints[1]), "endpoint");
    r.n_endpoints = 2;
    r.routes[0] = test_prefix("10.1.0.0/16");
    r.n_routes = 1;
    r.relay = true;
    memcpy(r.relays[0], w->other->pub, 32);
    r.n_relays = 1;
    test_trust_must(veld_record_sign(&b, w->member.id->seed, &r), "record");
    pb_signed *s =
        veld_wire_unpack(&veld__trust__v1__signed__descriptor, b.p, b.len, VELD_SIGNED_MAX);
    put("trust_body", "record", BODY_RECORD, body_of(s));
    put("trust", "record", RAW_RECORD, test_peer_record(&w->member, &r));
    veld_wire_free(s);
    veld_blob_clear(&b);
}

static void put_revocations(const struct world *w)
{
    struct veld_signer by[] = {test_owner(&w->t), test_admin(&w->t)};
    static const char *const names[] = {"revocations-by-owner", "revocations-by-admin"};
    uint8_t keep[2][32] = {{1}, {2}};
    struct veld_revoked_entry e = {
        .key = {0x40}, .kept = (const uint8_t(*)[32])keep, .n_kept = 2};
    for (size_t i = 0; i < 2; i++) {
        struct veld_blob b = {0};
        test_trust_must(
            veld_revocations_add(&b, &by[i], w->t.network.id, w->revoked, &e, w->t.now_s),
            names[i]);
        pb_revocation_list *l = veld_wire_unpack(&veld__trust__v1__revocation_list__descriptor,
                                                 b.p, b.len, VELD_REVOCATIONS_MAX);
        put("trust_body", names[i], (uint8_t)(BODY_REVOCATIONS_BY_OWNER + i), body_of(l->list));
        put("trust", names[i], RAW_REVOCATIONS, b);
        veld_wire_free(l);
    }
}

static void put_rest(const struct world *w)
{
    struct veld_join_request r = {.name = "server1", .created_s = w->t.now_s};
    struct veld_call call = {.sequence = 1, .n_endpoints = 1, .n_relays = 1};
    struct veld_rpc_auth a = {.time_ns = 1};
    struct veld_token token = test_token(&w->t, 1);
    struct veld_signer owner = test_owner(&w->t);
    char text[VELD_TOKEN_TEXT_MAX];
    static const uint8_t certificate[32] = {5}, nonce[24] = {1};
    struct veld_blob b = {0}, network = {0};
    test_trust_must(veld_blob_set(&network, w->t.network_bytes.p, w->t.network_bytes.len),
                    "network");
    put_signed("network", RAW_NETWORK, BODY_NETWORK, network);
    memcpy(r.network_id, w->t.network.id, 32);
    memcpy(r.member, w->member.id->pub, 32);
    r.routes[0] = test_prefix("192.168.1.0/24");
    r.n_routes = 1;
    r.relay = true;
    test_trust_must(veld_join_request_sign(&b, w->member.id->seed, &r), "request");
    put_signed("join-request", RAW_JOIN_REQUEST, BODY_JOIN_REQUEST, b);
    b = (struct veld_blob){0};
    test_trust_must(veld_endpoint_parse("192.0.2.1:4500", &call.endpoints[0]), "endpoint");
    memcpy(call.relays[0], w->other->pub, 32);
    test_trust_must(
        veld_signal_seal(&b, w->member.id, w->other->pub, w->t.network.id, nonce, &call),
        "signal");
    put("trust", "signal", RAW_SIGNAL, b);
    b = (struct veld_blob){0};
    test_trust_must(
        veld_blob_set(&b, "\x08\x01\x12\x0b\x0a\x09\x0a\x04\xc0\x00\x02\x01\x10\x94\x23", 15),
        "signal");
    put("trust_body", "signal", BODY_SIGNAL, b);
    b = (struct veld_blob){malloc(VELD_RPC_AUTH_MAX), 0};
    memcpy(a.key, w->member.id->pub, 32);
    b.len = veld_rpc_sign(b.p, w->member.id->seed, &a, WORLD_METHOD, certificate, "body", 4);
    put("trust", "auth", RAW_AUTH, b);
    b = (struct veld_blob){0};
    test_trust_must(veld_token_make(text, &owner, w->t.network.id, &token), "token");
    test_trust_must(veld_blob_set(&b, text, strlen(text)), "token");
    put("trust", "token", RAW_TOKEN, b);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: trust-seeds DIRECTORY\n");
        return 2;
    }
    directory = argv[1];
    const struct world *w = world();
    put_chains(w);
    put_records(w);
    put_revocations(w);
    put_rest(w);
    return 0;
}
