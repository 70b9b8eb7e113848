#include "control/engine/timestamp.h"

#include "base/clock.h"
#include "control/engine/engine.h"

#include <criterion/criterion.h>

#define S VELD_NS_PER_S

Test(timestamp, increases_whatever_the_clock_does)
{
    struct veld_timestamp t = {0};
    static const uint64_t clock[] = {1000 * S, 1000 * S, 5 * S, 0, 2000 * S, 1 * S, 1 * S};
    uint64_t last = 0, ts;
    for (unsigned i = 0; i < sizeof clock / sizeof clock[0]; i++) {
        veld_timestamp_next(&t, clock[i], &ts);
        cr_assert_gt(ts, last);
        last = ts;
    }
}

Test(timestamp, floor_is_durable_before_it_is_reached)
{
    struct veld_timestamp t = {0};
    uint64_t ts, floor = 0;
    for (uint64_t wall = 1000 * S; wall < 1200 * S; wall += S) {
        if (veld_timestamp_next(&t, wall, &ts))
            floor = t.floor_ns;
        cr_assert_lt(ts, floor, "used beyond what was persisted");
    }
}

Test(timestamp, is_persisted_seldom)
{
    struct veld_timestamp t = {0};
    uint64_t ts;
    unsigned writes = 0;
    for (unsigned i = 0; i < 600; i++)
        writes += veld_timestamp_next(&t, 1000 * S + i * S, &ts);
    cr_assert_leq(writes, 600 / VELD_TIMESTAMP_RESERVE_S + 1);
}

Test(timestamp, goes_on_after_a_restart_with_the_clock_set_back)
{
    struct veld_timestamp t = {0};
    uint64_t ts, last;
    veld_timestamp_next(&t, 1000 * S, &last);
    struct veld_timestamp again = {.last_ns = t.floor_ns, .floor_ns = t.floor_ns};
    cr_assert(veld_timestamp_next(&again, 10 * S, &ts),
              "the new floor must be persisted first");
    cr_assert_gt(ts, t.floor_ns);
    cr_assert_gt(ts, last);
}
