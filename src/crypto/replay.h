/*
 * Replay window of one lane (RFC 6479): a ring of 64-bit words, 8192 bits of
 * which 8192 - 64 are usable.
 *
 * Order of calls: check before decryption, commit only after authentication.
 * The commit checks again, so two threads that both passed the check cannot
 * both commit one counter.
 *
 * The caller holds the lane's lock around both.
 */
#ifndef VELD_CRYPTO_REPLAY_H
#define VELD_CRYPTO_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define VELD_REPLAY_BITS   8192
#define VELD_REPLAY_WINDOW (VELD_REPLAY_BITS - 64)
/* Counters from here on are never sent and never accepted. */
#define VELD_COUNTER_LIMIT (UINT64_MAX - (1ull << 16))

struct veld_replay {
    uint64_t next; /* highest committed counter + 1; 0: none yet */
    uint64_t words[VELD_REPLAY_BITS / 64];
};

/* True when `counter` is new. Changes nothing. */
bool veld_replay_check(const struct veld_replay *r, uint64_t counter);
/* Mark `counter` seen; false (and no change) when it is not new. */
bool veld_replay_commit(struct veld_replay *r, uint64_t counter);

#endif
