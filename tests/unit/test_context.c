/*
 * Nothing that workers share is written on the fast path: what they all read
 * lies on pages that cannot be written while they work, and each of two workers
 * changes lines that the other one does not.
 */
#include "support/packet_path.h"

#include <signal.h>
#include <sys/mman.h>

#define PAGE  4096u
#define PAGES 4u
#define LANES 2u

/* Shared things of one site, moved to where writes are caught, and back. */
struct guarded {
    struct site *site;
    struct veld_tables *tables;
    struct veld_peer *peer, *peer_before;
    struct veld_path *path, *path_before;
    struct veld_session *session, *session_before;
    struct veld_activity_line *activity;
};

/* `head` bytes of a copy at the end of a page, which can be guarded; the rest behind, which cannot. */
static void *page_copy(const void *from, size_t head, size_t size)
{
    cr_assert_leq(head, PAGE);
    cr_assert_leq(size - head, (PAGES - 1) * PAGE);
    uint8_t *pages =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(pages, MAP_FAILED);
    void *copy = pages + PAGE - head;
    memcpy(copy, from, size);
    return copy;
}

static void *page_of(void *p)
{
    return (void *)((uintptr_t)p & ~(uintptr_t)(PAGE - 1));
}

static volatile sig_atomic_t caught;

/* The write is counted, and then let pass. */
static void on_write(int number, siginfo_t *info, void *context)
{
    if (mprotect(page_of(info->si_addr), PAGE, PROT_READ | PROT_WRITE) < 0)
        abort();
    caught++;
}

static void setup(void)
{
    struct sigaction act = {.sa_sigaction = on_write, .sa_flags = SA_SIGINFO};
    cr_assert_eq(sigaction(SIGSEGV, &act, NULL), 0);
}

TestSuite(context, .init = setup);

static void protect(void *p)
{
    cr_assert_eq(mprotect(page_of(p), PAGE, PROT_READ), 0);
}

static void discard(void *p)
{
    munmap(page_of(p), PAGES * PAGE);
}

#define WHOLE(p) page_copy(p, sizeof *(p), sizeof *(p))

static struct guarded guard(struct site *s, struct veld_session *session)
{
    struct guarded g = {.site = s, .peer_before = site_peer(s), .session_before = session};
    g.path_before = veld_peer_path(g.peer_before);
    size_t header = offsetof(struct veld_session, lanes);
    g.session = page_copy(session, header, header + LANES * sizeof session->lanes[0]);
    g.activity = page_copy(g.peer_before->activity, 0, LANES * sizeof *g.peer_before->activity);
    g.path = WHOLE(g.path_before);
    g.peer = WHOLE(g.peer_before);
    g.peer->path = g.path;
    g.peer->tx = g.session;
    g.peer->activity = g.activity;
    g.session->peer = g.peer;
    atomic_store(&s->tables.peers.slots[PEER], g.peer);
    atomic_store(&s->tables.index.slots[session->local_index % VELD_SESSIONS_MAX], g.session);
    g.tables = WHOLE(&s->tables);
    s->ctx.tables = g.tables;
    protect(g.tables);
    protect(g.peer);
    protect(g.path);
    protect(g.session);
    return g;
}

static void unguard(struct guarded *g)
{
    struct site *s = g->site;
    s->ctx.tables = &s->tables;
    atomic_store(&s->tables.peers.slots[PEER], g->peer_before);
    atomic_store(&s->tables.index.slots[g->session_before->local_index % VELD_SESSIONS_MAX],
                 g->session_before);
    discard(g->tables);
    discard(g->peer);
    discard(g->path);
    discard(g->session);
    munmap((uint8_t *)g->activity - PAGE, PAGES * PAGE);
}

/* Which lines of what can be written were changed since `before`. */
static unsigned changed(const void *now, const void *before, size_t size, bool lines[])
{
    unsigned n = 0;
    for (size_t i = 0; i < size / VELD_CACHE_LINE; i++) {
        size_t at = i * VELD_CACHE_LINE;
        lines[i] = memcmp((const uint8_t *)now + at, (const uint8_t *)before + at,
                          VELD_CACHE_LINE) != 0;
        n += lines[i];
    }
    return n;
}

#define LINES 64

static void check_apart(bool lines[LANES][LINES], size_t own, size_t size)
{
    for (unsigned w = 0; w < LANES; w++)
        for (size_t i = 0; i < size / VELD_CACHE_LINE; i++)
            cr_assert(!lines[w][i] || i / own == w, "worker %u, line %zu", w, i);
}

/* A turn of sending at a and of receiving at b, by worker `w` of both. */
static void work(struct pair *p, unsigned w)
{
    p->a->ctx.thread = p->b->ctx.thread = w;
    veld_outbound_begin(p->a->out);
    for (unsigned i = 0; i < 120; i++)
        send_plain(p->a, 200, 2);
    veld_outbound_flush(p->a->out);
    carry(p->a, p->b, A_ENDPOINT);
    complete_sends(p->a);
    complete_writes(p->b, 0);
    cr_assert_eq(p->b->n_written, 120);
    forget(p->a);
    forget(p->b);
}

Test(context, workers_write_nothing_they_share)
{
    struct pair p;
    pair_make(&p, LANES);
    struct guarded g[] = {guard(p.a, p.a_session), guard(p.b, p.b_session)};
    const size_t lanes = LANES * sizeof(struct veld_lane),
                 activity = LANES * sizeof(struct veld_activity_line);
    static uint8_t before[LINES * VELD_CACHE_LINE];
    bool lane_lines[2][LANES][LINES] = {0}, activity_lines[2][LANES][LINES] = {0};
    cr_assert_leq(lanes, sizeof before);
    for (unsigned w = 0; w < LANES; w++) {
        uint8_t was[2][2][sizeof before];
        for (unsigned i = 0; i < 2; i++) {
            memcpy(was[i][0], g[i].session->lanes, lanes);
            memcpy(was[i][1], g[i].activity, activity);
        }
        work(&p, w);
        for (unsigned i = 0; i < 2; i++) {
            cr_assert(changed(g[i].session->lanes, was[i][0], lanes, lane_lines[i][w]));
            cr_assert(changed(g[i].activity, was[i][1], activity, activity_lines[i][w]));
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        check_apart(lane_lines[i], sizeof(struct veld_lane) / VELD_CACHE_LINE, lanes);
        check_apart(activity_lines[i], 1, activity);
        unguard(&g[i]);
    }
    cr_assert_eq(caught, 0, "a write to what both read");
    cr_assert_eq(dropped_in_all(p.a) + dropped_in_all(p.b), 0);
    pair_free(&p);
}

/* The guard guards: a worker that tells of a move writes the peer, once in a while. */
Test(context, a_write_to_what_is_shared_is_seen)
{
    struct pair p;
    pair_make(&p, LANES);
    struct guarded g[] = {guard(p.a, p.a_session), guard(p.b, p.b_session)};
    veld_outbound_begin(p.a->out);
    send_plain(p.a, 60, 2);
    veld_outbound_flush(p.a->out);
    complete_sends(p.a);
    carry(p.a, p.b, "198.51.100.1:7");
    complete_writes(p.b, 0);
    cr_assert_eq(caught, 1);
    for (unsigned i = 0; i < 2; i++)
        unguard(&g[i]);
    pair_free(&p);
}
