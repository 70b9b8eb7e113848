#include "crypto/replay.h"

#include "base/bytes.h"

#define WORD_BITS 64
#define WORDS     (VELD_REPLAY_BITS / WORD_BITS)

_Static_assert((WORDS & (WORDS - 1)) == 0, "the ring is indexed by a mask");

static uint64_t word_of(uint64_t counter)
{
    return counter / WORD_BITS;
}

static uint64_t bit_of(uint64_t counter)
{
    return 1ull << (counter % WORD_BITS);
}

bool veld_replay_check(const struct veld_replay *r, uint64_t counter)
{
    if (counter >= VELD_COUNTER_LIMIT)
        return false;
    if (counter >= r->next)
        return true;
    if (r->next - counter > VELD_REPLAY_WINDOW)
        return false;
    return !(r->words[word_of(counter) % WORDS] & bit_of(counter));
}

bool veld_replay_commit(struct veld_replay *r, uint64_t counter)
{
    if (!veld_replay_check(r, counter))
        return false;
    if (counter >= r->next) {
        /* The words between the old top and the new one come round again: forget their past. */
        uint64_t top = r->next == 0 ? 0 : word_of(r->next - 1);
        uint64_t advance = VELD_MIN(word_of(counter) - top, (uint64_t)WORDS);
        for (uint64_t i = 1; i <= advance; i++)
            r->words[(top + i) % WORDS] = 0;
        r->next = counter + 1;
    }
    r->words[word_of(counter) % WORDS] |= bit_of(counter);
    return true;
}
