#include "control/reach/circuit_numbers.h"

#include "crypto/primitives.h"
#include "dataplane/dataplane.h"

#include <glib.h>

struct veld_circuit_numbers {
    struct {
        uint32_t number; /* now, or the last time; 0: never taken */
        bool taken;
    } slots[VELD_CIRCUITS_MAX];
    uint16_t free[VELD_CIRCUITS_MAX]; /* a ring of slots */
    unsigned first, n_free;
};

struct veld_circuit_numbers *veld_circuit_numbers_new(void)
{
    struct veld_circuit_numbers *n = g_new0(struct veld_circuit_numbers, 1);
    for (uint16_t i = 0; i < VELD_CIRCUITS_MAX; i++)
        n->free[i] = i;
    n->n_free = VELD_CIRCUITS_MAX;
    return n;
}

void veld_circuit_numbers_free(struct veld_circuit_numbers *n)
{
    g_free(n);
}

/* Never 0. */
static uint32_t draw(uint32_t slot)
{
    uint32_t above;
    veld_random(&above, sizeof above);
    above = 1 + above % (UINT32_MAX / VELD_CIRCUITS_MAX);
    return above * VELD_CIRCUITS_MAX + slot;
}

int veld_circuit_numbers_take(struct veld_circuit_numbers *n, uint32_t *out)
{
    if (n->n_free == 0)
        return VELD_E_FULL;
    uint16_t slot = n->free[n->first];
    n->first = (n->first + 1) % VELD_CIRCUITS_MAX;
    n->n_free--;
    n->slots[slot].taken = true;
    *out = n->slots[slot].number = draw(slot);
    return 0;
}

void veld_circuit_numbers_give(struct veld_circuit_numbers *n, uint32_t number)
{
    uint16_t slot = (uint16_t)(number % VELD_CIRCUITS_MAX);
    g_assert(n->slots[slot].taken && n->slots[slot].number == number);
    n->slots[slot].taken = false;
    n->free[(n->first + n->n_free) % VELD_CIRCUITS_MAX] = slot;
    n->n_free++;
}

unsigned veld_circuit_numbers_taken(const struct veld_circuit_numbers *n)
{
    return VELD_CIRCUITS_MAX - n->n_free;
}
