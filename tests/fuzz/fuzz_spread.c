/*
 * What peers say of lists of revoked keys, in any order: each byte sequence is a
 * number of messages, pauses and departures. Each message is answered by at most
 * one, to who sent it or to who is asked; a list that is handed over is within bounds;
 * and timers come to an end.
 */
#include "control/mesh/spread.h"

#include "base/clock.h"
#include "trust/trust.h"

#include <stdlib.h>

#define PEERS 20

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

struct input {
    const uint8_t *p;
    size_t left;
};

static uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

static const uint8_t ours[1000];

static void check(struct veld_spread *s, const struct veld_spread_act *act, uint64_t now_ns)
{
    uint8_t bytes[VELD_MESSAGE_MAX];
    if (act->send)
        REQUIRE(act->to < PEERS && veld_message_write(bytes, &act->message) > 0);
    if (!act->got)
        return;
    REQUIRE(act->from < PEERS && act->len > 0 && act->len <= VELD_REVOCATIONS_MAX);
    uint8_t all = 0;
    for (size_t i = 0; i < act->len; i++)
        all |= act->list[i];
    if (all & 1)
        veld_spread_refuse(s, act->from, now_ns);
    else
        veld_spread_set(s, act->epoch, ours, sizeof ours);
}

static void hear(struct input *in, struct veld_spread *s, uint64_t now_ns)
{
    static const uint32_t totals[] = {1,   5,    200,  201,
                                      600, 1000, 1000, VELD_REVOCATIONS_MAX + 1};
    uint8_t bytes[VELD_REVOKED_PART_MAX] = {0};
    struct veld_spread_act act;
    uint32_t peer = take(in) % (PEERS + 2);
    struct veld_message m = {.type = VELD_MSG_REVOKED_EPOCH + take(in) % 4,
                             .epoch = take(in) % 8,
                             .offset = take(in) * 100u,
                             .total = totals[take(in) % 8],
                             .part = bytes,
                             .part_len = (uint8_t)(1 + take(in) % VELD_REVOKED_PART_MAX)};
    bytes[0] = take(in);
    /* As the parser would have it. */
    if (m.type == VELD_MSG_REVOKED_PART && (uint64_t)m.offset + m.part_len > m.total)
        return;
    veld_spread_on_message(s, peer, &m, now_ns, &act);
    check(s, &act, now_ns);
}

static void pass_time(struct input *in, struct veld_spread *s, uint64_t *now_ns)
{
    struct veld_spread_act act;
    *now_ns += take(in) * take(in) * VELD_NS_PER_MS;
    for (unsigned turns = 0; veld_spread_deadline(s) <= *now_ns; turns++) {
        REQUIRE(turns < 100);
        veld_spread_tick(s, *now_ns, &act);
        check(s, &act, *now_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct veld_spread_act act;
    struct veld_spread *s = veld_spread_new(PEERS);
    uint64_t now_ns = VELD_NS_PER_S;
    REQUIRE(s);
    while (in.left > 0) {
        switch (take(&in) % 8) {
        case 0: pass_time(&in, s, &now_ns); break;
        case 1: veld_spread_gone(s, take(&in)); break;
        case 2:
            veld_spread_on_use(s, take(&in) % PEERS, &act);
            check(s, &act, now_ns);
            break;
        case 3: veld_spread_set(s, take(&in) % 8, ours, sizeof ours); break;
        default: hear(&in, s, now_ns); break;
        }
    }
    veld_spread_free(s);
    return 0;
}
