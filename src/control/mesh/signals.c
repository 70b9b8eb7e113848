#include "control/mesh/signals.h"

#include "base/bytes.h"
#include "control/mesh/hash.h"

#include <string.h>

struct about {
    uint8_t pub[32];
    uint64_t called_ns;     /* monotonic; 0: never */
    uint64_t last_sequence; /* of those that came */
};

/* Tokens that come back with time. */
struct allowance {
    uint64_t tokens_ns; /* VELD_NS_PER_S / VELD_SIGNALS_PER_S of them are one signal */
    uint64_t at_ns;
};

struct veld_signals {
    GHashTable *by_pub; /* of struct about, owned */
    struct allowance out, in;
    uint64_t sequence; /* of the last call made */
};

#define SIGNAL_NS (VELD_NS_PER_S / VELD_SIGNALS_PER_S)
#define BURST_NS  (VELD_SIGNALS_BURST * SIGNAL_NS)
#define WINDOW_NS (VELD_SIGNAL_WINDOW_S * VELD_NS_PER_S)

static int take(struct allowance *a, uint64_t now_ns)
{
    uint64_t gained = now_ns - a->at_ns;
    a->tokens_ns = a->at_ns == 0 ? BURST_NS : VELD_MIN(a->tokens_ns + gained, BURST_NS);
    a->at_ns = now_ns;
    if (a->tokens_ns < SIGNAL_NS)
        return VELD_E_LIMIT;
    a->tokens_ns -= SIGNAL_NS;
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
    int rc = take(&s->out, now->mono_ns);
    if (rc < 0)
        return rc;
    a->called_ns = now->mono_ns;
    s->sequence = VELD_MAX(now->wall_ns, s->sequence + 1);
    *sequence = s->sequence;
    return 0;
}

int veld_signals_look(struct veld_signals *s, const struct veld_now *now)
{
    return take(&s->in, now->mono_ns);
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
