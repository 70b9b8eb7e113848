#include "control/reach/stun_client.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

#define S  VELD_NS_PER_S
#define MS VELD_NS_PER_MS

static struct veld_stun_client client;
static uint64_t now = 1000 * S;
static uint8_t drawn;

static void draw(void *ctx, void *out, size_t len)
{
    memset(out, ++drawn, len);
}

static struct veld_endpoint at(const char *text)
{
    struct veld_endpoint e;
    cr_assert_eq(veld_endpoint_parse(text, &e), 0);
    return e;
}

static struct veld_endpoint servers[3];

static void begin(size_t n)
{
    veld_stun_client_begin(&client, servers, n, now);
}

static void setup(void)
{
    servers[0] = at("203.0.113.1:3478");
    servers[1] = at("203.0.113.2:3478");
    servers[2] = at("[2001:db8::1]:3478");
    veld_stun_client_init(&client, draw, NULL);
}

TestSuite(stun_client, .init = setup, .timeout = 20);

/* How many questions are due. */
static unsigned ask(void)
{
    struct veld_endpoint to;
    uint8_t id[VELD_STUN_ID_SIZE];
    unsigned n = 0;
    while (veld_stun_client_next(&client, now, &to, id))
        n++;
    return n;
}

static int answer(size_t server, const struct veld_endpoint *from, const char *mapped)
{
    struct veld_stun m = {.kind = VELD_STUN_RESPONSE, .mapped = at(mapped)};
    memcpy(m.id, client.query[server].id, sizeof m.id);
    return veld_stun_client_answer(&client, from, &m, now);
}

Test(stun_client, asks_again_at_the_intervals_of_rfc_8489_and_gives_up)
{
    static const unsigned at_ms[] = {0, 500, 1500, 3500, 7500};
    uint64_t start = now;
    begin(1);
    for (size_t i = 0; i < VELD_ARRAY_LEN(at_ms); i++) {
        cr_assert_eq(veld_stun_client_deadline(&client), start + at_ms[i] * MS);
        now = start + at_ms[i] * MS - 1;
        cr_assert_eq(ask(), 0);
        now++;
        cr_assert_eq(ask(), 1);
    }
    now = veld_stun_client_deadline(&client);
    cr_assert_eq(now, start + 15500 * MS);
    cr_assert_eq(ask(), 0, "that was the last");
    cr_assert_eq(veld_stun_client_deadline(&client), UINT64_MAX);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:1"), VELD_E_NOENT, "too late");
    cr_assert_eq(veld_stun_client_view(&client, 4).answered, 0);
}

Test(stun_client, an_answer_counts_once_and_tells_the_address_and_the_time)
{
    begin(1);
    ask();
    now += 20 * MS;
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:4000"), 0);
    cr_assert_eq(client.query[0].rtt_ns, 20 * MS);
    struct veld_stun_view v = veld_stun_client_view(&client, 4);
    cr_assert_eq(v.answered, 1);
    cr_assert_eq(v.mapped.port, 4000);
    cr_assert_eq(v.mapping, VELD_STUN_MAPPING_UNKNOWN, "one server tells no kind");
    cr_assert_eq(answer(0, &servers[0], "192.0.2.66:1"), VELD_E_NOENT, "twice");
    cr_assert_eq(veld_stun_client_view(&client, 4).mapped.port, 4000);
    cr_assert_eq(veld_stun_client_deadline(&client), UINT64_MAX);
}

Test(stun_client, an_answer_from_another_sender_is_not_taken)
{
    begin(2);
    ask();
    struct veld_endpoint port = at("203.0.113.1:3479"), host = at("203.0.113.9:3478");
    cr_assert_eq(answer(0, &port, "192.0.2.66:1"), VELD_E_NOENT);
    cr_assert_eq(answer(0, &host, "192.0.2.66:1"), VELD_E_NOENT);
    cr_assert_eq(answer(0, &servers[1], "192.0.2.66:1"), VELD_E_NOENT, "another's id");
    cr_assert_eq(veld_stun_client_view(&client, 4).answered, 0);
}

Test(stun_client, an_answer_with_another_id_or_of_another_round_is_not_taken)
{
    begin(1);
    ask();
    struct veld_stun m = {.kind = VELD_STUN_RESPONSE, .mapped = at("192.0.2.66:1")};
    memcpy(m.id, client.query[0].id, sizeof m.id);
    m.id[11] ^= 1;
    cr_assert_eq(veld_stun_client_answer(&client, &servers[0], &m, now), VELD_E_NOENT);
    m.id[11] ^= 1;
    begin(1);
    ask();
    cr_assert_eq(veld_stun_client_answer(&client, &servers[0], &m, now), VELD_E_NOENT);
}

Test(stun_client, an_answer_before_its_question_and_a_request_are_none)
{
    begin(1);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.66:1"), VELD_E_NOENT, "not asked yet");
    ask();
    struct veld_stun m = {.kind = VELD_STUN_REQUEST};
    memcpy(m.id, client.query[0].id, sizeof m.id);
    cr_assert_eq(veld_stun_client_answer(&client, &servers[0], &m, now), VELD_E_NOENT);
}

Test(stun_client, two_servers_tell_the_kind_of_mapping)
{
    begin(2);
    ask();
    cr_assert_eq(answer(1, &servers[1], "192.0.2.1:4001"), 0);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:4001"), 0);
    cr_assert_eq(veld_stun_client_view(&client, 4).mapping, VELD_STUN_MAPPING_SAME);
    begin(2);
    ask();
    cr_assert_eq(answer(1, &servers[1], "192.0.2.1:4001"), 0);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:4000"), 0);
    struct veld_stun_view v = veld_stun_client_view(&client, 4);
    cr_assert_eq(v.mapping, VELD_STUN_MAPPING_VARIES);
    cr_assert_eq(v.mapped.port, 4000, "the first server's, whoever answers first");
}

Test(stun_client, families_are_told_apart)
{
    begin(3);
    cr_assert_eq(ask(), 3);
    cr_assert_eq(answer(2, &servers[2], "[2001:db8::77]:51820"), 0);
    cr_assert_eq(veld_stun_client_view(&client, 6).answered, 1);
    cr_assert_eq(veld_stun_client_view(&client, 4).answered, 0);
    cr_assert_eq(veld_stun_client_view(&client, 4).asked, 2);
}

Test(stun_client, a_server_is_asked_once_and_not_too_many_are)
{
    struct veld_endpoint many[VELD_STUN_SERVERS_MAX + 4];
    for (size_t i = 0; i < VELD_ARRAY_LEN(many); i++) {
        many[i] = servers[0];
        many[i].port = (uint16_t)(1000 + i / 2);
    }
    veld_stun_client_begin(&client, many, VELD_ARRAY_LEN(many), now);
    cr_assert_eq(client.n, VELD_ARRAY_LEN(many) / 2);
    for (size_t i = 0; i < VELD_ARRAY_LEN(many); i++)
        many[i].port = (uint16_t)(1000 + i);
    veld_stun_client_begin(&client, many, VELD_ARRAY_LEN(many), now);
    cr_assert_eq(client.n, VELD_STUN_SERVERS_MAX);
}

Test(stun_client, who_cannot_be_sent_to_has_failed)
{
    begin(2);
    ask();
    veld_stun_client_unsendable(&client, &servers[0]);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:1"), VELD_E_NOENT);
    cr_assert_eq(answer(1, &servers[1], "192.0.2.1:1"), 0);
}

Test(stun_client, a_time_is_told_only_of_a_question_asked_once)
{
    begin(1);
    ask();
    now += 500 * MS;
    cr_assert_eq(ask(), 1);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:1"), 0);
    cr_assert_eq(client.query[0].rtt_ns, 0);
}

Test(stun_client, one_server_of_three_makes_a_mapping_vary)
{
    servers[2] = at("203.0.113.3:3478");
    for (size_t odd = 0; odd < 3; odd++) {
        begin(3);
        ask();
        for (size_t i = 0; i < 3; i++)
            cr_assert_eq(answer(i, &servers[i], i == odd ? "192.0.2.1:4000" : "192.0.2.1:4001"),
                         0);
        cr_assert_eq(veld_stun_client_view(&client, 4).mapping, VELD_STUN_MAPPING_VARIES);
    }
}

Test(stun_client, an_address_that_cannot_be_ours_is_no_answer)
{
    static const char *const lies[] = {"[2001:db8::9]:1", "127.0.0.1:1", "224.0.0.1:1",
                                       "0.0.0.0:1"};
    begin(1);
    ask();
    for (size_t i = 0; i < VELD_ARRAY_LEN(lies); i++)
        cr_assert_eq(answer(0, &servers[0], lies[i]), VELD_E_INVAL, "%s", lies[i]);
    struct veld_stun m = {.kind = VELD_STUN_RESPONSE, .mapped = at("192.0.2.1:1")};
    memcpy(m.id, client.query[0].id, sizeof m.id);
    m.mapped.port = 0;
    cr_assert_eq(veld_stun_client_answer(&client, &servers[0], &m, now), VELD_E_INVAL);
    cr_assert_eq(answer(0, &servers[0], "192.0.2.1:1"), 0, "the question stands");
}

static void to_the_end(void)
{
    while (veld_stun_client_deadline(&client) != UINT64_MAX) {
        now = veld_stun_client_deadline(&client);
        ask();
    }
}

Test(stun_client, what_was_learnt_is_void_after_two_whole_silent_rounds)
{
    begin(2);
    to_the_end();
    cr_assert_not(veld_stun_client_lost(&client, 4), "one may have been lost");
    begin(2);
    ask();
    cr_assert_not(veld_stun_client_lost(&client, 4), "under way");
    begin(2);
    cr_assert_not(veld_stun_client_lost(&client, 4), "that was no whole round");
    to_the_end();
    cr_assert(veld_stun_client_lost(&client, 4));
    cr_assert_not(veld_stun_client_lost(&client, 6), "nobody was asked");
    begin(2);
    cr_assert(veld_stun_client_lost(&client, 4), "still");
    ask();
    cr_assert_eq(answer(1, &servers[1], "192.0.2.1:1"), 0);
    cr_assert_not(veld_stun_client_lost(&client, 4));
    to_the_end();
    begin(2);
    to_the_end();
    cr_assert_not(veld_stun_client_lost(&client, 4), "the count begins anew");
}
