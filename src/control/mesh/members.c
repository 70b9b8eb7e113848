#include "control/mesh/members.h"

#include "base/bytes.h"
#include "control/mesh/departed.h"
#include "control/mesh/hash.h"
#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

/* What two members cannot both have. */
enum claim_kind { CLAIM_NAME, CLAIM_IPV4, CLAIM_KINDS };

struct claim;
struct entry {
    struct veld_member m;
    enum veld_pin_verdict pin;         /* when its claims were last made */
    bool queued;                       /* in `changed` */
    unsigned round;                    /* of the reset since which it was told */
    struct claim *claims[CLAIM_KINDS]; /* NULL: it makes none */
};

struct claim {
    char name[VELD_LABEL_MAX + 1]; /* CLAIM_NAME */
    struct veld_ip ip;             /* CLAIM_IPV4 */
    struct entry *winner;
    GTree *all; /* of entry, the winner first; NULL: there was never a second one */
};

struct veld_members {
    struct veld_members_self self;
    GHashTable *by_pub;              /* -> entry, owned */
    GHashTable *claims[CLAIM_KINDS]; /* name or address -> claim, owned */
    GQueue changed;                  /* of P, 32 bytes each, owned */
    struct veld_departed *departed;
    size_t unlisted;
    unsigned round;
    bool resetting;
};

static const struct {
    const char *name, *text;
} standings[] = {
#define X(id, name, text) {name, text},
    VELD_MEMBER_STANDINGS(X)
#undef X
};

const char *veld_member_standing_name(enum veld_member_standing s)
{
    return standings[s].name;
}

const char *veld_member_standing_text(enum veld_member_standing s)
{
    return standings[s].text;
}

struct veld_pin veld_member_pin(const struct veld_member *m, uint64_t now_s)
{
    struct veld_pin pin = {.since_s = now_s};
    memcpy(pin.pub, m->pub, sizeof pin.pub);
    memcpy(pin.name, m->name, sizeof pin.name);
    if (m->ipv4.family)
        pin.addrs[pin.n_addrs++] = m->ipv4;
    pin.addrs[pin.n_addrs++] = m->ipv6;
    return pin;
}

static void note(struct veld_members *t, struct entry *e)
{
    if (e->queued)
        return;
    e->queued = true;
    g_queue_push_tail(&t->changed, g_memdup2(e->m.pub, sizeof e->m.pub));
}

/* ---- Claims ---- */

/* Whose claim counts first: a total order that knows nothing of who was applied first. */
static int compare_claims(const struct veld_member *a, const struct veld_member *b)
{
    if (a->listed != b->listed)
        return a->listed ? -1 : 1;
    if (a->since != b->since)
        return a->since < b->since ? -1 : 1;
    if (a->not_before_s != b->not_before_s)
        return a->not_before_s < b->not_before_s ? -1 : 1;
    return memcmp(a->pub, b->pub, sizeof a->pub);
}

static bool lost(const struct entry *e, enum claim_kind kind)
{
    return e->claims[kind] && e->claims[kind]->winner != e;
}

static void judge(struct veld_members *t, struct entry *e)
{
    enum veld_member_standing s = VELD_MEMBER_GOOD;
    if (strcmp(e->m.name, t->self.name) == 0 ||
        (e->m.ipv4.family && veld_ip_equal(&e->m.ipv4, &t->self.ipv4)))
        s = VELD_MEMBER_OWN_CLAIM;
    else if (e->pin == VELD_PIN_MISMATCH)
        s = VELD_MEMBER_KEY_CHANGED;
    else if (lost(e, CLAIM_NAME))
        s = VELD_MEMBER_NAME_TAKEN;
    else if (lost(e, CLAIM_IPV4))
        s = VELD_MEMBER_ADDRESS_TAKEN;
    if (s != e->m.standing)
        note(t, e);
    e->m.standing = s;
}

static gint by_claim(gconstpointer a, gconstpointer b)
{
    return compare_claims(&((const struct entry *)a)->m, &((const struct entry *)b)->m);
}

static void free_claim(gpointer data)
{
    struct claim *c = data;
    if (c->all)
        g_tree_destroy(c->all);
    g_free(c);
}

static void make_claim(struct veld_members *t, struct entry *e, enum claim_kind kind,
                       const void *key)
{
    struct claim *c = g_hash_table_lookup(t->claims[kind], key);
    if (!c) {
        c = g_new0(struct claim, 1);
        if (kind == CLAIM_NAME)
            memcpy(c->name, e->m.name, sizeof c->name);
        else
            c->ip = e->m.ipv4;
        g_hash_table_insert(t->claims[kind],
                            kind == CLAIM_NAME ? (gpointer)c->name : (gpointer)&c->ip, c);
    }
    e->claims[kind] = c;
    struct entry *before = c->winner;
    if (before && !c->all) {
        c->all = g_tree_new(by_claim);
        g_tree_insert(c->all, before, before);
    }
    if (c->all)
        g_tree_insert(c->all, e, e);
    if (before && compare_claims(&before->m, &e->m) < 0)
        return;
    c->winner = e;
    if (before)
        judge(t, before);
}

/* Before anything of `e` changes that its place in the order follows from. */
static void give_up_claim(struct veld_members *t, struct entry *e, enum claim_kind kind)
{
    struct claim *c = e->claims[kind];
    if (!c)
        return;
    e->claims[kind] = NULL;
    if (c->all)
        g_tree_remove(c->all, e);
    if (!c->all || g_tree_nnodes(c->all) == 0) {
        const void *key = kind == CLAIM_NAME ? (const void *)c->name : (const void *)&c->ip;
        g_hash_table_remove(t->claims[kind], key);
    } else if (c->winner == e) {
        c->winner = g_tree_node_value(g_tree_node_first(c->all));
        judge(t, c->winner);
    }
}

static void give_up_claims(struct veld_members *t, struct entry *e)
{
    for (enum claim_kind kind = 0; kind < CLAIM_KINDS; kind++)
        give_up_claim(t, e, kind);
}

/* One whose key is not the pinned one has no claim that could stand in another's way. */
static void make_claims(struct veld_members *t, struct entry *e)
{
    struct veld_pin shown = veld_member_pin(&e->m, 0);
    e->pin = veld_pins_check(t->self.pins, &shown, NULL);
    if (e->pin != VELD_PIN_MISMATCH) {
        make_claim(t, e, CLAIM_NAME, e->m.name);
        if (e->m.ipv4.family)
            make_claim(t, e, CLAIM_IPV4, &e->m.ipv4);
    }
    judge(t, e);
}

static void claim_anew(struct veld_members *t, struct entry *e)
{
    give_up_claims(t, e);
    make_claims(t, e);
}

/* ---- Entries ---- */

static void clear_record(struct veld_member *m)
{
    g_free((gpointer)(uintptr_t)m->routes);
    g_free((gpointer)(uintptr_t)m->endpoints);
    g_free((gpointer)(uintptr_t)m->relays);
    veld_blob_clear(&m->record);
}

static void free_entry(gpointer data)
{
    struct entry *e = data;
    clear_record(&e->m);
    g_free(e);
}

static void remove_entry(struct veld_members *t, struct entry *e)
{
    give_up_claims(t, e);
    note(t, e);
    veld_departed_note(t->departed, e->m.pub, e->m.sequence, e->m.serial);
    t->unlisted -= !e->m.listed;
    g_hash_table_remove(t->by_pub, e->m.pub);
}

static void set_listed(struct veld_members *t, struct entry *e, bool listed)
{
    if (e->m.listed == listed)
        return;
    give_up_claims(t, e); /* by the order they were made in */
    e->m.listed = listed;
    t->unlisted = listed ? t->unlisted - 1 : t->unlisted + 1;
    make_claims(t, e);
    note(t, e);
}

/* The unlisted one known for the longest: whose record is most likely stale. */
static bool make_room(struct veld_members *t)
{
    if (t->unlisted == 0)
        return false;
    struct entry *oldest = NULL;
    GHashTableIter it;
    gpointer value;
    g_hash_table_iter_init(&it, t->by_pub);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        struct entry *e = value;
        if (!e->m.listed && (!oldest || compare_claims(&e->m, &oldest->m) < 0))
            oldest = e;
    }
    remove_entry(t, oldest);
    return true;
}

static void *copy_array(const void *p, size_t n, size_t size)
{
    return n ? g_memdup2(p, n * size) : NULL;
}

/* `e` says what `news` says; its claims were given up before and are made after. */
static void take(struct entry *e, struct veld_member_news *news)
{
    const struct veld_record *r = &news->record;
    struct veld_member *m = &e->m;
    clear_record(m);
    memcpy(m->pub, r->membership.member, sizeof m->pub);
    memcpy(m->name, r->membership.name, sizeof m->name);
    m->ipv4 = r->ipv4;
    m->ipv6 = r->ipv6;
    m->routes = copy_array(r->routes, r->n_routes, sizeof r->routes[0]);
    m->n_routes = r->n_routes;
    m->endpoints = copy_array(r->endpoints, r->n_endpoints, sizeof r->endpoints[0]);
    m->n_endpoints = r->n_endpoints;
    m->relays = copy_array(r->relays, r->n_relays, sizeof r->relays[0]);
    m->n_relays = r->n_relays;
    m->flags = r->membership.flags;
    m->relay = r->relay;
    m->features = r->features;
    m->sequence = r->sequence;
    m->serial = r->membership.serial;
    m->not_before_s = r->membership.not_before_s;
    m->ends_s = r->membership.ends_s;
    memcpy(m->signer, r->membership.signer, sizeof m->signer);
    memcpy(m->admin, r->membership.admin, sizeof m->admin);
    m->record = news->bytes;
    news->bytes = (struct veld_blob){0};
}

/* ---- What is learned ---- */

static bool is_older(const struct veld_member *known, const struct veld_member_news *news)
{
    const struct veld_record *r = &news->record;
    if (r->sequence < known->sequence || r->membership.serial < known->serial)
        return true;
    /* One sequence number is one record: two of them differ only when the membership is newer. */
    return r->sequence == known->sequence && r->membership.serial == known->serial &&
           (news->bytes.len != known->record.len ||
            memcmp(news->bytes.p, known->record.p, known->record.len) != 0);
}

static void hear(struct veld_members *t, struct entry *e, bool online, uint64_t last_seen_s,
                 uint64_t revision)
{
    e->round = t->round;
    if (e->m.online != online)
        note(t, e);
    e->m.online = online;
    e->m.last_seen_s = last_seen_s;
    e->m.revision = revision;
    set_listed(t, e, true);
}

static int apply_known(struct veld_members *t, struct entry *e, struct veld_member_news *news)
{
    const struct veld_record *r = &news->record;
    bool older = is_older(&e->m, news);
    hear(t, e, news->online, news->last_seen_s, news->revision);
    if (older)
        return VELD_E_REPLAY;
    if (r->sequence == e->m.sequence && r->membership.serial == e->m.serial) {
        veld_blob_clear(&news->bytes);
        return 0;
    }
    bool moved =
        strcmp(r->membership.name, e->m.name) != 0 || !veld_ip_equal(&r->ipv4, &e->m.ipv4);
    give_up_claims(t, e);
    take(e, news);
    if (moved)
        e->m.since = news->since;
    make_claims(t, e);
    note(t, e);
    return 0;
}

int veld_members_apply(struct veld_members *t, struct veld_member_news *news)
{
    const uint8_t *pub = news->record.membership.member;
    if (memcmp(pub, t->self.pub, sizeof t->self.pub) == 0)
        return VELD_E_EXIST;
    struct entry *e = g_hash_table_lookup(t->by_pub, pub);
    if (e)
        return apply_known(t, e, news);
    if (veld_departed_is_older(t->departed, pub, news->record.sequence,
                               news->record.membership.serial))
        return VELD_E_REPLAY;
    if (g_hash_table_size(t->by_pub) >= VELD_MEMBERS_MAX && !make_room(t))
        return VELD_E_FULL;
    e = g_new0(struct entry, 1);
    take(e, news);
    e->m.listed = true;
    e->m.since = news->since;
    g_hash_table_insert(t->by_pub, e->m.pub, e);
    make_claims(t, e);
    hear(t, e, news->online, news->last_seen_s, news->revision);
    note(t, e);
    return 0;
}

int veld_members_presence(struct veld_members *t, const struct veld_member_presence *p)
{
    struct entry *e = g_hash_table_lookup(t->by_pub, p->pub);
    if (!e)
        return VELD_E_NOENT;
    hear(t, e, p->online, p->last_seen_s, p->revision);
    return 0;
}

void veld_members_unlist(struct veld_members *t, const uint8_t pub[32])
{
    struct entry *e = g_hash_table_lookup(t->by_pub, pub);
    if (e)
        set_listed(t, e, false);
}

void veld_members_reset(struct veld_members *t)
{
    t->round++;
    t->resetting = true;
}

void veld_members_synced(struct veld_members *t)
{
    GHashTableIter it;
    gpointer value;
    if (!t->resetting)
        return;
    t->resetting = false;
    g_hash_table_iter_init(&it, t->by_pub);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        struct entry *e = value;
        if (e->round != t->round)
            set_listed(t, e, false);
    }
}

bool veld_members_is_resetting(const struct veld_members *t)
{
    return t->resetting;
}

void veld_members_drop(struct veld_members *t, const uint8_t pub[32])
{
    struct entry *e = g_hash_table_lookup(t->by_pub, pub);
    if (e)
        remove_entry(t, e);
}

/* Remove whom `ends` says, which may look at nothing but the entry. */
static size_t sweep(struct veld_members *t, bool (*ends)(const struct entry *, void *),
                    void *ctx)
{
    GPtrArray *gone = g_ptr_array_new();
    GHashTableIter it;
    gpointer value;
    g_hash_table_iter_init(&it, t->by_pub);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        if (ends(value, ctx))
            g_ptr_array_add(gone, value);
    }
    size_t n = gone->len;
    for (guint i = 0; i < gone->len; i++)
        remove_entry(t, g_ptr_array_index(gone, i));
    g_ptr_array_unref(gone);
    return n;
}

struct revoke {
    const struct veld_network *network;
    const struct veld_revocations *revoked;
    uint64_t now_s;
};

/* Only whom the list names in its chain needs proving again. */
static bool is_revoked(const struct entry *e, void *ctx)
{
    const struct revoke *r = ctx;
    const struct veld_member *m = &e->m;
    struct veld_record again;
    if (!veld_revoked(r->revoked, m->pub) && !veld_revoked(r->revoked, m->signer) &&
        !veld_revoked(r->revoked, m->admin))
        return false;
    return veld_record_read(m->record.p, m->record.len, r->network, r->revoked, r->now_s,
                            &again) < 0;
}

size_t veld_members_revoke(struct veld_members *t, const struct veld_revocations *revoked,
                           uint64_t now_s)
{
    struct revoke r = {t->self.network, revoked, now_s};
    return sweep(t, is_revoked, &r);
}

static bool has_ended(const struct entry *e, void *ctx)
{
    const uint64_t *now_s = ctx;
    return e->m.ends_s && e->m.ends_s < *now_s;
}

size_t veld_members_expire(struct veld_members *t, uint64_t now_s)
{
    return sweep(t, has_ended, &now_s);
}

/* ---- Pins ---- */

static gboolean add_to(gpointer key, gpointer value, gpointer array)
{
    g_ptr_array_add(array, value);
    return FALSE;
}

/* Each other claimant of the same, which may be blocked by the pin now. */
static void others_claim_anew(struct veld_members *t, struct entry *e, enum claim_kind kind)
{
    GPtrArray *others = g_ptr_array_new();
    if (e->claims[kind] && e->claims[kind]->all)
        g_tree_foreach(e->claims[kind]->all, add_to, others);
    for (guint i = 0; i < others->len; i++)
        claim_anew(t, g_ptr_array_index(others, i));
    g_ptr_array_unref(others);
}

void veld_members_on_pinned(struct veld_members *t, const uint8_t pub[32])
{
    struct entry *e = g_hash_table_lookup(t->by_pub, pub);
    if (!e)
        return;
    claim_anew(t, e);
    others_claim_anew(t, e, CLAIM_NAME);
    others_claim_anew(t, e, CLAIM_IPV4);
}

void veld_members_on_pins_changed(struct veld_members *t)
{
    GHashTableIter it;
    gpointer value;
    g_hash_table_iter_init(&it, t->by_pub);
    while (g_hash_table_iter_next(&it, NULL, &value))
        claim_anew(t, value);
}

/* ---- What is known ---- */

bool veld_members_next_change(struct veld_members *t, uint8_t pub[32])
{
    uint8_t *first = g_queue_pop_head(&t->changed);
    if (!first)
        return false;
    memcpy(pub, first, 32);
    g_free(first);
    struct entry *e = g_hash_table_lookup(t->by_pub, pub);
    if (e)
        e->queued = false;
    return true;
}

const struct veld_member *veld_members_find(const struct veld_members *t, const uint8_t pub[32])
{
    const struct entry *e = g_hash_table_lookup(t->by_pub, pub);
    return e ? &e->m : NULL;
}

const struct veld_member *veld_members_of_ipv4(const struct veld_members *t,
                                               const struct veld_ip *ipv4)
{
    const struct claim *c = g_hash_table_lookup(t->claims[CLAIM_IPV4], ipv4);
    return c ? &c->winner->m : NULL;
}

size_t veld_members_count(const struct veld_members *t)
{
    return g_hash_table_size(t->by_pub);
}

static int by_claims(const void *pa, const void *pb)
{
    const struct veld_member *const *a = pa, *const *b = pb;
    return compare_claims(*a, *b);
}

const struct veld_member **veld_members_list(const struct veld_members *t)
{
    size_t n = 0;
    const struct veld_member **list = calloc(veld_members_count(t) + 1, sizeof *list);
    GHashTableIter it;
    gpointer value;
    if (!list)
        return NULL;
    g_hash_table_iter_init(&it, t->by_pub);
    while (g_hash_table_iter_next(&it, NULL, &value))
        list[n++] = &((const struct entry *)value)->m;
    qsort(list, n, sizeof(struct veld_member *), by_claims);
    return list;
}

struct veld_members *veld_members_new(const struct veld_members_self *self)
{
    struct veld_members *t = g_new0(struct veld_members, 1);
    t->self = *self;
    t->by_pub = g_hash_table_new_full(veld_hash_key, veld_same_key, NULL, free_entry);
    t->claims[CLAIM_NAME] =
        g_hash_table_new_full(veld_hash_name, g_str_equal, NULL, free_claim);
    t->claims[CLAIM_IPV4] = g_hash_table_new_full(veld_hash_ip, veld_same_ip, NULL, free_claim);
    g_queue_init(&t->changed);
    t->departed = veld_departed_new();
    return t;
}

void veld_members_free(struct veld_members *t)
{
    if (!t)
        return;
    g_hash_table_destroy(t->by_pub);
    for (enum claim_kind kind = 0; kind < CLAIM_KINDS; kind++)
        g_hash_table_destroy(t->claims[kind]);
    g_queue_clear_full(&t->changed, g_free);
    veld_departed_free(t->departed);
    g_free(t);
}
