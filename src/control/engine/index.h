/*
 * The indices this device hands out: which peer, and which of its sessions or
 * its pending handshake, a datagram that carries one of them belongs to.
 *
 * The low 17 bits of an index are its slot (as the dataplane wants it), the
 * rest is random, and an index is never 0. Slots come back into use first in,
 * first out, so that late datagrams of an old owner find nobody.
 *
 * Order of calls: new, (alloc, release)*, free. Control thread.
 */
#ifndef VELD_CONTROL_ENGINE_INDEX_H
#define VELD_CONTROL_ENGINE_INDEX_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_INDEX_SLOT_BITS 17 /* VELD_SESSIONS_MAX of dataplane.h is 1 << this */

struct veld_index_table;

/* At most `slots` (cut to 1 << VELD_INDEX_SLOT_BITS) indices at a time. NULL when out of memory. */
struct veld_index_table *veld_index_table_new(uint32_t slots);
void veld_index_table_free(struct veld_index_table *t); /* NULL is allowed */

/* A fresh index for `peer`; `random` fills the upper bits. VELD_E_FULL when all are in use. */
VELD_MUST_USE int veld_index_table_alloc(struct veld_index_table *t, uint32_t peer,
                                         uint32_t random, uint32_t *index);
/* `index` must be in use. */
void veld_index_table_release(struct veld_index_table *t, uint32_t index);
/* True, and whose it is, when `index` is in use. */
bool veld_index_table_find(const struct veld_index_table *t, uint32_t index, uint32_t *peer);

#endif
