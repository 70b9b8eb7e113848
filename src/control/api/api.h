/*
 * The local API: HTTP (libmicrohttpd) over a Unix socket, JSON (jansson).
 * Only root, the daemon's own user, and members of the socket's group may
 * connect; peer credentials are checked at every request.
 *
 *   GET  /v1/status   everything `veld status --json` prints
 *   GET  /v1/version
 *   GET  /v1/pubkey
 *   POST /v1/ping     {"peer": "machine-b"} -> {"name": "machine-b", "ip": "10.0.0.2",
 *                     "rtt_us": ..., "path": "direct 1.2.3.4:51820"}, 504 when no answer came,
 *                     409 when the peer was removed or blocked meanwhile
 *   POST /v1/rekey    {"peer": "machine-b"}, or {} for all that have a session -> {"peers":
 *                     [{"name": "machine-b", "ip": "10.0.0.2", "took_us": ...}]}, with "error"
 *                     in place of "took_us" where it failed
 *   POST /v1/netcheck {} -> {"version": 1, "udp": true, false or null (nobody to ask), "reach" as
 *                     in the status, "stun_servers": [{"address", "answered", "mapped", "rtt_us"}],
 *                     "paths": [{"peer", "mtu", "known"}]}; of the reach, "port_mapping":
 *                     {"method": "natpmp" or "upnp", "mapped": "1.2.3.4:51820", "reason": null},
 *                     or both null and the reason why there is none
 *   GET  /v1/trust    {"pins": [{"name", "pubkey", "addresses", "since"}]}: whose key is pinned; with
 *                     "blocked": "key changed" whoever shows another. In LAN mode also "pending":
 *                     [{"name", "pubkey", "fingerprint", "endpoints", "since"}], found and not trusted
 *   POST /v1/trust/accept {"name": "machine-b"} -> {"name", "pubkey"}: pin the key it shows
 *   POST /v1/trust/forget {"name": "machine-b"} -> {"name", "pending": it is no peer any more}
 *   POST /v1/network/reload {}: settings and membership from their files; 409: needs a restart
 *   POST /v1/down     stop the daemon; answered before it stops
 *
 * Control thread, on the default GLib main context. No handler blocks.
 */
#ifndef VELD_CONTROL_API_API_H
#define VELD_CONTROL_API_API_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define VELD_API_BODY_MAX        4096
#define VELD_API_CONNECTIONS_MAX 32

struct veld_api;
struct veld_api_request; /* one that waits for its answer */

/* What the API asks of the daemon; `ctx` is passed through. */
struct veld_api_ops {
    void *ctx;
    json_t *(*status)(void *ctx); /* a new reference */
    const char *(*pubkey)(void *ctx);
    /*
     * Start a ping; answer it later, exactly once, with veld_api_reply, from the
     * same thread. A negative error (with its sentence in `diag`) refuses at once.
     */
    int (*ping)(void *ctx, const char *peer, struct veld_api_request *req,
                struct veld_diag *diag);
    /* The same for new session keys; `peer` NULL: with all that have a session. */
    int (*rekey)(void *ctx, const char *peer, struct veld_api_request *req,
                 struct veld_diag *diag);
    /* The same for a look at this machine's reach. */
    int (*netcheck)(void *ctx, struct veld_api_request *req, struct veld_diag *diag);
    /* Each answers at once, with a new reference in `*out`. */
    int (*trust)(void *ctx, json_t **out, struct veld_diag *diag);
    int (*trust_accept)(void *ctx, const char *name, json_t **out, struct veld_diag *diag);
    int (*trust_forget)(void *ctx, const char *name, json_t **out, struct veld_diag *diag);
    int (*network_reload)(void *ctx, json_t **out, struct veld_diag *diag);
    /* Called once the answer has left. Must not stop the API itself: leave the main loop first. */
    void (*down)(void *ctx);
};

/*
 * Listen on `path` (directory made 0755 if missing; a stale socket of a dead
 * daemon is replaced, a live one is VELD_E_EXIST). Socket mode 0660.
 */
VELD_MUST_USE int veld_api_start(struct veld_api **out, const char *path,
                                 const struct veld_api_ops *ops, struct veld_diag *diag);
/*
 * Unlinks the socket; NULL is allowed. Requests that still wait are told so; a
 * veld_api_reply owed to one may come before or after, and then only frees it.
 */
void veld_api_stop(struct veld_api *a);

/* Answer a waiting request with `body` (reference taken over) and an HTTP status. */
void veld_api_reply(struct veld_api_request *req, unsigned http_status, json_t *body);

/*
 * Routing and argument checks without HTTP, for tests and fuzzing: 200 with a
 * body, 202 when `req` will be answered later, or 4xx with {"error": ...}.
 */
unsigned veld_api_handle(const struct veld_api_ops *ops, const char *method, const char *url,
                         const char *body, size_t len, struct veld_api_request *req,
                         json_t **out);

#endif
