/*
 * A volunteer among made-up peers: what it does is written down, and what it may do is checked
 * at once. Peer i has the P that is its number all over.
 *
 * Checked always: it only sends to who has a session, what can be written and parsed; a forward
 * is removed before another peer's is set in its place; numbers are taken exactly while
 * circuits have them.
 */
#ifndef VELD_TESTS_VOLUNTEER_RIG_H
#define VELD_TESTS_VOLUNTEER_RIG_H

#include "base/bytes.h"
#include "control/reach/allowances.h"
#include "control/reach/volunteer.h"
#include "crypto/primitives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIG_PEERS    200
#define RIG_SENT_MAX 4096

#define RIG_REQUIRE(cond)                                                                      \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                         \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

struct rig_sent {
    uint32_t to;
    struct veld_message m;
};

static struct rig {
    struct veld_circuit_numbers *numbers;
    struct veld_volunteer *v;
    uint64_t now_ns;
    struct {
        bool indirect, no_session, full, bad, gone; /* bad: not in good standing */
        unsigned calls;
    } peers[RIG_PEERS];
    struct {
        struct veld_forward f;
        struct veld_forward_use use;
    } forwards[VELD_CIRCUITS_MAX]; /* number 0: there is none */
    unsigned n_forwards;
    bool soon;        /* it asked for a tick */
    unsigned fail_in; /* the so-manieth forward_set fails; 0: none does */
    uint64_t rate;
    struct rig_sent sent[RIG_SENT_MAX];
    size_t n_sent;
} rig;

static inline void rig_pub(uint32_t peer, uint8_t out[32])
{
    memset(out, (int)peer, 32);
}

static bool rig_find(void *ctx, const uint8_t pub[32], uint32_t *peer)
{
    uint8_t expected[32];
    rig_pub(pub[0], expected);
    if (pub[0] >= RIG_PEERS || memcmp(pub, expected, 32) != 0 || rig.peers[pub[0]].bad ||
        rig.peers[pub[0]].gone)
        return false;
    *peer = pub[0];
    return true;
}

static const uint8_t *rig_pub_of(void *ctx, uint32_t peer)
{
    static uint8_t pub[32];
    RIG_REQUIRE(peer < RIG_PEERS && !rig.peers[peer].gone);
    rig_pub(peer, pub);
    return pub;
}

static bool rig_is_indirect(void *ctx, uint32_t peer)
{
    RIG_REQUIRE(peer < RIG_PEERS);
    return rig.peers[peer].indirect;
}

static int rig_send(void *ctx, uint32_t peer, const struct veld_message *m)
{
    uint8_t bytes[VELD_MESSAGE_MAX];
    struct rig_sent *s = &rig.sent[rig.n_sent];
    RIG_REQUIRE(peer < RIG_PEERS && rig.n_sent < RIG_SENT_MAX);
    RIG_REQUIRE(!rig.peers[peer].gone);
    if (rig.peers[peer].no_session)
        return VELD_E_STATE;
    if (rig.peers[peer].full)
        return VELD_E_FULL;
    size_t len = veld_message_write(bytes, m);
    RIG_REQUIRE(veld_message_parse(bytes, len, &s->m) == 0);
    s->to = peer;
    rig.n_sent++;
    return 0;
}

static void rig_call(void *ctx, uint32_t peer)
{
    rig.peers[peer].calls++;
}

static void rig_soon(void *ctx)
{
    rig.soon = true;
}

static int rig_forward_set(void *ctx, const struct veld_forward *f)
{
    uint32_t slot = f->number % VELD_CIRCUITS_MAX;
    const struct veld_forward *old = &rig.forwards[slot].f;
    RIG_REQUIRE(f->number != 0 && f->from != f->to && f->from < RIG_PEERS && f->to < RIG_PEERS);
    if (rig.fail_in > 0 && --rig.fail_in == 0)
        return VELD_E_NOMEM;
    if (old->number) {
        RIG_REQUIRE(old->number == f->number && old->from == f->from && old->to == f->to);
    } else {
        rig.n_forwards++;
        rig.forwards[slot].use = (struct veld_forward_use){0};
    }
    rig.forwards[slot].f = *f;
    return 0;
}

static void rig_forward_remove(void *ctx, uint32_t number)
{
    uint32_t slot = number % VELD_CIRCUITS_MAX;
    if (rig.forwards[slot].f.number != number)
        return;
    rig.forwards[slot].f.number = 0;
    rig.n_forwards--;
}

static int rig_forward_use(void *ctx, uint32_t number, struct veld_forward_use *out)
{
    uint32_t slot = number % VELD_CIRCUITS_MAX;
    if (rig.forwards[slot].f.number != number)
        return VELD_E_NOENT;
    *out = rig.forwards[slot].use;
    return 0;
}

static void rig_set_forward_rate(void *ctx, uint64_t bytes_per_s)
{
    rig.rate = bytes_per_s;
}

/* Everybody has a session; it relays without a bound. */
static void rig_open(void)
{
    static const struct veld_volunteer_ops ops = {.find = rig_find,
                                                  .pub = rig_pub_of,
                                                  .is_indirect = rig_is_indirect,
                                                  .send = rig_send,
                                                  .call = rig_call,
                                                  .soon = rig_soon,
                                                  .forward_set = rig_forward_set,
                                                  .forward_remove = rig_forward_remove,
                                                  .forward_use = rig_forward_use,
                                                  .set_forward_rate = rig_set_forward_rate};
    RIG_REQUIRE(veld_crypto_init() == 0);
    memset(&rig, 0, sizeof rig);
    rig.now_ns = 1000 * VELD_NS_PER_S;
    rig.numbers = veld_circuit_numbers_new();
    rig.v = veld_volunteer_new(rig.numbers, &ops);
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = true});
}

static void rig_close(void)
{
    veld_volunteer_free(rig.v);
    veld_circuit_numbers_free(rig.numbers);
}

/*
 * What holds whenever nothing is under way: nothing leaks, and forwards are in pairs or not there.
 * Of the numbers that are taken so many are another's.
 */
static inline void rig_check_beside(unsigned others)
{
    struct veld_volunteer_counts n = veld_volunteer_count(rig.v);
    RIG_REQUIRE(n.ready + n.half_open <= VELD_VOLUNTEER_CIRCUITS_MAX);
    RIG_REQUIRE(veld_circuit_numbers_taken(rig.numbers) ==
                others + 2 * (n.ready + n.half_open));
    RIG_REQUIRE(rig.n_forwards == 2 * n.ready);
    for (unsigned i = 0; i < VELD_CIRCUITS_MAX; i++) {
        const struct veld_forward *f = &rig.forwards[i].f;
        unsigned back = 0;
        if (!f->number)
            continue;
        RIG_REQUIRE(!rig.peers[f->from].gone && !rig.peers[f->to].gone);
        for (unsigned j = 0; j < VELD_CIRCUITS_MAX; j++)
            back += rig.forwards[j].f.number && rig.forwards[j].f.from == f->to &&
                    rig.forwards[j].f.to == f->from;
        RIG_REQUIRE(back == 1);
    }
}

static inline void rig_check(void)
{
    rig_check_beside(0);
}

/* One message makes at most two, one of them to who sent it; then it has its tick, if it wants one. */
static void rig_say(uint32_t from, const struct veld_message *m)
{
    uint8_t bytes[VELD_MESSAGE_MAX];
    struct veld_message parsed;
    size_t before = rig.n_sent, back = 0;
    RIG_REQUIRE(veld_message_parse(bytes, veld_message_write(bytes, m), &parsed) == 0);
    veld_volunteer_on_message(rig.v, from, &parsed, rig.now_ns);
    for (size_t i = before; i < rig.n_sent; i++)
        back += rig.sent[i].to == from;
    RIG_REQUIRE(back <= 1 && rig.n_sent - before - back <= 1);
    if (!rig.soon)
        return;
    rig.soon = false;
    rig.now_ns += 20 * VELD_NS_PER_MS;
    veld_volunteer_tick(rig.v, rig.now_ns);
}

static inline void rig_open_circuit(uint32_t from, uint32_t to, uint32_t index)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPEN, .index = index};
    rig_pub(to, m.pub);
    rig_say(from, &m);
}

static inline void rig_close_circuit(uint32_t from, uint32_t to)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_CLOSE};
    rig_pub(to, m.pub);
    rig_say(from, &m);
}

/* Twice a second, as in the daemon. */
static inline void rig_wait(uint64_t ns)
{
    for (uint64_t end = rig.now_ns + ns; rig.now_ns < end;) {
        rig.now_ns += VELD_MIN(VELD_NS_PER_S / 2, end - rig.now_ns);
        veld_volunteer_tick(rig.v, rig.now_ns);
    }
}

#endif
