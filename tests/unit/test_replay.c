#include "crypto/replay.h"

#include "../support/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define W VELD_REPLAY_WINDOW

static struct veld_replay r;

static void assert_new(uint64_t counter)
{
    cr_assert(veld_replay_check(&r, counter), "%lu is new", counter);
    cr_assert(veld_replay_commit(&r, counter), "%lu is new", counter);
}

static void assert_old(uint64_t counter)
{
    struct veld_replay before = r;
    cr_assert_not(veld_replay_check(&r, counter), "%lu is old", counter);
    cr_assert_not(veld_replay_commit(&r, counter), "%lu is old", counter);
    cr_assert(memcmp(&before, &r, sizeof r) == 0, "refusing %lu changed the window", counter);
}

Test(replay, each_counter_once_in_order)
{
    for (uint64_t c = 0; c < 3 * VELD_REPLAY_BITS; c++) {
        assert_new(c);
        assert_old(c);
        if (c > 0)
            assert_old(c - 1);
    }
}

Test(replay, each_counter_once_in_reverse)
{
    for (uint64_t c = W; c-- > 0;)
        assert_new(c);
    for (uint64_t c = 0; c < W; c++)
        assert_old(c);
}

Test(replay, check_changes_nothing)
{
    for (unsigned i = 0; i < 3; i++)
        cr_assert(veld_replay_check(&r, 5));
    cr_assert(veld_replay_check(&r, 1ull << 40));
    struct veld_replay zero = {0};
    cr_assert(memcmp(&r, &zero, sizeof r) == 0);
}

Test(replay, the_window_ends_exactly_where_it_says)
{
    uint64_t tops[] = {W - 1,
                       W,
                       W + 1,
                       VELD_REPLAY_BITS - 1,
                       VELD_REPLAY_BITS,
                       VELD_REPLAY_BITS + 63,
                       1ull << 33,
                       (1ull << 33) + 63,
                       (1ull << 33) + 1};
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        memset(&r, 0, sizeof r);
        assert_new(tops[i]);
        if (tops[i] >= W)
            assert_old(tops[i] - W);
        assert_new(tops[i] - (W - 1));
        assert_old(tops[i] - (W - 1));
        assert_new(tops[i] - 1);
        assert_new(tops[i] + 1);
        assert_old(tops[i] - (W - 1));
    }
}

Test(replay, a_far_jump_forgets_what_was_seen)
{
    for (uint64_t c = 0; c < VELD_REPLAY_BITS; c++)
        assert_new(c);
    /* The same places in the ring, one, two and many rounds later. */
    for (unsigned round = 1; round < 5; round++) {
        uint64_t base = (uint64_t)VELD_REPLAY_BITS << (4 * round);
        assert_new(base + VELD_REPLAY_BITS - 1);
        assert_old(base - 1);
        for (uint64_t c = base + 64; c < base + VELD_REPLAY_BITS - 1; c++)
            assert_new(c);
    }
}

Test(replay, every_advance_clears_just_the_words_it_passes)
{
    for (uint64_t step = 1; step < 2 * VELD_REPLAY_BITS; step += 61) {
        memset(&r, 0, sizeof r);
        for (uint64_t c = 1000; c < 1000 + W; c++)
            assert_new(c);
        uint64_t top = 1000 + W - 1;
        assert_new(top + step);
        for (uint64_t c = top + 1; c < top + step; c += 7)
            if (c + W > top + step)
                assert_new(c);
        for (uint64_t c = 1000; c <= top; c += 5)
            assert_old(c);
    }
}

Test(replay, counters_at_the_limit_are_never_accepted)
{
    assert_old(VELD_COUNTER_LIMIT);
    assert_old(UINT64_MAX);
    assert_new(VELD_COUNTER_LIMIT - 1);
    assert_old(VELD_COUNTER_LIMIT);
    assert_old(VELD_COUNTER_LIMIT - 1);
    assert_new(VELD_COUNTER_LIMIT - W);
    assert_old(VELD_COUNTER_LIMIT - W - 1);
}

/* Against a plain table of everything seen. */
Test(replay, agrees_with_a_naive_set)
{
    enum { SPACE = 1 << 18 };
    unsigned char *seen = malloc(SPACE);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct test_random rnd = {seed};
        memset(&r, 0, sizeof r);
        memset(seen, 0, SPACE);
        uint64_t next = 0;
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t spread = 1 + test_random_below(&rnd, seed % 2 ? 200 : 3 * W);
            uint64_t middle = next + spread / 4;
            uint64_t c = test_random_below(&rnd, spread);
            c = middle > c ? middle - c : c;
            if (c >= SPACE)
                break;
            bool is_new = c >= next || (next - c <= W && !seen[c]);
            cr_assert_eq(veld_replay_check(&r, c), is_new, "seed %lu: %lu after %lu", seed, c,
                         next);
            if (test_random_below(&rnd, 4) == 0)
                continue; /* checked, but it did not authenticate */
            cr_assert_eq(veld_replay_commit(&r, c), is_new);
            if (is_new) {
                seen[c] = 1;
                next = c >= next ? c + 1 : next;
            }
        }
        cr_assert_gt(next, 1000, "the model went nowhere");
    }
    free(seen);
}
