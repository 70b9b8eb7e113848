#include "dataplane/gate.h"

#include "base/clock.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define START   (1000 * VELD_NS_PER_S)
#define AWAITED 0x00120034u

static struct veld_tables tables;
static struct veld_context ctx;
static struct veld_event_queue queue;
static struct veld_gate gate;
static struct veld_cookie_checker checker; /* control's */
static const uint8_t own_pub[32] = {9};
static enum veld_drop reason;

static void random_bytes(void *unused, void *out, size_t len)
{
    veld_random(out, len);
}

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    veld_rcu_updater_begin();
    cr_assert_eq(veld_handshakes_init(&tables.handshakes), 0);
    cr_assert_eq(
        veld_event_queue_init(&queue, VELD_HANDSHAKE_QUEUE_SIZE, eventfd(0, EFD_NONBLOCK)), 0);
    ctx = (struct veld_context){.tables = &tables, .handshakes = &queue, .now_ns = START};
    veld_cookie_checker_init(&checker, own_pub);
    cr_assert_eq(veld_handshakes_set_cookies(&tables.handshakes, &checker), 0);
    veld_handshakes_await(&tables.handshakes, AWAITED);
    veld_gate_init(&gate);
}

static void teardown(void)
{
    veld_rcu_barrier();
    veld_handshakes_free(&tables.handshakes);
    close(queue.fd);
    veld_event_queue_free(&queue);
    veld_rcu_updater_end();
}

TestSuite(gate, .init = setup, .fini = teardown);

/* As the sender number `n`, whose jar `jar` is (NULL: it has none yet), would send it. */
static struct veld_dataplane_event datagram(enum veld_datagram_type type, uint32_t n,
                                            struct veld_cookie_jar *jar)
{
    struct veld_dataplane_event ev = {.type = VELD_DP_HANDSHAKE};
    struct veld_cookie_jar fresh;
    ev.from.ip = (struct veld_ip){.family = 4,
                                  .b = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
    ev.from.port = 1000;
    ev.len = type == VELD_INITIATION ? VELD_INITIATION_SIZE
             : type == VELD_RESPONSE ? VELD_RESPONSE_SIZE
                                     : VELD_COOKIE_REPLY_SIZE;
    veld_header_write(ev.bytes, &(struct veld_header){.type = type, .index = AWAITED});
    if (!jar) {
        veld_cookie_jar_init(&fresh, own_pub);
        jar = &fresh;
    }
    if (type != VELD_COOKIE_REPLY)
        veld_cookie_sign(jar, ev.bytes, ev.len, ctx.now_ns);
    return ev;
}

static bool admit(struct veld_dataplane_event *ev)
{
    reason = VELD_DROP_COUNT;
    return veld_gate_admit(&gate, &ctx, ev, &reason);
}

/* `n` initiations from that many addresses; how many got through. */
static unsigned flood(uint32_t first, uint32_t n)
{
    unsigned passed = 0;
    struct veld_dataplane_event ev = datagram(VELD_INITIATION, 0, NULL), each;
    for (uint32_t i = first; i < first + n; i++) {
        each = ev;
        each.from = datagram(VELD_COOKIE_REPLY, i, NULL).from;
        passed += admit(&each);
    }
    return passed;
}

Test(gate, mac1_of_both_messages_is_checked)
{
    for (enum veld_datagram_type type = VELD_INITIATION; type <= VELD_RESPONSE; type++) {
        struct veld_dataplane_event ev = datagram(type, 1, NULL), bad;
        cr_assert(admit(&ev));
        cr_assert_not(ev.under_load);
        for (size_t i = VELD_HEADER_SIZE; i < ev.len - (size_t)VELD_MAC_SIZE; i++) {
            bad = ev;
            bad.bytes[i] ^= 1;
            cr_assert_not(admit(&bad), "byte %zu", i);
            cr_assert_eq(reason, VELD_DROP_MAC1);
        }
    }
}

Test(gate, answers_nobody_waits_for_end_here)
{
    for (enum veld_datagram_type type = VELD_RESPONSE; type <= VELD_COOKIE_REPLY; type++) {
        struct veld_dataplane_event ev = datagram(type, 1, NULL);
        cr_assert(admit(&ev));
        ev.bytes[7] ^= 1;
        cr_assert_not(admit(&ev));
        cr_assert_eq(reason, VELD_DROP_INDEX);
    }
}

Test(gate, answers_are_limited_too)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < VELD_GATE_ANSWERS_BURST + 50; i++) {
        struct veld_dataplane_event ev = datagram(VELD_COOKIE_REPLY, 1, NULL);
        passed += admit(&ev);
    }
    cr_assert_eq(passed, VELD_GATE_ANSWERS_BURST);
    cr_assert_eq(reason, VELD_DROP_RATE);
}

Test(gate, few_initiations_are_no_load)
{
    for (unsigned i = 0; i < 10 * VELD_GATE_CALM_BURST; i++) {
        struct veld_dataplane_event ev = datagram(VELD_INITIATION, 1, NULL);
        ctx.now_ns += VELD_NS_PER_S / VELD_GATE_CALM_PER_S;
        cr_assert(admit(&ev));
        cr_assert_not(ev.under_load, "initiation %u", i);
    }
}

Test(gate, load_is_more_than_that_and_lasts_a_second)
{
    struct veld_dataplane_event ev;
    cr_assert_eq(flood(1, VELD_GATE_CALM_BURST), VELD_GATE_CALM_BURST);
    ev = datagram(VELD_INITIATION, 1, NULL);
    cr_assert(admit(&ev));
    cr_assert(ev.under_load, "its sender is asked for a cookie");
    ctx.now_ns += VELD_GATE_LOAD_S * VELD_NS_PER_S - 1;
    ev = datagram(VELD_INITIATION, 2, NULL);
    cr_assert(admit(&ev));
    cr_assert(ev.under_load);
    ctx.now_ns += 1;
    ev = datagram(VELD_INITIATION, 3, NULL);
    cr_assert(admit(&ev));
    cr_assert_not(ev.under_load);
}

Test(gate, a_queue_that_fills_is_load)
{
    struct veld_dataplane_event ev = datagram(VELD_INITIATION, 1, NULL);
    for (unsigned i = 0; i <= VELD_HANDSHAKE_QUEUE_SIZE / 8; i++)
        cr_assert(veld_event_queue_push(&queue, &ev));
    cr_assert(admit(&ev));
    cr_assert(ev.under_load);
}

Test(gate, under_load_a_sender_is_let_through_a_few_times_an_epoch)
{
    struct veld_dataplane_event ev;
    flood(1000, 2 * VELD_GATE_CALM_BURST);
    unsigned passed = 0;
    for (unsigned i = 0; i < 1000; i++) {
        ev = datagram(VELD_INITIATION, 1, NULL);
        ev.from.port = (uint16_t)(2000 + i);
        passed += admit(&ev);
    }
    cr_assert_leq(passed, VELD_GATE_PER_ADDRESS);
    cr_assert_geq(passed, 1);
    cr_assert_eq(reason, VELD_DROP_MAC2);
    ctx.now_ns += VELD_GATE_EPOCH_S * VELD_NS_PER_S;
    flood(2000, 2 * VELD_GATE_CALM_BURST);
    ev = datagram(VELD_INITIATION, 1, NULL);
    cr_assert(admit(&ev), "again in the next");
}

Test(gate, somebody_new_is_let_through_during_a_flood)
{
    unsigned passed = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 10; i++) { /* 20,000 addresses, 2,000 in 10 ms */
            ctx.now_ns += VELD_NS_PER_MS;
            flood(i * 2000, 2000);
        }
        struct veld_dataplane_event ev = datagram(VELD_INITIATION, 100000 + round, NULL);
        passed += admit(&ev);
        cr_assert(ev.under_load);
    }
    cr_assert_geq(passed, 15, "%u of 20", passed);
}

Test(gate, what_passes_to_be_sent_a_cookie_is_bounded)
{
    flood(1, VELD_GATE_CALM_BURST);
    unsigned passed = flood(1000, 3 * VELD_GATE_COOKIES_BURST);
    cr_assert_leq(passed, VELD_GATE_COOKIES_BURST);
    cr_assert_geq(passed, VELD_GATE_COOKIES_BURST / 10 * 9);
}

/* The whole way: refused without, let through with the cookie control gave. */
Test(gate, a_cookie_proves_its_sender_whatever_comes_beside)
{
    struct veld_cookie_jar jar;
    veld_cookie_jar_init(&jar, own_pub);
    flood(1000, 2 * VELD_GATE_CALM_BURST);
    struct veld_dataplane_event ev = datagram(VELD_INITIATION, 1, &jar), other;
    cr_assert(admit(&ev));
    cr_assert(ev.under_load && !ev.proved);

    uint8_t reply[VELD_COOKIE_REPLY_SIZE];
    veld_cookie_reply(&checker, ev.bytes, ev.len, AWAITED, &ev.from, ctx.now_ns, random_bytes,
                      NULL, reply);
    cr_assert_eq(veld_handshakes_set_cookies(&tables.handshakes, &checker), 0);
    cr_assert_eq(veld_cookie_accept(&jar, reply, ctx.now_ns), 0);
    flood(2000, 5 * VELD_GATE_COOKIES_BURST);
    for (unsigned i = 0; i < 10; i++) {
        ev = datagram(VELD_INITIATION, 1, &jar);
        cr_assert(admit(&ev));
        cr_assert(ev.under_load && ev.proved);
        other = ev;
        other.from.ip.b[3]++; /* somebody else with the same bytes */
        cr_assert_not(admit(&other));
        cr_assert_eq(reason, VELD_DROP_MAC2);
        other = ev;
        other.bytes[other.len - 1] ^= 1;
        cr_assert_not(admit(&other));
    }
}

Test(gate, before_control_has_spoken_nothing_is_checked)
{
    veld_rcu_barrier();
    veld_handshakes_free(&tables.handshakes);
    cr_assert_eq(veld_handshakes_init(&tables.handshakes), 0);
    struct veld_dataplane_event ev = {.type = VELD_DP_HANDSHAKE, .bytes = {VELD_RESPONSE}};
    cr_assert(admit(&ev));
    cr_assert_not(ev.under_load || ev.proved);
}

Test(gate, stun_has_a_bound_of_its_own)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++)
        n += veld_gate_admit_stun(&gate, &ctx);
    cr_assert_eq(n, VELD_GATE_STUN_BURST);
    struct veld_dataplane_event ev = datagram(VELD_INITIATION, 1, NULL);
    cr_assert(admit(&ev));
    cr_assert_not(ev.under_load, "and takes nothing from handshakes");
    ctx.now_ns += VELD_NS_PER_S / VELD_GATE_STUN_PER_S;
    cr_assert(veld_gate_admit_stun(&gate, &ctx));
    cr_assert_not(veld_gate_admit_stun(&gate, &ctx));
}

Test(gate, a_circuit_counts_as_an_address)
{
    flood(1, VELD_GATE_CALM_BURST + 1);
    struct veld_dataplane_event ev = datagram(VELD_INITIATION, 0, NULL);
    for (uint32_t number = 1; number < 5; number++) {
        ev.from = veld_endpoint_circuit(number);
        cr_assert(admit(&ev), "circuit %u", number);
        cr_assert_not(admit(&ev), "once in an epoch");
    }
}
