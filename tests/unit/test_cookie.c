#include "crypto/cookie.h"
#include "base/clock.h"
#include "crypto/primitives.h"

#include "../support/random.h"

#include <criterion/criterion.h>
#include <string.h>

#define S VELD_NS_PER_S

static const uint8_t responder_pub[32] = {1, 2, 3}, other_pub[32] = {9};
static struct veld_cookie_checker checker;
static struct veld_cookie_jar jar;
static struct test_random rnd;
static uint8_t msg[VELD_INITIATION_SIZE], reply[VELD_COOKIE_REPLY_SIZE];
static struct veld_endpoint from;

static void random_fn(void *ctx, void *out, size_t len)
{
    test_random_fill(ctx, out, len);
}

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    rnd = (struct test_random){7};
    test_random_fill(&rnd, msg, sizeof msg);
    cr_assert_eq(veld_endpoint_parse("192.0.2.1:51820", &from), 0);
    veld_cookie_checker_init(&checker, responder_pub);
    veld_cookie_jar_init(&jar, responder_pub);
}

TestSuite(cookie, .init = init);

static void sign(uint64_t now)
{
    veld_cookie_sign(&jar, msg, sizeof msg, now);
}

static void answer(uint64_t now)
{
    veld_cookie_reply(&checker, msg, sizeof msg, 0x01020304, &from, now, random_fn, &rnd,
                      reply);
}

static bool proven(uint64_t now)
{
    return veld_cookie_check_mac2(&checker, msg, sizeof msg, &from, now);
}

/* The whole round: a message, a reply to it, and the message again with its cookie. */
static void obtain_cookie(uint64_t now)
{
    sign(now);
    answer(now);
    cr_assert_eq(veld_cookie_accept(&jar, reply, now), 0);
    sign(now);
}

Test(cookie, mac1_is_right_for_its_receiver_alone)
{
    struct veld_cookie_checker other;
    sign(0);
    cr_assert(veld_cookie_check_mac1(&checker, msg, sizeof msg));
    veld_cookie_checker_init(&other, other_pub);
    cr_assert_not(veld_cookie_check_mac1(&other, msg, sizeof msg));
    cr_assert(veld_is_zero(msg + sizeof msg - 16, 16), "no cookie: mac2 is zero");
}

Test(cookie, mac1_covers_every_byte_before_it)
{
    sign(0);
    for (size_t i = 0; i < sizeof msg - 16; i++) {
        msg[i] ^= 0x40;
        cr_assert_not(veld_cookie_check_mac1(&checker, msg, sizeof msg), "byte %zu", i);
        msg[i] ^= 0x40;
    }
    for (size_t len = 0; len < sizeof msg; len++)
        cr_assert_not(veld_cookie_check_mac1(&checker, msg, len));
}

Test(cookie, an_all_zero_mac2_proves_nothing)
{
    sign(5 * S);
    cr_assert_not(proven(5 * S), "before any secret");
    answer(5 * S);
    cr_assert_not(proven(5 * S), "with a secret");
}

Test(cookie, a_cookie_makes_the_next_message_pass)
{
    obtain_cookie(1000 * S);
    cr_assert(veld_cookie_check_mac1(&checker, msg, sizeof msg));
    cr_assert(proven(1000 * S));
    for (size_t i = 0; i < sizeof msg; i++) {
        msg[i] ^= 0x40;
        cr_assert_not(proven(1000 * S), "byte %zu", i);
        msg[i] ^= 0x40;
    }
    for (size_t len = 0; len < sizeof msg; len++)
        cr_assert_not(veld_cookie_check_mac2(&checker, msg, len, &from, 1000 * S));
}

Test(cookie, works_from_the_first_instant_of_the_clock)
{
    obtain_cookie(0);
    cr_assert(proven(0));
}

Test(cookie, a_cookie_is_worth_nothing_elsewhere)
{
    static const char *const elsewhere[] = {"192.0.2.2:51820", "192.0.2.1:51821",
                                            "[2001:db8::1]:51820", "[c000:0201::]:51820"};
    obtain_cookie(0);
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        struct veld_endpoint e;
        cr_assert_eq(veld_endpoint_parse(elsewhere[i], &e), 0);
        cr_assert_not(veld_cookie_check_mac2(&checker, msg, sizeof msg, &e, 0), "%s",
                      elsewhere[i]);
    }
    struct veld_endpoint scoped = from;
    scoped.scope = 3;
    cr_assert_not(veld_cookie_check_mac2(&checker, msg, sizeof msg, &scoped, 0));
}

Test(cookie, works_over_ipv6)
{
    cr_assert_eq(veld_endpoint_parse("[2001:db8::7]:4000", &from), 0);
    obtain_cookie(0);
    cr_assert(proven(0));
    from.ip.b[15]++;
    cr_assert_not(proven(0));
}

Test(cookie, a_secret_lives_120_seconds)
{
    obtain_cookie(10 * S);
    cr_assert(proven(130 * S - 1));
    cr_assert_not(proven(130 * S));
    cr_assert_not(proven(100000 * S));
}

Test(cookie, rotation_keeps_the_previous_secret_for_the_rest_of_its_life)
{
    struct veld_cookie_jar first;
    uint8_t old_msg[sizeof msg];
    obtain_cookie(10 * S);
    first = jar;
    memcpy(old_msg, msg, sizeof msg);

    uint8_t secret[32];
    memcpy(secret, checker.secret, 32);
    answer(69 * S);
    cr_assert_arr_eq(checker.secret, secret, 32, "rotated too early");
    obtain_cookie(70 * S);
    cr_assert(memcmp(checker.secret, secret, 32) != 0, "did not rotate");
    cr_assert(memcmp(first.cookie, jar.cookie, 16) != 0);

    cr_assert(proven(70 * S), "the new one");
    cr_assert(proven(190 * S - 1));
    cr_assert(veld_cookie_check_mac2(&checker, old_msg, sizeof old_msg, &from, 130 * S - 1));
    cr_assert_not(veld_cookie_check_mac2(&checker, old_msg, sizeof old_msg, &from, 130 * S));

    obtain_cookie(130 * S);
    cr_assert_not(veld_cookie_check_mac2(&checker, old_msg, sizeof old_msg, &from, 129 * S),
                  "two rotations later even its age does not help");
}

Test(cookie, a_secret_left_unused_past_its_life_comes_back_in_no_form)
{
    obtain_cookie(10 * S);
    uint8_t old_msg[sizeof msg];
    memcpy(old_msg, msg, sizeof msg);
    obtain_cookie(500 * S);
    cr_assert_not(veld_cookie_check_mac2(&checker, old_msg, sizeof old_msg, &from, 500 * S));
    cr_assert(proven(500 * S));
}

Test(cookie, the_sender_stops_using_a_cookie_after_120_seconds)
{
    obtain_cookie(10 * S);
    sign(130 * S - 1);
    cr_assert_not(veld_is_zero(msg + sizeof msg - 16, 16));
    sign(130 * S);
    cr_assert(veld_is_zero(msg + sizeof msg - 16, 16));
}

Test(cookie, a_reply_is_a_datagram_to_the_sender_s_index_and_no_longer_than_the_question)
{
    struct veld_header h;
    enum veld_drop drop;
    sign(0);
    answer(0);
    cr_assert(veld_header_parse(reply, sizeof reply, &h, &drop));
    cr_assert_eq(h.type, VELD_COOKIE_REPLY);
    cr_assert_eq(h.index, 0x01020304);
    cr_assert_lt(VELD_COOKIE_REPLY_SIZE, VELD_RESPONSE_SIZE);
    cr_assert_lt(VELD_COOKIE_REPLY_SIZE, VELD_INITIATION_SIZE);
}

static void assert_not_accepted(const char *why)
{
    struct veld_cookie_jar before = jar;
    cr_assert_eq(veld_cookie_accept(&jar, reply, 0), VELD_E_AUTH, "%s", why);
    cr_assert(memcmp(&before, &jar, sizeof jar) == 0, "%s changed the jar", why);
}

Test(cookie, a_reply_must_answer_the_last_message)
{
    answer(0);
    assert_not_accepted("a reply before any message");
    sign(0);
    answer(0);
    msg[20] ^= 1;
    sign(0);
    assert_not_accepted("a reply to the message before");
    answer(0);
    cr_assert_eq(veld_cookie_accept(&jar, reply, 0), 0);
}

Test(cookie, a_reply_is_taken_once)
{
    sign(0);
    answer(0);
    cr_assert_eq(veld_cookie_accept(&jar, reply, 0), 0);
    assert_not_accepted("the same reply");
    answer(0);
    assert_not_accepted("a second reply to one message");
    sign(0);
    answer(0);
    cr_assert_eq(veld_cookie_accept(&jar, reply, 0), 0);
}

Test(cookie, a_forged_reply_is_refused_and_the_genuine_one_still_taken)
{
    sign(0);
    answer(0);
    for (size_t i = VELD_COOKIE_REPLY_NONCE_OFFSET; i < sizeof reply; i++) {
        reply[i] ^= 1;
        assert_not_accepted("a changed reply");
        reply[i] ^= 1;
    }
    struct veld_cookie_checker impostor;
    uint8_t genuine[sizeof reply];
    memcpy(genuine, reply, sizeof reply);
    veld_cookie_checker_init(&impostor, other_pub);
    veld_cookie_reply(&impostor, msg, sizeof msg, 1, &from, 0, random_fn, &rnd, reply);
    assert_not_accepted("a reply of another key's");
    memcpy(reply, genuine, sizeof reply);
    cr_assert_eq(veld_cookie_accept(&jar, reply, 0), 0);
}

Test(cookie, replies_never_repeat_a_nonce)
{
    uint8_t first[sizeof reply];
    sign(0);
    answer(0);
    memcpy(first, reply, sizeof reply);
    answer(0);
    cr_assert(memcmp(first + 16, reply + 16, 24) != 0);
}
