#include "control/engine/peer.h"

#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <string.h>

#define MAX 20

static void make_pub(uint8_t pub[32], uint8_t n)
{
    uint8_t seed[32] = {n, 0xee};
    veld_ed25519_keypair(seed, pub);
}

static struct veld_peer_table *make(void)
{
    static const uint8_t seed[16] = {4};
    cr_assert_eq(veld_crypto_init(), 0);
    return veld_peer_table_new(MAX, seed);
}

Test(peer, is_found_by_its_x25519_key_and_by_id)
{
    struct veld_peer_table *t = make();
    for (uint8_t i = 0; i < MAX; i++) {
        struct veld_engine_peer *p;
        uint8_t pub[32], x[32];
        make_pub(pub, i);
        cr_assert_eq(veld_peer_table_add(t, pub, &p), 0);
        cr_assert_eq(p->id, i, "ids are dense");
        cr_assert_eq(veld_ed25519_public_to_x25519(x, pub), 0);
        cr_assert_eq(veld_peer_table_find(t, x), p);
        cr_assert_eq(veld_peer_table_get(t, i), p);
    }
    cr_assert_null(veld_peer_table_get(t, MAX));
    veld_peer_table_free(t);
}

Test(peer, table_is_bounded_and_ids_are_used_again)
{
    struct veld_peer_table *t = make();
    struct veld_engine_peer *p[MAX], *q;
    uint8_t pub[32];
    for (uint8_t i = 0; i < MAX; i++) {
        make_pub(pub, i);
        cr_assert_eq(veld_peer_table_add(t, pub, &p[i]), 0);
    }
    make_pub(pub, MAX);
    cr_assert_eq(veld_peer_table_add(t, pub, &q), VELD_E_FULL);
    veld_peer_table_remove(t, p[3]);
    cr_assert_null(veld_peer_table_get(t, 3));
    cr_assert_eq(veld_peer_table_add(t, pub, &q), 0);
    cr_assert_eq(q->id, 3);
    for (uint8_t i = 0; i < MAX; i++)
        cr_assert_eq(veld_peer_table_find(t, veld_peer_table_get(t, i)->x_pub)->id, i);
    veld_peer_table_free(t);
}

Test(peer, refuses_the_same_key_its_sign_twin_and_unusable_keys)
{
    struct veld_peer_table *t = make();
    struct veld_engine_peer *p;
    uint8_t pub[32], zero[32] = {0};
    make_pub(pub, 1);
    cr_assert_eq(veld_peer_table_add(t, pub, &p), 0);
    cr_assert_eq(veld_peer_table_add(t, pub, &p), VELD_E_EXIST);
    pub[31] ^= 0x80;
    cr_assert_eq(veld_peer_table_add(t, pub, &p), VELD_E_KEY);
    cr_assert_eq(veld_peer_table_add(t, zero, &p), VELD_E_KEY);
    veld_peer_table_free(t);
}
