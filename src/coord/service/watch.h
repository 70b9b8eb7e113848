/*
 * Watches: who is told what changes, and with that who is online.
 *
 * A watcher is at a revision. It has no queue of changes: what it is told next is what
 * the network's list of changes has after that revision (registry/changes.h), so it
 * cannot fall behind in a way that costs memory or loses anything. Signals alone
 * are queued for it, and bounded.
 *
 * A change is told at once when the last was long enough ago (veld_watch_interval_ns, by
 * how many are told), else when that time is over, together with what came meanwhile. Coming and
 * going waits longer: when all come back at once, all are told of all.
 * Who is not up to date (a new watch) does not wait.
 *
 * A member is online while its watch is open, and for cfg.lease_s after that. Who
 * was online when the server stopped has as long to come back.
 *
 * Order in a turn: (open | signal | end | remove_member | expire)*, the registry's
 * commit, changed for each network of it, then settle. Thread: the server's loop.
 */
#ifndef VELD_COORD_SERVICE_WATCH_H
#define VELD_COORD_SERVICE_WATCH_H

#include "coord/service/call.h"

#define VELD_SIGNALS_MAX      64                 /* waiting in one watch */
#define VELD_SIGNAL_BYTES_MAX ((size_t)64 << 20) /* in all */

/* Of c->member; c->watcher is set. */
void veld_watch_begin(struct veld_coord_call *c, uint64_t from_revision,
                      uint64_t revocation_epoch);
/* VELD_E_NOENT: it has no watch open; VELD_E_FULL. */
VELD_MUST_USE int veld_watch_signal(struct veld_service *s, struct veld_member *to,
                                    const uint8_t from[32], const struct veld_blob *sealed);
/* When this batch is committed, its watch is over. It is to be set offline, or removed, with that. */
void veld_watch_end(struct veld_service *s, struct veld_member *m, enum veld_coord_code code,
                    const char *text);
/* The same, and it is no member any more. `text` is a literal. */
void veld_watch_remove_member(struct veld_service *s, struct veld_member *m,
                              enum veld_coord_code code, const char *text);

/* Those who were online when the server stopped. */
void veld_watch_start(struct veld_service *s);
/* Leases that ran out. */
void veld_watch_expire(struct veld_service *s);
/* A veld_registry_commit callback; `ctx` is the service. */
void veld_watch_changed(void *ctx, struct veld_net *net);
/* After a commit, or when none is needed: whoever has something is told so. */
void veld_watch_settle(struct veld_service *s);
/* When it wants to be called again; monotonic ns. */
uint64_t veld_watch_due_ns(const struct veld_service *s);
/* Every watch is over; before the registry is closed. */
void veld_watch_stop(struct veld_service *s);

/* Between two tellings of a network with so many watchers. */
uint64_t veld_watch_interval_ns(size_t watchers);

#endif
