/*
 * Two engines that know each other, driven by the input: each of its commands
 * hands over, damages, replays or invents a datagram or an event. Nothing may
 * crash, no step may make more actions than there is room for, and timers must
 * come to an end.
 */
#include "../support/random.h"
#include "control/engine/engine.h"
#include "crypto/primitives.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DATAGRAMS 8 /* the last ones sent, to be delivered or damaged */

struct node {
    struct veld_engine *engine;
    uint32_t peer, index[DATAGRAMS];
    unsigned indices;
    struct veld_action sent[DATAGRAMS];
    unsigned sends;
};

struct input {
    const uint8_t *p;
    size_t left;
};

static struct veld_identity *identity[2];
static struct test_random generator;
static struct node node[2];
static struct veld_now now;

static uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

static struct veld_endpoint address(uint8_t n)
{
    return (struct veld_endpoint){.ip = {.family = 4, .b = {10, 0, n >> 4, n & 15}},
                                  .port = n == 255 ? 0 : 51820};
}

static void start(unsigned i)
{
    const struct veld_engine_config cfg = {.identity = identity[i],
                                           .lanes = 3,
                                           .max_peers = 2,
                                           .mtu = 1420,
                                           .random = test_random_fn,
                                           .random_ctx = &generator};
    node[i] = (struct node){.engine = veld_engine_new(&cfg)};
    struct veld_engine_peer_config peer = {.endpoint = address((uint8_t)(1 - i + 1)),
                                           .keepalive_s = i ? 25 : 0};
    memcpy(peer.pub, identity[1 - i]->pub, 32);
    if (veld_engine_peer_add(node[i].engine, &peer, &node[i].peer) < 0)
        abort();
}

/* What the peer would get of probes: of each, all that an event holds. */
static void remember_probes(struct node *n, const struct veld_action *a)
{
    assert(a->probes.n <= VELD_PROBES_AT_ONCE);
    for (unsigned k = 0; k < a->probes.n; k++) {
        const struct veld_message m = {
            .type = VELD_MSG_PROBE, .id = a->probe_id, .size = a->probes.size[k]};
        struct veld_action *sent = &n->sent[n->sends++ % DATAGRAMS];
        *sent = (struct veld_action){.type = VELD_ACT_SEND_MESSAGE, .len = m.size};
        (void)veld_message_write(sent->bytes, &m);
    }
}

static int step(unsigned i, const struct veld_event *ev)
{
    static struct veld_actions out;
    struct node *n = &node[i];
    int rc = veld_engine_step(n->engine, ev, &now, &out);
    assert(out.n <= VELD_ACTIONS_MAX);
    for (size_t k = 0; k < out.n; k++) {
        const struct veld_action *a = &out.a[k];
        if (a->type == VELD_ACT_SEND || a->type == VELD_ACT_SEND_MESSAGE)
            n->sent[n->sends++ % DATAGRAMS] = *a;
        if (a->type == VELD_ACT_PROBE)
            remember_probes(n, a);
        assert(a->type != VELD_ACT_SET_MTU || (a->mtu >= 516 && a->mtu <= 1420));
        if (a->type == VELD_ACT_INSTALL)
            n->index[n->indices++ % DATAGRAMS] = a->index;
    }
    veld_actions_wipe(&out);
    return rc;
}

/* A datagram or message of the other's, perhaps damaged, perhaps with mac1 made right again. */
static void deliver(struct input *in, unsigned i)
{
    struct node *other = &node[1 - i];
    struct veld_action a = other->sent[take(in) % DATAGRAMS];
    uint8_t how = take(in);
    for (unsigned k = how & 3; k > 0; k--)
        a.bytes[take(in)] ^= take(in);
    if (how & 4)
        a.len = (uint16_t)(take(in) % (sizeof a.bytes + 1));
    if (how & 8 && a.type == VELD_ACT_SEND && a.len >= 32) {
        struct veld_cookie_jar jar;
        veld_cookie_jar_init(&jar, identity[i]->pub);
        veld_cookie_sign(&jar, a.bytes, a.len, now.mono_ns);
    }
    bool is_message = a.type == VELD_ACT_SEND_MESSAGE;
    step(i, &(struct veld_event){.type = is_message ? VELD_EV_MESSAGE : VELD_EV_DATAGRAM,
                                 .index = node[i].index[how >> 5],
                                 .from = address(how & 16 ? take(in) : (uint8_t)(2 - i)),
                                 .data = a.bytes,
                                 .len = a.len,
                                 .under_load = how & 64});
}

/* Bytes as they come. */
static void deliver_raw(struct input *in, unsigned i, enum veld_event_type type)
{
    uint8_t bytes[VELD_MESSAGE_MAX];
    size_t len = take(in);
    for (size_t k = 0; k < len; k++)
        bytes[k] = take(in);
    step(i, &(struct veld_event){.type = type,
                                 .index = node[i].index[take(in) % DATAGRAMS],
                                 .from = address(take(in)),
                                 .data = bytes,
                                 .len = len});
}

static void event(struct input *in, unsigned i)
{
    uint8_t type = take(in) % (VELD_EV_TIMER + 1);
    if (type == VELD_EV_DATAGRAM || type == VELD_EV_MESSAGE) {
        deliver_raw(in, i, type);
        return;
    }
    step(i,
         &(struct veld_event){.type = type,
                              .peer = take(in) % 4 ? node[i].peer : take(in),
                              .index = node[i].index[take(in) % DATAGRAMS],
                              .from = address(take(in)),
                              .len = take(in) * 8u,
                              .last_sent_ns = now.mono_ns - take(in) * VELD_NS_PER_S,
                              .last_sent_data_ns = now.mono_ns - take(in) * VELD_NS_PER_S,
                              .last_received_ns = now.mono_ns - take(in) * VELD_NS_PER_S,
                              .last_received_data_ns = now.mono_ns - take(in) * VELD_NS_PER_S});
}

/* The peer is said to be elsewhere, or in several places, of which one may be its. */
static void seek(struct input *in, unsigned i)
{
    struct veld_endpoint candidates[VELD_CANDIDATES_MAX];
    struct veld_engine_peer_config cfg = {.candidates = candidates,
                                          .n_candidates = take(in) % (VELD_CANDIDATES_MAX + 2)};
    memcpy(cfg.pub, identity[1 - i]->pub, 32);
    if (take(in) & 1)
        cfg.endpoint = address(take(in));
    for (size_t k = 0; k < VELD_CANDIDATES_MAX; k++)
        candidates[k] = address(take(in));
    int rc = veld_engine_peer_set(node[i].engine, node[i].peer, &cfg);
    assert(rc == 0 || rc == VELD_E_INVAL || rc == VELD_E_NOENT);
}

static void pass_time(struct input *in)
{
    now.mono_ns += (uint64_t)take(in) * take(in) * VELD_NS_PER_MS;
    now.wall_ns += ((uint64_t)take(in) - 128) * VELD_NS_PER_S;
    for (unsigned i = 0; i < 2; i++) {
        unsigned turns = 0;
        while (step(i, &(struct veld_event){.type = VELD_EV_TIMER}) > 0)
            assert(++turns < 100);
        assert(veld_engine_deadline(node[i].engine) > now.mono_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!identity[0]) {
        if (veld_crypto_init() < 0)
            abort();
        identity[0] = veld_identity_from_seed((const uint8_t[32]){1});
        identity[1] = veld_identity_from_seed((const uint8_t[32]){2});
    }
    generator.state = 1;
    now = (struct veld_now){.mono_ns = 1000 * VELD_NS_PER_S,
                            .wall_ns = 1767225600 * VELD_NS_PER_S};
    start(0);
    start(1);
    struct input in = {data, size};
    while (in.left > 0) {
        uint8_t command = take(&in);
        switch (command >> 1 & 3) {
        case 0:
        case 1: deliver(&in, command & 1); break;
        case 2: event(&in, command & 1); break;
        case 3:
            if (command & 8)
                seek(&in, command & 1);
            else
                pass_time(&in);
            break;
        }
    }
    veld_engine_free(node[0].engine);
    veld_engine_free(node[1].engine);
    return 0;
}
