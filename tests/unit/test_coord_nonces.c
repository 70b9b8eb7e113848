#include "base/bytes.h"
#include "base/clock.h"
#include "coord/service/nonces.h"

#include <criterion/criterion.h>

static const uint8_t seed[16] = {4, 5, 6};

static int add(struct veld_nonces *n, uint8_t key, uint64_t nonce, uint64_t second)
{
    struct veld_rpc_auth a = {.key = {key}};
    veld_store_be64(a.nonce, nonce);
    return veld_nonces_add(n, &a, second * VELD_NS_PER_S);
}

Test(coord_nonces, each_once)
{
    struct veld_nonces *n = veld_nonces_new(100, seed);
    cr_assert_eq(add(n, 1, 7, 1000), 0);
    cr_assert_eq(add(n, 1, 7, 1000), VELD_E_REPLAY);
    cr_assert_eq(add(n, 1, 8, 1000), 0);
    cr_assert_eq(add(n, 2, 7, 1000), 0, "another key's");
    veld_nonces_free(n);
}

/* A call dated 90 s ahead is good for 180 s: so long it must be known, whenever it came. */
Test(coord_nonces, known_for_as_long_as_a_time_is_good)
{
    for (uint64_t at = 1000; at < 1000 + 2 * VELD_NONCES_AGE_S; at += 13) {
        struct veld_nonces *n = veld_nonces_new(100, seed);
        cr_assert_eq(add(n, 1, 1, 1000), 0);
        cr_assert_eq(add(n, 1, 7, at), 0);
        for (uint64_t t = at; t <= at + 2 * VELD_CALL_TIME_S; t += 20)
            cr_assert_eq(add(n, 1, 7, t), VELD_E_REPLAY, "%d s after %d", (int)(t - at),
                         (int)at);
        cr_assert_eq(add(n, 1, 7, at + 2 * VELD_CALL_TIME_S), VELD_E_REPLAY);
        veld_nonces_free(n);
    }
}

Test(coord_nonces, forgotten_in_the_end)
{
    struct veld_nonces *n = veld_nonces_new(4, seed);
    for (uint64_t t = 1000; t < 100000; t += VELD_NONCES_AGE_S)
        for (uint64_t k = 0; k < 4; k++)
            cr_assert_eq(add(n, 1, t + k, t), 0);
    cr_assert_eq(add(n, 1, 1000, 101000), 0);
    veld_nonces_free(n);
}

/* Full: refuse what is new rather than forget what is known. */
Test(coord_nonces, bounded)
{
    struct veld_nonces *n = veld_nonces_new(50, seed);
    int rc = 0;
    uint64_t k = 0;
    for (; k < 1000 && rc == 0; k++)
        rc = add(n, 1, k, 1000);
    cr_assert_eq(rc, VELD_E_FULL);
    cr_assert_eq(k, 101, "two generations and the one refused: %d", (int)k);
    for (uint64_t i = 0; i < 100; i++)
        cr_assert_eq(add(n, 1, i, 1000 + 2 * VELD_CALL_TIME_S), VELD_E_REPLAY, "%d", (int)i);
    cr_assert_eq(add(n, 1, 5000, 1000 + VELD_NONCES_AGE_S), 0, "time makes room");
    veld_nonces_free(n);
}

Test(coord_nonces, many)
{
    struct veld_nonces *n = veld_nonces_new(VELD_NONCES_MAX, seed);
    for (uint64_t k = 0; k < 100000; k++)
        cr_assert_eq(add(n, 1, k, 1000), 0);
    for (uint64_t k = 0; k < 100000; k++)
        cr_assert_eq(add(n, 1, k, 1000), VELD_E_REPLAY);
    veld_nonces_free(n);
}
