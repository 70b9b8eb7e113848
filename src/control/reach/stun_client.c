#include "control/reach/stun_client.h"

#include "base/bytes.h"

#include <string.h>

void veld_stun_client_init(struct veld_stun_client *c, veld_random_fn *random, void *ctx)
{
    *c = (struct veld_stun_client){.random = random, .random_ctx = ctx};
}

static struct veld_stun_query *find(struct veld_stun_client *c,
                                    const struct veld_endpoint *server)
{
    for (size_t i = 0; i < c->n; i++) {
        if (veld_endpoint_equal(&c->query[i].server, server))
            return &c->query[i];
    }
    return NULL;
}

/* The whole rounds in a row without an answer, with this one if it is over. */
static unsigned count_silent(const struct veld_stun_client *c, uint8_t family)
{
    unsigned before = family == 4 ? c->silent4 : c->silent6;
    struct veld_stun_view v = veld_stun_client_view(c, family);
    bool over = v.asked > 0 && veld_stun_client_deadline(c) == UINT64_MAX;
    return v.answered ? 0 : VELD_MIN(before + over, VELD_STUN_SILENT_ROUNDS);
}

bool veld_stun_client_lost(const struct veld_stun_client *c, uint8_t family)
{
    return count_silent(c, family) == VELD_STUN_SILENT_ROUNDS;
}

void veld_stun_client_begin(struct veld_stun_client *c, const struct veld_endpoint *servers,
                            size_t n, uint64_t now_ns)
{
    c->silent4 = count_silent(c, 4);
    c->silent6 = count_silent(c, 6);
    c->n = 0;
    for (size_t i = 0; i < n && c->n < VELD_STUN_SERVERS_MAX; i++) {
        if (find(c, &servers[i]))
            continue;
        struct veld_stun_query *q = &c->query[c->n++];
        *q = (struct veld_stun_query){.server = servers[i], .next_ns = now_ns};
        c->random(c->random_ctx, q->id, sizeof q->id);
    }
}

bool veld_stun_client_next(struct veld_stun_client *c, uint64_t now_ns,
                           struct veld_endpoint *to, uint8_t id[VELD_STUN_ID_SIZE])
{
    for (size_t i = 0; i < c->n; i++) {
        struct veld_stun_query *q = &c->query[i];
        if (q->state != VELD_STUN_WAITS || q->next_ns > now_ns)
            continue;
        if (q->sent == VELD_STUN_SENDS) {
            q->state = VELD_STUN_FAILED;
            continue;
        }
        q->next_ns = now_ns + (VELD_STUN_RTO_NS << q->sent); /* doubled each time */
        q->sent++;
        q->sent_ns = now_ns;
        *to = q->server;
        memcpy(id, q->id, sizeof q->id);
        return true;
    }
    return false;
}

void veld_stun_client_unsendable(struct veld_stun_client *c, const struct veld_endpoint *to)
{
    struct veld_stun_query *q = find(c, to);
    if (q && q->state == VELD_STUN_WAITS)
        q->state = VELD_STUN_FAILED;
}

uint64_t veld_stun_client_deadline(const struct veld_stun_client *c)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < c->n; i++) {
        if (c->query[i].state == VELD_STUN_WAITS)
            first = VELD_MIN(first, c->query[i].next_ns);
    }
    return first;
}

int veld_stun_client_answer(struct veld_stun_client *c, const struct veld_endpoint *from,
                            const struct veld_stun *answer, uint64_t now_ns)
{
    struct veld_stun_query *q = find(c, from);
    if (!q || answer->kind != VELD_STUN_RESPONSE || q->state != VELD_STUN_WAITS || !q->sent ||
        memcmp(q->id, answer->id, sizeof q->id) != 0)
        return VELD_E_NOENT;
    if (answer->mapped.ip.family != from->ip.family || !answer->mapped.port ||
        !veld_ip_is_unicast(&answer->mapped.ip))
        return VELD_E_INVAL;
    q->state = VELD_STUN_ANSWERED;
    q->mapped = answer->mapped;
    q->rtt_ns = q->sent == 1 ? now_ns - q->sent_ns : 0;
    return 0;
}

struct veld_stun_view veld_stun_client_view(const struct veld_stun_client *c, uint8_t family)
{
    struct veld_stun_view v = {0};
    for (size_t i = 0; i < c->n; i++) {
        const struct veld_stun_query *q = &c->query[i];
        if (q->server.ip.family != family)
            continue;
        v.asked++;
        if (q->state != VELD_STUN_ANSWERED)
            continue;
        if (v.answered++ == 0)
            v.mapped = q->mapped;
        else if (!veld_endpoint_equal(&v.mapped, &q->mapped))
            v.mapping = VELD_STUN_MAPPING_VARIES;
        else if (v.mapping == VELD_STUN_MAPPING_UNKNOWN)
            v.mapping = VELD_STUN_MAPPING_SAME;
    }
    return v;
}
