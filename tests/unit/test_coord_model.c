/*
 * Random calls, watches that come and go, disks that fill up, restarts and restored backups,
 * beside a model that is simple: what each watcher that is up to date knows is what
 * the model says. A failure prints its seed; VELD_SEED=n runs that one alone.
 */
#include "../support/coord_asserts.h"
#include "../support/coord_dump.h"
#include "../support/random.h"

#include <stdlib.h>

#define MEMBERS 10
#define STEPS   1200
#define SEEDS   3
#define LEASE   (60 * VELD_NS_PER_S)

/* What is so of a member, without any server. */
struct fact {
    bool is_member;
    GBytes *record; /* the PeerRecord that is published; NULL: none */
    bool is_online;
    uint64_t lease_ns; /* goes offline then; 0: its watch is open */
};

struct model {
    struct fact fact[MEMBERS];
};

static struct coord_rig r;
static struct test_random random_state;
static struct test_member m[MEMBERS];
static struct coord_watch w[MEMBERS];
static uint64_t sequence[MEMBERS];
static struct model now, backup;
static GTree *backup_pairs;
static unsigned failures, restarts, restores, compared;

static uint64_t below(uint64_t limit)
{
    return test_random_below(&random_state, limit);
}

static bool chance(unsigned per_mille)
{
    return test_random_chance(&random_state, per_mille);
}

/* ---- the model ---- */

static struct model copy_of(const struct model *from)
{
    struct model to = *from;
    for (unsigned i = 0; i < MEMBERS; i++)
        if (to.fact[i].record)
            g_bytes_ref(to.fact[i].record);
    return to;
}

static void drop(struct model *x)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        g_clear_pointer(&x->fact[i].record, g_bytes_unref);
}

static void forget(struct fact *f)
{
    g_clear_pointer(&f->record, g_bytes_unref);
    *f = (struct fact){0};
}

/* ---- turns: some calls, then a commit that may fail ---- */

static void do_register(unsigned i)
{
    struct veld_record record = test_record(&m[i], sequence[i]);
    struct fact *f = &now.fact[i];
    ok(coord_lease(&r, &m[i]));
    f->is_member = true;
    if (chance(200))
        return; /* without a record */
    if (!f->record || chance(800))
        record.sequence = ++sequence[i];
    record.ipv4 = r.leased;
    record.features = record.sequence * 7;
    ok(coord_publish(&r, &m[i], &record));
    cr_assert(r.published);
    g_clear_pointer(&f->record, g_bytes_unref);
    struct veld_blob peer = test_peer_record(&m[i], &record);
    f->record = g_bytes_new(peer.p, peer.len);
    veld_blob_clear(&peer);
}

static void do_leave(unsigned i)
{
    struct fact *f = &now.fact[i];
    bool forgets = chance(500);
    if (!f->is_member) {
        refused(coord_leave(&r, &m[i], forgets), VELD_CODE_PERMISSION_DENIED, "may do that");
        return;
    }
    ok(coord_leave(&r, &m[i], forgets));
    if (forgets)
        forget(f);
    f->is_online = false;
    f->lease_ns = 0;
}

/* A watch that goes on where the last was, or begins anew. */
static void do_watch(unsigned i)
{
    if (w[i].w)
        return;
    if (chance(150)) {
        coord_watch_free(&r, &w[i]);
        memset(&w[i], 0, sizeof w[i]);
    }
    if (!now.fact[i].is_member) {
        refused(coord_watch(&r, &w[i], &m[i]), VELD_CODE_PERMISSION_DENIED, "may do that");
        return;
    }
    ok(coord_watch(&r, &w[i], &m[i]));
    now.fact[i].is_online = true;
    now.fact[i].lease_ns = 0;
}

static void close_ended(void);

static void turn(void)
{
    struct model before = copy_of(&now);
    char *dump = coord_dump(r.service);
    unsigned opened = 0, left = 0;
    r.hold = true;
    r.store->fail_at = chance(100) ? 1 + below(8) : 0;
    for (unsigned k = 1 + (unsigned)below(4); k > 0; k--) {
        unsigned i = (unsigned)below(MEMBERS), what = (unsigned)below(10);
        if (what < 5) {
            do_register(i);
        } else if (what < 6) {
            do_leave(i);
            left |= 1u << i;
        } else if (!w[i].w) {
            do_watch(i);
            opened |= w[i].w ? 1u << i : 0;
        }
    }
    int rc = coord_commit(&r);
    r.store->fail_at = 0;
    r.hold = false;
    if (rc < 0) {
        char *after = coord_dump(r.service);
        cr_assert_str_eq(dump, after);
        g_free(after);
        drop(&now);
        now = before;
        /* Who was about to come or go, and was online without a watch, is so a while longer. */
        for (unsigned i = 0; i < MEMBERS; i++)
            if (now.fact[i].lease_ns && (opened | left) >> i & 1)
                now.fact[i].lease_ns = r.now.mono_ns + LEASE;
        failures++;
    } else {
        drop(&before);
    }
    g_free(dump);
    close_ended();
}

/* ---- what happens beside ---- */

static void close_watch(unsigned i)
{
    if (!w[i].w)
        return;
    coord_unwatch(&r, &w[i]);
    if (now.fact[i].is_online)
        now.fact[i].lease_ns = r.now.mono_ns + LEASE;
}

/* Those whom the server ended: their members left, or could not be written. */
static void close_ended(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct coord_watch *x = &w[i];
        if (!x->w || x->ready == 0 || coord_next(&r, x) || x->end.code == VELD_CODE_OK)
            continue;
        coord_unwatch(&r, x);
    }
}

static void pass_time(void)
{
    static const uint64_t steps[] = {1000, VELD_NS_PER_MS, VELD_NS_PER_S, 20 * VELD_NS_PER_S,
                                     70 * VELD_NS_PER_S};
    coord_pass(&r, steps[below(VELD_ARRAY_LEN(steps))]);
    coord_tick(&r);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct fact *f = &now.fact[i];
        if (f->lease_ns == 0 || f->lease_ns > r.now.mono_ns)
            continue;
        f->is_online = false;
        f->lease_ns = 0;
    }
}

/* Who was online has its lease to come back; the clock has gone on a little. */
static void restart(void)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        coord_unwatch(&r, &w[i]);
    coord_pass(&r, VELD_NS_PER_MS * (1 + below(5000)));
    coord_reopen(&r);
    for (unsigned i = 0; i < MEMBERS; i++)
        now.fact[i].lease_ns = now.fact[i].is_online ? r.now.mono_ns + LEASE : 0;
    restarts++;
}

static gboolean copy_pair(gpointer key, gpointer value, gpointer to)
{
    g_tree_replace(to, g_bytes_ref(key), g_bytes_ref(value));
    return FALSE;
}

static void back_up(void)
{
    g_tree_remove_all(backup_pairs);
    g_tree_foreach(r.store->pairs, copy_pair, backup_pairs);
    drop(&backup);
    backup = copy_of(&now);
}

/* The server goes on with what it was some time ago; its clients know better, and then do not. */
static void restore(void)
{
    if (g_tree_nnodes(backup_pairs) == 0)
        return;
    g_tree_remove_all(r.store->pairs);
    g_tree_foreach(backup_pairs, copy_pair, r.store->pairs);
    drop(&now);
    now = copy_of(&backup);
    restart();
    restores++;
}

/* ---- what is compared ---- */

static void compare(unsigned i)
{
    struct coord_watch *x = &w[i];
    unsigned published = 0;
    cr_assert(x->synced);
    for (unsigned k = 0; k < MEMBERS; k++) {
        const struct fact *f = &now.fact[k];
        const struct coord_known *known = coord_knows(x, &m[k]);
        published += f->record != NULL;
        cr_assert_eq(known != NULL, f->record != NULL, "member %u, by %u", k, i);
        if (!known)
            continue;
        cr_assert(g_bytes_equal(known->record, f->record), "member %u, by %u", k, i);
        cr_assert_eq(known->online, f->is_online, "member %u is%s online, says %u", k,
                     f->is_online ? "" : " not", i);
    }
    cr_assert_eq(g_hash_table_size(x->known), published);
    compared++;
}

/* Some hear everything, some one event, some nothing. */
static void hear(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (!w[i].w || chance(400))
            continue;
        if (chance(200)) {
            coord_next(&r, &w[i]);
            continue;
        }
        coord_drain(&r, &w[i]);
        if (w[i].end.code == VELD_CODE_OK) {
            compare(i);
        } else { /* it had not yet heard that its member left */
            cr_assert_eq(w[i].end.code, VELD_CODE_ABORTED, "%s", w[i].end.text);
            cr_assert_not(now.fact[i].is_online);
            coord_unwatch(&r, &w[i]);
        }
    }
}

static void run(uint64_t seed)
{
    random_state.state = seed;
    coord_open(&r, NULL);
    ok(coord_create(&r));
    backup_pairs = test_store_tree();
    for (unsigned i = 0; i < MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "server%u", i);
        m[i] = test_trust_join(&r.trust, i, name, i % 2 ? TEST_BY_TOKEN : TEST_BY_OWNER);
        sequence[i] = 0;
    }
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = (unsigned)below(100);
        if (what < 50)
            turn();
        else if (what < 65)
            close_watch((unsigned)below(MEMBERS));
        else if (what < 90)
            pass_time();
        else if (what < 94)
            restart();
        else if (what < 98)
            back_up();
        else
            restore();
        hear();
        if (chance(50))
            cr_assert(coord_is_as_stored(&r));
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        coord_watch_free(&r, &w[i]);
        memset(&w[i], 0, sizeof w[i]);
        test_member_free(&m[i]);
    }
    drop(&now);
    drop(&backup);
    memset(&now, 0, sizeof now);
    memset(&backup, 0, sizeof backup);
    g_tree_destroy(backup_pairs);
    coord_close(&r);
}

Test(coord_model, watchers_know_what_is)
{
    const char *only = getenv("VELD_SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        fprintf(stderr, "seed %d\n", only ? atoi(only) : (int)seed);
        run(only ? strtoull(only, NULL, 10) : seed);
        if (only)
            return;
    }
    cr_assert(failures > 20 && restarts > 40 && restores > 10 && compared > 1000,
              "%u failures, %u restarts, %u restores, %u compared", failures, restarts,
              restores, compared);
}
