#include "control/mesh/signals.h"

#include "base/bytes.h"
#include "control/mesh/hash.h"

#include <string.h>

/* Tokens that come back with time, kept as the time that they took. */
struct allowance {
    uint64_t tokens_ns;
    uint64_t at_ns; /* 0: never used, and full */
};

struct rate {
    uint64_t signal_ns, burst_ns;
};
#define RATE(per_s, burst)                                                                     \
    {                                                                                          \
        VELD_NS_PER_S / (per_s), (burst) * (VELD_NS_PER_S / (per_s))                           \
    }
static const struct rate of_all = RATE(VELD_SIGNALS_PER_S, VELD_SIGNALS_BURST),
                         of_one = RATE(VELD_SIGNALS_OF_ONE_PER_S, VELD_SIGNALS_OF_ONE_BURST);

struct about {
    uint8_t pub[32];
    uint64_t called_ns;     /* monotonic; 0: never */
    uint64_t last_sequence; /* of those that came */
    struct allowance in;
};

struct veld_signals {
    GHashTable *by_pub; /* of struct about, owned */
    struct allowance out, in;
    uint64_t sequence; /* of the last call made */
};

#define WINDOW_NS (VELD_SIGNAL_WINDOW_S * VELD_NS_PER_S)

static int take(struct allowance *a, const struct rate *r, uint64_t now_ns)
{
    uint64_t gained = now_ns - a->at_ns;
    a->tokens_ns = a->at_ns == 0 ? r->burst_ns : VELD_MIN(a->tokens_ns + gained, r->burst_ns);
    a->at_ns = now_ns;
    if (a->tokens_ns < r->signal_ns)
        return VELD_E_LIMIT;
    a->tokens_ns -= r->signal_ns;
    return 0;
}

static struct about *about(struct veld_signals *s, const uint8_t pub[32])
{
    struct about *a = g_hash_table_lookup(s->by_pub, pub);
    if (!a) {
        a = g_new0(struct about, 1);
        memcpy(a->pub, pub, sizeof a->pub);
        g_hash_table_add(s->by_pub, a);
    }
    return a;
}

int veld_signals_call(struct veld_signals *s, const uint8_t to[32], const struct veld_now *now,
                      uint64_t *sequence)
{
    struct about *a = about(s, to);
    if (a->called_ns && now->mono_ns - a->called_ns < VELD_SIGNAL_GAP_S * VELD_NS_PER_S)
        return VELD_E_LIMIT;
    int rc = take(&s->out, &of_all, now->mono_ns);
    if (rc < 0)
        return rc;
    a->called_ns = now->mono_ns;
    s->sequence = VELD_MAX(now->wall_ns, s->sequence + 1);
    *sequence = s->sequence;
    return 0;
}

/* The sender's first: what is beyond it takes nothing of the others'. */
int veld_signals_look(struct veld_signals *s, const uint8_t from[32],
                      const struct veld_now *now)
{
    int rc = take(&about(s, from)->in, &of_one, now->mono_ns);
    return rc < 0 ? rc : take(&s->in, &of_all, now->mono_ns);
}

int veld_signals_accept(struct veld_signals *s, const uint8_t from[32], uint64_t sequence,
                        const struct veld_now *now)
{
    struct about *a = about(s, from);
    if (sequence <= a->last_sequence)
        return VELD_E_REPLAY;
    if (sequence > now->wall_ns ? sequence - now->wall_ns > WINDOW_NS
                                : now->wall_ns - sequence > WINDOW_NS)
        return VELD_E_RANGE;
    a->last_sequence = sequence;
    return 0;
}

/* What is older than the window is refused for that already. */
static gboolean is_past(gpointer key, gpointer value, gpointer data)
{
    const struct about *a = value;
    const struct veld_now *now = data;
    return now->mono_ns - a->called_ns >= VELD_SIGNAL_GAP_S * VELD_NS_PER_S &&
           now->mono_ns - a->in.at_ns >= of_one.burst_ns &&
           a->last_sequence + WINDOW_NS < now->wall_ns;
}

void veld_signals_prune(struct veld_signals *s, const struct veld_now *now)
{
    struct veld_now at = *now;
    g_hash_table_foreach_remove(s->by_pub, is_past, &at);
}

struct veld_signals *veld_signals_new(void)
{
    struct veld_signals *s = g_new0(struct veld_signals, 1);
    s->by_pub = g_hash_table_new_full(veld_hash_key, veld_same_key, g_free, NULL);
    return s;
}

void veld_signals_free(struct veld_signals *s)
{
    if (!s)
        return;
    g_hash_table_destroy(s->by_pub);
    g_free(s);
}
