/*
 * Receiver indexes: from the number in a datagram's header to the session.
 *
 * A flat table: the low 17 bits of an index are its slot, and the whole index
 * is compared, so an old or guessed index of a used slot finds nothing. 1 MB of
 * address space on 64 bits, of which only touched pages exist.
 *
 * Invariant: a slot holds at most one session. Control thread writes; workers
 * find, through RCU.
 */
#ifndef VELD_DATAPLANE_INDEX_H
#define VELD_DATAPLANE_INDEX_H

#include "dataplane/session.h"

struct veld_index {
    _Atomic(struct veld_session *) *slots;
};

VELD_MUST_USE int veld_index_init(struct veld_index *x);
/* The sessions in it are not freed. */
void veld_index_free(struct veld_index *x);

/* Publish under s->local_index. VELD_E_EXIST when its slot is taken. */
VELD_MUST_USE int veld_index_insert(struct veld_index *x, struct veld_session *s);
/* Unpublish; the caller retires it. */
void veld_index_remove(struct veld_index *x, const struct veld_session *s);

static inline struct veld_session *veld_index_find(const struct veld_index *x,
                                                   uint32_t local_index)
{
    /* Acquire pairs with the release in insert: the session is whole. */
    struct veld_session *s =
        atomic_load_explicit(&x->slots[local_index % VELD_SESSIONS_MAX], memory_order_acquire);
    return s && s->local_index == local_index ? s : NULL;
}

#endif
