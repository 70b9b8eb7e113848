#include "dataplane/rate.h"

#define BURST_BYTES (2 * 65536ull)

unsigned veld_rate_take(struct veld_rate *r, unsigned n, uint32_t each, uint64_t now_ns)
{
    uint64_t rate = atomic_load_explicit(&r->bytes_per_s, memory_order_relaxed);
    if (rate == 0)
        return n;
    uint64_t cost_ns = VELD_MAX(each * VELD_NS_PER_S / rate, 1u);
    uint64_t burst_ns = VELD_MAX(VELD_RATE_BURST_NS, BURST_BYTES * VELD_NS_PER_S / rate);
    uint64_t paid = atomic_load_explicit(&r->paid_until_ns, memory_order_relaxed), from_ns;
    unsigned passed;
    do {
        from_ns = VELD_MAX(paid, now_ns);
        uint64_t ahead = from_ns - now_ns;
        uint64_t room = ahead < burst_ns ? (burst_ns - ahead) / cost_ns : 0;
        passed = (unsigned)VELD_MIN(room, n);
        if (passed == 0)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(
        &r->paid_until_ns, &paid, from_ns + passed * cost_ns, memory_order_relaxed,
        memory_order_relaxed));
    return passed;
}
