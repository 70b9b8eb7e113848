/*
 * A store that fails at the N-th operation, for every N: what was acknowledged is kept,
 * what was not is not there, and memory and store never differ. And the server killed, at
 * any point, on a real file.
 */
#include "../support/coord_asserts.h"
#include "../support/coord_dump.h"

#include "coord/service/watch.h"

#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMBERS 6

static struct coord_rig r;
static struct test_member m[MEMBERS];
static struct coord_watch w[MEMBERS];
static struct veld_blob list; /* revokes m[3] */

static void prepare(void)
{
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry e = {0};
    static const enum test_by by[] = {TEST_BY_OWNER, TEST_BY_TOKEN, TEST_BY_ADMIN};
    for (unsigned i = 0; i < MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "server%u", i);
        m[i] = i == 1 ? coord_join_by_token(&r, i, 3, 0)
                      : test_trust_join(&r.trust, i, name, by[i % 3]);
    }
    memcpy(e.key, m[3].id->pub, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &e, r.trust.now_s),
        "list");
}

static void start(void)
{
    coord_open(&r, NULL);
    prepare();
}

static void stop(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        coord_watch_free(&r, &w[i]);
        test_member_free(&m[i]);
    }
    veld_blob_clear(&list);
    coord_close(&r);
}

TestSuite(coord_faults, .init = start, .fini = stop);

/* ---- the script: each step one turn of the server's loop ---- */

static void step_create(void)
{
    coord_create(&r);
}

static void step_two_register(void)
{
    coord_lease(&r, &m[0]);
    coord_register(&r, &m[1], 1);
}

static void step_watch(void)
{
    coord_watch(&r, &w[0], &m[0]);
    coord_register(&r, &m[2], 1);
}

static void step_rest_registers(void)
{
    coord_register(&r, &m[3], 1);
    coord_register(&r, &m[4], 1);
    coord_register(&r, &m[0], 1);
    coord_watch(&r, &w[3], &m[3]);
    coord_watch(&r, &w[4], &m[4]);
}

static void step_signal_and_update(void)
{
    coord_signal(&r, &m[0], m[4].id->pub, "x", 1);
    coord_register(&r, &m[2], 2);
    coord_register(&r, &m[2], 3);
}

static void step_ask(void)
{
    Veld__Coord__V1__RequestJoinRequest q = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    struct veld_join_request j = {.created_s = r.trust.now_s};
    struct veld_blob bytes = {0};
    memcpy(j.network_id, r.trust.network.id, 32);
    memcpy(j.member, m[5].id->pub, 32);
    strcpy(j.name, "server5");
    test_trust_must(veld_join_request_sign(&bytes, m[5].id->seed, &j), "request");
    q.request = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
    coord_call(&r, m[5].id->seed, "RequestJoin", &q);
    veld__trust__v1__signed__free_unpacked(q.request, NULL);
    veld_blob_clear(&bytes);
}

static void step_answer(void)
{
    Veld__Coord__V1__AnswerJoinRequest q = VELD__COORD__V1__ANSWER_JOIN_REQUEST__INIT;
    q.network_id = coord_id(&r);
    q.member = coord_bytes(m[5].id->pub, 32);
    q.chain = coord_parse(&veld__trust__v1__chain__descriptor, &m[5].chain);
    coord_call(&r, r.trust.owner_seed, "AnswerJoin", &q);
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
}

static void step_joined(void)
{
    coord_register(&r, &m[5], 1);
    coord_leave(&r, &m[1], true);
    coord_watch(&r, &w[5], &m[5]);
}

static void step_back_and_gone(void)
{
    coord_register(&r, &m[1], 2);
    coord_watch(&r, &w[1], &m[1]);
    coord_leave(&r, &m[1], true);
    coord_register(&r, &m[1], 3);
}

static void step_revoke(void)
{
    coord_publish_revocations(&r, r.trust.owner_seed, &list);
    coord_register(&r, &m[4], 2);
}

static void step_leave(void)
{
    coord_leave(&r, &m[4], false);
}

static void step_lease_runs_out(void)
{
    coord_unwatch(&r, &w[0]);
    coord_unwatch(&r, &w[5]);
    coord_pass(&r, 61 * VELD_NS_PER_S);
    veld_service_tick(r.service, &r.now);
}

static void (*const steps[])(void) = {
    step_create, step_two_register,   step_watch,  step_rest_registers, step_signal_and_update,
    step_ask,    step_answer,         step_joined, step_back_and_gone,  step_revoke,
    step_leave,  step_lease_runs_out,
};

static void begin_anew(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        coord_watch_free(&r, &w[i]);
        memset(&w[i], 0, sizeof w[i]);
    }
    g_tree_remove_all(r.store->pairs);
    r.now = (struct veld_now){.mono_ns = 1000 * VELD_NS_PER_S,
                              .wall_ns = r.trust.now_s * VELD_NS_PER_S};
    coord_reopen(&r);
    r.hold = true; /* a step is a turn */
}

/* Those that are open hear what there is; those that are over are closed. */
static void drain_all(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (!w[i].w)
            continue;
        coord_drain(&r, &w[i]);
        if (w[i].end.code != VELD_CODE_OK)
            coord_unwatch(&r, &w[i]);
    }
}

/* One turn: it holds, or nothing of it does. */
static void turn(void (*step)(void))
{
    char *before = coord_dump(r.service);
    GBytes *stored = test_store_image(r.store);
    step();
    int rc = coord_commit(&r);
    r.store->fail_at = 0;
    if (rc < 0) {
        char *after = coord_dump(r.service);
        GBytes *image = test_store_image(r.store);
        cr_assert_eq(r.status.code, VELD_CODE_UNAVAILABLE);
        cr_assert_str_eq(before, after);
        cr_assert(g_bytes_equal(stored, image));
        g_bytes_unref(image);
        g_free(after);
    }
    cr_assert(coord_is_as_stored(&r));
    drain_all();
    g_bytes_unref(stored);
    g_free(before);
}

/* What every watcher that is up to date knows is what there is. */
static void assert_views(void)
{
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    coord_run(&r, VELD_NS_PER_S, VELD_NS_PER_S / 10);
    drain_all();
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (!w[i].w)
            continue;
        unsigned published = 0;
        cr_assert(w[i].synced);
        for (size_t k = 0; k < net->changed.n; k++) {
            const struct veld_member *x = net->changed.at[k].what;
            if (!x || x->facts->peer_len == 0)
                continue;
            const struct coord_known *known = g_hash_table_lookup(w[i].known, x->p);
            published++;
            cr_assert_not_null(known);
            cr_assert_eq(known->revision, x->revision);
            cr_assert_eq(known->online, x->online);
        }
        cr_assert_eq(g_hash_table_size(w[i].known), published);
    }
}

/* The whole script; operation `n` of its turn number `broken` fails. The operations of that turn. */
static uint64_t run_script(size_t broken, uint64_t n)
{
    uint64_t ops = 0;
    begin_anew();
    for (size_t i = 0; i < VELD_ARRAY_LEN(steps); i++) {
        uint64_t before = r.store->ops;
        if (i == broken)
            r.store->fail_at = n;
        turn(steps[i]);
        if (i == broken)
            ops = r.store->ops - before;
        if (i == broken && n) /* who was refused tries again */
            turn(steps[i]);
    }
    assert_views();
    return ops;
}

/* Nothing fails: what the others are compared with. */
static char *healthy(void)
{
    run_script(SIZE_MAX, 0);
    return coord_dump(r.service);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Without revisions, times and the order they make, which a second try changes. */
static char *without_times(char *dump)
{
    GRegex *times = g_regex_new("(rev|horizon|seen|filed|gap)=[0-9-]+", 0, 0, NULL);
    char *text = g_regex_replace(times, dump, -1, 0, "", 0, NULL);
    char **lines = g_strsplit(text, "\n", -1);
    qsort(lines, g_strv_length(lines), sizeof *lines, by_text);
    g_free(text);
    text = g_strjoinv("\n", lines);
    g_strfreev(lines);
    g_regex_unref(times);
    g_free(dump);
    return text;
}

Test(coord_faults, every_operation_of_every_turn)
{
    unsigned runs = 0;
    char *good = without_times(healthy());
    cr_assert_not_null(strstr(good, "name=server5"), "%s", good);
    cr_assert_null(strstr(good, "name=server3"), "%s", good);
    for (size_t i = 0; i < VELD_ARRAY_LEN(steps); i++) {
        uint64_t ops = run_script(i, 0);
        cr_assert_gt(ops, 0, "step %d writes nothing", (int)i);
        for (uint64_t n = 1; n <= ops; n++) {
            run_script(i, n);
            char *now = without_times(coord_dump(r.service));
            cr_assert_str_eq(good, now, "step %d, operation %d:\n%s---- but\n%s", (int)i,
                             (int)n, now, good);
            g_free(now);
            runs++;
        }
    }
    cr_assert_gt(runs, 80, "%u", runs);
    g_free(good);
}

/* The process dies at the N-th operation: what it had answered is there when it starts again. */
Test(coord_faults, a_crash_at_every_operation)
{
    for (int lost = 0; lost < 2; lost++) {
        for (size_t i = 0; i < VELD_ARRAY_LEN(steps); i++) {
            uint64_t ops = 1;
            for (uint64_t n = 1; n <= ops; n++) {
                begin_anew();
                for (size_t k = 0; k < i; k++)
                    turn(steps[k]);
                char *before = coord_dump(r.service);
                steps[i]();
                char *after = coord_dump(r.service);
                r.store->lost_commit = lost; /* it was written, but nobody was told */
                r.store->fail_at = n;
                uint64_t at = r.store->ops;
                coord_commit(&r);
                ops = MAX(ops, r.store->ops - at);
                r.store->fail_at = 0;
                r.store->lost_commit = false;
                char *stored = coord_dump_stored(&r);
                cr_assert(strcmp(stored, before) == 0 || (lost && strcmp(stored, after) == 0),
                          "%s\n---- neither\n%s\n---- nor\n%s", stored, before, after);
                for (unsigned x = 0; x < MEMBERS; x++)
                    coord_unwatch(&r, &w[x]);
                coord_reopen(&r);
                turn(steps[i]);
                g_free(before);
                g_free(after);
                g_free(stored);
            }
        }
    }
}

/* ---- kill -9, on a real file ---- */

#define CROWD 400

static int remove_one(const char *p, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(p);
}

/* A server that registers members, a few a turn, and says which it has answered. */
static void serve(const char *path, const struct test_member *crowd, unsigned first, int say)
{
    struct veld_store *store;
    struct veld_diag diag;
    if (veld_store_lmdb_open(&store, path, &diag) < 0)
        _exit(1);
    struct veld_service_config cfg = {.store = store};
    coord_open(&r, &cfg);
    coord_create(&r);
    r.hold = true;
    for (unsigned i = first; i < CROWD; i += 4) {
        struct veld_ip leased[4];
        for (unsigned k = 0; k < 4; k++) {
            if (coord_lease(&r, &crowd[i + k]) != VELD_CODE_OK)
                _exit(2);
            leased[k] = r.leased;
        }
        if (coord_commit(&r) < 0)
            _exit(3);
        for (unsigned k = 0; k < 4; k++) {
            unsigned char said[8] = {(uint8_t)(i + k), (uint8_t)((i + k) >> 8)};
            memcpy(said + 4, leased[k].b, 4);
            if (write(say, said, sizeof said) != sizeof said)
                _exit(4);
        }
    }
    _exit(0);
}

Test(coord_faults, killed_at_any_point)
{
    static struct test_member crowd[CROWD];
    static uint32_t had[CROWD]; /* the address it was told; 0: it was told none */
    static char dir[] = "/tmp/veld-test-kill.XXXXXX";
    char path[64];
    unsigned first = 0, kills = 0;
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/peers.db", dir);
    for (unsigned i = 0; i < CROWD; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        crowd[i] = test_trust_join(&r.trust, 100 + i, name, TEST_BY_OWNER);
    }
    for (unsigned round = 0; round < 40 && first < CROWD; round++) {
        int pipe_fds[2];
        unsigned char said[8];
        cr_assert_eq(pipe(pipe_fds), 0);
        pid_t pid = fork();
        if (pid == 0)
            serve(path, crowd, first, pipe_fds[1]);
        close(pipe_fds[1]);
        unsigned told = 0, until = 1 + round * 7 % 23;
        while (read(pipe_fds[0], said, sizeof said) == sizeof said) {
            unsigned i = said[0] | (unsigned)said[1] << 8;
            had[i] = veld_load_be32(said + 4);
            first = i / 4 * 4 + 4;
            if (++told == until) {
                usleep(round % 5 * 100);
                kill(pid, SIGKILL);
            }
        }
        int status;
        close(pipe_fds[0]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "%d", status);
        kills += WIFSIGNALED(status) != 0;
    }
    cr_assert_geq(kills, 10, "%u", kills);
    /* Read by this process: all that was answered is there, with its address. */
    coord_close(&r);
    struct veld_store *store;
    struct veld_diag diag;
    cr_assert_eq(veld_store_lmdb_open(&store, path, &diag), 0, "%s", diag.text);
    struct veld_service_config cfg = {.store = store};
    coord_open(&r, &cfg);
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    unsigned acknowledged = 0;
    for (unsigned i = 0; i < CROWD; i++) {
        const struct veld_member *x = veld_member_by_key(net, crowd[i].id->pub);
        if (had[i] == 0)
            continue;
        acknowledged++;
        cr_assert_not_null(x, "member %u was answered and is not there", i);
        cr_assert_eq(x->facts->ipv4, had[i]);
    }
    cr_assert_gt(acknowledged, 100, "%u", acknowledged);
    cr_assert_eq(r.service->registry->members % 4, 0, "turns are whole");
    veld_service_close(r.service);
    r.service = NULL;
    store->ops->close(store);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    for (unsigned i = 0; i < CROWD; i++)
        test_member_free(&crowd[i]);
}
