/*
 * http2_filter.h on everything that gRPC reads from a client.
 *
 * gRPC shows nobody what it has decrypted. It calls OpenSSL's SSL_read for it,
 * in another library, and so by name: this program has a function of that name,
 * which asks OpenSSL's and looks at what came before gRPC does. On a fault it
 * says that the connection is broken.
 *
 * Invariant: of a server's connections only those are read that were made
 * between two calls of veld_tls_filter_peer, on that thread.
 *
 * Order of calls: install, once, before gRPC starts; peer around the hand-over of
 * each connection. The rest: any thread.
 */
#ifndef VELD_COORD_TLS_FILTER_H
#define VELD_COORD_TLS_FILTER_H

#include "base/addr.h"
#include "base/err.h"
#include "coord/http2_filter.h"

/* On the thread that reads the connection. */
struct veld_tls_filter_ops {
    void *ctx;
    void (*up)(void *ctx,
               const struct veld_endpoint *peer);         /* the first it said over TLS is in */
    void (*fault)(void *ctx, const struct veld_ip *peer); /* it is broken off */
};

/* VELD_E_UNSUPPORTED: what gRPC calls would not be this one. Serving without it is not for strangers. */
VELD_MUST_USE int veld_tls_filter_install(const struct veld_tls_filter_ops *ops,
                                          struct veld_diag *diag);
/* Whose connection this thread is about to make; NULL: it is made. */
void veld_tls_filter_peer(const struct veld_endpoint *peer);

/* Connections broken off, by fault. */
void veld_tls_filter_get_faults(uint64_t out[VELD_HTTP2_FAULTS]);

#endif
