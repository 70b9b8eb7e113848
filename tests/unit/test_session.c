#include "crypto/primitives.h"
#include "dataplane/session.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct veld_session_params params = {
    .peer = 1,
    .local_index = 0x00050007,
    .remote_index = 9,
    .lanes = 3,
    .send_key = {1, 2, 3},
    .recv_key = {4, 5, 6},
    .reject_at_ns = 1000,
};

static struct veld_session *make(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    struct veld_session *s = veld_session_new(&params, NULL);
    cr_assert_not_null(s);
    return s;
}

/* Against the definition: HMAC(direction key, "veld lane" | lane | 0x01), RFC 5869 with one block. */
Test(session, lane_keys_are_the_hkdf_of_the_direction_key)
{
    struct veld_session *s = make();
    cr_assert_eq(s->n_lanes, 3);
    for (uint8_t lane = 0; lane < 3; lane++) {
        uint8_t expected[32];
        struct veld_bytes parts[] = {{"veld lane", 9}, {&lane, 1}, {"\x01", 1}};
        veld_hmac(expected, params.send_key, 32, parts, 3);
        cr_assert_arr_eq(s->lanes[lane].send_key, expected, 32);
        veld_hmac(expected, params.recv_key, 32, parts, 3);
        cr_assert_arr_eq(s->lanes[lane].recv_key, expected, 32);
    }
    veld_session_free(s);
}

Test(session, ends_at_its_time)
{
    struct veld_session *s = make();
    cr_assert_not(veld_session_expired(s, 999));
    cr_assert(veld_session_expired(s, 1000));
    veld_session_free(s);
}

Test(session, counters_end_at_the_limit)
{
    struct veld_session *s = make();
    struct veld_lane *lane = &s->lanes[1];
    uint64_t first;
    cr_assert(veld_session_reserve(lane, 5, &first));
    cr_assert_eq(first, 0);
    cr_assert(veld_session_reserve(lane, 1, &first));
    cr_assert_eq(first, 5);
    atomic_store(&lane->next, VELD_COUNTER_LIMIT - 10);
    cr_assert_not(veld_session_reserve(lane, 11, &first));
    cr_assert(veld_session_reserve(lane, 10, &first));
    cr_assert_eq(first, VELD_COUNTER_LIMIT - 10);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_not(veld_session_reserve(lane, 1, &first));
    cr_assert_eq(atomic_load(&lane->next), VELD_COUNTER_LIMIT, "refusing takes nothing");
    veld_session_free(s);
}

Test(session, senders_and_receivers_share_no_line)
{
    struct veld_session *s = make();
    for (unsigned i = 0; i < 3; i++) {
        uintptr_t next = (uintptr_t)&s->lanes[i].next, lock = (uintptr_t)&s->lanes[i].lock;
        cr_assert_eq(next % VELD_CACHE_LINE, 0);
        cr_assert_eq(lock % VELD_CACHE_LINE, 0);
        cr_assert_geq(lock - next, VELD_CACHE_LINE);
    }
    veld_session_free(s);
}
