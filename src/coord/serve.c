#include "coord/serve.h"

#include "base/clock.h"
#include "coord/metrics.h"
#include "coord/server.h"
#include "coord/stun_server.h"
#include "crypto/primitives.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_BESIDE 64 /* database, log, metrics, gRPC's own */

struct parts {
    struct veld_store *store;
    struct veld_tls tls;
    struct veld_service *service;
    struct veld_server *server;
    struct veld_metrics *metrics;
    struct veld_stun_server *stun;
    struct veld_listeners metrics_at, stun_at; /* until those have them; `first` stays */
};

/* ---- Signals ---- */

static struct veld_server *running; /* set before the signals are let in */

static void on_stop(int signal)
{
    veld_server_stop(running);
}

static void let_signals_in(struct veld_server *s)
{
    struct sigaction stop = {.sa_handler = on_stop}, ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    running = s;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a file that may not grow is a full disk: an error */
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- The machine's limits ---- */

static void raise_files(struct veld_coord_limits *limits)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        getrlimit(RLIMIT_NOFILE, &r);
    uint64_t most = r.rlim_cur > FILES_BESIDE + 1 ? r.rlim_cur - FILES_BESIDE : 1;
    if (limits->connections <= most)
        return;
    limits->connections = (uint32_t)most;
    veld_event(VELD_LOG_WARN, "fewer-connections", VELD_NUMBER("connections", most),
               VELD_NUMBER("open_files", r.rlim_cur),
               VELD_TEXT("why", "the limit of open files (ulimit -n) allows no more"));
}

/* The certificate's key is in this process. */
static void harden(void)
{
    struct rlimit none = {0, 0};
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}

/* ---- Certificate ---- */

/* From files it is there already; from the database, or a new one (`*made`). */
static int find_certificate(struct parts *p, const struct veld_coord_options *o, bool *made,
                            struct veld_diag *diag)
{
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    *made = false;
    if (o->tls_cert)
        return 0;
    int rc = veld_tls_load(&p->tls, p->store, diag);
    if (rc != VELD_E_NOENT)
        return rc;
    *made = true;
    return veld_tls_make(&p->tls, now_s, diag);
}

/* ---- Up and down ---- */

static void announce(const struct veld_serve *w, const struct parts *p)
{
    char at[VELD_ENDPOINT_STRLEN], fingerprint[VELD_TLS_FINGERPRINT_STRLEN];
    char metrics[VELD_ENDPOINT_STRLEN], stun[VELD_ENDPOINT_STRLEN];
    const struct veld_endpoint *first = &w->listeners->first;
    const char *host = w->options->listen.host;
    veld_endpoint_format(first, at);
    veld_tls_fingerprint(p->tls.certificate, fingerprint);
    veld_event(VELD_LOG_INFO, "listening", VELD_TEXT("address", at),
               VELD_TEXT("certificate", fingerprint), VELD_TEXT("version", VELD_VERSION));
    if (p->metrics) {
        veld_endpoint_format(&p->metrics_at.first, metrics);
        veld_event(VELD_LOG_INFO, "metrics", VELD_TEXT("address", metrics));
    }
    if (p->stun) {
        veld_endpoint_format(&p->stun_at.first, stun);
        veld_event(VELD_LOG_INFO, "stun", VELD_TEXT("address", stun));
    }
    if (!w->announce)
        return;
    printf("veld-coord listening on %s, certificate %s (pin this)\n", at, fingerprint);
    if (host[0])
        printf("next, on each machine: veld login --coord %s\n", at);
    else
        printf("next, on each machine: veld login --coord YOUR-SERVER:%u\n", first->port);
    fflush(stdout);
}

/* As for the port (listen.h): the lock of one that was killed goes with its last process. */
static int open_store(struct parts *p, const char *db, struct veld_diag *diag)
{
    uint64_t end_ns = veld_clock_mono_ns() + VELD_COORD_PATIENCE_MS * VELD_NS_PER_MS;
    int rc;
    while ((rc = veld_store_lmdb_open(&p->store, db, diag)) == VELD_E_EXIST &&
           veld_clock_mono_ns() < end_ns)
        usleep(20000);
    return rc;
}

/* Ready to be written to: the database has its version. */
static int open_service(struct parts *p, const struct veld_coord_options *o,
                        const struct veld_now *now, struct veld_diag *diag)
{
    struct veld_coord_status status;
    struct veld_service_config cfg = {.store = p->store, .host = &veld_coord_host_default};
    memcpy(cfg.certificate, p->tls.certificate, sizeof cfg.certificate);
    cfg.limits = VELD_SERVICE_LIMITS_DEFAULT;
    if (!o->rate_limits)
        cfg.limits = (struct veld_service_limits){.networks = cfg.limits.networks,
                                                  .members = cfg.limits.members};
    int rc = veld_service_open(&p->service, &cfg, now, diag);
    if (rc == 0 && (rc = veld_service_commit(p->service, &status)) < 0)
        veld_fail(diag, rc, "%s", status.text);
    return rc;
}

/* Where nobody asked for it, a port that another program has is no reason not to serve. */
static int find_stun(struct parts *p, const struct veld_serve *w, struct veld_diag *diag)
{
    const struct veld_coord_options *o = w->options;
    if (o->stun_at == VELD_COORD_STUN_AT)
        return veld_listen_wait(&p->stun_at, &o->stun, VELD_COORD_PATIENCE_MS, diag);
    if (o->stun_at == VELD_COORD_STUN_BESIDE &&
        veld_listen_beside(&p->stun_at, w->listeners, diag) < 0)
        veld_event(VELD_LOG_WARN, "no-stun", VELD_TEXT("why", diag->text),
                   VELD_TEXT("next", "--stun ADDR:PORT names another, --stun off none"));
    return 0;
}

/* What may be refused without a trace, so that a slip in an option makes no database. */
static int prepare(struct parts *p, const struct veld_serve *w, uint64_t now_s,
                   struct veld_diag *diag)
{
    const struct veld_coord_options *o = w->options;
    int rc = veld_crypto_init();
    if (rc < 0)
        return veld_fail(diag, rc, "libsodium does not work here");
    if (o->tls_cert)
        rc = veld_tls_read(&p->tls, o->tls_cert, o->tls_key, now_s, diag);
    if (rc == 0 && o->has_metrics)
        rc = veld_listen_wait(&p->metrics_at, &o->metrics, VELD_COORD_PATIENCE_MS, diag);
    return rc == 0 ? find_stun(p, w, diag) : rc;
}

static int bring_up(struct parts *p, const struct veld_serve *w, struct veld_diag *diag)
{
    const struct veld_coord_options *o = w->options;
    struct veld_now now = veld_clock_now();
    struct veld_coord_limits limits = o->limits;
    bool made;
    int rc = prepare(p, w, now.wall_ns / VELD_NS_PER_S, diag);
    if (rc < 0)
        return rc;
    if ((rc = open_store(p, o->db, diag)) < 0 || (rc = find_certificate(p, o, &made, diag)) < 0)
        return rc;
    /* The service first: a newer version's database stays as it is. */
    if ((rc = open_service(p, o, &now, diag)) < 0 ||
        (made && (rc = veld_tls_save(&p->tls, p->store, diag)) < 0))
        return rc;
    raise_files(&limits);
    struct veld_server_config server = {
        .service = p->service, .tls = &p->tls, .listeners = w->listeners, .limits = limits};
    rc = veld_server_open(&p->server, &server, diag);
    if (rc == 0 && p->stun_at.n > 0)
        rc = veld_stun_server_open(&p->stun, &p->stun_at,
                                   o->rate_limits ? VELD_STUN_BOUNDED : VELD_STUN_UNBOUNDED,
                                   diag);
    if (rc == 0 && o->has_metrics)
        rc = veld_metrics_open(
            &p->metrics, &p->metrics_at,
            &(struct veld_metrics_source){.server = p->server, .stun = p->stun}, diag);
    return rc;
}

static void take_down(struct parts *p)
{
    veld_metrics_close(p->metrics);
    veld_listen_close(&p->metrics_at);
    veld_stun_server_close(p->stun);
    veld_listen_close(&p->stun_at);
    veld_server_close(p->server);
    veld_service_close(p->service);
    veld_tls_clear(&p->tls);
    if (p->store)
        p->store->ops->close(p->store);
}

int veld_serve(const struct veld_serve *w)
{
    struct parts p = {0};
    struct veld_diag diag = {""};
    harden();
    int rc = bring_up(&p, w, &diag);
    if (rc == 0) {
        let_signals_in(p.server);
        if (w->ready)
            w->ready(w->ctx);
        announce(w, &p);
        veld_server_run(p.server);
        veld_event(VELD_LOG_INFO, "stopped", VELD_TEXT("why", "asked to"));
    }
    take_down(&p);
    if (rc == 0)
        return VELD_COORD_DONE;
    fprintf(stderr, "veld-coord: %s\n", diag.text);
    return VELD_COORD_FAILED;
}
