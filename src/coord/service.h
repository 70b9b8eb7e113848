/*
 * The coord server without its network: requests in, replies out, watchers told
 * what changed. It knows no gRPC, no socket and no clock.
 *
 * Invariants:
 *  - a call is answered only after its caller's signature, time and nonce were
 *    proved (Hello and the health service aside), and changes nothing otherwise;
 *  - what a reply says was done is durable: the caller of this header sends
 *    replies only after veld_service_commit, and on its failure sends the
 *    status given there instead;
 *  - a watcher loses nothing: it is told everything after its revision, in
 *    order, or told to reset;
 *  - every table is bounded.
 *
 * Order of calls: open, (call* | watch_open* | watch_next* | tick)* commit, ... close.
 * One turn of the server's loop handles what has come, commits once, and then
 * sends: that is how a thousand registrations share one fsync.
 * Thread: one, the server's loop.
 */
#ifndef VELD_COORD_SERVICE_H
#define VELD_COORD_SERVICE_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "coord/host.h"
#include "coord/store.h"
#include "trust/trust.h"

/* How a call ends, in gRPC's codes (grpc/status.h), which are part of the API. */
enum veld_coord_code {
    VELD_CODE_OK = 0,
    VELD_CODE_INVALID_ARGUMENT = 3,
    VELD_CODE_DEADLINE_EXCEEDED = 4,
    VELD_CODE_NOT_FOUND = 5,
    VELD_CODE_ALREADY_EXISTS = 6,
    VELD_CODE_PERMISSION_DENIED = 7,
    VELD_CODE_RESOURCE_EXHAUSTED = 8,
    VELD_CODE_FAILED_PRECONDITION = 9,
    VELD_CODE_ABORTED = 10,
    VELD_CODE_UNIMPLEMENTED = 12,
    VELD_CODE_INTERNAL = 13,
    VELD_CODE_UNAVAILABLE = 14,
    VELD_CODE_UNAUTHENTICATED = 16,
};
#define VELD_CODE_TEXT_MAX 256
struct veld_coord_status {
    enum veld_coord_code code;
    char text[VELD_CODE_TEXT_MAX]; /* for people; what happened, why, what to do */
};

/* How often: so many at once, and so many an hour from then on. burst 0: as often as one likes. */
struct veld_rate {
    uint32_t burst;
    uint32_t per_hour;
};
/* What the server bounds whoever asks; what an account may have is the host's (host.h). 0: no bound. */
struct veld_service_limits {
    struct veld_rate calls_per_address; /* of one IPv4 address or IPv6 /64 */
    struct veld_rate calls_per_key;
    struct veld_rate networks_per_address; /* made */
    struct veld_rate joins_per_address;    /* requests filed */
    /* New lists of a network published by its owner, and as many by others. */
    struct veld_rate revocations_per_network;
    uint32_t networks;
    uint32_t members; /* of one network */
};
#define VELD_SERVICE_LIMITS_DEFAULT                                                            \
    ((struct veld_service_limits){                                                             \
        .calls_per_address = {.burst = 5000, .per_hour = 250 * 3600},                          \
        .calls_per_key = {.burst = 500, .per_hour = 50 * 3600},                                \
        .networks_per_address = {.burst = 20, .per_hour = 60},                                 \
        .joins_per_address = {.burst = 60, .per_hour = 240},                                   \
        .revocations_per_network = {.burst = 100, .per_hour = 2 * 3600},                       \
        .networks = 100000,                                                                    \
        .members = 65536})

struct veld_service;
struct veld_service_config {
    struct veld_store *store;           /* borrowed; outlives the service */
    const struct veld_coord_host *host; /* limits, audit, policy (host.h); borrowed */
    uint8_t certificate[32];           /* SHA-256 of the server's own, in signatures of calls */
    uint32_t lease_s;                  /* how long one without a watch stays online; 0: 60 */
    struct veld_service_limits limits; /* zeroed: none */
};
/* Reads the whole registry. VELD_E_FORMAT, VELD_E_UNSUPPORTED (a newer version's database). */
VELD_MUST_USE int veld_service_open(struct veld_service **out,
                                    const struct veld_service_config *cfg,
                                    const struct veld_now *now, struct veld_diag *diag);
/* Every watch is over: UNAVAILABLE, and `ready` is told. Then close them, and the service. */
void veld_service_stop(struct veld_service *s);
/* Every watch was closed before. NULL is allowed. */
void veld_service_close(struct veld_service *s);

/* One call as it came. Everything is borrowed for the call. */
struct veld_service_request {
    const char *method; /* "RegisterMember" */
    struct veld_ip from;
    const uint8_t *auth; /* metadata veld-auth-bin; NULL: none */
    size_t auth_len;
    const uint8_t *body;
    size_t len;
};
/* The reply (encoded; the caller clears it), or a status that is not OK. */
void veld_service_call(struct veld_service *s, const struct veld_service_request *r,
                       const struct veld_now *now, struct veld_blob *reply,
                       struct veld_coord_status *status);

/*
 * Make all since the last commit durable. On failure everything since is as if it
 * had not been (registry and store alike), and `status` is what its callers are
 * to be told.
 */
VELD_MUST_USE int veld_service_commit(struct veld_service *s, struct veld_coord_status *status);

/* ---- Watches ---- */

struct veld_watcher;
/*
 * Told once, from inside commit or tick, when a watcher that had nothing has
 * something. It only takes note: nothing of this header may be called from it.
 */
typedef void veld_watch_ready_fn(void *ctx);
/*
 * NULL and a status when refused. A watch begins with nothing: `ready` is told at the
 * next commit, also when that fails, and then the watch is over.
 */
struct veld_watcher *veld_service_watch_open(struct veld_service *s,
                                             const struct veld_service_request *r,
                                             const struct veld_now *now,
                                             veld_watch_ready_fn *ready, void *ctx,
                                             struct veld_coord_status *status);
/*
 * Bytes that are sent to many: an encoded WatchEvent, counted. Ask for the next
 * only when the last was handed to the network, so that what changes meanwhile
 * is told as one. False: nothing at present (`ready` will be told); so it is
 * too between a change and its commit, since nothing is told that may yet fail.
 * False and a status other than OK: the watch is over (revoked, replaced by a
 * newer watch of the same member, server stopping).
 */
struct veld_shared_bytes {
    unsigned refs; /* of the loop's thread alone */
    size_t len;
    uint8_t bytes[];
};
void veld_shared_unref(struct veld_shared_bytes *b);
bool veld_watch_next(struct veld_watcher *w, const struct veld_now *now,
                     struct veld_shared_bytes **out, struct veld_coord_status *status);
/* The stream is gone, or its end was told. `w` must not be used after. */
void veld_watch_close(struct veld_watcher *w, const struct veld_now *now);

/* Leases that ran out, coalescing that is due. A commit follows. Returns the monotonic ns when it wants to be called again. */
uint64_t veld_service_tick(struct veld_service *s, const struct veld_now *now);

/* For metrics. */
struct veld_service_stats {
    uint64_t networks, members, online, watchers, joins_waiting;
    uint64_t calls_ok, calls_refused, signatures_refused, events_sent, resyncs, commits;
    uint64_t registrations, signals;
};
void veld_service_get_stats(const struct veld_service *s, struct veld_service_stats *out);

#endif
