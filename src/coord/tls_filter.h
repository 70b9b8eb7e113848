/*
 * http2_filter.h on everything that gRPC reads from a client.
 *
 * gRPC shows nobody what it has decrypted. It calls OpenSSL's SSL_read for it,
 * in another library, and so by name: this program has a function of that name,
 * which asks OpenSSL's and looks at what came before gRPC does. On a fault it
 * says that the connection is broken.
 *
 * Order of calls: install, once, before gRPC starts. Counting: any thread.
 */
#ifndef VELD_COORD_TLS_FILTER_H
#define VELD_COORD_TLS_FILTER_H

#include "base/err.h"
#include "coord/http2_filter.h"

/* VELD_E_UNSUPPORTED: what gRPC calls would not be this one. Serving without it is not for strangers. */
VELD_MUST_USE int veld_tls_filter_install(struct veld_diag *diag);

/* Connections broken off, by fault. */
void veld_tls_filter_get_faults(uint64_t out[VELD_HTTP2_FAULTS]);

#endif
