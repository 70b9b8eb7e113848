#include "control/lane_proof.h"

#include "base/bytes.h"
#include "crypto/primitives.h"

static void give_up(struct veld_lane_proof *p, uint64_t now_ns)
{
    p->proved &= ~p->asked;
    p->refused |= p->asked;
    p->refused_ns = now_ns;
    p->asked = 0;
}

static uint64_t begin(struct veld_lane_proof *p, uint64_t workers, uint64_t now_ns)
{
    p->proved &= workers; /* of the others nothing is known any more */
    p->asked = workers;
    p->began_ns = p->asked_ns = now_ns;
    p->tries = 1;
    veld_random(p->token, sizeof p->token);
    return workers;
}

uint64_t veld_lane_proof_step(struct veld_lane_proof *p, uint64_t busy, uint64_t now_ns)
{
    if (p->asked) {
        if (now_ns - p->asked_ns < VELD_LANE_ASK_NS)
            return 0;
        if (p->tries < VELD_LANE_TRIES) {
            p->tries++;
            p->asked_ns = now_ns;
            return p->asked;
        }
        give_up(p, now_ns);
    }
    if (p->refused && now_ns - p->refused_ns >= VELD_LANE_REFUSED_NS)
        p->refused = 0;
    uint64_t worth = busy & ~p->refused & ~p->barred;
    bool due = now_ns - p->began_ns >= VELD_LANE_ROUND_NS;
    return due || (worth & ~p->proved) ? begin(p, worth, now_ns) : 0;
}

struct veld_message veld_lane_proof_ping(const struct veld_lane_proof *p, unsigned worker)
{
    struct veld_message ping = {.type = VELD_MSG_PING};
    memcpy(ping.token, p->token, sizeof ping.token);
    ping.token[0] = (uint8_t)worker;
    return ping;
}

bool veld_lane_proof_pong(struct veld_lane_proof *p, const struct veld_message *pong)
{
    unsigned worker = pong->token[0];
    if (worker >= 64 || !(p->asked >> worker & 1) ||
        !veld_equal(pong->token + 1, p->token + 1, sizeof p->token - 1))
        return false;
    p->asked &= ~(1ull << worker);
    p->proved |= 1ull << worker;
    return true;
}

void veld_lane_proof_bar(struct veld_lane_proof *p, unsigned worker)
{
    p->barred |= 1ull << worker;
    p->proved &= ~p->barred;
    p->asked &= ~p->barred;
}

bool veld_lane_proof_idle(const struct veld_lane_proof *p)
{
    return !(p->proved | p->asked | p->refused | p->barred);
}
