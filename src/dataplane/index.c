#include "dataplane/index.h"

#include <stdlib.h>

int veld_index_init(struct veld_index *x)
{
    x->slots = calloc(VELD_SESSIONS_MAX, sizeof *x->slots);
    return x->slots ? 0 : VELD_E_NOMEM;
}

void veld_index_free(struct veld_index *x)
{
    free(x->slots);
    x->slots = NULL;
}

static _Atomic(struct veld_session *) *slot_of(struct veld_index *x, uint32_t local_index)
{
    return &x->slots[local_index % VELD_SESSIONS_MAX];
}

int veld_index_insert(struct veld_index *x, struct veld_session *s)
{
    _Atomic(struct veld_session *) *slot = slot_of(x, s->local_index);
    if (atomic_load_explicit(slot, memory_order_relaxed)) /* control is the only writer */
        return VELD_E_EXIST;
    atomic_store_explicit(slot, s, memory_order_release);
    return 0;
}

void veld_index_remove(struct veld_index *x, const struct veld_session *s)
{
    atomic_store_explicit(slot_of(x, s->local_index), NULL, memory_order_release);
}
