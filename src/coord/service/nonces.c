#include "coord/service/nonces.h"

#include "base/clock.h"
#include "crypto/primitives.h"

#include <glib.h>
#include <string.h>

#define PLACES_MIN 1024 /* a power of two */

/* A generation: tags in a power of two of places, at most half of them taken; 0: free. */
struct generation {
    uint64_t *place;
    size_t places, taken;
};

struct veld_nonces {
    uint8_t seed[16];
    size_t max;
    uint64_t since_ns; /* when the younger began */
    struct generation younger, elder;
};

static struct generation generation_new(void)
{
    return (struct generation){.place = g_new0(uint64_t, PLACES_MIN), .places = PLACES_MIN};
}

/* Where `tag` is, or would be. */
static uint64_t *find(const struct generation *g, uint64_t tag)
{
    size_t i = tag & (g->places - 1);
    while (g->place[i] != 0 && g->place[i] != tag)
        i = (i + 1) & (g->places - 1);
    return &g->place[i];
}

static void add(struct generation *g, uint64_t tag)
{
    if (g->taken == g->places / 2) {
        struct generation larger = {.places = g->places * 2, .taken = g->taken};
        larger.place = g_new0(uint64_t, larger.places);
        for (size_t i = 0; i < g->places; i++)
            if (g->place[i] != 0)
                *find(&larger, g->place[i]) = g->place[i];
        g_free(g->place);
        *g = larger;
    }
    *find(g, tag) = tag;
    g->taken++;
}

struct veld_nonces *veld_nonces_new(size_t max, const uint8_t seed[16])
{
    struct veld_nonces *n = g_new0(struct veld_nonces, 1);
    memcpy(n->seed, seed, sizeof n->seed);
    n->max = max;
    n->younger = generation_new();
    n->elder = generation_new();
    return n;
}

void veld_nonces_free(struct veld_nonces *n)
{
    if (!n)
        return;
    g_free(n->younger.place);
    g_free(n->elder.place);
    g_free(n);
}

static void grow_older(struct veld_nonces *n, uint64_t mono_ns)
{
    g_free(n->elder.place);
    n->elder = n->younger;
    n->younger = generation_new();
    n->since_ns = mono_ns;
}

int veld_nonces_add(struct veld_nonces *n, const struct veld_rpc_auth *auth, uint64_t mono_ns)
{
    uint8_t both[sizeof auth->key + sizeof auth->nonce];
    memcpy(both, auth->key, sizeof auth->key);
    memcpy(both + sizeof auth->key, auth->nonce, sizeof auth->nonce);
    /* By chance, one call in 2^43 is taken for another. */
    uint64_t tag = veld_siphash(n->seed, both, sizeof both);
    if (tag == 0)
        tag = 1;

    if (mono_ns - n->since_ns >= VELD_NONCES_AGE_S * VELD_NS_PER_S)
        grow_older(n, mono_ns);
    if (*find(&n->younger, tag) || *find(&n->elder, tag))
        return VELD_E_REPLAY;
    /* One that is full may step back early when it pushes nothing out. */
    if (n->younger.taken >= n->max && n->elder.taken == 0)
        grow_older(n, mono_ns);
    if (n->younger.taken >= n->max)
        return VELD_E_FULL;
    add(&n->younger, tag);
    return 0;
}
