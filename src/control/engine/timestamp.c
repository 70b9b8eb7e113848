#include "control/engine/timestamp.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "control/engine/engine.h"

bool veld_timestamp_next(struct veld_timestamp *t, uint64_t wall_ns, uint64_t *timestamp_ns)
{
    t->last_ns = VELD_MAX(wall_ns, t->last_ns + 1);
    *timestamp_ns = t->last_ns;
    if (t->last_ns < t->floor_ns)
        return false;
    t->floor_ns = t->last_ns + VELD_TIMESTAMP_RESERVE_S * VELD_NS_PER_S;
    return true;
}
