#include "dataplane/dataplane.h"

#include "base/clock.h"
#include "base/log.h"
#include "dataplane/state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int open_tables(struct veld_tables *t)
{
    int rc = veld_peers_init(&t->peers);
    if (rc == 0)
        rc = veld_index_init(&t->index);
    if (rc == 0)
        rc = veld_handshakes_init(&t->handshakes);
    if (rc == 0)
        rc = veld_circuits_init(&t->circuits);
    struct veld_routes *none = rc == 0 ? veld_routes_build(NULL, 0) : NULL;
    atomic_init(&t->routes, none);
    return none ? 0 : VELD_E_NOMEM;
}

/* No worker runs and nothing retired is pending: free what is still published. */
static void close_tables(struct veld_tables *t)
{
    for (uint32_t slot = 0; t->index.slots && slot < VELD_SESSIONS_MAX; slot++)
        veld_session_free(atomic_load_explicit(&t->index.slots[slot], memory_order_relaxed));
    veld_index_free(&t->index);
    veld_handshakes_free(&t->handshakes);
    veld_circuits_free(&t->circuits);
    veld_peers_free(&t->peers);
    veld_routes_free(atomic_load_explicit(&t->routes, memory_order_relaxed));
}

static int open_workers(struct veld_dataplane *dp, const struct veld_dataplane_config *cfg,
                        struct veld_diag *diag)
{
    while (dp->n_workers < cfg->workers) {
        unsigned i = dp->n_workers;
        struct veld_worker_config w = {.number = i,
                                       .tun_fd = dp->tun.fds[i],
                                       .udp_fd = dp->udp.fds[i],
                                       .lane_fd = dp->udp.lane_fds[i],
                                       .event_fd = dp->event_fd,
                                       .mtu = cfg->mtu,
                                       .udp_segments_max = dp->tun.udp_segments_max,
                                       .udp_segment = dp->udp.segment,
                                       .engine = &dp->engine,
                                       .tables = &dp->tables,
                                       .aead = dp->aead};
        int rc = veld_worker_open(&dp->workers[i], &w, diag);
        if (rc < 0)
            return rc;
        dp->n_workers++;
    }
    return 0;
}

/*
 * The kernel takes apart the io_uring of a killed process a moment after the
 * process is gone, and with it lets go of the port and the interface; one that
 * stops lets go of them itself. So what is in use is asked for again for a while.
 */
#define RELEASE_WAIT_NS  (5 * VELD_NS_PER_S) /* a busy machine has been seen to take 2 s */
#define RELEASE_RETRY_US 10000

static int open_kernel_side(struct veld_dataplane *dp, const struct veld_dataplane_config *cfg,
                            struct veld_diag *diag)
{
    uint64_t end_ns = veld_clock_mono_ns() + RELEASE_WAIT_NS;
    for (;;) {
        int rc = veld_udp_open(&dp->udp, &cfg->listen, cfg->workers, diag);
        if (rc == 0)
            rc = veld_tun_open(&dp->tun, cfg->interface, cfg->workers, diag);
        if (rc != VELD_E_EXIST || veld_clock_mono_ns() >= end_ns)
            return rc;
        veld_udp_close(&dp->udp);
        usleep(RELEASE_RETRY_US);
    }
}

/* By what our own datagrams are known: set once the port is. */
static void set_own(struct veld_dataplane *dp, const struct veld_dataplane_config *cfg)
{
    struct veld_own *own = &dp->tables.own;
    own->port = dp->udp.port;
    for (unsigned i = 0; i < dp->udp.n; i++) {
        if (dp->udp.lane_ports[i])
            own->lane_ports[own->n_lane_ports++] = dp->udp.lane_ports[i];
    }
    if (veld_ip_is_unicast(&cfg->listen.ip)) { /* else whichever the kernel chooses */
        own->addrs[own->n++] = cfg->listen.ip;
        return;
    }
    for (size_t i = 0; i < cfg->n_addrs; i++)
        own->addrs[own->n++] = cfg->addrs[i].ip;
}

static int open_all(struct veld_dataplane *dp, const struct veld_dataplane_config *cfg,
                    struct veld_diag *diag)
{
    int rc = veld_aead_select(cfg->aead, &dp->aead, diag);
    if (rc < 0)
        return rc;
    dp->aead_ctx = dp->aead->new_ctx();
    if (!dp->aead_ctx || open_tables(&dp->tables) < 0)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for the dataplane's tables");
    dp->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (dp->event_fd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot make an eventfd: %s", strerror(errno));
    rc = veld_io_engine_choose(&dp->engine, cfg->engine, diag);
    if (rc == 0)
        rc = open_kernel_side(dp, cfg, diag);
    if (rc < 0)
        return rc;
    set_own(dp, cfg);
    return open_workers(dp, cfg, diag);
}

int veld_dataplane_open(struct veld_dataplane **out, const struct veld_dataplane_config *cfg,
                        struct veld_diag *diag)
{
    if (cfg->workers < 1 || cfg->workers > VELD_WORKERS_MAX)
        return veld_fail(diag, VELD_E_RANGE, "workers must be 1 to %d", VELD_WORKERS_MAX);
    if (cfg->mtu < VELD_MTU_MIN || cfg->mtu > VELD_MTU_MAX)
        return veld_fail(diag, VELD_E_RANGE, "mtu must be %d to %d", VELD_MTU_MIN,
                         VELD_MTU_MAX);
    if (cfg->n_addrs > VELD_OWN_ADDRS_MAX)
        return veld_fail(diag, VELD_E_RANGE, "at most %d addresses", VELD_OWN_ADDRS_MAX);
    struct veld_dataplane *dp = aligned_alloc(VELD_CACHE_LINE, sizeof *dp);
    if (!dp)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for the dataplane");
    memset(dp, 0, sizeof *dp);
    dp->owner = pthread_self();
    dp->event_fd = -1;
    veld_rcu_updater_begin();
    int rc = open_all(dp, cfg, diag);
    if (rc < 0) {
        veld_dataplane_close(dp);
        return rc;
    }
    *out = dp;
    return 0;
}

/* One line that says what carries packets here. */
static void tell_parts(const struct veld_dataplane *dp)
{
    struct veld_dataplane_info i;
    veld_dataplane_get_info(dp, &i);
    veld_info("%u worker%s by %s (%s), AEAD by %s, interface offload: %s, UDP offload: %s%s%s",
              i.workers, i.workers == 1 ? "" : "s", i.engine, i.engine_features, i.aead,
              i.offload, i.udp_segment ? "segmentation" : "", i.udp_gro ? " gro" : "",
              i.udp_segment || i.udp_gro ? "" : "none");
}

int veld_dataplane_start(struct veld_dataplane *dp, struct veld_diag *diag)
{
    veld_dataplane_check(dp);
    if (dp->running)
        return veld_fail(diag, VELD_E_STATE, "the dataplane runs already");
    dp->running = true;
    for (unsigned i = 0; i < dp->n_workers; i++) {
        int rc = veld_worker_start(dp->workers[i], diag);
        if (rc < 0) {
            veld_dataplane_stop(dp);
            return rc;
        }
    }
    tell_parts(dp);
    return 0;
}

void veld_dataplane_stop(struct veld_dataplane *dp)
{
    veld_dataplane_check(dp);
    for (unsigned i = 0; i < dp->n_workers; i++)
        veld_worker_stop(dp->workers[i]);
    dp->running = false;
}

void veld_dataplane_close(struct veld_dataplane *dp)
{
    if (!dp)
        return;
    veld_dataplane_stop(dp);
    veld_rcu_barrier();
    for (unsigned i = 0; i < dp->n_workers; i++)
        veld_worker_close(dp->workers[i]);
    close_tables(&dp->tables);
    veld_tun_close(&dp->tun);
    veld_udp_close(&dp->udp);
    if (dp->aead_ctx)
        dp->aead->free_ctx(dp->aead_ctx);
    if (dp->event_fd >= 0)
        close(dp->event_fd);
    free(dp);
    veld_rcu_updater_end();
}

static bool all_segment(const struct veld_dataplane *dp)
{
    bool all = true;
    for (unsigned i = 0; i < dp->n_workers; i++)
        all &= veld_worker_segments(dp->workers[i]);
    return all;
}

void veld_dataplane_get_info(const struct veld_dataplane *dp, struct veld_dataplane_info *out)
{
    veld_dataplane_check(dp);
    *out = (struct veld_dataplane_info){.ifindex = dp->tun.ifindex,
                                        .listen_port = dp->udp.port,
                                        .workers = dp->n_workers,
                                        .lanes = VELD_MIN(dp->n_workers, VELD_LANES_MAX),
                                        .aead = dp->aead->name,
                                        .engine = veld_dataplane_engine_name(dp->engine.kind),
                                        .engine_features = dp->engine.features,
                                        .offload = dp->tun.offload,
                                        .udp_segment = all_segment(dp),
                                        .udp_gro = dp->udp.gro,
                                        .steered = dp->udp.steered};
    memcpy(out->interface, dp->tun.name, sizeof out->interface);
}

void veld_dataplane_get_worker(const struct veld_dataplane *dp, unsigned worker,
                               struct veld_dataplane_worker *out)
{
    veld_dataplane_check(dp);
    assert(worker < dp->n_workers);
    *out = (struct veld_dataplane_worker){.own_port = dp->udp.lane_ports[worker]};
    veld_counters_sum(veld_worker_counters(dp->workers[worker]), &out->stats);
}

void veld_dataplane_get_stats(const struct veld_dataplane *dp, struct veld_dataplane_stats *out)
{
    veld_dataplane_check(dp);
    *out = (struct veld_dataplane_stats){0};
    veld_counters_sum(&dp->counters, out);
    for (unsigned i = 0; i < dp->n_workers; i++)
        veld_counters_sum(veld_worker_counters(dp->workers[i]), out);
}

int veld_dataplane_event_fd(const struct veld_dataplane *dp)
{
    return dp->event_fd;
}

/* Two queues a worker, in turn: neither worker nor kind of event starves another. */
static bool pop_any(struct veld_dataplane *dp, struct veld_dataplane_event *out)
{
    unsigned queues = 2 * dp->n_workers;
    for (unsigned i = 0; i < queues; i++) {
        unsigned at = (dp->next_queue + i) % queues;
        struct veld_worker *w = dp->workers[at / 2];
        if (veld_event_queue_pop(at % 2 ? veld_worker_handshakes(w) : veld_worker_events(w),
                                 out)) {
            dp->next_queue = (at + 1) % queues;
            return true;
        }
    }
    return false;
}

bool veld_dataplane_next_event(struct veld_dataplane *dp, struct veld_dataplane_event *out)
{
    veld_dataplane_check(dp);
    if (pop_any(dp, out))
        return true;
    /* Quiet the descriptor, then look once more: what came between would not signal again. */
    eventfd_t unused;
    (void)eventfd_read(dp->event_fd, &unused);
    if (!pop_any(dp, out))
        return false;
    eventfd_write(dp->event_fd, 1);
    return true;
}

int veld_dataplane_set_cookies(struct veld_dataplane *dp, const struct veld_cookie_checker *c)
{
    veld_dataplane_check(dp);
    return veld_handshakes_set_cookies(&dp->tables.handshakes, c);
}
