#include "control/engine/deadline.h"

#include "../support/random.h"

#include <criterion/criterion.h>

#define IDS 50

Test(deadline, agrees_with_a_plain_search)
{
    struct veld_deadlines *d = veld_deadlines_new(IDS);
    struct test_random r = {1};
    uint64_t at[IDS];
    memset(at, 0xff, sizeof at);
    for (unsigned k = 0; k < 20000; k++) {
        uint32_t id = (uint32_t)test_random_below(&r, IDS), first = 0;
        at[id] = test_random_chance(&r, 300) ? VELD_NEVER : test_random_below(&r, 100);
        veld_deadlines_set(d, id, at[id]);
        uint64_t earliest = VELD_NEVER;
        for (unsigned i = 0; i < IDS; i++)
            earliest = at[i] < earliest ? at[i] : earliest;
        cr_assert_eq(veld_deadlines_first(d, &first), earliest);
        cr_assert(earliest == VELD_NEVER || at[first] == earliest);
    }
    veld_deadlines_free(d);
}
