/*
 * Why something that came by the coord server was refused: the one list of
 * reasons, each with the name shown in `veld status --json` and a sentence.
 *
 * Invariant: whatever is refused is counted under exactly one of these.
 */
#ifndef VELD_CONTROL_MESH_REFUSALS_H
#define VELD_CONTROL_MESH_REFUSALS_H

#include <stdbool.h>

#define VELD_REFUSALS(X)                                                                       \
    X(MALFORMED, "malformed", "a message or record that cannot be read")                       \
    X(FORGED, "forged", "a record that no signature of the network's owner leads to")          \
    X(REVOKED, "revoked", "a record of a member that was revoked")                             \
    X(EXPIRED, "expired", "a record whose membership has ended, or has not begun")             \
    X(REPLAYED, "replayed", "a record or a list older than the one that is known")             \
    X(KEY, "bad_key", "a member whose key is unusable, or another's but for its sign")         \
    X(TOO_MANY, "too_many", "a member beyond the number that is kept")                         \
    X(LEASE, "bad_lease", "an address for this machine that is somebody else's or nobody's")   \
    X(REVOCATIONS, "bad_revocations", "a list of revocations that does not hold")              \
    X(SIGNAL_STRANGER, "signal_from_stranger", "a signal from somebody who is no member")      \
    X(SIGNAL_BLOCKED, "signal_from_blocked", "a signal from a member that is blocked")         \
    X(SIGNAL_FORGED, "signal_forged", "a signal that its sender has not sealed for us")        \
    X(SIGNAL_REPLAYED, "signal_replayed", "a signal that came before")                         \
    X(SIGNAL_STALE, "signal_stale", "a signal made too long ago, or by a clock that is wrong") \
    X(SIGNAL_LIMIT, "signal_limit", "more signals than are answered")

enum veld_refusal {
#define X(id, name, text) VELD_REFUSAL_##id,
    VELD_REFUSALS(X)
#undef X
        VELD_REFUSAL_COUNT
};

/* Static; never NULL. */
const char *veld_refusal_name(enum veld_refusal r);
const char *veld_refusal_text(enum veld_refusal r);
/* Would a server that verifies what it passes on, as it should, never have sent it? */
bool veld_refusal_is_lie(enum veld_refusal r);
/* Of a record or list that src/trust refused with this error. */
enum veld_refusal veld_refusal_of(int err);

#endif
