#include "control/lan/trials.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

struct trial {
    struct veld_lan_found found;
    bool trying;
    unsigned tried; /* times it was called */
    uint64_t at_ns; /* trying: since when; else: not before */
};

struct veld_lan_trials {
    struct trial list[VELD_LAN_TRIALS_MAX];
    size_t n, trying;
};

struct veld_lan_trials *veld_lan_trials_new(void)
{
    return calloc(1, sizeof(struct veld_lan_trials));
}

void veld_lan_trials_free(struct veld_lan_trials *t)
{
    free(t);
}

static struct trial *find(struct veld_lan_trials *t, const uint8_t pub[32])
{
    for (size_t i = 0; i < t->n; i++) {
        if (memcmp(t->list[i].found.pub, pub, 32) == 0)
            return &t->list[i];
    }
    return NULL;
}

static void drop(struct veld_lan_trials *t, struct trial *x)
{
    if (x->trying)
        t->trying--;
    *x = t->list[--t->n];
}

/* Of those that are not being called whoever was called most often, and rests longest. */
static void make_room(struct veld_lan_trials *t)
{
    struct trial *worst = NULL;
    for (size_t i = 0; i < t->n; i++) {
        struct trial *x = &t->list[i];
        if (!x->trying && (!worst || x->tried > worst->tried ||
                           (x->tried == worst->tried && x->at_ns > worst->at_ns)))
            worst = x;
    }
    drop(t, worst); /* there is one: fewer are called than are known */
}

void veld_lan_trials_put(struct veld_lan_trials *t, const uint8_t pub[32],
                         const struct veld_endpoint *list, size_t n, uint64_t now_ns)
{
    struct trial *x = find(t, pub);
    if (!x) {
        if (t->n == VELD_LAN_TRIALS_MAX)
            make_room(t);
        x = &t->list[t->n++];
        *x = (struct trial){.at_ns = now_ns};
        memcpy(x->found.pub, pub, sizeof x->found.pub);
    }
    x->found.n = VELD_MIN(n, VELD_CANDIDATES_MAX);
    memcpy(x->found.list, list, x->found.n * sizeof *list);
}

void veld_lan_trials_remove(struct veld_lan_trials *t, const uint8_t pub[32])
{
    struct trial *x = find(t, pub);
    if (x)
        drop(t, x);
}

/* Of those whose time has come whoever was called least often, and waits longest. */
static struct trial *next_waiting(struct veld_lan_trials *t, uint64_t now_ns)
{
    struct trial *best = NULL;
    for (size_t i = 0; i < t->n; i++) {
        struct trial *x = &t->list[i];
        if (!x->trying && x->at_ns <= now_ns &&
            (!best || x->tried < best->tried ||
             (x->tried == best->tried && x->at_ns < best->at_ns)))
            best = x;
    }
    return best;
}

static struct trial *called_longest(struct veld_lan_trials *t)
{
    struct trial *longest = NULL;
    for (size_t i = 0; i < t->n; i++) {
        struct trial *x = &t->list[i];
        if (x->trying && (!longest || x->at_ns < longest->at_ns))
            longest = x;
    }
    return longest;
}

bool veld_lan_trials_next(struct veld_lan_trials *t, uint64_t now_ns, enum veld_lan_step *step,
                          const struct veld_lan_found **out)
{
    struct trial *longest = called_longest(t), *waiting = next_waiting(t, now_ns);
    uint64_t called_ns = longest ? now_ns - longest->at_ns : 0;
    bool is_full = t->trying == VELD_LAN_TRYING_MAX;
    bool gives_way =
        is_full && waiting && waiting->tried == 0 && called_ns >= VELD_LAN_TRIAL_MIN_NS;
    if (longest && (called_ns >= VELD_LAN_TRIAL_NS || gives_way)) {
        unsigned shift = VELD_MIN(longest->tried - 1, VELD_LAN_REST_SHIFT);
        longest->trying = false;
        longest->at_ns = now_ns + (VELD_LAN_REST_NS << shift);
        t->trying--;
        *step = VELD_LAN_STOP;
        *out = &longest->found;
        return true;
    }
    if (!waiting || is_full)
        return false;
    waiting->trying = true;
    waiting->tried++;
    waiting->at_ns = now_ns;
    t->trying++;
    *step = VELD_LAN_START;
    *out = &waiting->found;
    return true;
}

size_t veld_lan_trials_count(const struct veld_lan_trials *t)
{
    return t->n;
}

size_t veld_lan_trials_ended(const struct veld_lan_trials *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->list[i].tried > 0 && !t->list[i].trying;
    return n;
}
