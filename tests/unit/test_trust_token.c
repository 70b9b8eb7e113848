#include "trust/token.h"

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

TestSuite(trust_token, .init = init, .fini = fini, .timeout = 60);

static int read_text(const char *text, struct veld_token *out)
{
    static const struct veld_token zero;
    memset(out, 0xaa, sizeof *out);
    int rc = veld_token_read(text, out);
    cr_assert(rc == 0 || memcmp(out, &zero, sizeof zero) == 0, "a refused one left something");
    return rc;
}

Test(trust_token, is_read_as_it_was_made)
{
    char text[VELD_TOKEN_TEXT_MAX];
    struct veld_token token = test_token(&t, 1), out;
    struct veld_signer signers[] = {test_owner(&t), test_admin(&t)};
    uint8_t key[32];
    veld_ed25519_keypair(token.seed, key);
    token.routes[0] = test_prefix("192.168.1.0/24");
    token.n_routes = 1;
    token.flags = VELD_MEMBER_RELAY;
    token.uses = 3;
    for (size_t i = 0; i < VELD_ARRAY_LEN(signers); i++) {
        cr_assert_eq(veld_token_make(text, &signers[i], t.network.id, &token), 0);
        cr_assert_eq(strncmp(text, "veld1", 5), 0);
        cr_assert_eq(
            strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            strlen(text));
        cr_assert_eq(read_text(text, &out), 0);
        cr_assert_str_eq(out.coord, token.coord);
        cr_assert_str_eq(out.network, "mynet");
        cr_assert(out.has_certificate && memcmp(out.certificate, token.certificate, 32) == 0);
        cr_assert_arr_eq(out.network_id, t.network.id, 32);
        cr_assert_arr_eq(out.seed, token.seed, 32);
        cr_assert_arr_eq(out.token_key, key, 32);
        cr_assert(out.created_s == token.created_s && out.expires_s == token.expires_s);
        cr_assert(out.uses == 3 && out.flags == VELD_MEMBER_RELAY && out.n_routes == 1);
        cr_assert(veld_ip_equal(&out.routes[0].ip, &token.routes[0].ip));
    }
    token.has_certificate = false;
    cr_assert_eq(veld_token_make(text, &signers[0], t.network.id, &token), 0);
    cr_assert_eq(read_text(text, &out), 0);
    cr_assert(!out.has_certificate && veld_is_zero(out.certificate, 32));
}

/* Everything as long as it may be still fits into one text. */
Test(trust_token, fits_when_it_is_greatest)
{
    char text[VELD_TOKEN_TEXT_MAX];
    struct veld_token token = test_token(&t, 1), out;
    struct veld_signer owner = test_owner(&t);
    struct veld_membership m = test_membership(&t, t.admin->pub, "admin");
    memset(token.coord, 'c', sizeof token.coord - 1);
    memcpy(token.coord + sizeof token.coord - 7, ":50051", 7);
    memset(token.network, 'n', VELD_LABEL_MAX);
    memset(m.name, 'a', VELD_LABEL_MAX);
    m.flags = VELD_MEMBER_ADMIN;
    for (size_t i = 0; i < VELD_MEMBER_ROUTES_MAX; i++)
        token.routes[i] = m.routes[i] = test_prefix("2001:db8:1:2:3:4:5:6/128");
    token.n_routes = m.n_routes = VELD_MEMBER_ROUTES_MAX;
    struct veld_blob chain = {0};
    cr_assert_eq(veld_membership_issue(&chain, &owner, &m), 0);
    struct veld_signer admin = {t.admin->seed, &chain};
    cr_assert_eq(veld_token_make(text, &admin, t.network.id, &token), 0);
    cr_assert_eq(read_text(text, &out), 0);
    cr_assert_str_eq(out.coord, token.coord);
    cr_assert_str_eq(out.network, token.network);
    veld_blob_clear(&chain);
}

Test(trust_token, is_as_another_implementation_makes_it)
{
    char text[VELD_TOKEN_TEXT_MAX];
    struct veld_token token = {.coord = "coord.example:50051",
                               .has_certificate = true,
                               .network = "mynet",
                               .created_s = 1800000000,
                               .expires_s = 1800086400,
                               .uses = 1,
                               .routes = {test_prefix("192.168.7.0/24")},
                               .n_routes = 1,
                               .flags = VELD_MEMBER_RELAY};
    uint8_t owner_seed[32];
    struct veld_signer owner = {.seed = owner_seed};
    struct veld_blob id = test_hex(VECTOR_ID);
    memset(owner_seed, 1, 32);
    memset(token.seed, 3, 32);
    memset(token.certificate, 5, 32);
    cr_assert_eq(veld_token_make(text, &owner, id.p, &token), 0);
    cr_assert_str_eq(text, VECTOR_TOKEN);
    veld_blob_clear(&id);
}

/* ---- who may make one ---- */

Test(trust_token, is_made_by_owner_and_admins_alone)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_ADMIN);
    struct veld_token token = test_token(&t, 1);
    char text[VELD_TOKEN_TEXT_MAX];
    struct {
        struct veld_signer by;
        uint32_t flags;
        int rc;
    } c[] = {
        {test_owner(&t), VELD_MEMBER_RELAY, 0},
        {test_admin(&t), VELD_MEMBER_RELAY, 0},
        {test_owner(&t), VELD_MEMBER_ADMIN, VELD_E_AUTH},
        {test_admin(&t), VELD_MEMBER_ADMIN, VELD_E_AUTH},
        {test_owner(&other), 0, VELD_E_AUTH},
        {test_admin(&other), 0, VELD_E_AUTH},
        {{m.id->seed, &m.chain}, 0, VELD_E_AUTH},
        {{t.admin->seed, NULL}, 0, VELD_E_AUTH},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        token.flags = c[i].flags;
        memset(text, 'x', sizeof text);
        cr_assert_eq(veld_token_make(text, &c[i].by, t.network.id, &token), c[i].rc, "%zu", i);
        cr_assert(c[i].rc == 0 || veld_is_zero(text, sizeof text), "%zu", i);
    }
    test_member_free(&m);
}

Test(trust_token, is_not_made_when_others_would_not_take_it)
{
    struct veld_signer owner = test_owner(&t);
    char text[VELD_TOKEN_TEXT_MAX];
    const char *coords[] = {"", "no-port", "a b:1", "a\n:1", "\xc3\xbc:1", "\x7f:1"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(coords); i++) {
        struct veld_token token = test_token(&t, 1);
        strcpy(token.coord, coords[i]);
        cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), VELD_E_FORMAT, "%zu",
                     i);
    }
    struct veld_token token = test_token(&t, 1);
    strcpy(token.network, "My");
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), VELD_E_FORMAT);
    token = test_token(&t, 1);
    token.routes[0] = test_prefix("0.0.0.0/0");
    token.n_routes = 1;
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), VELD_E_FORMAT);
    token.n_routes = VELD_MEMBER_ROUTES_MAX + 1;
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), VELD_E_FORMAT);
    token = test_token(&t, 1);
    token.expires_s = token.created_s - 1;
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), VELD_E_FORMAT);
    memset(token.coord, ':', sizeof token.coord); /* no end */
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), VELD_E_FORMAT);
}

/* ---- what is forged ---- */

struct forged {
    struct test_chain chain; /* its token and admin */
    bool more;               /* a field that no version knows */
    uint8_t seed[32], certificate[32];
    size_t seed_len, certificate_len;
    char coord[VELD_COORD_TEXT_MAX + 1], network[VELD_LABEL_MAX + 1];
};

static void forge(char text[VELD_TOKEN_TEXT_MAX], const struct forged *f)
{
    Veld__Trust__V1__TokenText out = VELD__TRUST__V1__TOKEN_TEXT__INIT;
    struct veld_statement part[2] = {0};
    pb_signed view[2];
    struct veld_blob bytes = {0};
    char coord[sizeof f->coord], network[sizeof f->network];
    memcpy(coord, f->coord, sizeof coord);
    memcpy(network, f->network, sizeof network);
    out.coord = coord;
    out.network = network;
    out.seed = veld_wire_bytes(f->seed, f->seed_len);
    out.certificate = veld_wire_bytes(f->certificate, f->certificate_len);
    test_sign_token(&part[0], &f->chain.token_by, f->chain.token_network, &f->chain.token);
    veld_statement_view(&part[0], out.token = &view[0]);
    if (f->chain.admin_by.by) {
        test_sign_membership(&part[1], &f->chain.admin_by, &f->chain.admin);
        veld_statement_view(&part[1], out.admin = &view[1]);
    }
    uint8_t one = 1;
    ProtobufCMessageUnknownField field = {
        .tag = 15, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = &one};
    out.base.n_unknown_fields = f->more;
    out.base.unknown_fields = &field;
    cr_assert_eq(veld_wire_pack(&bytes, &out, SIZE_MAX), 0);
    strcpy(text, "veld1");
    cr_assert_eq(veld_base64url_encode(text + 5, VELD_TOKEN_TEXT_MAX - 5, bytes.p, bytes.len),
                 0);
    veld_blob_clear(&bytes);
    veld_statement_clear(&part[0]);
    veld_statement_clear(&part[1]);
}

#define SPOIL(name, ...)                                                                       \
    static void name(struct forged *f)                                                         \
    {                                                                                          \
        __VA_ARGS__;                                                                           \
    }
SPOIL(nothing, (void)f)
SPOIL(other_seed, f->seed[0] ^= 1)
SPOIL(short_seed, f->seed_len = 31)
SPOIL(no_seed, f->seed_len = 0)
SPOIL(no_certificate, f->certificate_len = 0)
SPOIL(short_certificate, f->certificate_len = 31)
SPOIL(no_coord, f->coord[0] = '\0')
SPOIL(no_port, strcpy(f->coord, "coord.example"))
SPOIL(control_in_coord, strcpy(f->coord, "coord\x1b[2J:1"))
SPOIL(long_coord, memset(f->coord, ':', sizeof f->coord - 1))
SPOIL(more_than_there_is, f->more = true)
SPOIL(no_network, f->network[0] = '\0')
SPOIL(bad_network, strcpy(f->network, "../../etc"))
SPOIL(token_by_itself, f->chain.token_by.by = f->chain.token_seed)
SPOIL(token_by_stranger, f->chain.token_by.by = other.admin->seed)
SPOIL(token_by_owner, f->chain.token_by.by = t.owner_seed)
SPOIL(token_as_membership, f->chain.token_by.purpose = VELD_PURPOSE_MEMBERSHIP)
SPOIL(token_of_other_network, memcpy(f->chain.token_network, other.network.id, 32))
SPOIL(token_grants_admin, f->chain.token.flags = VELD_MEMBER_ADMIN)
SPOIL(token_grants_default,
      f->chain.token.routes[f->chain.token.n_routes++] = test_prefix("::/0"))
SPOIL(admin_by_stranger, f->chain.admin_by.by = other.owner_seed)
SPOIL(admin_by_itself, f->chain.admin_by.by = t.admin->seed)
SPOIL(admin_as_token, f->chain.admin_by.purpose = VELD_PURPOSE_TOKEN)
SPOIL(admin_is_none, f->chain.admin.flags = 0)
SPOIL(admin_missing, f->chain.admin_by.by = NULL)

static const struct {
    const char *what;
    enum test_by by;
    void (*spoil)(struct forged *f);
    int rc;
} table[] = {
#define F(by, spoil, rc)                                                                       \
    {                                                                                          \
#by " " #spoil, by, spoil, rc                                                          \
    }
#define OWNER TEST_BY_TOKEN
#define ADMIN TEST_BY_ADMINS_TOKEN
    F(OWNER, nothing, 0),
    F(OWNER, other_seed, VELD_E_AUTH),
    F(OWNER, short_seed, VELD_E_FORMAT),
    F(OWNER, no_seed, VELD_E_FORMAT),
    F(OWNER, no_certificate, 0),
    F(OWNER, short_certificate, VELD_E_FORMAT),
    F(OWNER, no_coord, VELD_E_FORMAT),
    F(OWNER, no_port, VELD_E_FORMAT),
    F(OWNER, control_in_coord, VELD_E_FORMAT),
    F(OWNER, long_coord, VELD_E_FORMAT),
    F(OWNER, more_than_there_is, VELD_E_FORMAT),
    F(OWNER, no_network, VELD_E_FORMAT),
    F(OWNER, bad_network, VELD_E_FORMAT),
    /* Whoever signs a token without an admin is an owner: of a network of its own. */
    F(OWNER, token_by_itself, VELD_E_AUTH),
    F(OWNER, token_by_stranger, VELD_E_AUTH),
    F(OWNER, token_as_membership, VELD_E_AUTH),
    F(OWNER, token_of_other_network, VELD_E_AUTH),
    F(OWNER, token_grants_admin, VELD_E_AUTH),
    F(OWNER, token_grants_default, VELD_E_FORMAT),
    F(ADMIN, nothing, 0),
    F(ADMIN, other_seed, VELD_E_AUTH),
    F(ADMIN, token_by_owner, VELD_E_AUTH),
    F(ADMIN, token_by_stranger, VELD_E_AUTH),
    F(ADMIN, token_of_other_network, VELD_E_AUTH),
    F(ADMIN, token_grants_admin, VELD_E_AUTH),
    F(ADMIN, admin_by_stranger, VELD_E_AUTH),
    F(ADMIN, admin_by_itself, VELD_E_AUTH),
    F(ADMIN, admin_as_token, VELD_E_AUTH),
    F(ADMIN, admin_is_none, VELD_E_AUTH),
    F(ADMIN, admin_missing, VELD_E_AUTH),
};

Test(trust_token, is_refused_when_forged)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        struct forged f = {.seed_len = 32,
                           .certificate_len = 32,
                           .certificate = {1},
                           .coord = "coord.example:1",
                           .network = "mynet"};
        char text[VELD_TOKEN_TEXT_MAX];
        struct veld_token out;
        struct veld_blob chain = {0};
        test_chain_make(&f.chain, &t, table[i].by);
        memcpy(f.seed, f.chain.token_seed, 32);
        table[i].spoil(&f);
        forge(text, &f);
        int rc = read_text(text, &out);
        cr_expect_eq(rc, table[i].rc, "%s: %s", table[i].what, veld_strerror(rc));
        int admitted = veld_token_admit(&chain, text, t.admin->pub, "server1", t.now_s, 0);
        cr_expect_eq(admitted, rc, "%s: admits: %s", table[i].what, veld_strerror(admitted));
        veld_blob_clear(&chain);
    }
}

/* ---- wrong text ---- */

Test(trust_token, is_refused_with_any_character_wrong)
{
    char text[VELD_TOKEN_TEXT_MAX], longer[VELD_TOKEN_TEXT_MAX + 8];
    struct veld_token token = test_token(&t, 1), out;
    struct veld_signer admin = test_admin(&t);
    cr_assert_eq(veld_token_make(text, &admin, t.network.id, &token), 0);
    size_t len = strlen(text), coord_and_name = 0;
    for (size_t i = 0; i < len; i++) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        /* Where the server is and what the network is called is nobody's signature. */
        if (read_text(text, &out) == 0) {
            cr_assert(strcmp(out.coord, token.coord) != 0 ||
                      strcmp(out.network, token.network) != 0 ||
                      memcmp(out.certificate, token.certificate, 32) != 0);
            coord_and_name++;
        }
        text[i] = '*';
        cr_assert_eq(read_text(text, &out), VELD_E_FORMAT, "%zu", i);
        text[i] = was;
    }
    cr_assert_lt(coord_and_name, (strlen(token.coord) + 5 + 32) * 4 / 3 + 6);
    for (size_t i = 0; i < len; i++) {
        snprintf(longer, sizeof longer, "%.*s", (int)i, text);
        cr_assert_lt(read_text(longer, &out), 0, "cut at %zu", i);
    }
    const char *around[][2] = {{" ", ""}, {"", " "}, {"", "\n"},
                               {"", "="}, {"", "A"}, {"x", ""}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(around); i++) {
        snprintf(longer, sizeof longer, "%s%s%s", around[i][0], text, around[i][1]);
        cr_assert_eq(read_text(longer, &out), VELD_E_FORMAT, "%zu", i);
    }
    memset(longer, 'A', sizeof longer - 1);
    memcpy(longer, "veld1", 5);
    longer[sizeof longer - 1] = '\0';
    cr_assert_eq(read_text(longer, &out), VELD_E_FORMAT);
    longer[VELD_TOKEN_TEXT_MAX - 1] = '\0';
    cr_assert_eq(read_text(longer, &out), VELD_E_FORMAT);
    cr_assert_eq(read_text("", &out), VELD_E_FORMAT);
    cr_assert_eq(read_text("veld1", &out), VELD_E_FORMAT);
    cr_assert_eq(read_text("veld2AAAA", &out), VELD_E_FORMAT);
}

/* ---- what it gives ---- */

Test(trust_token, admits_with_all_it_grants)
{
    struct veld_signer signers[] = {test_owner(&t), test_admin(&t)};
    for (size_t i = 0; i < VELD_ARRAY_LEN(signers); i++) {
        char text[VELD_TOKEN_TEXT_MAX];
        struct veld_token token = test_token(&t, 1);
        struct veld_identity *id = test_trust_identity(1);
        struct veld_blob chain = {0};
        struct veld_membership m;
        token.routes[0] = test_prefix("192.168.1.0/24");
        token.n_routes = 1;
        token.flags = VELD_MEMBER_RELAY;
        token.uses = 2;
        cr_assert_eq(veld_token_make(text, &signers[i], t.network.id, &token), 0);
        cr_assert_eq(veld_token_admit(&chain, text, id->pub, "server1", t.now_s, 0), 0);
        cr_assert_eq(veld_membership_read(chain.p, chain.len, t.network.id, NULL, t.now_s, &m),
                     0);
        cr_assert_arr_eq(m.member, id->pub, 32);
        cr_assert_str_eq(m.name, "server1");
        cr_assert(m.by_token && m.token_uses == 2 && m.token_expires_s == token.expires_s);
        cr_assert(m.flags == VELD_MEMBER_RELAY && m.n_routes == 1);
        cr_assert(m.not_before_s == t.now_s && m.not_after_s == 0 && m.serial == t.now_s);
        veld_blob_clear(&chain);
        veld_identity_free(id);
    }
}

/* A membership is newer than the one before, of the same second or a clock that was ahead. */
Test(trust_token, admits_anew_with_a_greater_serial)
{
    const struct {
        uint64_t last, serial;
    } c[] = {{0, t.now_s},
             {t.now_s - 1, t.now_s},
             {t.now_s, t.now_s + 1},
             {t.now_s + 5000, t.now_s + 5001}};
    char text[VELD_TOKEN_TEXT_MAX];
    struct veld_token token = test_token(&t, 1);
    struct veld_signer owner = test_owner(&t);
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), 0);
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        struct veld_blob chain = {0};
        struct veld_membership m;
        cr_assert_eq(veld_token_admit(&chain, text, t.admin->pub, "a", t.now_s, c[i].last), 0);
        cr_assert_eq(veld_membership_read(chain.p, chain.len, t.network.id, NULL, t.now_s, &m),
                     0);
        cr_assert_eq(m.serial, c[i].serial);
        veld_blob_clear(&chain);
    }
}

Test(trust_token, admits_while_it_lasts)
{
    char text[VELD_TOKEN_TEXT_MAX];
    struct veld_token token = test_token(&t, 1);
    struct veld_signer owner = test_owner(&t);
    struct veld_blob chain = {0};
    const uint8_t *member = t.admin->pub;
    cr_assert_eq(veld_token_make(text, &owner, t.network.id, &token), 0);
    cr_assert_eq(veld_token_admit(&chain, text, member, "a", token.expires_s, 0), 0);
    cr_assert_eq(veld_token_admit(&chain, text, member, "a", token.expires_s + 1, 0),
                 VELD_E_RANGE);
    cr_assert_null(chain.p);
    cr_assert_eq(
        veld_token_admit(&chain, text, member, "a", token.created_s - VELD_CLOCK_SKEW_S, 0), 0);
    cr_assert_eq(
        veld_token_admit(&chain, text, member, "a", token.created_s - VELD_CLOCK_SKEW_S - 1, 0),
        VELD_E_RANGE);
    cr_assert_eq(veld_token_admit(&chain, text, member, "A", t.now_s, 0), VELD_E_FORMAT);
    cr_assert_eq(veld_token_admit(&chain, "veld1", member, "a", t.now_s, 0), VELD_E_FORMAT);
    cr_assert_null(chain.p);
}
