/*
 * Which certificate a server must show, and which it showed.
 *
 * Pinned: the certificate's fingerprint is all that counts. TLS proves that the
 * server has its key; that nobody else's certificate passes is a comparison of
 * SHA-256 over the certificate as shown. Chain, names, dates and whether the
 * certificate may sign others play no part, so a pinned CA vouches for nobody.
 *
 * By CA: OpenSSL verifies the chain up to the CAs given, and the host's name. The
 * one that was taken last is the one that signatures of calls name.
 *
 * Threads: gRPC asks on threads of its own, also after the client was closed; so
 * it is counted, and locked.
 */
#ifndef VELD_RPC_CLIENT_PIN_H
#define VELD_RPC_CLIENT_PIN_H

#include "rpc/address.h"
#include "rpc/client_grpc.h"
#include "rpc/client.h"

struct veld_rpc_pin;

/* NULL when out of memory. */
struct veld_rpc_pin *veld_rpc_pin_new(const struct veld_rpc_server *server,
                                      const struct veld_rpc_address *host);
void veld_rpc_pin_unref(struct veld_rpc_pin *p);
/* TLS that goes by it; holds a reference. The caller releases. */
grpc_channel_credentials *veld_rpc_pin_credentials(struct veld_rpc_pin *p);

/* What signatures of calls have to name at present. */
void veld_rpc_pin_certificate(struct veld_rpc_pin *p, uint8_t certificate[32]);
/*
 * Was the last one that was shown refused? Then why, with what to do, in `diag`.
 * False: it was taken, or none was shown yet.
 */
bool veld_rpc_pin_refused(struct veld_rpc_pin *p, const char *address, struct veld_diag *diag);
/* What a refusal is called where gRPC tells of it. */
#define VELD_RPC_PIN_REFUSAL "veld takes no other certificate"

#endif
