#include "coord/service/page.h"

#include "base/bytes.h"
#include "coord/service/call.h"

#define HEAD_BYTES 64 /* the event's own fields */
#define ITEM_BYTES 8  /* an item's tag and length */

/* Where the walk is: the next of each list, holes passed over. */
struct walk {
    const struct veld_net *net;
    const struct veld_page_for *who;
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

/* The same of one whose record is known. */
static size_t lay_presence(struct veld_page *p, const struct veld_member *m)
{
    Veld__Coord__Inside__Presence *out = &p->presence[p->n_presences];
    veld__coord__inside__presence__init(out);
    out->member = veld_pb_bytes(m->p, sizeof m->p);
    out->online = m->online;
    out->revision = m->revision;
    out->last_seen = m->last_seen_s;
    p->presences[p->n_presences] = out;
    return veld__coord__inside__presence__get_packed_size(out) + ITEM_BYTES;
}

static size_t items(const struct veld_page *p)
{
    return p->n_members + p->n_removed + p->n_presences;
}

static bool fits(const struct veld_page *p, size_t *bytes, size_t size)
{
    if (*bytes + size > VELD_PAGE_BYTES && items(p) > 0)
        return false;
    *bytes += size;
    return true;
}

/* The item at the walk's place onto the page, when it is worth one and fits. */
static bool lay_removal(struct veld_page *p, const struct walk *w, size_t *bytes)
{
    const struct veld_removal *r = w->net->removed.at[w->removed].what;
    const struct veld_member *back = veld_member_by_key(w->net, r->p);
    if (w->who->what == VELD_PAGE_MEMBERS || (back && back->facts->peer_len != 0))
        return true; /* it came back, which is what is told */
    if (!fits(p, bytes, sizeof r->p + ITEM_BYTES))
        return false;
    p->removed[p->n_removed++] = veld_pb_bytes(r->p, sizeof r->p);
    return true;
}

static bool lay_change(struct veld_page *p, const struct walk *w, size_t *bytes)
{
    const struct veld_member *m = w->net->changed.at[w->changed].what;
    if (m->facts->peer_len == 0)
        return true; /* it said nothing of itself yet */
    if (m->facts_revision <= w->who->whole) {
        if (!fits(p, bytes, lay_presence(p, m)))
            return false;
        p->n_presences++;
    } else {
        if (!fits(p, bytes, lay_member(p, m)))
            return false;
        p->n_members++;
    }
    return true;
}

void veld_page_fill(struct veld_page *p, const struct veld_net *net,
                    const struct veld_page_for *who, size_t max)
{
    struct walk w = {.net = net,
                     .who = who,
                     .changed = veld_changes_after(&net->changed, who->from),
                     .removed = veld_changes_after(&net->removed, who->from)};
    size_t bytes = HEAD_BYTES;
    p->n_members = p->n_removed = p->n_presences = 0;
    p->to = who->from;
    p->is_last = false;
    max = VELD_MIN(max, (size_t)VELD_PAGE_ITEMS);
    for (;;) {
        uint64_t changed = next_of(&net->changed, &w.changed);
        uint64_t removed = next_of(&net->removed, &w.removed);
        if (changed == UINT64_MAX && removed == UINT64_MAX)
            break;
        if (items(p) == max ||
            !(removed < changed ? lay_removal(p, &w, &bytes) : lay_change(p, &w, &bytes)))
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
