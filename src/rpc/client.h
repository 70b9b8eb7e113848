/*
 * A client of the coord server: one TLS connection (gRPC C core), calls on it,
 * each signed by the caller's key. The only include of gRPC outside src/coord.
 *
 * Invariants:
 *  - nothing is sent before the server has shown the certificate that is
 *    pinned (or one that the CA file vouches for, for that host);
 *  - each callback comes exactly once for a call, on the client's own thread,
 *    which it must not hold up for long;
 *  - what a server says of an error is cut to VELD_RPC_TEXT_MAX and cleared of
 *    control characters before anybody sees it.
 *
 * Order of calls: open, (call | stream)*, close. Calls may be started from any
 * thread, callbacks too; close from one that is not the client's. It ends what
 * is open, and all callbacks have returned when it does.
 *
 * Reconnecting is gRPC's, at once when a call is made: it waits for the attempt
 * under way and fails when that does. While the last attempt has failed, a call
 * fails with why it did, and starts another. Who wants to stay connected tries
 * again, less and less often.
 *
 * The first open loads gRPC, which stays (client_grpc.h) with seven threads of its
 * own: they have the rights of the thread that opens, so drop those before. The
 * process must not fork without exec while a client is open, nor exit: what gRPC
 * still does would have OpenSSL taken from under it.
 */
#ifndef VELD_RPC_CLIENT_H
#define VELD_RPC_CLIENT_H

#include "base/err.h"
#include "trust/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_RPC_TEXT_MAX    256
#define VELD_RPC_MESSAGE_MAX (1u << 20) /* bytes, either way */

/* The server, and how it is known. What is pointed at is copied. */
struct veld_rpc_server {
    const char *address; /* HOST:PORT */
    /*
     * SHA-256 of the server's certificate (DER), which signatures of calls name. Pinned: no
     * other passes. By CA it is the one seen last, and what is shown at connecting counts.
     */
    uint8_t certificate[32];
    const char *ca; /* PEM of CAs to go by; NULL: go by the pinned certificate */
};

/*
 * Ask a server for its certificate over TLS, and nothing else: for a first look
 * (`veld login`). `ca` NULL: take any; else it must vouch for it and the host's name.
 * `*pem` is the caller's to free. Blocks, at most `timeout_ms`.
 * VELD_E_IO (unreachable, refused, no TLS, no HTTP/2), VELD_E_AUTH, VELD_E_FORMAT (bad address).
 */
VELD_MUST_USE int veld_rpc_probe(const char *address, const char *ca, int timeout_ms,
                                 uint8_t certificate[32], char **pem, struct veld_diag *diag);
/* "SHA256:" and 43 characters of base64 without padding, as ssh shows keys. */
#define VELD_CERTIFICATE_STRLEN 51
char *veld_certificate_format(const uint8_t certificate[32], char out[VELD_CERTIFICATE_STRLEN]);
/* That form, or 64 hex digits. VELD_E_FORMAT. */
VELD_MUST_USE int veld_certificate_parse(const char *text, uint8_t certificate[32]);

struct veld_rpc_client;
VELD_MUST_USE int veld_rpc_open(struct veld_rpc_client **out,
                                const struct veld_rpc_server *server, struct veld_diag *diag);
void veld_rpc_close(struct veld_rpc_client *c); /* NULL is allowed */
/* HOST:PORT as given; borrowed. */
const char *veld_rpc_address(const struct veld_rpc_client *c);

/* Who signs: an identity or an owner's key. Borrowed for the call. */
struct veld_rpc_key {
    const uint8_t *seed; /* 32 bytes */
    const uint8_t *pub;
};

/* How a call ended. */
struct veld_rpc_result {
    int status;           /* grpc_status_code; 0: OK */
    int err;              /* 0, or the veld_err that goes with it (client_status.c) */
    const char *text;     /* "", or the sentence for people; borrowed for the callback */
    const uint8_t *reply; /* borrowed for the callback */
    size_t len;
};
typedef void veld_rpc_done_fn(void *ctx, const struct veld_rpc_result *r);

/*
 * "RegisterMember" of service veld.coord.v1.Coord with an encoded message, copied.
 * `key` NULL: unsigned (Hello). 0: `done` will be called, maybe before this returns.
 * VELD_E_INVAL (too long, no time), VELD_E_FULL (256 are under way), VELD_E_STATE (closing).
 */
VELD_MUST_USE int veld_rpc_call(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                                const char *method, const void *body, size_t len,
                                int timeout_ms, veld_rpc_done_fn *done, void *ctx);

/*
 * The same and wait: 0 and the reply, or an error with its sentence in `diag`. By CA,
 * a server whose certificate was renewed is asked once more with a signature that names it.
 */
VELD_MUST_USE int veld_rpc_call_wait(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                                     const char *method, const void *body, size_t len,
                                     int timeout_ms, struct veld_blob *reply,
                                     struct veld_diag *diag);

/*
 * A server's stream: `message` for each, then `done` (without a reply) once. It has no
 * deadline; that the connection is alive is asked every 30 s. `*stream` is never 0 nor used
 * again, and is written before the first callback.
 */
typedef void veld_rpc_message_fn(void *ctx, const uint8_t *message, size_t len);
VELD_MUST_USE int veld_rpc_stream(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                                  const char *method, const void *body, size_t len,
                                  veld_rpc_message_fn *message, veld_rpc_done_fn *done,
                                  void *ctx, uint64_t *stream);
/* Ends it early; `done` still comes. Nothing happens when it has ended already. Any thread. */
void veld_rpc_stream_cancel(struct veld_rpc_client *c, uint64_t stream);

#endif
