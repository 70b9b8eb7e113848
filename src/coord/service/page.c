#include "coord/service/page.h"

#include "base/bytes.h"
#include "coord/service/call.h"

#define HEAD_BYTES 64 /* the event's own fields */
#define ITEM_BYTES 8  /* an item's tag and length */

/* Where the walk is: the next of each list, holes passed over. */
struct walk {
    const struct veld_net *net;
    size_t changed, removed;
};

static uint64_t next_of(const struct veld_changes *list, size_t *at)
{
    while (*at < list->n && !list->at[*at].what)
        (*at)++;
    return *at < list->n ? list->at[*at].revision : UINT64_MAX;
}

/* The message of a member at the page's end; its size in the event. */
static size_t lay_member(struct veld_page *p, const struct veld_member *m)
{
    Veld__Coord__Inside__Member *out = &p->member[p->n_members];
    veld__coord__inside__member__init(out);
    out->peer = veld_pb_bytes(m->facts->peer, m->facts->peer_len);
    out->online = m->online;
    out->revision = m->revision;
    out->last_seen = m->last_seen_s;
    p->members[p->n_members] = out;
    return veld__coord__inside__member__get_packed_size(out) + ITEM_BYTES;
}

/* The item at the walk's place onto the page, when it is worth one and fits. */
static bool lay_next(struct veld_page *p, const struct walk *w, bool is_removal,
                     enum veld_page_of what, size_t *bytes)
{
    size_t size;
    if (is_removal) {
        const struct veld_removal *r = w->net->removed.at[w->removed].what;
        const struct veld_member *back = veld_member_by_key(w->net, r->p);
        if (what == VELD_PAGE_MEMBERS || (back && back->facts->peer_len != 0))
            return true; /* it came back, which is what is told */
        size = sizeof r->p + ITEM_BYTES;
        if (*bytes + size > VELD_PAGE_BYTES)
            return false;
        p->removed[p->n_removed++] = veld_pb_bytes(r->p, sizeof r->p);
    } else {
        const struct veld_member *m = w->net->changed.at[w->changed].what;
        if (m->facts->peer_len == 0)
            return true; /* it said nothing of itself yet */
        size = lay_member(p, m);
        if (*bytes + size > VELD_PAGE_BYTES && p->n_members + p->n_removed > 0)
            return false;
        p->n_members++;
    }
    *bytes += size;
    return true;
}

void veld_page_fill(struct veld_page *p, const struct veld_net *net, uint64_t from,
                    enum veld_page_of what, size_t max)
{
    struct walk w = {.net = net,
                     .changed = veld_changes_after(&net->changed, from),
                     .removed = veld_changes_after(&net->removed, from)};
    size_t bytes = HEAD_BYTES;
    p->n_members = p->n_removed = 0;
    p->to = from;
    p->is_last = false;
    max = VELD_MIN(max, (size_t)VELD_PAGE_ITEMS);
    for (;;) {
        uint64_t changed = next_of(&net->changed, &w.changed);
        uint64_t removed = next_of(&net->removed, &w.removed);
        if (changed == UINT64_MAX && removed == UINT64_MAX)
            break;
        if (p->n_members + p->n_removed == max ||
            !lay_next(p, &w, removed < changed, what, &bytes))
            return;
        p->to = VELD_MIN(changed, removed);
        if (removed < changed)
            w.removed++;
        else
            w.changed++;
    }
    p->to = net->revision;
    p->is_last = true;
}
