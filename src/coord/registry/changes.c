#include "coord/registry/changes.h"

#include <assert.h>
#include <glib.h>

#define HOLES_MIN 64 /* fewer are not worth a walk */

void veld_changes_clear(struct veld_changes *c)
{
    g_free(c->at);
    *c = (struct veld_changes){0};
}

void veld_changes_append(struct veld_changes *c, uint64_t revision, void *what)
{
    assert(c->n == 0 || c->at[c->n - 1].revision < revision);
    if (c->n == c->room) {
        c->room = c->room ? c->room + c->room / 2 : 8;
        c->at = g_renew(struct veld_change, c->at, c->room);
    }
    c->at[c->n++] = (struct veld_change){.revision = revision, .what = what};
}

static struct veld_change *place_of(struct veld_changes *c, uint64_t revision)
{
    size_t i = veld_changes_after(c, revision - 1);
    assert(i < c->n && c->at[i].revision == revision);
    return &c->at[i];
}

void veld_changes_take_out(struct veld_changes *c, uint64_t revision)
{
    place_of(c, revision)->what = NULL;
    c->holes++;
}

void veld_changes_put_back(struct veld_changes *c, uint64_t revision, void *what)
{
    place_of(c, revision)->what = what;
    c->holes--;
}

void veld_changes_pop(struct veld_changes *c)
{
    assert(c->n > 0 && c->at[c->n - 1].what);
    c->n--;
}

void veld_changes_tidy(struct veld_changes *c)
{
    if (c->holes < HOLES_MIN || c->holes < c->n / 2)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->at[i].what)
            c->at[kept++] = c->at[i];
    c->n = kept;
    c->holes = 0;
}

size_t veld_changes_after(const struct veld_changes *c, uint64_t revision)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->at[middle].revision <= revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t veld_changes_count(const struct veld_changes *c)
{
    return c->n - c->holes;
}
