/*
 * WatchEvents as bytes, encoded once for all watchers that are at the same place.
 *
 * Invariant: what is kept is what would be encoded now: before anything else
 * is asked for, veld_events_forget is told of each network that changed. At most
 * VELD_EVENTS_BYTES are kept (those least lately asked for go first), and none for longer
 * than VELD_EVENTS_S after it was last asked for.
 *
 * Nothing is encoded between a change and its commit. Thread: the server's loop.
 */
#ifndef VELD_COORD_SERVICE_EVENTS_H
#define VELD_COORD_SERVICE_EVENTS_H

#include "coord/registry/registry.h"
#include "coord/service.h"

#define VELD_EVENTS_BYTES ((size_t)16 << 20) /* a whole network of 10,000 members */
#define VELD_EVENTS_S     30

struct veld_events;
struct veld_events *veld_events_new(void);
void veld_events_free(struct veld_events *e); /* NULL is allowed */

/* What a watcher is told, and where it is then. */
struct veld_event {
    struct veld_shared_bytes *bytes; /* a reference for the caller */
    uint64_t to;
    bool synced;
};
enum veld_event_kind {
    VELD_EVENT_CHANGES,     /* after `from` */
    VELD_EVENT_RESET,       /* all from the beginning; `from` is 0 */
    VELD_EVENT_LIST,        /* the revocations, to one who is at `from` and synced */
    VELD_EVENT_LIST_BEFORE, /* the same, to one who is not synced yet */
};
/* For whom: the revision it was told up to, and the one at which it was told all there was. */
struct veld_event_for {
    enum veld_event_kind kind;
    uint64_t from, whole;
};
struct veld_event veld_events_get(struct veld_events *e, struct veld_net *net,
                                  const struct veld_event_for *who, uint64_t mono_ns);

/* The network changed; of what was told before, all up to `moved_from` still holds. */
void veld_events_forget(struct veld_events *e, struct veld_net *net, uint64_t moved_from);
/* All of it, before it is freed. */
void veld_events_forget_all(struct veld_events *e, struct veld_net *net);
void veld_events_tidy(struct veld_events *e, uint64_t mono_ns);

/* A WatchEvent's bytes, shared by nobody yet. */
struct veld_shared_bytes *veld_shared_pack(const void *event);

#endif
