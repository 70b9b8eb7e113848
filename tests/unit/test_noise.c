#include "crypto/noise.h"
#include "base/bytes.h"
#include "crypto/primitives.h"

#include "../support/random.h"

#include <criterion/criterion.h>
#include <string.h>

/* The payload sizes of protocol version 1; the vectors have others. */
#define PAYLOAD1   48
#define PAYLOAD2   8
#define INITIATION (32 + 48 + PAYLOAD1 + 16)
#define RESPONSE   (32 + PAYLOAD2 + 16)

static const char prologue[] = "veld/1 and more";

/* Two sides and what passes between them. */
struct pair {
    struct veld_noise i, r;
    uint8_t i_secret[32], i_pub[32], r_secret[32], r_pub[32];
    uint8_t ei[32], er[32], psk[32];
    uint8_t payload1[PAYLOAD1], payload2[PAYLOAD2];
    uint8_t initiation[INITIATION], response[RESPONSE];
    uint8_t got1[PAYLOAD1], got2[PAYLOAD2];
};

static struct pair p;

static struct veld_noise_config config_of(enum veld_noise_pattern pattern,
                                          enum veld_noise_role role)
{
    bool initiator = role == VELD_NOISE_INITIATOR;
    return (struct veld_noise_config){.pattern = pattern,
                                      .static_secret = initiator ? p.i_secret : p.r_secret,
                                      .static_public = initiator ? p.i_pub : p.r_pub,
                                      .remote_static = initiator ? p.r_pub : NULL,
                                      .psk = pattern == VELD_NOISE_IKPSK2 ? p.psk : NULL,
                                      .prologue = (const uint8_t *)prologue,
                                      .prologue_len = sizeof prologue};
}

static void make_pair(enum veld_noise_pattern pattern)
{
    struct test_random rnd = {9};
    cr_assert_eq(veld_crypto_init(), 0);
    test_random_fill(&rnd, &p, sizeof p);
    veld_x25519_public(p.i_pub, p.i_secret);
    veld_x25519_public(p.r_pub, p.r_secret);
    struct veld_noise_config ci = config_of(pattern, VELD_NOISE_INITIATOR);
    struct veld_noise_config cr = config_of(pattern, VELD_NOISE_RESPONDER);
    veld_noise_init(&p.i, VELD_NOISE_INITIATOR, &ci);
    veld_noise_init(&p.r, VELD_NOISE_RESPONDER, &cr);
}

static int write1(void)
{
    return veld_noise_write_initiation(&p.i, p.ei, p.payload1, PAYLOAD1, p.initiation);
}

static int read1(void)
{
    return veld_noise_read_initiation(&p.r, p.initiation, INITIATION, p.got1);
}

static int write2(void)
{
    return veld_noise_write_response(&p.r, p.er, p.payload2, PAYLOAD2, p.response);
}

static int read2(void)
{
    return veld_noise_read_response(&p.i, p.response, RESPONSE, p.got2);
}

/* The rest of the handshake from where it stands must succeed and agree. */
static void finish_from_response(void)
{
    struct veld_noise_keys ki, kr;
    static const struct veld_noise wiped;
    cr_assert_eq(read2(), 0);
    cr_assert_arr_eq(p.got2, p.payload2, PAYLOAD2);
    veld_noise_split(&p.i, &ki);
    veld_noise_split(&p.r, &kr);
    cr_assert_arr_eq(ki.send, kr.recv, 32);
    cr_assert_arr_eq(ki.recv, kr.send, 32);
    cr_assert_arr_eq(ki.hash, kr.hash, 32);
    cr_assert(memcmp(ki.send, ki.recv, 32) != 0);
    cr_assert(memcmp(&p.i, &wiped, sizeof wiped) == 0, "split leaves secrets");
    cr_assert(memcmp(&p.r, &wiped, sizeof wiped) == 0, "split leaves secrets");
}

static void finish_from_initiation(void)
{
    cr_assert_eq(read1(), 0);
    cr_assert_arr_eq(p.got1, p.payload1, PAYLOAD1);
    cr_assert_arr_eq(p.r.rs, p.i_pub, 32);
    cr_assert_eq(write2(), 0);
    finish_from_response();
}

#define FOR_EACH_PATTERN(pattern)                                                              \
    for (enum veld_noise_pattern pattern = VELD_NOISE_IK; pattern <= VELD_NOISE_IKPSK2;        \
         pattern++)

Test(noise, both_sides_agree)
{
    FOR_EACH_PATTERN(pattern)
    {
        make_pair(pattern);
        cr_assert_eq(write1(), 0);
        finish_from_initiation();
    }
}

/* A keeper of the shared secret of both static keys, that counts how often it is asked. */
struct keeper {
    uint8_t of[32], shared[32];
    unsigned asked;
    bool knows;
};

static bool kept(void *ctx, const uint8_t remote_static[32], uint8_t shared[32])
{
    struct keeper *k = ctx;
    k->asked++;
    cr_assert_arr_eq(remote_static, k->of, 32);
    if (k->knows)
        memcpy(shared, k->shared, 32);
    return k->knows;
}

Test(noise, a_kept_shared_secret_makes_the_same_messages)
{
    uint8_t first[INITIATION], answer[RESPONSE];
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert(write1() == 0 && read1() == 0 && write2() == 0);
    cr_assert_arr_eq(p.i.shared, p.r.shared, 32);
    memcpy(first, p.initiation, sizeof first);
    memcpy(answer, p.response, sizeof answer);
    struct keeper ki = {.knows = true}, kr = {.knows = true};
    memcpy(ki.of, p.r_pub, 32);
    memcpy(kr.of, p.i_pub, 32);
    memcpy(ki.shared, p.i.shared, 32);
    memcpy(kr.shared, p.i.shared, 32);
    for (int known = 0; known < 2; known++) {
        make_pair(VELD_NOISE_IKPSK2);
        ki.knows = kr.knows = known;
        p.i.kept_shared = p.r.kept_shared = kept;
        p.i.kept_ctx = &ki;
        p.r.kept_ctx = &kr;
        cr_assert(write1() == 0 && read1() == 0 && write2() == 0);
        cr_assert_arr_eq(p.initiation, first, sizeof first);
        cr_assert_arr_eq(p.response, answer, sizeof answer);
        finish_from_response();
    }
    cr_assert_eq(ki.asked, 2);
    cr_assert_eq(kr.asked, 2);
    /* It is used: a wrong one spoils the message. */
    make_pair(VELD_NOISE_IKPSK2);
    kr.shared[0] ^= 1;
    p.r.kept_shared = kept;
    p.r.kept_ctx = &kr;
    cr_assert(write1() == 0 && read1() == VELD_E_AUTH);
}

Test(noise, the_psk_changes_every_key)
{
    struct veld_noise_keys a, b;
    make_pair(VELD_NOISE_IK);
    cr_assert(write1() == 0 && read1() == 0 && write2() == 0);
    veld_noise_split(&p.r, &a);
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert(write1() == 0 && read1() == 0 && write2() == 0);
    veld_noise_split(&p.r, &b);
    cr_assert(memcmp(a.send, b.send, 32) && memcmp(a.recv, b.recv, 32));
}

Test(noise, a_changed_initiation_fails_and_costs_the_genuine_one_nothing)
{
    FOR_EACH_PATTERN(pattern)
    {
        make_pair(pattern);
        cr_assert_eq(write1(), 0);
        struct veld_noise before = p.r;
        for (size_t i = 0; i < INITIATION; i++) {
            p.initiation[i] ^= 0x01;
            int rc = read1();
            cr_assert(rc == VELD_E_AUTH || rc == VELD_E_KEY, "byte %zu: %d", i, rc);
            cr_assert(memcmp(&before, &p.r, sizeof before) == 0, "byte %zu changed it", i);
            p.initiation[i] ^= 0x01;
        }
        finish_from_initiation();
    }
}

Test(noise, a_changed_response_fails_and_costs_the_genuine_one_nothing)
{
    FOR_EACH_PATTERN(pattern)
    {
        make_pair(pattern);
        cr_assert(write1() == 0 && read1() == 0 && write2() == 0);
        struct veld_noise before = p.i;
        for (size_t i = 0; i < RESPONSE; i++) {
            p.response[i] ^= 0x01;
            int rc = read2();
            cr_assert(rc == VELD_E_AUTH || rc == VELD_E_KEY, "byte %zu: %d", i, rc);
            cr_assert(memcmp(&before, &p.i, sizeof before) == 0, "byte %zu changed it", i);
            p.response[i] ^= 0x01;
        }
        finish_from_response();
    }
}

Test(noise, other_lengths_fail)
{
    uint8_t longer[INITIATION + 1] = {0}, payload[INITIATION];
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert_eq(write1(), 0);
    memcpy(longer, p.initiation, INITIATION);
    struct veld_noise before = p.r;
    for (size_t len = 0; len <= sizeof longer; len++)
        if (len != INITIATION)
            cr_assert_eq(veld_noise_read_initiation(&p.r, longer, len, payload),
                         len < 96 ? VELD_E_FORMAT : VELD_E_AUTH, "%zu", len);
    cr_assert_eq(veld_noise_read_initiation(&p.r, longer, 65536, payload), VELD_E_FORMAT);
    cr_assert(memcmp(&before, &p.r, sizeof before) == 0);

    cr_assert(read1() == 0 && write2() == 0);
    memcpy(longer, p.response, RESPONSE);
    for (size_t len = 0; len <= RESPONSE + 1; len++)
        if (len != RESPONSE)
            cr_assert_eq(veld_noise_read_response(&p.i, longer, len, payload),
                         len < 48 ? VELD_E_FORMAT : VELD_E_AUTH, "%zu", len);
    cr_assert_eq(veld_noise_read_response(&p.i, longer, 65536, payload), VELD_E_FORMAT);
    finish_from_response();
}

Test(noise, messages_stay_within_noise_s_limit)
{
    static uint8_t payload[65536], out[65536 + 96];
    make_pair(VELD_NOISE_IK);
    struct veld_noise before = p.i;
    cr_assert_eq(veld_noise_write_initiation(&p.i, p.ei, payload, 65535 - 96 + 1, out),
                 VELD_E_RANGE);
    cr_assert(memcmp(&before, &p.i, sizeof before) == 0);
    cr_assert_eq(veld_noise_write_initiation(&p.i, p.ei, payload, 65535 - 96, out), 0);
    cr_assert_eq(veld_noise_read_initiation(&p.r, out, 65535, payload), 0);
    cr_assert_eq(veld_noise_write_response(&p.r, p.er, payload, 65535 - 48 + 1, out),
                 VELD_E_RANGE);
    cr_assert_eq(veld_noise_write_response(&p.r, p.er, payload, 65535 - 48, out), 0);
    cr_assert_eq(veld_noise_read_response(&p.i, out, 65535, payload), 0);
}

Test(noise, empty_payloads_are_authenticated_too)
{
    uint8_t msg1[96], msg2[48], none[1];
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert_eq(veld_noise_write_initiation(&p.i, p.ei, NULL, 0, msg1), 0);
    msg1[95] ^= 1;
    cr_assert_eq(veld_noise_read_initiation(&p.r, msg1, sizeof msg1, none), VELD_E_AUTH);
    msg1[95] ^= 1;
    cr_assert_eq(veld_noise_read_initiation(&p.r, msg1, sizeof msg1, none), 0);
    cr_assert_eq(veld_noise_write_response(&p.r, p.er, NULL, 0, msg2), 0);
    cr_assert_eq(veld_noise_read_response(&p.i, msg2, sizeof msg2, none), 0);
}

/* The psk comes in with the response: the initiation cannot tell, the response must. */
Test(noise, another_psk_fails_at_the_response)
{
    make_pair(VELD_NOISE_IKPSK2);
    p.r.psk[31] ^= 1;
    cr_assert(write1() == 0 && read1() == 0 && write2() == 0);
    cr_assert_eq(read2(), VELD_E_AUTH);
}

Test(noise, another_prologue_fails_at_once)
{
    make_pair(VELD_NOISE_IKPSK2);
    struct veld_noise_config cfg = config_of(VELD_NOISE_IKPSK2, VELD_NOISE_RESPONDER);
    cfg.prologue_len--;
    veld_noise_init(&p.r, VELD_NOISE_RESPONDER, &cfg);
    cr_assert_eq(write1(), 0);
    cr_assert_eq(read1(), VELD_E_AUTH);
}

Test(noise, another_pattern_fails_at_once)
{
    make_pair(VELD_NOISE_IKPSK2);
    struct veld_noise_config cfg = config_of(VELD_NOISE_IK, VELD_NOISE_RESPONDER);
    veld_noise_init(&p.r, VELD_NOISE_RESPONDER, &cfg);
    cr_assert_eq(write1(), 0);
    cr_assert_eq(read1(), VELD_E_AUTH);
}

Test(noise, another_responder_cannot_read_the_initiation)
{
    make_pair(VELD_NOISE_IK);
    uint8_t secret[32] = {5}, pub[32];
    veld_x25519_public(pub, secret);
    struct veld_noise_config cfg = config_of(VELD_NOISE_IK, VELD_NOISE_RESPONDER);
    cfg.static_secret = secret;
    cfg.static_public = pub;
    veld_noise_init(&p.r, VELD_NOISE_RESPONDER, &cfg);
    cr_assert_eq(write1(), 0);
    cr_assert_eq(read1(), VELD_E_AUTH);
}

/* Whoever knows the responder's key can send, but not as someone whose secret it lacks. */
Test(noise, a_claimed_static_key_must_be_owned)
{
    make_pair(VELD_NOISE_IKPSK2);
    memcpy(p.i.s_pub, p.r_pub, 32);
    cr_assert_eq(write1(), 0);
    cr_assert_eq(read1(), VELD_E_AUTH);
}

Test(noise, writing_to_a_small_order_key_fails_and_leaves_nothing)
{
    FOR_EACH_PATTERN(pattern)
    {
        make_pair(pattern);
        memset(p.i.rs, 0, 32);
        struct veld_noise before = p.i;
        memset(p.initiation, 0xee, INITIATION);
        cr_assert_eq(write1(), VELD_E_KEY);
        cr_assert(veld_is_zero(p.initiation, INITIATION));
        cr_assert(memcmp(&before, &p.i, sizeof before) == 0);
    }
}

Test(noise, a_small_order_ephemeral_is_refused_by_both)
{
    FOR_EACH_PATTERN(pattern)
    {
        make_pair(pattern);
        cr_assert_eq(write1(), 0);
        uint8_t kept[32];
        memcpy(kept, p.initiation, 32);
        memset(p.initiation, 0, 32);
        cr_assert_eq(read1(), VELD_E_KEY);
        memcpy(p.initiation, kept, 32);
        cr_assert(read1() == 0 && write2() == 0);
        memcpy(kept, p.response, 32);
        memset(p.response, 0, 32);
        p.response[0] = 1;
        cr_assert_eq(read2(), VELD_E_KEY);
        memcpy(p.response, kept, 32);
        finish_from_response();
    }
}

/* An initiator that seals a zero static key as its own. */
Test(noise, a_small_order_static_is_refused)
{
    make_pair(VELD_NOISE_IK);
    memset(p.i.s_pub, 0, 32);
    cr_assert_eq(write1(), 0);
    struct veld_noise before = p.r;
    cr_assert_eq(read1(), VELD_E_KEY);
    cr_assert(memcmp(&before, &p.r, sizeof before) == 0);
}

Test(noise, a_failed_response_is_not_written)
{
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert(write1() == 0 && read1() == 0);
    uint8_t kept[32];
    memcpy(kept, p.r.re, 32);
    memset(p.r.re, 0, 32);
    struct veld_noise before = p.r;
    memset(p.response, 0xee, RESPONSE);
    cr_assert_eq(write2(), VELD_E_KEY);
    cr_assert(veld_is_zero(p.response, RESPONSE));
    cr_assert(memcmp(&before, &p.r, sizeof before) == 0);
    memcpy(p.r.re, kept, 32);
    cr_assert_eq(write2(), 0);
    finish_from_response();
}

Test(noise, a_copy_goes_its_own_way)
{
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert_eq(write1(), 0);
    struct veld_noise copy = p.r;
    cr_assert_eq(veld_noise_read_initiation(&copy, p.initiation, INITIATION, p.got1), 0);
    veld_noise_wipe(&copy);
    cr_assert(veld_is_zero(&copy, sizeof copy));
    finish_from_initiation();
}

Test(noise, nothing_repeats_when_the_ephemerals_differ)
{
    uint8_t first[INITIATION];
    make_pair(VELD_NOISE_IKPSK2);
    cr_assert_eq(write1(), 0);
    memcpy(first, p.initiation, INITIATION);
    make_pair(VELD_NOISE_IKPSK2);
    p.ei[0] ^= 8;
    cr_assert_eq(write1(), 0);
    cr_assert(memcmp(first, p.initiation, 32) && memcmp(first + 32, p.initiation + 32, 48) &&
              memcmp(first + 80, p.initiation + 80, INITIATION - 80));
}
