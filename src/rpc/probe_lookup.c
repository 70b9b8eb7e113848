#include "rpc/probe_lookup.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t told;
    struct veld_rpc_address address;
    struct addrinfo *list; /* the asker's, once it has taken it */
    int rc;
    bool over, left; /* each side's last word; who speaks second frees */
};

static void free_lookup(struct lookup *l)
{
    if (l->list)
        freeaddrinfo(l->list);
    pthread_cond_destroy(&l->told);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void *run(void *ctx)
{
    struct lookup *l = ctx;
    const struct addrinfo want = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (l->address.is_literal ? AI_NUMERICHOST : AI_ADDRCONFIG)};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(l->address.host, l->address.port, &want, &list);
    pthread_mutex_lock(&l->lock);
    l->rc = rc;
    l->list = list;
    l->over = true;
    bool left = l->left;
    pthread_cond_signal(&l->told);
    pthread_mutex_unlock(&l->lock);
    if (left)
        free_lookup(l);
    return NULL;
}

/* A thread that nobody waits for, and that takes no signals. */
static int spawn(struct lookup *l)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_detach(thread);
    return rc;
}

static bool wait_until(struct lookup *l, uint64_t until_ns)
{
    uint64_t now_ns = veld_clock_mono_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t at_ns = (uint64_t)at.tv_nsec + left_ns;
    at.tv_sec += (time_t)(at_ns / VELD_NS_PER_S);
    at.tv_nsec = (long)(at_ns % VELD_NS_PER_S);
    int rc = 0;
    while (!l->over && rc != ETIMEDOUT)
        rc = pthread_cond_clockwait(&l->told, &l->lock, CLOCK_MONOTONIC, &at);
    return l->over;
}

static int outcome(const struct lookup *l, bool over, struct veld_diag *diag)
{
    if (over && l->rc == 0)
        return 0;
    return veld_fail(
        diag, VELD_E_IO,
        "the host %s of the coord server cannot be looked up (%s): check its name, "
        "and this machine's DNS",
        l->address.host, over ? gai_strerror(l->rc) : "no answer in time");
}

int veld_rpc_lookup(const struct veld_rpc_address *a, uint64_t until_ns, struct addrinfo **list,
                    struct veld_diag *diag)
{
    struct lookup *l = calloc(1, sizeof *l);
    *list = NULL;
    if (!l)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for looking up %s", a->host);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->told, NULL);
    l->address = *a;
    int rc = spawn(l);
    if (rc != 0) {
        free_lookup(l);
        return veld_fail(diag, VELD_E_IO, "cannot start a thread that looks up %s: %s", a->host,
                         strerror(rc));
    }
    pthread_mutex_lock(&l->lock);
    bool over = wait_until(l, until_ns);
    rc = outcome(l, over, diag);
    if (rc == 0) {
        *list = l->list;
        l->list = NULL;
    }
    l->left = true;
    pthread_mutex_unlock(&l->lock);
    if (over)
        free_lookup(l);
    return rc;
}
