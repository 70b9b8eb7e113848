#include "coord/gate.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "coord/addresses.h"
#include "coord/log.h"
#include "coord/rising.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <glib.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define ACCEPTS_MAX      64 /* in a turn */
#define FDS_MAX          (1 << 20)
#define LOOK_NS          VELD_NS_PER_S
#define LOOK_SOON_NS     (100 * VELD_NS_PER_MS) /* when there is no place left */
#define LOOK_BATCH       256                    /* descriptors looked at under one lock */
#define WASTE_WINDOW_NS  (10 * VELD_NS_PER_S)
#define WASTE_MAX        256 /* calls of one connection in a window */
#define CALLS_PER_STREAM 4   /* open on a connection, as counted here */
#define BUSY_WINDOW_NS   (50 * VELD_NS_PER_MS)
#define BUSY_PART        5   /* a fifth of all processors' time: this process is busy */
#define RISING_REST_MS   5   /* what waits to be accepted waits on while too many rise */
#define FULL_REST_MS     100 /* what waits to be accepted waits on while no file can be opened */

struct connection {
    uint64_t cookie; /* the kernel's, of the socket; 0: this descriptor is none */
    struct veld_endpoint peer;
    uint32_t calls;  /* open at present */
    uint32_t wasted; /* in the window */
    uint64_t window_ns;
    bool is_cut;
};

struct veld_gate {
    const struct veld_listeners *listeners;
    struct veld_coord_limits limits;
    veld_gate_take_fn *take;
    void *ctx;
    int stop; /* an eventfd */
    pthread_t thread;
    bool runs;
    uint64_t last_look_ns; /* the thread's, */
    struct {               /* and how busy this process was in the last window */
        uint64_t at_ns, cpu_ns;
        bool busy;
    } seen;

    pthread_mutex_t lock; /* of all that follows */
    struct connection *by_fd;
    int n_fds, top_fd;   /* as large as by_fd is; the highest that was used */
    GHashTable *by_peer; /* struct connection by its peer; borrowed */
    struct veld_addresses *addresses;
    struct veld_rising *rising;
    struct veld_gate_stats stats;
};

/* Peers' ports are theirs to choose. */
static uint8_t hash_key[16];

static guint hash_peer(gconstpointer p)
{
    const struct veld_endpoint *e = p;
    uint8_t text[sizeof e->ip + sizeof e->port];
    memcpy(text, &e->ip, sizeof e->ip);
    memcpy(text + sizeof e->ip, &e->port, sizeof e->port);
    return (guint)veld_siphash(hash_key, text, sizeof text);
}

static gboolean equal_peers(gconstpointer a, gconstpointer b)
{
    const struct veld_endpoint *x = a, *y = b;
    return x->port == y->port && veld_ip_equal(&x->ip, &y->ip);
}

/* 0 when it is no socket any more. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;
    if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0)
        return 0;
    return cookie;
}

/* ---- Connections end ---- */

static void forget(struct veld_gate *g, struct connection *c)
{
    if (c->cookie == 0)
        return;
    if (g_hash_table_lookup(g->by_peer, &c->peer) == c)
        g_hash_table_remove(g->by_peer, &c->peer);
    veld_addresses_give(g->addresses, &c->peer.ip);
    veld_rising_end(g->rising, c->cookie);
    c->cookie = 0;
    g->stats.open--;
}

/* Forget those that are closed. */
static void look(struct veld_gate *g, uint64_t now_ns)
{
    g->last_look_ns = now_ns;
    pthread_mutex_lock(&g->lock);
    for (int fd = 0; fd <= g->top_fd; fd++) {
        struct connection *c = &g->by_fd[fd];
        if (c->cookie && cookie_of(fd) != c->cookie)
            forget(g, c);
        if (fd % LOOK_BATCH == 0) { /* calls must not wait for all of them */
            pthread_mutex_unlock(&g->lock);
            pthread_mutex_lock(&g->lock);
        }
    }
    veld_addresses_sweep(g->addresses, now_ns);
    pthread_mutex_unlock(&g->lock);
}

/* ---- Connections come ---- */

/* With the lock: 0, or why there is no place. */
static int admit(struct veld_gate *g, int fd, const struct veld_endpoint *peer, uint64_t now_ns)
{
    struct connection *c = &g->by_fd[fd];
    forget(g, c); /* what had this descriptor before is closed */
    if (g->stats.open >= g->limits.connections)
        return VELD_E_NOMEM;
    int rc = veld_addresses_take(g->addresses, &peer->ip, now_ns);
    if (rc < 0)
        return rc;
    *c = (struct connection){.cookie = cookie_of(fd), .peer = *peer, .window_ns = now_ns};
    g_hash_table_replace(g->by_peer, &c->peer, c);
    veld_rising_add(g->rising, c->cookie, now_ns);
    g->top_fd = VELD_MAX(g->top_fd, fd);
    g->stats.open++;
    g->stats.accepted++;
    return 0;
}

static int try_admit(struct veld_gate *g, int fd, const struct veld_endpoint *peer)
{
    uint64_t now_ns = veld_clock_mono_ns();
    if (fd >= g->n_fds)
        return VELD_E_NOMEM;
    pthread_mutex_lock(&g->lock);
    int rc = admit(g, fd, peer, now_ns);
    pthread_mutex_unlock(&g->lock);
    if (rc == 0 || rc == VELD_E_LIMIT || now_ns - g->last_look_ns < LOOK_SOON_NS)
        return rc;
    look(g, now_ns);
    pthread_mutex_lock(&g->lock);
    rc = admit(g, fd, peer, now_ns);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

static void refuse(struct veld_gate *g, int fd, const struct veld_endpoint *peer, int why)
{
    char text[VELD_ENDPOINT_STRLEN];
    pthread_mutex_lock(&g->lock);
    if (why == VELD_E_FULL)
        g->stats.refused_address++;
    else if (why == VELD_E_LIMIT)
        g->stats.refused_rate++;
    else
        g->stats.refused_full++;
    pthread_mutex_unlock(&g->lock);
    close(fd);
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "refused a connection from %s: %s",
                     veld_endpoint_format(peer, text),
                     why == VELD_E_FULL    ? "its address has as many as it may"
                     : why == VELD_E_LIMIT ? "its address opens them too fast"
                                           : "there are as many as may be");
}

/* So that what was sent and never acknowledged ends a connection as silence does. */
static void set_options(int fd)
{
    int one = 1;
    unsigned timeout_ms = (VELD_COORD_KEEPALIVE_S + VELD_COORD_DEAD_S) * 1000;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static void accepted(struct veld_gate *g, int fd, const struct veld_endpoint *peer)
{
    int rc = try_admit(g, fd, peer);
    if (rc < 0) {
        refuse(g, fd, peer, rc);
        return;
    }
    set_options(fd);
    g->take(g->ctx, fd, peer);
}

static bool is_busy(struct veld_gate *g, uint64_t now_ns)
{
    struct timespec t;
    if (now_ns - g->seen.at_ns < BUSY_WINDOW_NS)
        return g->seen.busy;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    uint64_t cpu_ns = (uint64_t)t.tv_sec * VELD_NS_PER_S + (uint64_t)t.tv_nsec;
    uint64_t all_ns = (now_ns - g->seen.at_ns) * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    g->seen.busy = (cpu_ns - g->seen.cpu_ns) * BUSY_PART > all_ns;
    g->seen.at_ns = now_ns;
    g->seen.cpu_ns = cpu_ns;
    return g->seen.busy;
}

/* While there is time for more, those who say nothing delay nobody. */
static bool may_accept(struct veld_gate *g)
{
    uint64_t now_ns = veld_clock_mono_ns();
    bool busy = is_busy(g, now_ns);
    pthread_mutex_lock(&g->lock);
    bool full = veld_rising_is_full(g->rising, now_ns);
    pthread_mutex_unlock(&g->lock);
    return !full || !busy;
}

static void accept_some(struct veld_gate *g, int listener)
{
    for (int i = 0; i < ACCEPTS_MAX && may_accept(g); i++) {
        struct sockaddr_storage sa;
        struct veld_endpoint peer;
        socklen_t len = sizeof sa;
        int fd = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (veld_endpoint_from_sockaddr((struct sockaddr *)&sa, len, &peer) == 0)
                accepted(g, fd, &peer);
            else
                close(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                             "cannot accept connections: %s", strerror(errno));
            usleep(FULL_REST_MS * 1000);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
        /* Anything else is the end of that one connection (accept(2)). */
    }
}

static void *run(void *ctx)
{
    struct veld_gate *g = ctx;
    struct pollfd p[VELD_LISTEN_SOCKETS_MAX + 1];
    size_t n = g->listeners->n;
    for (size_t i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = g->listeners->fds[i], .events = POLLIN};
    p[n] = (struct pollfd){.fd = g->stop, .events = POLLIN};
    for (;;) {
        bool rest = !may_accept(g);
        (void)poll(rest ? p + n : p, rest ? 1 : n + 1,
                   rest ? RISING_REST_MS : LOOK_NS / VELD_NS_PER_MS);
        if (p[n].revents)
            return NULL;
        for (size_t i = 0; i < n && !rest; i++) {
            if (p[i].revents)
                accept_some(g, p[i].fd);
        }
        uint64_t now_ns = veld_clock_mono_ns();
        if (now_ns - g->last_look_ns >= LOOK_NS)
            look(g, now_ns);
    }
}

/* ---- Calls ---- */

/* With the lock. The end comes as of any other. */
static void cut(struct veld_gate *g, struct connection *c, const char *why)
{
    char text[VELD_ENDPOINT_STRLEN];
    int fd = (int)(c - g->by_fd);
    if (c->is_cut || cookie_of(fd) != c->cookie)
        return;
    c->is_cut = true;
    shutdown(fd, SHUT_RDWR);
    g->stats.cut++;
    veld_addresses_blame(g->addresses, &c->peer.ip, veld_clock_mono_ns());
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "cut the connection from %s: %s",
                     veld_endpoint_format(&c->peer, text), why);
}

bool veld_gate_call_begin(struct veld_gate *g, const struct veld_endpoint *peer,
                          struct veld_gate_call *out)
{
    bool ok = true;
    *out = (struct veld_gate_call){.cookie = 0};
    pthread_mutex_lock(&g->lock);
    struct connection *c = g_hash_table_lookup(g->by_peer, peer);
    if (c) {
        *out = (struct veld_gate_call){(int)(c - g->by_fd), c->cookie};
        /*
         * HTTP/2 holds only those to the limit who have confirmed that they know it. An answer
         * that has left makes room for the next call before its end is counted here: hence more.
         */
        ok = ++c->calls <= CALLS_PER_STREAM * (uint64_t)g->limits.streams;
        if (!ok)
            cut(g, c, "more calls at once than it may have");
    }
    pthread_mutex_unlock(&g->lock);
    return ok;
}

static void count_waste(struct veld_gate *g, struct connection *c)
{
    uint64_t now_ns = veld_clock_mono_ns();
    if (now_ns - c->window_ns > WASTE_WINDOW_NS) {
        c->window_ns = now_ns;
        c->wasted = 0;
    }
    if (++c->wasted == WASTE_MAX)
        cut(g, c, "too many calls given up");
}

void veld_gate_call_end(struct veld_gate *g, struct veld_gate_call call, enum veld_gate_end how)
{
    if (call.cookie == 0)
        return;
    pthread_mutex_lock(&g->lock);
    struct connection *c = &g->by_fd[call.fd];
    if (c->cookie == call.cookie && c->calls > 0) {
        c->calls--;
        if (how == VELD_GATE_WASTED)
            count_waste(g, c);
    }
    pthread_mutex_unlock(&g->lock);
}

void veld_gate_up(struct veld_gate *g, const struct veld_endpoint *peer)
{
    pthread_mutex_lock(&g->lock);
    struct connection *c = g_hash_table_lookup(g->by_peer, peer);
    if (c)
        veld_rising_end(g->rising, c->cookie);
    pthread_mutex_unlock(&g->lock);
}

void veld_gate_blame(struct veld_gate *g, const struct veld_ip *peer)
{
    pthread_mutex_lock(&g->lock);
    veld_addresses_blame(g->addresses, peer, veld_clock_mono_ns());
    pthread_mutex_unlock(&g->lock);
}

void veld_gate_get_stats(struct veld_gate *g, struct veld_gate_stats *out)
{
    pthread_mutex_lock(&g->lock);
    *out = g->stats;
    pthread_mutex_unlock(&g->lock);
}

/* ---- Start and end ---- */

static int make_tables(struct veld_gate *g)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return VELD_E_IO;
    g->n_fds = r.rlim_cur > FDS_MAX ? FDS_MAX : (int)r.rlim_cur;
    if (veld_is_zero(hash_key, sizeof hash_key))
        veld_random(hash_key, sizeof hash_key);
    g->by_fd = calloc((size_t)g->n_fds, sizeof *g->by_fd); /* memory only where it is used */
    if (!g->by_fd || veld_addresses_new(&g->addresses, 2 * (size_t)g->limits.connections,
                                        g->limits.connections_per_address) < 0)
        return VELD_E_NOMEM;
    g->by_peer = g_hash_table_new(hash_peer, equal_peers);
    g->rising = veld_rising_new();
    g->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return g->stop < 0 ? VELD_E_IO : 0;
}

int veld_gate_open(struct veld_gate **out, const struct veld_listeners *listeners,
                   const struct veld_coord_limits *limits, veld_gate_take_fn *take, void *ctx,
                   struct veld_diag *diag)
{
    struct veld_gate *g = calloc(1, sizeof *g);
    if (!g)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    *g = (struct veld_gate){
        .listeners = listeners, .limits = *limits, .take = take, .ctx = ctx, .stop = -1};
    pthread_mutex_init(&g->lock, NULL);
    int rc = make_tables(g);
    *out = g; /* before there is somebody to be told of */
    if (rc == 0 && pthread_create(&g->thread, NULL, run, g) != 0)
        rc = VELD_E_NOMEM;
    if (rc < 0) {
        veld_fail(diag, rc, "cannot accept connections: %s", veld_strerror(rc));
        *out = NULL;
        veld_gate_close(g);
        return rc;
    }
    g->runs = true;
    return 0;
}

void veld_gate_shut(struct veld_gate *g)
{
    uint64_t one = 1;
    if (!g->runs)
        return;
    ssize_t ignored = write(g->stop, &one, sizeof one);
    (void)ignored; /* an eventfd at zero takes it */
    pthread_join(g->thread, NULL);
    g->runs = false;
}

void veld_gate_close(struct veld_gate *g)
{
    if (!g)
        return;
    veld_gate_shut(g);
    if (g->by_peer)
        g_hash_table_destroy(g->by_peer);
    veld_addresses_free(g->addresses);
    veld_rising_free(g->rising);
    free(g->by_fd);
    if (g->stop >= 0)
        close(g->stop);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
