/* What the control thread changes of sessions and peers: commands.c, without workers. */
#include "dataplane/state.h"

#include <criterion/criterion.h>

static struct veld_dataplane dp;

static void setup(void)
{
    veld_rcu_updater_begin();
    dp.owner = pthread_self();
    cr_assert_eq(veld_peers_init(&dp.tables.peers), 0);
    cr_assert_eq(veld_index_init(&dp.tables.index), 0);
    cr_assert_eq(veld_circuits_init(&dp.tables.circuits), 0);
    cr_assert_eq(veld_dataplane_peer_add(&dp, 3), 0);
}

static void teardown(void)
{
    veld_dataplane_peer_remove(&dp, 3);
    veld_rcu_barrier();
    veld_circuits_free(&dp.tables.circuits);
    veld_index_free(&dp.tables.index);
    veld_peers_free(&dp.tables.peers);
    veld_rcu_updater_end();
}

TestSuite(commands, .init = setup, .fini = teardown);

static const struct veld_session *install(uint32_t index)
{
    const struct veld_session_params params = {
        .peer = 3, .local_index = index, .remote_index = 9, .lanes = 1, .reject_at_ns = 100};
    cr_assert_eq(veld_dataplane_session_install(&dp, &params), 0);
    return veld_index_find(&dp.tables.index, index);
}

static struct veld_peer *peer(void)
{
    return veld_peers_get(&dp.tables.peers, 3);
}

Test(commands, a_retired_session_is_found_by_nobody)
{
    install(7);
    cr_assert_eq(veld_dataplane_session_use(&dp, 7), 0);
    atomic_store(&peer()->need_told, true);
    veld_dataplane_session_retire(&dp, 7);
    cr_assert_null(veld_index_find(&dp.tables.index, 7));
    cr_assert_null(atomic_load(&peer()->tx));
    cr_assert(!atomic_load(&peer()->need_told), "the next packet asks for one anew");
    cr_assert_null(peer()->sessions);
    cr_assert_eq(veld_dataplane_session_use(&dp, 7), VELD_E_NOENT);
    veld_dataplane_session_retire(&dp, 7); /* of no account */
}

Test(commands, what_sends_goes_on_when_another_is_retired)
{
    install(7);
    const struct veld_session *current = install(8);
    install(9);
    cr_assert_eq(veld_dataplane_session_use(&dp, 8), 0);
    veld_dataplane_session_retire(&dp, 7);
    veld_dataplane_session_retire(&dp, 9);
    cr_assert_eq(atomic_load(&peer()->tx), current);
    cr_assert_eq(veld_index_find(&dp.tables.index, 8), current);
    cr_assert_eq(peer()->sessions, current);
    cr_assert_null(current->next_of_peer);
}

Test(commands, with_a_peer_go_its_sessions_and_its_number_is_free)
{
    struct veld_peer_ref ref = peer()->ref;
    install(7);
    install(8);
    cr_assert_eq(veld_dataplane_session_use(&dp, 8), 0);
    veld_dataplane_peer_remove(&dp, 3);
    cr_assert_null(veld_index_find(&dp.tables.index, 7));
    cr_assert_null(veld_index_find(&dp.tables.index, 8));
    cr_assert_null(veld_peers_find(&dp.tables.peers, ref));
    cr_assert_eq(veld_dataplane_session_use(&dp, 8), VELD_E_NOENT);
    cr_assert_eq(veld_dataplane_peer_add(&dp, 3), 0);
    cr_assert_null(atomic_load(&peer()->tx));
    cr_assert_null(peer()->sessions);
    install(8);
}

Test(commands, an_index_that_is_taken_is_refused)
{
    const struct veld_session *first = install(7);
    const struct veld_session_params again = {.peer = 3, .local_index = 7, .lanes = 1};
    cr_assert_eq(veld_dataplane_session_install(&dp, &again), VELD_E_EXIST);
    cr_assert_eq(veld_index_find(&dp.tables.index, 7), first);
    cr_assert_eq(peer()->sessions, first);
}
