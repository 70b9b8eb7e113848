#include "control/reach/candidates.h"

#include "base/bytes.h"

#include <glib.h>
#include <string.h>

struct of_peer {
    uint64_t sequence;                /* of the last list taken */
    uint64_t tokens_ns, looked_at_ns; /* for one more list: a second each */
    uint64_t told, told_at_ns;        /* which list of ours, and when last */
    unsigned times;                   /* that one was said */
};

struct veld_candidates {
    GHashTable *peers; /* id -> struct of_peer, owned */
    struct veld_endpoint list[VELD_MESSAGE_ENDPOINTS_MAX];
    uint8_t n;
    uint64_t sequence; /* 0: no list yet */
};

struct veld_candidates *veld_candidates_new(void)
{
    struct veld_candidates *c = g_new0(struct veld_candidates, 1);
    c->peers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return c;
}

void veld_candidates_free(struct veld_candidates *c)
{
    if (!c)
        return;
    g_hash_table_unref(c->peers);
    g_free(c);
}

static struct of_peer *find(const struct veld_candidates *c, uint32_t peer)
{
    return g_hash_table_lookup(c->peers, GUINT_TO_POINTER(peer));
}

static struct of_peer *need(struct veld_candidates *c, uint32_t peer)
{
    struct of_peer *p = find(c, peer);
    if (p)
        return p;
    p = g_new0(struct of_peer, 1);
    p->tokens_ns = VELD_CANDIDATES_BURST * VELD_NS_PER_S;
    g_hash_table_insert(c->peers, GUINT_TO_POINTER(peer), p);
    return p;
}

/* The number grows with the wall clock's milliseconds, so that it does over restarts too. */
void veld_candidates_set_own(struct veld_candidates *c, const struct veld_endpoint *list,
                             size_t n, const struct veld_now *now)
{
    c->n = (uint8_t)VELD_MIN(n, VELD_MESSAGE_ENDPOINTS_MAX);
    for (size_t i = 0; i < c->n; i++)
        c->list[i] = list[i];
    c->sequence = VELD_MAX(c->sequence + 1, now->wall_ns / VELD_NS_PER_MS);
}

void veld_candidates_on_use(struct veld_candidates *c, uint32_t peer)
{
    need(c, peer)->told = 0;
}

bool veld_candidates_due(const struct veld_candidates *c, uint32_t peer, uint64_t now_ns,
                         struct veld_message *out)
{
    const struct of_peer *p = find(c, peer);
    if (!c->sequence ||
        (p && ((p->told == c->sequence && p->times >= VELD_CANDIDATES_SENDS) ||
               (p->told_at_ns && now_ns < p->told_at_ns + VELD_CANDIDATES_GAP_NS))))
        return false;
    *out = (struct veld_message){
        .type = VELD_MSG_CANDIDATES, .sequence = c->sequence, .n_endpoints = c->n};
    for (size_t i = 0; i < c->n; i++)
        out->endpoints[i] = c->list[i];
    return true;
}

void veld_candidates_sent(struct veld_candidates *c, uint32_t peer, uint64_t now_ns)
{
    struct of_peer *p = need(c, peer);
    p->times = p->told == c->sequence ? p->times + 1 : 1;
    p->told = c->sequence;
    p->told_at_ns = now_ns;
}

int veld_candidates_accept(struct veld_candidates *c, uint32_t peer,
                           const struct veld_message *m, uint64_t now_ns)
{
    struct of_peer *p = need(c, peer);
    if (m->sequence <= p->sequence)
        return VELD_E_REPLAY;
    uint64_t since = p->looked_at_ns ? now_ns - p->looked_at_ns : 0;
    p->tokens_ns = VELD_MIN(p->tokens_ns + since, VELD_CANDIDATES_BURST * VELD_NS_PER_S);
    p->looked_at_ns = now_ns;
    if (p->tokens_ns < VELD_NS_PER_S)
        return VELD_E_LIMIT;
    p->tokens_ns -= VELD_NS_PER_S;
    p->sequence = m->sequence;
    return 0;
}

void veld_candidates_forget(struct veld_candidates *c, uint32_t peer)
{
    g_hash_table_remove(c->peers, GUINT_TO_POINTER(peer));
}
