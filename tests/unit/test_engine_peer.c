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

Test(peer, is_found_by_its_key_and_by_id_and_once_proved_by_its_x25519_key)
{
    struct veld_peer_table *t = make();
    for (uint8_t i = 0; i < MAX; i++) {
        struct veld_engine_peer *p;
        uint8_t pub[32], x[32];
        make_pub(pub, i);
        cr_assert_eq(veld_peer_table_add(t, pub, &p), 0);
        cr_assert_eq(p->id, i, "ids are dense");
        cr_assert_eq(veld_ed25519_public_to_x25519(x, pub), 0);
        cr_assert_eq(veld_peer_table_find(t, pub), p);
        cr_assert_null(veld_peer_table_find_by_x(t, x), "not proved");
        cr_assert_eq(veld_peer_table_prove(t, p), 0);
        cr_assert_eq(veld_peer_table_prove(t, p), 0, "once is enough");
        cr_assert_eq(veld_peer_table_find_by_x(t, x), p);
        cr_assert_arr_eq(p->x_pub, x, 32);
        cr_assert_eq(veld_peer_table_get(t, i), p);
        pub[31] ^= 0x80;
        cr_assert_null(veld_peer_table_find(t, pub), "the sign twin is somebody else");
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
    for (uint8_t i = 0; i < MAX; i++)
        cr_assert_eq(veld_peer_table_prove(t, p[i]), 0);
    uint8_t x3[32];
    memcpy(x3, p[3]->x_pub, sizeof x3);
    veld_peer_table_remove(t, p[3]);
    cr_assert_null(veld_peer_table_get(t, 3));
    cr_assert_null(veld_peer_table_find_by_x(t, x3));
    cr_assert_eq(veld_peer_table_add(t, pub, &q), 0);
    cr_assert_eq(q->id, 3);
    for (uint8_t i = 0; i < MAX; i++) {
        const struct veld_engine_peer *of_i = veld_peer_table_get(t, i);
        cr_assert_eq(veld_peer_table_find(t, of_i->pub)->id, i);
        cr_assert_eq(veld_peer_table_find_by_x(t, of_i->x_pub) == of_i, i != 3);
    }
    veld_peer_table_free(t);
}

Test(peer, refuses_the_same_key_its_sign_twin_and_unusable_keys)
{
    struct veld_peer_table *t = make();
    struct veld_engine_peer *p;
    uint8_t pub[32], zero[32] = {0}, not_canonical[32];
    make_pub(pub, 1);
    cr_assert_eq(veld_peer_table_add(t, pub, &p), 0);
    cr_assert_eq(veld_peer_table_add(t, pub, &p), VELD_E_EXIST);
    pub[31] ^= 0x80;
    cr_assert_eq(veld_peer_table_add(t, pub, &p), VELD_E_KEY);
    memset(not_canonical, 0xff, sizeof not_canonical);
    cr_assert_eq(veld_peer_table_add(t, not_canonical, &p), VELD_E_KEY);
    cr_assert_eq(veld_peer_table_add(t, zero, &p), 0, "found out later");
    cr_assert_eq(veld_peer_table_prove(t, p), VELD_E_KEY);
    cr_assert_eq(veld_peer_table_prove(t, p), VELD_E_KEY, "and not forgotten");
    cr_assert_null(veld_peer_table_find_by_x(t, p->x_pub));
    veld_peer_table_remove(t, p);
    veld_peer_table_free(t);
}

Test(peer, has_a_link_as_long_as_it_is_needed)
{
    struct veld_peer_table *t = make();
    struct veld_engine_peer *p;
    uint8_t pub[32];
    make_pub(pub, 1);
    cr_assert_eq(veld_peer_table_add(t, pub, &p), 0);
    cr_assert_null(p->link);
    cr_assert_leq(sizeof *p, 224, "what 100,000 idle peers have each");
    cr_assert_eq(veld_peer_wake(p), 0);
    struct veld_engine_link *l = p->link;
    cr_assert_eq(veld_peer_wake(p), 0);
    cr_assert_eq(p->link, l, "woken once");

    for (size_t i = 0; i < VELD_SLOTS; i++) {
        l->slots[i].local_index = 5;
        veld_peer_rest(p);
        cr_assert_eq(p->link, l, "a session in slot %zu", i);
        l->slots[i].local_index = 0;
    }
    l->attempting = true;
    veld_peer_rest(p);
    cr_assert_eq(p->link, l, "an attempt");
    l->attempting = false;
    l->handshake_at_ns = 7;
    veld_peer_rest(p);
    cr_assert_eq(p->link, l, "a timer");
    l->handshake_at_ns = VELD_NEVER;
    veld_peer_rest(p);
    cr_assert_null(p->link);
    veld_peer_rest(p);
    veld_peer_table_free(t);
}
