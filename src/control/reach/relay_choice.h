/*
 * Which relays to ask for a circuit to a peer, of those there are.
 *
 * First those that the peer says it is connected with, since there it can be reached whatever
 * stands before it; then those this machine is connected with, the nearest first; then those of
 * which nothing is known; last those that do not answer. Of the circuits that become ready the
 * engine takes the one whose answer comes first: the sum of both round trips decides.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_REACH_RELAY_CHOICE_H
#define VELD_CONTROL_REACH_RELAY_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum veld_relay_standing {
    VELD_RELAY_CONNECTED, /* a session, at an address */
    VELD_RELAY_UNKNOWN,
    VELD_RELAY_FAILING, /* called in vain, offline by the coord server's word, or it refused lately */
};

struct veld_relay_candidate {
    uint32_t id;
    bool named; /* the peer says so */
    enum veld_relay_standing standing;
    uint64_t rtt_ns; /* 0: not known */
    uint32_t lot; /* of equals the smaller: what spreads a network's members over its relays */
};

/* Puts the best `max` first, in order. Returns how many: the smaller of `n` and `max`. */
size_t veld_relay_choose(struct veld_relay_candidate *list, size_t n, size_t max);

#endif
