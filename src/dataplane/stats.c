#include "dataplane/stats.h"

void veld_counters_sum(const struct veld_counters *c, struct veld_dataplane_stats *sum)
{
    for (unsigned i = 0; i < VELD_DROP_COUNT; i++)
        sum->drops[i] += veld_counter_get(&c->drops[i]);
    sum->datagrams_received += veld_counter_get(&c->datagrams_received);
    sum->datagrams_sent += veld_counter_get(&c->datagrams_sent);
    sum->datagrams_forwarded += veld_counter_get(&c->datagrams_forwarded);
    sum->bytes_forwarded += veld_counter_get(&c->bytes_forwarded);
    sum->packets_from_tun += veld_counter_get(&c->packets_from_tun);
    sum->packets_to_tun += veld_counter_get(&c->packets_to_tun);
    sum->super_packets_from_tun += veld_counter_get(&c->super_packets_from_tun);
    sum->super_packets_to_tun += veld_counter_get(&c->super_packets_to_tun);
}
