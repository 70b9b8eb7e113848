#include "dataplane/hold.h"

#include <criterion/criterion.h>
#include <string.h>

static struct veld_hold h;

static void setup(void)
{
    cr_assert_eq(veld_hold_init(&h, 1400), 0);
}

static void teardown(void)
{
    veld_hold_free(&h);
}

TestSuite(hold, .init = setup, .fini = teardown);

/* A packet whose first two bytes are a number. Returns how many had to leave. */
static unsigned add(uint32_t peer, uint16_t number, uint64_t now)
{
    unsigned pushed_out;
    struct veld_held *held =
        veld_hold_add(&h, (struct veld_peer_ref){peer, 1}, 0, 100, now, &pushed_out);
    cr_assert_not_null(held);
    held->flags = 1;
    memset(held->packet, 0xaa, 100);
    memcpy(held->packet, &number, 2);
    return pushed_out;
}

struct seen {
    uint32_t peer; /* release these; 0: keep all */
    unsigned n;
    uint16_t numbers[VELD_HOLD_PACKETS];
};

static enum veld_hold_verdict look(void *ctx, const struct veld_held *held)
{
    struct seen *s = ctx;
    if (s->peer && held->peer.id != s->peer)
        return VELD_HOLD_KEEP;
    memcpy(&s->numbers[s->n++], held->packet, 2);
    cr_assert_eq(held->len, 100);
    cr_assert_eq(held->flags, 1);
    cr_assert_eq(held->packet[99], 0xaa);
    return s->peer ? VELD_HOLD_RELEASE : VELD_HOLD_KEEP;
}

Test(hold, leaves_in_order_of_age)
{
    for (uint16_t i = 0; i < 30; i++)
        cr_assert_eq(add(1 + i % 3, i, i), 0);
    struct seen s = {.peer = 2};
    veld_hold_walk(&h, look, &s);
    cr_assert_eq(s.n, 10);
    for (uint16_t i = 0; i < 10; i++)
        cr_assert_eq(s.numbers[i], 3 * i + 1);
    cr_assert_eq(h.count, 20);
    cr_assert_not(veld_hold_may_have(&h, (struct veld_peer_ref){2, 1}));
    cr_assert(veld_hold_may_have(&h, (struct veld_peer_ref){1, 1}));
}

Test(hold, a_peer_has_its_share_and_the_oldest_leaves)
{
    add(2, 999, 0);
    for (uint16_t i = 0; i < VELD_HOLD_PER_PEER; i++)
        cr_assert_eq(add(1, i, 1), 0);
    cr_assert_eq(add(1, VELD_HOLD_PER_PEER, 1), 1);
    cr_assert_eq(add(1 + 256, 500, 1), 0, "another peer of the same bucket has its own share");
    struct seen s = {.peer = 1};
    veld_hold_walk(&h, look, &s);
    cr_assert_eq(s.n, VELD_HOLD_PER_PEER);
    cr_assert_eq(s.numbers[0], 1, "the oldest left");
    cr_assert_eq(s.numbers[s.n - 1], VELD_HOLD_PER_PEER);
    cr_assert_eq(h.count, 2);
}

Test(hold, a_full_pool_pushes_out_the_oldest_of_all)
{
    for (uint16_t i = 0; i < VELD_HOLD_PACKETS; i++)
        cr_assert_eq(add(i, i, i), 0);
    cr_assert_eq(add(1000, 1000, 1000), 1);
    struct seen s = {0};
    veld_hold_walk(&h, look, &s);
    cr_assert_eq(s.n, VELD_HOLD_PACKETS);
    cr_assert_eq(s.numbers[0], 1);
    cr_assert_eq(s.numbers[s.n - 1], 1000);
}

Test(hold, waits_no_longer_than_the_limit)
{
    for (uint16_t i = 0; i < 10; i++)
        add(1, i, i * VELD_NS_PER_S);
    cr_assert_eq(veld_hold_expire(&h, VELD_HOLD_TIMEOUT_NS - 1), 0);
    cr_assert_eq(veld_hold_expire(&h, VELD_HOLD_TIMEOUT_NS + 4 * VELD_NS_PER_S), 5);
    cr_assert_eq(h.count, 5);
    cr_assert_eq(veld_hold_expire(&h, UINT64_MAX), 5);
    cr_assert_eq(h.count, 0);
}

Test(hold, refuses_what_is_too_long)
{
    unsigned pushed_out;
    cr_assert_null(veld_hold_add(&h, (struct veld_peer_ref){1, 1}, 0, 1401, 0, &pushed_out));
    cr_assert_eq(h.count, 0);
}

Test(hold, every_slot_comes_back)
{
    for (unsigned round = 0; round < 50; round++) {
        for (uint16_t i = 0; i < 200; i++)
            add(1 + i % 7, i, round);
        for (uint32_t peer = 1; peer <= 7; peer++) {
            struct seen s = {.peer = peer};
            veld_hold_walk(&h, look, &s);
        }
        cr_assert_eq(h.count, 0);
    }
}
