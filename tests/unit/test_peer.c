#include "dataplane/peer.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct veld_peers peers;

static void setup(void)
{
    veld_rcu_updater_begin();
    cr_assert_eq(veld_peers_init(&peers), 0);
}

static void teardown(void)
{
    veld_rcu_barrier();
    veld_peers_free(&peers);
    veld_rcu_updater_end();
}

TestSuite(peer, .init = setup, .fini = teardown);

Test(peer, numbers_are_bounded_and_unique)
{
    cr_assert_eq(veld_peers_add(&peers, 0), 0);
    cr_assert_eq(veld_peers_add(&peers, VELD_PEERS_MAX - 1), 0);
    cr_assert_eq(veld_peers_add(&peers, 0), VELD_E_EXIST);
    cr_assert_eq(veld_peers_add(&peers, VELD_PEERS_MAX), VELD_E_RANGE);
    cr_assert_not_null(veld_peers_get(&peers, 0));
    cr_assert_null(veld_peers_get(&peers, 1));
    cr_assert_null(veld_peers_get(&peers, VELD_PEERS_MAX));
}

Test(peer, a_reference_dies_with_its_generation)
{
    cr_assert_eq(veld_peers_add(&peers, 5), 0);
    struct veld_peer *peer = veld_peers_get(&peers, 5);
    struct veld_peer_ref ref = peer->ref;
    cr_assert_eq(veld_peers_find(&peers, ref), peer);
    veld_peers_remove(&peers, peer);
    cr_assert_null(veld_peers_find(&peers, ref));
    cr_assert_eq(veld_peers_add(&peers, 5), 0);
    cr_assert_null(veld_peers_find(&peers, ref), "a new peer of that number is another");
    cr_assert_null(veld_peers_find(&peers, (struct veld_peer_ref){.id = 5}));
}

Test(peer, no_generation_is_that_of_no_peer)
{
    peers.last_generation = UINT32_MAX;
    cr_assert_eq(veld_peers_add(&peers, 5), 0);
    cr_assert_neq(veld_peers_get(&peers, 5)->ref.generation, 0);
}

Test(peer, activity_takes_latest_times_and_sums)
{
    struct veld_activity_line *lines = aligned_alloc(64, 3 * sizeof *lines);
    memset(lines, 0, 3 * sizeof *lines);
    veld_counter_set(&lines[0].last_sent_ns, 5);
    veld_counter_set(&lines[2].last_sent_ns, 9);
    veld_counter_set(&lines[1].last_received_data_ns, 4);
    veld_counter_add(&lines[0].sent_bytes, 100);
    veld_counter_add(&lines[1].sent_bytes, 10);
    veld_counter_add(&lines[2].received_packets, 3);
    struct veld_activity a;
    veld_activity_sum(lines, 3, &a);
    cr_assert_eq(a.last_sent_ns, 9);
    cr_assert_eq(a.last_received_data_ns, 4);
    cr_assert_eq(a.last_received_ns, 0);
    cr_assert_eq(a.sent_bytes, 110);
    cr_assert_eq(a.received_packets, 3);
    veld_activity_sum(NULL, 3, &a);
    cr_assert_eq(a.last_sent_ns, 0);
    free(lines);
}
