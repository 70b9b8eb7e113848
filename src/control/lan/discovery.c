#include "control/lan/discovery.h"

#include "base/bytes.h"
#include "base/log.h"
#include "control/host/program.h"
#include "control/mesh/hash.h"
#include "crypto/identity.h"

#include <errno.h>
#include <glib-unix.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER          "veld-mdns"
#define GOODBYE_MS      500
#define REPORTS_AT_ONCE 32
#define AGAIN_S_MIN     1
#define AGAIN_S_MAX     60
#define LIVED_S         300 /* after as long its end is nothing that goes on */

struct veld_lan_discovery {
    struct veld_lan_discovery_config cfg;
    char listen[VELD_ENDPOINT_STRLEN], pub[VELD_PUBKEY_STRLEN], without[IF_NAMESIZE];
    pid_t pid; /* 0: none runs */
    int fd;
    guint source, again;
    unsigned again_s;
    gint64 started_us;
    GHashTable *told; /* P of those that are not gone; owned */
};

/* ---- What the helper says ---- */

static void tell_gone(struct veld_lan_discovery *d)
{
    GHashTableIter i;
    gpointer pub;
    g_hash_table_iter_init(&i, d->told);
    while (g_hash_table_iter_next(&i, &pub, NULL))
        d->cfg.on_device(d->cfg.ctx, pub, NULL, 0);
    g_hash_table_remove_all(d->told);
}

static void on_report(struct veld_lan_discovery *d, const struct veld_lan_report *r)
{
    if (r->n == 0) {
        if (g_hash_table_remove(d->told, r->pub))
            d->cfg.on_device(d->cfg.ctx, r->pub, NULL, 0);
        return;
    }
    if (!g_hash_table_contains(d->told, r->pub)) {
        if (g_hash_table_size(d->told) == VELD_LAN_DEVICES_MAX)
            return;
        g_hash_table_add(d->told, g_memdup2(r->pub, sizeof r->pub));
    }
    d->cfg.on_device(d->cfg.ctx, r->pub, r->at, r->n);
}

static int start_helper(struct veld_lan_discovery *d, struct veld_diag *diag);

static gboolean on_again(gpointer data)
{
    struct veld_lan_discovery *d = data;
    struct veld_diag diag;
    d->again = 0;
    if (start_helper(d, &diag) < 0)
        veld_error("%s; LAN discovery ends", diag.text);
    return G_SOURCE_REMOVE;
}

/* It ends when its socket does, having said goodbye; or it is made to. Its status, as of waitpid. */
static int end_helper(struct veld_lan_discovery *d)
{
    int status = 0;
    if (d->source)
        g_source_remove(d->source);
    if (d->fd >= 0)
        close(d->fd);
    if (d->pid > 0)
        status = veld_program_end(d->pid, GOODBYE_MS);
    d->source = 0;
    d->fd = -1;
    d->pid = 0;
    return status;
}

static void on_helper_end(struct veld_lan_discovery *d)
{
    int status = end_helper(d);
    if (g_get_monotonic_time() - d->started_us > LIVED_S * G_USEC_PER_SEC)
        d->again_s = AGAIN_S_MIN;
    veld_warn("LAN discovery: " HELPER " ended (%s %d); it is started again in %u s",
              WIFSIGNALED(status) ? "signal" : "exit status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), d->again_s);
    d->again = g_timeout_add_seconds(d->again_s, on_again, d);
    d->again_s = VELD_MIN(2 * d->again_s, AGAIN_S_MAX);
    tell_gone(d);
}

static gboolean on_helper(gint fd, GIOCondition condition, gpointer data)
{
    struct veld_lan_discovery *d = data;
    for (unsigned i = 0; i < REPORTS_AT_ONCE; i++) {
        struct veld_lan_report r;
        ssize_t n = recv(fd, &r, sizeof r, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return G_SOURCE_CONTINUE;
        if (n <= 0 || !veld_lan_report_is_sound(&r, (size_t)n)) {
            d->source = 0; /* by what is returned */
            on_helper_end(d);
            return G_SOURCE_REMOVE;
        }
        on_report(d, &r);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- Start, stop ---- */

static int start_helper(struct veld_lan_discovery *d, struct veld_diag *diag)
{
    const char *const argv[] = {d->listen, d->pub, d->without, NULL};
    struct veld_diag why;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return veld_fail(diag, VELD_E_IO, "LAN discovery: no socket for " HELPER ": %s",
                         strerror(errno));
    const int fds[] = {pair[1], STDOUT_FILENO, STDERR_FILENO};
    int rc = veld_program_start(&d->pid, HELPER, argv, fds, &why);
    close(pair[1]);
    if (rc < 0) {
        close(pair[0]);
        d->pid = 0;
        return veld_fail(diag, rc == VELD_E_NOENT ? VELD_E_UNSUPPORTED : rc,
                         "[mdns] is enabled, but %.500s; install it beside veld-daemon (it is "
                         "built with -Dmdns=enabled), or disable [mdns]",
                         why.text);
    }
    d->fd = pair[0];
    d->started_us = g_get_monotonic_time();
    d->source = g_unix_fd_add(d->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_helper, d);
    return 0;
}

int veld_lan_discovery_start(struct veld_lan_discovery **out,
                             const struct veld_lan_discovery_config *cfg,
                             struct veld_diag *diag)
{
    struct veld_lan_discovery *d = calloc(1, sizeof *d);
    if (!d)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    d->cfg = *cfg;
    d->fd = -1;
    d->again_s = AGAIN_S_MIN;
    d->told = g_hash_table_new_full(veld_hash_key, veld_same_key, g_free, NULL);
    veld_endpoint_format(&cfg->listen, d->listen);
    snprintf(d->without, sizeof d->without, "%s", cfg->without);
    veld_pubkey_format(cfg->pub, d->pub);
    int rc = start_helper(d, diag);
    if (rc < 0) {
        veld_lan_discovery_stop(d);
        return rc;
    }
    *out = d;
    return 0;
}

void veld_lan_discovery_stop(struct veld_lan_discovery *d)
{
    if (!d)
        return;
    if (d->again)
        g_source_remove(d->again);
    end_helper(d);
    g_hash_table_unref(d->told);
    free(d);
}
