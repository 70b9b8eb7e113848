#include "base/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * VELD_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t veld_clock_mono_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

struct veld_now veld_clock_now(void)
{
    return (struct veld_now){.mono_ns = read_clock(CLOCK_BOOTTIME),
                             .wall_ns = read_clock(CLOCK_REALTIME)};
}
