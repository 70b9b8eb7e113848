#include "control/mesh/signals.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <string.h>

#define S VELD_NS_PER_S

static struct veld_signals *signals;
static struct veld_now now;

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    signals = veld_signals_new();
    now = (struct veld_now){.mono_ns = 1000 * S, .wall_ns = 1800000000 * S};
}

static void cleanup(void)
{
    veld_signals_free(signals);
}

TestSuite(mesh_signals, .init = setup, .fini = cleanup, .timeout = 20);

static const uint8_t *key(unsigned n)
{
    static uint8_t k[32];
    memcpy(k, &n, sizeof n);
    return k;
}

static void pass(uint64_t ns)
{
    now.mono_ns += ns;
    now.wall_ns += ns;
}

static int call(unsigned n, uint64_t *sequence)
{
    return veld_signals_call(signals, key(n), &now, sequence);
}

Test(mesh_signals, a_member_is_called_now_and_then)
{
    uint64_t first, next;
    cr_assert_eq(call(1, &first), 0);
    cr_assert_eq(call(1, &next), VELD_E_LIMIT);
    cr_assert_eq(call(2, &next), 0, "another one");
    pass(VELD_SIGNAL_GAP_S * S - 1);
    cr_assert_eq(call(1, &next), VELD_E_LIMIT);
    pass(1);
    cr_assert_eq(call(1, &next), 0);
}

/* Also when the clock is set back. */
Test(mesh_signals, sequences_grow)
{
    uint64_t last = 0, next;
    for (unsigned i = 1; i < 10; i++) {
        cr_assert_eq(call(i, &next), 0);
        cr_assert_gt(next, last);
        last = next;
        now.wall_ns -= 3600 * S * (i % 3);
    }
}

Test(mesh_signals, all_calls_together_are_bounded)
{
    uint64_t sequence;
    unsigned n = 0;
    while (call(n + 1, &sequence) == 0)
        n++;
    cr_assert_eq(n, VELD_SIGNALS_BURST);
    pass(S);
    n = 0;
    while (call(1000 + n, &sequence) == 0)
        n++;
    cr_assert_eq(n, VELD_SIGNALS_PER_S);
    pass(3600 * S);
    n = 0;
    while (call(9000 + n, &sequence) == 0)
        n++;
    cr_assert_eq(n, VELD_SIGNALS_BURST);
}

static int look(unsigned from)
{
    return veld_signals_look(signals, key(from), &now);
}

Test(mesh_signals, what_comes_is_looked_into_within_bounds)
{
    unsigned n = 0;
    uint64_t sequence;
    while (look(n) == 0)
        n++;
    cr_assert_eq(n, VELD_SIGNALS_BURST);
    cr_assert_eq(call(1, &sequence), 0, "which keeps nobody from calling");
}

/* Also one that sends without end, and is forgotten and remembered meanwhile. */
Test(mesh_signals, one_sender_keeps_no_other_from_being_heard)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 10000; i++)
        n += look(1) == 0;
    cr_assert_eq(n, VELD_SIGNALS_OF_ONE_BURST);
    for (unsigned i = 2; i < 12; i++)
        cr_assert_eq(look(i), 0, "sender %u", i);
    for (unsigned second = 0; second < 100; second++) {
        pass(S);
        veld_signals_prune(signals, &now);
        n = 0;
        for (unsigned i = 0; i < 1000; i++)
            n += look(1) == 0;
        cr_assert_eq(n, VELD_SIGNALS_OF_ONE_PER_S, "second %u: %u", second, n);
        cr_assert_eq(look(2), 0);
    }
}

static int accept_at(unsigned from, uint64_t sequence)
{
    return veld_signals_accept(signals, key(from), sequence, &now);
}

Test(mesh_signals, a_signal_is_accepted_once)
{
    uint64_t t = now.wall_ns;
    cr_assert_eq(accept_at(1, t), 0);
    cr_assert_eq(accept_at(1, t), VELD_E_REPLAY);
    cr_assert_eq(accept_at(1, t - 1), VELD_E_REPLAY);
    cr_assert_eq(accept_at(2, t), 0, "another sender's");
    cr_assert_eq(accept_at(1, t + 1), 0);
    cr_assert_eq(accept_at(1, t), VELD_E_REPLAY);
}

Test(mesh_signals, neither_old_nor_from_the_future)
{
    uint64_t t = now.wall_ns, w = VELD_SIGNAL_WINDOW_S * S;
    cr_assert_eq(accept_at(1, t - w - 1), VELD_E_RANGE);
    cr_assert_eq(accept_at(1, t + w + 1), VELD_E_RANGE);
    cr_assert_eq(accept_at(1, 0), VELD_E_REPLAY);
    cr_assert_eq(accept_at(1, UINT64_MAX), VELD_E_RANGE);
    cr_assert_eq(accept_at(1, t - w), 0, "none of them counts as the last");
    cr_assert_eq(accept_at(1, t + w), 0);
}

/* To forget costs nothing: whatever could be accepted again is remembered. */
Test(mesh_signals, pruning_lets_nothing_come_twice)
{
    uint64_t t = now.wall_ns, sequence;
    cr_assert_eq(accept_at(1, t), 0);
    cr_assert_eq(call(2, &sequence), 0);
    for (unsigned i = 0; i < 10; i++) {
        veld_signals_prune(signals, &now);
        cr_assert_lt(accept_at(1, t), 0, "after %u s", i * VELD_SIGNAL_WINDOW_S / 5);
        if (i == 0)
            cr_assert_eq(call(2, &sequence), VELD_E_LIMIT);
        pass(VELD_SIGNAL_WINDOW_S * S / 5);
    }
    veld_signals_prune(signals, &now);
    cr_assert_eq(accept_at(1, t), VELD_E_RANGE);
}
