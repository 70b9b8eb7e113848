#include "trust/revocations.h"

#include "base/bytes.h"
#include "crypto/primitives.h"
#include "trust/chain.h"

#include <stdlib.h>
#include <string.h>

struct item {
    struct veld_revoked_entry e; /* first: bsearch finds by its key */
    bool in_base;                /* the owner's list has it */
};

struct veld_revocations {
    struct veld_blob bytes;
    uint64_t epoch;
    struct item *items; /* in the order of their keys */
    size_t n;
    uint8_t (*kept)[32];
};

/* What is being read, unpacked. */
struct reading {
    pb_revocation_list *list;
    pb_revocations *base, *added; /* by the owner, by an admin; NULL: none */
    struct veld_membership admin; /* who signed what was added */
};

/* ---- signatures ---- */

static int check_signatures(struct reading *g, const uint8_t network_id[32])
{
    const pb_revocation_list *l = g->list;
    if (!veld_wire_is_plain(l) || !veld_signed_is_shaped(l->list, VELD_REVOCATIONS_MAX) ||
        (l->admin && !veld_signed_is_shaped(l->admin, VELD_SIGNED_MAX)) ||
        (l->owner_list && !veld_signed_is_shaped(l->owner_list, VELD_REVOCATIONS_MAX)) ||
        (l->owner_list && !l->admin))
        return VELD_E_FORMAT;
    if (!l->admin)
        return veld_chain_verify(l->list, VELD_PURPOSE_REVOCATIONS, network_id, NULL);
    int rc = veld_chain_admin(l->admin, network_id, &g->admin);
    if (rc == 0 && l->owner_list)
        rc = veld_chain_verify(l->owner_list, VELD_PURPOSE_REVOCATIONS, network_id, NULL);
    if (rc == 0)
        rc = veld_chain_verify(l->list, VELD_PURPOSE_REVOCATIONS, network_id, &g->admin);
    return rc;
}

/* ---- bodies ---- */

static pb_revocations *unpack_body(const pb_signed *s)
{
    return veld_wire_unpack(&veld__trust__v1__revocations__descriptor, s->body.data,
                            s->body.len, VELD_REVOCATIONS_MAX);
}

static int open_bodies(struct reading *g, const uint8_t network_id[32])
{
    const pb_signed *base = g->list->admin ? g->list->owner_list : g->list->list;
    if (base && !(g->base = unpack_body(base)))
        return VELD_E_FORMAT;
    if (g->list->admin && !(g->added = unpack_body(g->list->list)))
        return VELD_E_FORMAT;
    const pb_revocations *part[] = {g->base, g->added};
    for (size_t i = 0; i < VELD_ARRAY_LEN(part); i++) {
        if (!part[i])
            continue;
        if (part[i]->network_id.len != 32 || part[i]->epoch == 0 || part[i]->epoch > UINT32_MAX)
            return VELD_E_FORMAT;
        if (memcmp(part[i]->network_id.data, network_id, 32) != 0)
            return VELD_E_AUTH;
    }
    /* An admin's list goes with one list of the owner's, and with no other. */
    if ((g->base && g->base->owner_epoch != 0) ||
        (g->added && g->added->owner_epoch != (g->base ? g->base->epoch : 0)))
        return VELD_E_AUTH;
    return 0;
}

/* Keys of all parts and the members they keep, within their bounds. */
static bool count(const struct reading *g, size_t *n, size_t *n_kept)
{
    const pb_revocations *part[] = {g->base, g->added};
    *n = *n_kept = 0;
    for (size_t i = 0; i < VELD_ARRAY_LEN(part); i++) {
        *n += part[i] ? part[i]->n_revoked : 0;
        for (size_t k = 0; part[i] && k < part[i]->n_revoked; k++)
            *n_kept += part[i]->revoked[k]->n_kept;
    }
    return *n <= (g->added ? VELD_REVOKED_BY_ADMIN_MAX : VELD_REVOKED_MAX) &&
           *n_kept <= (g->added ? VELD_KEPT_BY_ADMIN_MAX : VELD_KEPT_MAX);
}

static bool take_kept(const pb_revoked *from, uint8_t (*kept)[32])
{
    for (size_t i = 0; i < from->n_kept; i++)
        if (!veld_wire_take(&from->kept[i], kept[i], 32) ||
            (i > 0 && memcmp(kept[i - 1], kept[i], 32) >= 0))
            return false;
    return true;
}

/* One part's entries after those that are there; `*kept` moves on. */
static bool take_part(struct veld_revocations *r, const pb_revocations *part, bool in_base,
                      uint8_t (**kept)[32])
{
    for (size_t i = 0; part && i < part->n_revoked; i++) {
        const pb_revoked *from = part->revoked[i];
        struct item *to = &r->items[r->n++];
        to->in_base = in_base;
        to->e.by_owner = in_base && !from->by_admin;
        to->e.kept = (const uint8_t(*)[32]) * kept;
        to->e.n_kept = from->n_kept;
        if (!veld_wire_take(&from->key, to->e.key, 32) || !take_kept(from, *kept) ||
            (i > 0 && memcmp(to[-1].e.key, to->e.key, 32) >= 0))
            return false;
        *kept += from->n_kept;
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct item *)a)->e.key, ((const struct item *)b)->e.key, 32);
}

static int take_all(struct veld_revocations *r, const struct reading *g)
{
    size_t n, n_kept;
    if (!count(g, &n, &n_kept))
        return VELD_E_FORMAT;
    r->items = calloc(n + 1, sizeof *r->items);
    r->kept = calloc(n_kept + 1, sizeof *r->kept);
    if (!r->items || !r->kept)
        return VELD_E_NOMEM;
    uint8_t(*kept)[32] = r->kept;
    if (!take_part(r, g->base, true, &kept) || !take_part(r, g->added, false, &kept))
        return VELD_E_FORMAT;
    qsort(r->items, r->n, sizeof *r->items, by_key);
    for (size_t i = 1; i < r->n; i++)
        if (by_key(&r->items[i - 1], &r->items[i]) == 0)
            return VELD_E_FORMAT;
    r->epoch = (g->base ? g->base->epoch << 32 : 0) | (g->added ? g->added->epoch : 0);
    return 0;
}

/* ---- against the list before ---- */

/* Are all of `a`'s members in `b`? Both are in order. */
static bool keeps_no_more(const struct veld_revoked_entry *a,
                          const struct veld_revoked_entry *b)
{
    size_t k = 0;
    for (size_t i = 0; i < a->n_kept; i++) {
        while (k < b->n_kept && memcmp(b->kept[k], a->kept[i], 32) < 0)
            k++;
        if (k == b->n_kept || memcmp(b->kept[k], a->kept[i], 32) != 0)
            return false;
    }
    return true;
}

static bool holds_all_of(const struct veld_revocations *r,
                         const struct veld_revocations *before)
{
    struct veld_revoked_entry now;
    for (size_t i = 0; i < before->n; i++) {
        const struct veld_revoked_entry *old = &before->items[i].e;
        if (!veld_revocations_find(r, old->key, &now) || !keeps_no_more(&now, old) ||
            (old->by_owner && !now.by_owner))
            return false;
    }
    return true;
}

static bool revoked_by_owner(const struct veld_revocations *r, const uint8_t key[32])
{
    struct veld_revoked_entry e;
    return veld_revocations_find(r, key, &e) && e.by_owner;
}

static int check_step(const struct veld_revocations *r, const struct reading *g,
                      const struct veld_revocations *before)
{
    if (r->epoch <= veld_revocations_epoch(before))
        return VELD_E_REPLAY;
    if (!g->added)
        return 0;
    if (revoked_by_owner(r, g->admin.member) || revoked_by_owner(before, g->admin.member))
        return VELD_E_PERM;
    if (before && before->epoch >> 32 == r->epoch >> 32 && !holds_all_of(r, before))
        return VELD_E_PERM;
    uint64_t issued = g->added->issued;
    if ((g->admin.not_before_s > issued &&
         g->admin.not_before_s - issued > VELD_CLOCK_SKEW_S) ||
        (g->admin.not_after_s != 0 && issued > g->admin.not_after_s))
        return VELD_E_RANGE;
    return 0;
}

static int read_into(struct veld_revocations *r, struct reading *g, const uint8_t *p,
                     size_t len, const uint8_t network_id[32],
                     const struct veld_revocations *before)
{
    g->list = veld_wire_unpack(&veld__trust__v1__revocation_list__descriptor, p, len,
                               VELD_REVOCATIONS_MAX);
    int rc = g->list ? check_signatures(g, network_id) : VELD_E_FORMAT;
    if (rc == 0)
        rc = open_bodies(g, network_id);
    if (rc == 0)
        rc = take_all(r, g);
    if (rc == 0)
        rc = check_step(r, g, before);
    return rc == 0 ? veld_blob_set(&r->bytes, p, len) : rc;
}

int veld_revocations_read(const uint8_t *p, size_t len, const uint8_t network_id[32],
                          const struct veld_revocations *before, struct veld_revocations **out)
{
    struct reading g = {0};
    struct veld_revocations *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r)
        return VELD_E_NOMEM;
    int rc = read_into(r, &g, p, len, network_id, before);
    veld_wire_free(g.list);
    veld_wire_free(g.base);
    veld_wire_free(g.added);
    if (rc == 0)
        *out = r;
    else
        veld_revocations_free(r);
    return rc;
}

/* ---- what is in it ---- */

void veld_revocations_free(struct veld_revocations *r)
{
    if (!r)
        return;
    veld_blob_clear(&r->bytes);
    free(r->items);
    free(r->kept);
    free(r);
}

uint64_t veld_revocations_epoch(const struct veld_revocations *r)
{
    return r ? r->epoch : 0;
}

size_t veld_revocations_count(const struct veld_revocations *r)
{
    return r ? r->n : 0;
}

const uint8_t *veld_revocations_key(const struct veld_revocations *r, size_t i)
{
    return r->items[i].e.key;
}

bool veld_revocations_find(const struct veld_revocations *r, const uint8_t key[32],
                           struct veld_revoked_entry *out)
{
    struct item wanted;
    if (!r)
        return false;
    memcpy(wanted.e.key, key, 32);
    const struct item *found = bsearch(&wanted, r->items, r->n, sizeof wanted, by_key);
    if (found)
        *out = found->e;
    return found;
}

bool veld_revoked(const struct veld_revocations *r, const uint8_t key[32])
{
    struct veld_revoked_entry e;
    return veld_revocations_find(r, key, &e);
}

struct veld_blob veld_revocations_bytes(const struct veld_revocations *r)
{
    return r ? r->bytes : (struct veld_blob){0};
}

/* ---- the next list ---- */

/* The body to come: entries in order, which borrow from `before` and the new entry. */
struct draft {
    pb_revoked *room, **list;
    ProtobufCBinaryData *kept;
    size_t n, n_kept;
};

static int by_bytes(const void *a, const void *b)
{
    const ProtobufCBinaryData *x = a, *y = b;
    return memcmp(x->data, y->data, 32);
}

static void draft_put(struct draft *d, const struct veld_revoked_entry *e, bool by_admin)
{
    pb_revoked *to = &d->room[d->n];
    veld__trust__v1__revoked__init(to);
    to->key = veld_wire_bytes(e->key, 32);
    to->by_admin = by_admin;
    to->kept = &d->kept[d->n_kept];
    for (size_t i = 0; i < e->n_kept; i++)
        to->kept[i] = veld_wire_bytes(e->kept[i], 32);
    qsort(to->kept, e->n_kept, sizeof *to->kept, by_bytes);
    for (size_t i = 0; i < e->n_kept; i++)
        if (i == 0 || by_bytes(&to->kept[to->n_kept - 1], &to->kept[i]) != 0)
            to->kept[to->n_kept++] = to->kept[i];
    d->n_kept += to->n_kept;
    d->list[d->n++] = to;
}

/* All of `before` that the signer lists itself, with `entry` in its place. */
static int draft_make(struct draft *d, const struct veld_revocations *before,
                      const struct veld_revoked_entry *entry, bool is_admin)
{
    size_t n = veld_revocations_count(before), n_kept = entry->n_kept;
    for (size_t i = 0; i < n; i++)
        n_kept += before->items[i].e.n_kept;
    if (n_kept > 2 * VELD_KEPT_MAX)
        return VELD_E_FULL;
    d->room = calloc(n + 1, sizeof *d->room);
    d->list = calloc(n + 1, sizeof *d->list);
    d->kept = calloc(n_kept + 1, sizeof *d->kept);
    if (!d->room || !d->list || !d->kept)
        return VELD_E_NOMEM;
    bool placed = false;
    for (size_t i = 0; i < n; i++) {
        const struct item *old = &before->items[i];
        int order = memcmp(entry->key, old->e.key, 32);
        if (order == 0 && is_admin && old->in_base)
            return VELD_E_EXIST;
        if (order <= 0 && !placed) {
            draft_put(d, entry, false);
            placed = true;
        }
        if (order != 0 && !(is_admin && old->in_base))
            draft_put(d, &old->e, !is_admin && !old->e.by_owner);
    }
    if (!placed)
        draft_put(d, entry, false);
    return 0;
}

static int sign_list(struct veld_blob *out, const uint8_t seed[32], const pb_revocations *body,
                     pb_signed *admin, pb_signed *base)
{
    struct veld_statement s = {0};
    pb_signed list;
    pb_revocation_list whole = VELD__TRUST__V1__REVOCATION_LIST__INIT;
    int rc =
        veld_statement_sign(&s, VELD_PURPOSE_REVOCATIONS, seed, body, VELD_REVOCATIONS_MAX);
    if (rc == 0) {
        veld_statement_view(&s, &list);
        whole.list = &list;
        whole.admin = admin;
        whole.owner_list = base;
        rc = veld_wire_pack(out, &whole, VELD_REVOCATIONS_MAX);
    }
    veld_statement_clear(&s);
    return rc;
}

/* The list of the owner under `before`, or what `before` is. */
static pb_signed *base_of(const pb_revocation_list *before)
{
    return before->admin ? before->owner_list : before->list;
}

static int add(struct veld_blob *out, const uint8_t *seed, const uint8_t network_id[32],
               const struct veld_revocations *before, const struct draft *d, pb_signed *admin,
               uint64_t now_s)
{
    pb_revocations body = VELD__TRUST__V1__REVOCATIONS__INIT;
    pb_revocation_list *old = NULL;
    uint64_t epoch = veld_revocations_epoch(before);
    body.network_id = veld_wire_bytes(network_id, 32);
    body.epoch = (admin ? epoch & UINT32_MAX : epoch >> 32) + 1;
    body.owner_epoch = admin ? epoch >> 32 : 0;
    body.issued = now_s;
    body.n_revoked = d->n;
    body.revoked = d->list;
    if (body.epoch > UINT32_MAX)
        return VELD_E_FULL;
    if (before && admin) {
        old = veld_wire_unpack(&veld__trust__v1__revocation_list__descriptor, before->bytes.p,
                               before->bytes.len, VELD_REVOCATIONS_MAX);
        if (!old)
            return VELD_E_NOMEM;
    }
    int rc = sign_list(out, seed, &body, admin, old ? base_of(old) : NULL);
    veld_wire_free(old);
    return rc == VELD_E_RANGE ? VELD_E_FULL : rc;
}

int veld_revocations_add(struct veld_blob *out, const struct veld_signer *signer,
                         const uint8_t network_id[32], const struct veld_revocations *before,
                         const struct veld_revoked_entry *entry, uint64_t now_s)
{
    struct draft d = {0};
    struct veld_revocations *made = NULL;
    pb_chain *own;
    pb_signed *admin;
    veld_blob_clear(out);
    size_t n = veld_revocations_count(before) + !veld_revoked(before, entry->key);
    size_t max = signer->chain ? VELD_REVOKED_BY_ADMIN_MAX : VELD_REVOKED_MAX;
    size_t max_kept = signer->chain ? VELD_KEPT_BY_ADMIN_MAX : VELD_KEPT_MAX;
    if (entry->n_kept > max_kept)
        return VELD_E_FULL;
    int rc = veld_signer_open(signer, network_id, &own, &admin);
    if (rc == 0)
        rc = draft_make(&d, before, entry, admin != NULL);
    if (rc == 0 && (n > max || d.n_kept > max_kept))
        rc = VELD_E_FULL;
    if (rc == 0)
        rc = add(out, signer->seed, network_id, before, &d, admin, now_s);
    if (rc == 0)
        rc = veld_revocations_read(out->p, out->len, network_id, before, &made);
    if (rc < 0)
        veld_blob_clear(out);
    veld_revocations_free(made);
    veld_wire_free(own);
    free(d.room);
    free(d.list);
    free(d.kept);
    return rc;
}
