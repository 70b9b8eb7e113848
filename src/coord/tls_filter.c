#include "coord/tls_filter.h"

#include "base/clock.h"
#include "base/log.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef int read_fn(SSL *ssl, void *buf, int num);
static read_fn *next_read; /* OpenSSL's; written by install, before any thread reads it */
static int state_index = -1;
static _Atomic uint64_t
    faults[VELD_HTTP2_FAULTS]; /* written by whichever thread reads; a count */

static void free_state(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                       void *argp)
{
    free(ptr);
}

/* A connection's, made on its first read; NULL: out of memory. */
static struct veld_http2_filter *state_of(SSL *ssl)
{
    struct veld_http2_filter *f = SSL_get_ex_data(ssl, state_index);
    if (f || !(f = calloc(1, sizeof *f)))
        return f;
    if (SSL_set_ex_data(ssl, state_index, f))
        return f;
    free(f);
    return NULL;
}

/* As OpenSSL says that something is wrong with a connection. */
static int broken(enum veld_http2_fault fault)
{
    atomic_fetch_add_explicit(&faults[fault], 1, memory_order_relaxed);
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                     "broke off a connection for what it sent: %s",
                     veld_http2_fault_name(fault));
    ERR_raise_data(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT, "HTTP/2: %s",
                   veld_http2_fault_name(fault));
    return -1;
}

/* In place of OpenSSL's, for gRPC's library (tls_filter.h). */
__attribute__((visibility("default"))) int SSL_read(SSL *ssl, void *buf, int num)
{
    int n = next_read(ssl, buf, num);
    if (n <= 0 || !SSL_is_server(ssl))
        return n;
    struct veld_http2_filter *f = state_of(ssl);
    if (!f)
        return broken(VELD_HTTP2_FRAME);
    enum veld_http2_fault before = f->fault;
    enum veld_http2_fault fault = veld_http2_filter(f, buf, (size_t)n, veld_clock_mono_ns());
    if (!fault)
        return n;
    if (before) { /* told already */
        ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
        return -1;
    }
    return broken(fault);
}

int veld_tls_filter_install(struct veld_diag *diag)
{
    if (next_read)
        return 0;
    /* POSIX has dlsym return functions as data. */
    void *found = dlsym(RTLD_DEFAULT, "SSL_read"), *next = dlsym(RTLD_NEXT, "SSL_read");
    state_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_state);
    if (!next || found != (void *)SSL_read || state_index < 0)
        return veld_fail(
            diag, VELD_E_UNSUPPORTED,
            "gRPC cannot be kept from what strangers may send: its library does not "
            "use the system's OpenSSL; build veld-coord with Debian's libgrpc");
    next_read = (read_fn *)next;
    return 0;
}

void veld_tls_filter_get_faults(uint64_t out[VELD_HTTP2_FAULTS])
{
    for (int i = 0; i < VELD_HTTP2_FAULTS; i++)
        out[i] = atomic_load_explicit(&faults[i], memory_order_relaxed);
}
