/*
 * Bytes made into what may happen to a volunteer, in any order: messages, right and wrong ones,
 * peers that come, go, move, stall, forwards that fail, time that passes. After each,
 * what must hold is checked (volunteer_rig.h), and that a message makes no more than two. At the
 * end nothing is left: by itself in time, or at once when it shall not relay any more.
 */
#ifndef VELD_TESTS_VOLUNTEER_PLAY_H
#define VELD_TESTS_VOLUNTEER_PLAY_H

#include "volunteer_rig.h"

struct play {
    const uint8_t *p;
    size_t left;
    uint32_t own[VELD_CIRCUITS_MAX]; /* numbers that are not the volunteer's */
    unsigned n_own;
};

static uint8_t play_byte(struct play *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

/* A few meet often; now and then it is any. */
static uint32_t play_peer(struct play *in)
{
    uint8_t b = play_byte(in);
    return b < 192 ? b % 6 : b % RIG_PEERS;
}

static void play_message(struct play *in)
{
    uint32_t from = play_peer(in), to = play_peer(in);
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPEN, .index = play_byte(in)};
    if (m.index % 8 == 0)
        m.type = VELD_MSG_CIRCUIT_CLOSE;
    rig_pub(to, m.pub);
    if (!rig.peers[from].bad)
        rig_say(from, &m);
}

/* As it stands in the input. */
static void play_raw(struct play *in)
{
    struct veld_message m;
    uint32_t from = play_peer(in);
    size_t len = play_byte(in);
    len = VELD_MIN(len, in->left);
    if (veld_message_parse(in->p, len, &m) == 0 && !rig.peers[from].bad)
        veld_volunteer_on_message(rig.v, from, &m, rig.now_ns);
    in->p += len;
    in->left -= len;
}

static void play_time(uint64_t ns)
{
    for (uint64_t end = rig.now_ns + ns; rig.now_ns < end; rig.n_sent = 0)
        rig_wait(VELD_MIN(VELD_NS_PER_S / 2, end - rig.now_ns));
}

static void play_peer_event(struct play *in)
{
    uint32_t peer = play_peer(in);
    uint8_t what = play_byte(in);
    switch (what % 7) {
    case 0: rig.peers[peer].full ^= true; break;
    case 1: rig.peers[peer].no_session ^= true; break;
    case 2: veld_volunteer_on_use(rig.v, peer, rig.now_ns); break;
    case 3:
        rig.peers[peer].indirect ^= true;
        veld_volunteer_peer_moved(rig.v, peer);
        break;
    case 4: veld_volunteer_peer_left(rig.v, peer); break;
    case 5:
        rig.peers[peer].bad ^= true;
        veld_volunteer_peer_gone(rig.v, peer);
        break;
    default: /* and the next one gets its number */
        rig.peers[peer].gone = true;
        veld_volunteer_peer_gone(rig.v, peer);
        rig_check_beside(in->n_own);
        rig.peers[peer].gone = false;
        break;
    }
}

static void play_numbers(struct play *in)
{
    unsigned n = play_byte(in) * 17u;
    while (n-- > 0 && in->n_own < VELD_CIRCUITS_MAX &&
           veld_circuit_numbers_take(rig.numbers, &in->own[in->n_own]) == 0)
        in->n_own++;
    if (play_byte(in) % 2)
        while (in->n_own > 0)
            veld_circuit_numbers_give(rig.numbers, in->own[--in->n_own]);
}

static void play_use(struct play *in)
{
    unsigned which = play_byte(in) * 16u;
    for (unsigned i = which; i < which + 16; i++) {
        struct veld_forward_use *u = &rig.forwards[i].use;
        u->bytes += play_byte(in) * 100u;
        u->datagrams++;
        u->last_ns = rig.now_ns;
    }
}

static void play_policy(struct play *in)
{
    struct veld_volunteer_policy p = {.relays = play_byte(in) % 4 != 0};
    p.bytes_per_s = play_byte(in);
    veld_volunteer_set(rig.v, &p);
}

/* Everybody, or every fourth. */
static void play_many(struct play *in)
{
    uint32_t from = play_peer(in), step = 1 + play_byte(in) % 4;
    for (uint32_t to = 0; to < RIG_PEERS && !rig.peers[from].bad; to += step)
        rig_open_circuit(from, to, to);
}

static void play_step(struct play *in)
{
    switch (play_byte(in) % 16) {
    case 0: play_time(play_byte(in) * VELD_NS_PER_S); break;
    case 1: play_time(play_byte(in) * VELD_NS_PER_MS); break;
    case 2: play_raw(in); break;
    case 3:
    case 4:
    case 5: play_peer_event(in); break;
    case 6: rig.fail_in = play_byte(in) % 8; break;
    case 7: play_policy(in); break;
    case 8: play_numbers(in); break;
    case 9: play_use(in); break;
    case 10: play_many(in); break;
    default: play_message(in); break;
    }
}

static void play(const uint8_t *data, size_t len)
{
    struct play in = {.p = data, .left = len};
    rig_open();
    bool at_once = play_byte(&in) % 2;
    while (in.left > 0) {
        play_step(&in);
        rig_check_beside(in.n_own);
        rig.n_sent = 0;
    }
    if (at_once)
        veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = false});
    else
        play_time(VELD_VOLUNTEER_IDLE_NS);
    RIG_REQUIRE(rig.n_forwards == 0);
    RIG_REQUIRE(veld_circuit_numbers_taken(rig.numbers) == in.n_own);
    rig_close();
}

#endif
