/*
 * Bodies of signed statements from those who may sign them and mean ill: the first byte
 * says what it is and who signs. So the fuzzer gets past the signatures.
 *
 * Whatever an owner, an admin, a token's holder or a member signs: no memory error, no
 * leak; what is refused leaves zeros; what is taken keeps to its signer's rights.
 */
#include "trust_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool taken(int rc, const void *out, size_t size)
{
    require(rc == 0 || veld_is_zero(out, size));
    return rc == 0;
}

/* Signed as a body by `seed`, as an encoded Signed, and as a part of something. */
struct body {
    struct veld_statement s;
    pb_signed view;
};

static void sign(struct body *b, const char *purpose, const uint8_t seed[32], const uint8_t *p,
                 size_t len)
{
    test_sign_bytes(&b->s, &(struct test_part){seed, purpose}, p, len);
    veld_statement_view(&b->s, &b->view);
}

static struct veld_blob pack(const void *message)
{
    struct veld_blob out = {0};
    test_trust_must(veld_wire_pack(&out, message, SIZE_MAX), "pack");
    return out;
}

static void require_routes(const struct veld_prefix *p, size_t n)
{
    require(n <= VELD_MEMBER_ROUTES_MAX);
    for (size_t i = 0; i < n; i++)
        require(veld_route_is_valid(&p[i]) && p[i].len > 0);
}

static void require_endpoints(const struct veld_endpoint *e, size_t n)
{
    require(n <= VELD_MEMBER_ENDPOINTS_MAX);
    for (size_t i = 0; i < n; i++)
        require(e[i].port != 0 && veld_ip_is_unicast(&e[i].ip));
}

static void require_relays(const uint8_t (*relays)[32], size_t n, const uint8_t self[32])
{
    require(n <= VELD_MEMBER_RELAYS_MAX);
    for (size_t i = 0; i < n; i++) {
        require(memcmp(relays[i], self, 32) != 0);
        for (size_t k = 0; k < i; k++)
            require(memcmp(relays[k], relays[i], 32) != 0);
    }
}

static void network(const struct world *w, const uint8_t *p, size_t len)
{
    struct body b;
    struct veld_network out;
    sign(&b, VELD_PURPOSE_NETWORK, w->t.owner_seed, p, len);
    struct veld_blob bytes = pack(&b.view);
    if (taken(veld_network_read(bytes.p, bytes.len, &out), &out, sizeof out)) {
        struct veld_prefix masked = out.ipv4;
        veld_prefix_mask(&masked);
        require(veld_label_is_valid(out.name) && memcmp(out.id, w->t.network.id, 32) == 0);
        require(out.ipv4.len >= 8 && out.ipv4.len <= 30 && out.ipv4.ip.family == 4 &&
                veld_ip_equal(&masked.ip, &out.ipv4.ip));
    }
    veld_blob_clear(&bytes);
    veld_statement_clear(&b.s);
}

static void require_membership(const struct world *w, const struct veld_membership *m)
{
    require(memcmp(m->network_id, w->t.network.id, 32) == 0 && veld_label_is_valid(m->name));
    require(veld_ed25519_is_canonical(m->member));
    require_routes(m->routes, m->n_routes);
}

static void member(const struct world *w, enum body_kind kind, const uint8_t *p, size_t len)
{
    struct body b;
    struct veld_membership out;
    pb_chain chain = VELD__TRUST__V1__CHAIN__INIT, *own = NULL;
    struct veld_statement token = {0};
    pb_signed token_view;
    const uint8_t *seed = w->t.owner_seed;
    if (kind == BODY_MEMBER_BY_ADMIN) {
        seed = w->t.admin->seed;
        own = veld_chain_unpack(w->t.admin_chain.p, w->t.admin_chain.len);
        require(own != NULL);
        chain.admin = own->membership;
    } else if (kind == BODY_MEMBER_BY_TOKEN) {
        seed = w->by_token.token_seed;
        test_sign_token(&token, &w->by_token.token_by, w->t.network.id, &w->by_token.token);
        veld_statement_view(&token, chain.token = &token_view);
    }
    sign(&b, VELD_PURPOSE_MEMBERSHIP, seed, p, len);
    chain.membership = &b.view;
    struct veld_blob bytes = pack(&chain);
    if (taken(veld_membership_read(bytes.p, bytes.len, w->t.network.id, w->revoked, w->t.now_s,
                                   &out),
              &out, sizeof out)) {
        require_membership(w, &out);
        require(kind == BODY_MEMBER_BY_OWNER || !(out.flags & VELD_MEMBER_ADMIN));
        require(kind != BODY_MEMBER_BY_TOKEN ||
                veld_routes_are_within(out.routes, out.n_routes, w->by_token.token.routes,
                                       w->by_token.token.n_routes));
        require(veld_membership_check(&out, w->revoked, w->t.now_s) == 0);
    }
    veld_blob_clear(&bytes);
    veld_statement_clear(&b.s);
    veld_statement_clear(&token);
    veld_wire_free(own);
}

/* The membership of an admin-to-be, by the owner; then it admits somebody itself. */
static void admin(const struct world *w, const uint8_t *p, size_t len)
{
    struct body b;
    struct veld_membership m = test_membership(&w->t, w->other->pub, "server2"), out;
    pb_chain chain = VELD__TRUST__V1__CHAIN__INIT;
    struct veld_blob issued = {0};
    sign(&b, VELD_PURPOSE_MEMBERSHIP, w->t.owner_seed, p, len);
    chain.membership = &b.view;
    struct veld_blob bytes = pack(&chain);
    struct veld_signer signer = {w->t.admin->seed, &bytes};
    if (veld_membership_issue(&issued, &signer, &m) == 0) {
        require(veld_membership_read(bytes.p, bytes.len, w->t.network.id, NULL, 0, &out) == 0);
        require((out.flags & VELD_MEMBER_ADMIN) &&
                memcmp(out.member, w->t.admin->pub, 32) == 0);
    }
    veld_blob_clear(&issued);
    veld_blob_clear(&bytes);
    veld_statement_clear(&b.s);
}

static void token(const struct world *w, const uint8_t *p, size_t len)
{
    struct body b;
    Veld__Trust__V1__TokenText parts = VELD__TRUST__V1__TOKEN_TEXT__INIT;
    char coord[] = "a:1", name[] = "mynet", text[VELD_TOKEN_TEXT_MAX] = "veld1";
    struct veld_token out;
    sign(&b, VELD_PURPOSE_TOKEN, w->t.owner_seed, p, len);
    parts.coord = coord;
    parts.network = name;
    parts.seed = veld_wire_bytes(w->by_token.token_seed, 32);
    parts.token = &b.view;
    struct veld_blob bytes = pack(&parts), chain = {0};
    if (veld_base64url_encode(text + 5, sizeof text - 5, bytes.p, bytes.len) == 0 &&
        taken(veld_token_read(text, &out), &out, sizeof out)) {
        require_routes(out.routes, out.n_routes);
        require(!(out.flags & VELD_MEMBER_ADMIN));
        require(memcmp(out.network_id, w->t.network.id, 32) == 0);
        int rc = veld_token_admit(&chain, text, w->other->pub, "server2", w->t.now_s, 0);
        require(rc == 0 || rc == VELD_E_RANGE);
        require((rc == 0) == (chain.p != NULL));
    }
    veld_blob_clear(&chain);
    veld_blob_clear(&bytes);
    veld_statement_clear(&b.s);
}

static void record(const struct world *w, const uint8_t *p, size_t len)
{
    struct body b;
    struct veld_record out;
    const struct veld_membership *m = &w->member.membership;
    pb_peer_record peer = VELD__TRUST__V1__PEER_RECORD__INIT;
    sign(&b, VELD_PURPOSE_RECORD, w->member.id->seed, p, len);
    peer.record = &b.view;
    peer.chain = veld_chain_unpack(w->member.chain.p, w->member.chain.len);
    require(peer.chain != NULL);
    struct veld_blob bytes = pack(&peer);
    if (taken(veld_record_read_known(bytes.p, bytes.len, &w->t.network, m, w->revoked,
                                     w->t.now_s, &out),
              &out, sizeof out)) {
        require_routes(out.routes, out.n_routes);
        require(veld_routes_are_within(out.routes, out.n_routes, m->routes, m->n_routes));
        for (size_t i = 0; i < out.n_routes; i++)
            require(out.routes[i].len < 16 ||
                    !veld_prefix_overlaps(&out.routes[i], &w->t.network.ipv4));
        require_endpoints(out.endpoints, out.n_endpoints);
        require_relays((const uint8_t(*)[32])out.relays, out.n_relays, m->member);
        require(!out.relay || (m->flags & VELD_MEMBER_RELAY));
        require(out.ipv4.family == 0 || veld_prefix_contains(&w->t.network.ipv4, &out.ipv4));
        require(out.ipv6.family == 6);
    }
    veld_blob_clear(&bytes);
    veld_wire_free(peer.chain);
    veld_statement_clear(&b.s);
}

static void require_revocations(const struct world *w, const struct veld_revocations *r)
{
    struct veld_revoked_entry e;
    size_t n = veld_revocations_count(r);
    require(n <= VELD_REVOKED_MAX);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *key = veld_revocations_key(r, i);
        require(i == 0 || memcmp(veld_revocations_key(r, i - 1), key, 32) < 0);
        require(veld_revocations_find(r, key, &e) && memcmp(e.key, key, 32) == 0);
        require(e.n_kept <= VELD_KEPT_MAX && veld_revoked(r, key));
    }
    /* It goes on from here, and not back. */
    struct veld_signer owner = test_owner(&w->t);
    struct veld_blob next = {0}, same = veld_revocations_bytes(r);
    struct veld_revocations *again;
    struct veld_revoked_entry more = {.key = {0x7f}};
    require(veld_revocations_read(same.p, same.len, w->t.network.id, r, &again) ==
            VELD_E_REPLAY);
    int rc = veld_revocations_add(&next, &owner, w->t.network.id, r, &more, w->t.now_s);
    require(rc == 0 || rc == VELD_E_FULL);
    veld_blob_clear(&next);
}

static void revocations(const struct world *w, enum body_kind kind, const uint8_t *p,
                        size_t len)
{
    struct body b;
    pb_revocation_list list = VELD__TRUST__V1__REVOCATION_LIST__INIT, *before = NULL;
    pb_chain *own = NULL;
    struct veld_revocations *r;
    const uint8_t *seed = w->t.owner_seed;
    if (kind == BODY_REVOCATIONS_BY_ADMIN) {
        struct veld_blob first = veld_revocations_bytes(w->revoked);
        seed = w->t.admin->seed;
        own = veld_chain_unpack(w->t.admin_chain.p, w->t.admin_chain.len);
        before = veld_wire_unpack(&veld__trust__v1__revocation_list__descriptor, first.p,
                                  first.len, first.len);
        require(own && before);
        list.admin = own->membership;
        list.owner_list = before->list;
    }
    sign(&b, VELD_PURPOSE_REVOCATIONS, seed, p, len);
    list.list = &b.view;
    struct veld_blob bytes = pack(&list);
    int rc = veld_revocations_read(bytes.p, bytes.len, w->t.network.id, w->revoked, &r);
    require((rc == 0) == (r != NULL));
    if (r) {
        require(veld_revocations_epoch(r) > veld_revocations_epoch(w->revoked));
        require(kind == BODY_REVOCATIONS_BY_OWNER ||
                veld_revoked(r, veld_revocations_key(w->revoked, 0)));
        require_revocations(w, r);
    }
    veld_revocations_free(r);
    veld_blob_clear(&bytes);
    veld_wire_free(own);
    veld_wire_free(before);
    veld_statement_clear(&b.s);
}

static void join_request(const struct world *w, const uint8_t *p, size_t len)
{
    struct body b;
    struct veld_join_request out;
    sign(&b, VELD_PURPOSE_JOIN_REQUEST, w->member.id->seed, p, len);
    struct veld_blob bytes = pack(&b.view);
    if (taken(veld_join_request_read(bytes.p, bytes.len, &out), &out, sizeof out)) {
        require(veld_label_is_valid(out.name));
        require(memcmp(out.member, w->member.id->pub, 32) == 0);
        require_routes(out.routes, out.n_routes);
    }
    veld_blob_clear(&bytes);
    veld_statement_clear(&b.s);
}

static void signal_of_member(const struct world *w, const uint8_t *p, size_t len)
{
    uint8_t x[32], shared[32], prk[32], key[32], salt[32] = {0},
                                                 info[15 + 96] = "veld signal v1";
    uint8_t sealed[VELD_SIGNAL_MAX] = {1};
    struct veld_call out;
    if (len > sizeof sealed - 40)
        return;
    require(veld_ed25519_public_to_x25519(x, w->other->pub) == 0 &&
            veld_x25519(shared, w->member.id->x_secret, x) == 0);
    veld_hkdf_extract(prk, salt, 32, shared, 32);
    memcpy(info + 15, w->t.network.id, 32);
    memcpy(info + 47, w->member.id->pub, 32);
    memcpy(info + 79, w->other->pub, 32);
    require(veld_hkdf_expand(key, 32, prk, info, sizeof info) == 0);
    veld_xseal(sealed + 24, key, sealed, NULL, 0, p, len);
    int rc =
        veld_signal_open(sealed, len + 40, w->other, w->member.id->pub, w->t.network.id, &out);
    require(rc != VELD_E_AUTH);
    if (!taken(rc, &out, sizeof out))
        return;
    require_endpoints(out.endpoints, out.n_endpoints);
    require_relays((const uint8_t(*)[32])out.relays, out.n_relays, w->member.id->pub);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world();
    if (size == 0)
        return 0;
    enum body_kind kind = data[0] % BODY_KINDS;
    const uint8_t *p = data + 1;
    size_t len = size - 1;
    switch (kind) {
    case BODY_NETWORK: network(w, p, len); break;
    case BODY_MEMBER_BY_OWNER:
    case BODY_MEMBER_BY_ADMIN:
    case BODY_MEMBER_BY_TOKEN: member(w, kind, p, len); break;
    case BODY_ADMIN: admin(w, p, len); break;
    case BODY_TOKEN: token(w, p, len); break;
    case BODY_RECORD: record(w, p, len); break;
    case BODY_REVOCATIONS_BY_OWNER:
    case BODY_REVOCATIONS_BY_ADMIN: revocations(w, kind, p, len); break;
    case BODY_JOIN_REQUEST: join_request(w, p, len); break;
    default: signal_of_member(w, p, len);
    }
    return 0;
}
