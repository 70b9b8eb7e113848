/*
 * What the files of the volunteer share: circuits, with what they hold. Nobody else includes it.
 *
 *   volunteer.c          what peers ask for, and what they are told
 *   volunteer_circuits.c circuits are made, forward, share the rate, and end
 */
#ifndef VELD_CONTROL_REACH_VOLUNTEER_IMPL_H
#define VELD_CONTROL_REACH_VOLUNTEER_IMPL_H

#include "control/reach/allowances.h"
#include "control/reach/volunteer.h"

#include <glib.h>

#define VELD_VOLUNTEER_NOBODY UINT32_MAX

/* One end. */
struct side {
    uint32_t peer;
    uint8_t pub[32];
    uint32_t number; /* what it sends us carries it */
    uint32_t index;  /* what we send it carries it */
    bool asked;
    uint8_t said;                /* how often OPENED was, as the state is now */
    struct veld_forward_use use; /* of what it sent, at the last tick */
};

struct circuit {
    guint64 pair;
    struct side sides[2];
    bool ready;           /* both have asked: there are two forwards */
    uint64_t since_ns;    /* when it was made, or ready */
    uint64_t share_bytes; /* used, when shares were last looked at */
};

struct veld_volunteer {
    struct veld_volunteer_ops ops;
    struct veld_circuit_numbers *numbers;
    struct veld_volunteer_policy policy;
    struct veld_allowances *allowances;
    GHashTable *circuits; /* struct circuit, owned, by its pair */
    uint64_t share;       /* bytes per second of one direction; 0: no bound */
    uint64_t shared_ns;
    uint64_t opened, refused, ignored;
};

struct circuit *veld_volunteer_find(const struct veld_volunteer *v, uint32_t a, uint32_t b);
/* NULL: there are as many as there may be, of circuits or of numbers. */
struct circuit *veld_volunteer_create(struct veld_volunteer *v, uint32_t from, uint32_t to,
                                      const uint8_t to_pub[32], uint64_t now_ns);
/* All that it has is given back; both who asked are told by CLOSE, but not `except`. */
void veld_volunteer_end(struct veld_volunteer *v, struct circuit *c, uint32_t except);
/* The same of those of which `is_over` holds. */
void veld_volunteer_sweep(struct veld_volunteer *v,
                          bool (*is_over)(struct veld_volunteer *v, struct circuit *c,
                                          const void *arg),
                          const void *arg, uint32_t except);

/* A ready one is half open again: `side` has not asked. */
void veld_volunteer_half_open(struct veld_volunteer *v, struct circuit *c, struct side *side,
                              uint64_t now_ns);
/* Both as they shall be now. When that fails, the circuit is to end. */
VELD_MUST_USE int veld_volunteer_set_forwards(struct veld_volunteer *v, struct circuit *c);
/* Share the rate among those that are busy, by what each carried since the last time. */
void veld_volunteer_share_out(struct veld_volunteer *v, uint64_t now_ns);
/* Bytes per second of each direction; 0: no bound. */
void veld_volunteer_apply_share(struct veld_volunteer *v, uint64_t share);

static inline struct side *veld_volunteer_side(struct circuit *c, uint32_t peer)
{
    return &c->sides[c->sides[1].peer == peer];
}

static inline struct side *veld_volunteer_other_side(struct circuit *c, const struct side *s)
{
    return &c->sides[s == &c->sides[0]];
}

/* A message that names P and no more; VELD_E_STATE: there is no session in use. */
int veld_volunteer_say(struct veld_volunteer *v, uint32_t to, enum veld_message_type type,
                       const uint8_t pub[32]);

#endif
