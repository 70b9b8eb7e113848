#include "coord/tls_filter.h"

#include "base/clock.h"
#include "base/log.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>

#define GATHERED_MAX (256u << 20) /* bytes of all requests that are not whole */

/* Of one connection. */
struct state {
    struct veld_http2_filter filter;
    struct veld_endpoint peer;
    bool is_up;
};

typedef int read_fn(SSL *ssl, void *buf, int num);
/* OpenSSL's; written before main, so that a client in this program reads as ever. */
static read_fn *next_read;

/* Written by install, before gRPC starts. */
static int state_index = -1;
static struct veld_tls_filter_ops told;

/* Whose connection this thread makes. */
static _Thread_local const struct veld_endpoint *making;

/* Counts, by whichever thread reads; nothing is published by them. */
static _Atomic uint64_t faults[VELD_HTTP2_FAULTS];
static _Atomic uint64_t gathered; /* of all connections: parts of requests that are not whole */

/* ---- A connection's state ---- */

void veld_tls_filter_peer(const struct veld_endpoint *peer)
{
    making = peer;
}

/* OpenSSL has made a connection. */
static void make_state(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                       void *argp)
{
    struct state *s = making ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return;
    s->peer = *making;
    SSL_set_mode(parent, SSL_MODE_RELEASE_BUFFERS); /* most are idle most of the time */
    if (!CRYPTO_set_ex_data(ad, idx, s))
        free(s);
}

static void free_state(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                       void *argp)
{
    struct state *s = ptr;
    if (s)
        atomic_fetch_sub_explicit(&gathered, s->filter.gathered, memory_order_relaxed);
    free(s);
}

/* ---- What it reads ---- */

/* The filter, and the bound that is common to all. */
static enum veld_http2_fault filter(struct veld_http2_filter *f, const void *p, size_t len)
{
    uint32_t before = f->gathered;
    enum veld_http2_fault fault = veld_http2_filter(f, p, len, veld_clock_mono_ns());
    uint64_t all = atomic_fetch_add_explicit(&gathered, (uint64_t)f->gathered - before,
                                             memory_order_relaxed);
    if (!fault && f->gathered > before && all + f->gathered - before > GATHERED_MAX)
        f->fault = fault = VELD_HTTP2_DATA;
    return fault;
}

static void tell(const struct state *s, enum veld_http2_fault fault)
{
    char text[VELD_ENDPOINT_STRLEN];
    atomic_fetch_add_explicit(&faults[fault], 1, memory_order_relaxed);
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                     "broke off the connection from %s for what it sent: %s",
                     veld_endpoint_format(&s->peer, text), veld_http2_fault_name(fault));
    told.fault(told.ctx, &s->peer.ip);
}

/* As OpenSSL says that something is wrong with a connection. */
static int broken(void)
{
    ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
    return -1;
}

/* In place of OpenSSL's, for gRPC's library (tls_filter.h). */
__attribute__((visibility("default"))) int SSL_read(SSL *ssl, void *buf, int num)
{
    int n = next_read(ssl, buf, num);
    if (n <= 0 || !SSL_is_server(ssl))
        return n;
    struct state *s = SSL_get_ex_data(ssl, state_index);
    if (!s || s->filter.fault)
        return broken();
    if (!s->is_up)
        told.up(told.ctx, &s->peer);
    s->is_up = true;
    enum veld_http2_fault fault = filter(&s->filter, buf, (size_t)n);
    if (!fault)
        return n;
    tell(s, fault);
    return broken();
}

/* ---- Start ---- */

__attribute__((constructor)) static void find_next(void)
{
    next_read = (read_fn *)dlsym(RTLD_NEXT, "SSL_read"); /* POSIX: functions as data */
}

int veld_tls_filter_install(const struct veld_tls_filter_ops *ops, struct veld_diag *diag)
{
    told = *ops;
    if (state_index < 0)
        state_index = SSL_get_ex_new_index(0, NULL, make_state, NULL, free_state);
    if (!next_read || dlsym(RTLD_DEFAULT, "SSL_read") != (void *)SSL_read || state_index < 0)
        return veld_fail(
            diag, VELD_E_UNSUPPORTED,
            "gRPC cannot be kept from what strangers may send: its library does "
            "not use the system's OpenSSL; build veld-coord with Debian's libgrpc");
    return 0;
}

void veld_tls_filter_get_faults(uint64_t out[VELD_HTTP2_FAULTS])
{
    for (int i = 0; i < VELD_HTTP2_FAULTS; i++)
        out[i] = atomic_load_explicit(&faults[i], memory_order_relaxed);
}
