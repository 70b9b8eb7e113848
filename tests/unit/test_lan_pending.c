#include "base/bytes.h"
#include "control/lan/derive.h"
#include "control/lan/pending.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <string.h>

static struct veld_lan_pending pending;

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
}

TestSuite(lan_pending, .init = setup, .timeout = 20);

static const uint8_t *key(unsigned n)
{
    static uint8_t pub[32];
    veld_store_be32(pub, n);
    return pub;
}

static void put(unsigned n, uint16_t port)
{
    struct veld_endpoint at = {.ip = {.family = 4, .b = {192, 0, 2, 1}}, .port = port};
    veld_lan_pending_put(&pending, key(n), &at, 1, 1000 + n);
}

/* ---- What follows from a key ---- */

Test(lan_pending, names_of_keys)
{
    char name[VELD_LAN_NAME_STRLEN], fingerprint[VELD_FINGERPRINT_STRLEN];
    veld_pubkey_fingerprint(key(1), fingerprint);
    veld_lan_name(key(1), name);
    cr_assert_eq(name[0], 'k');
    cr_assert_eq(strncmp(name + 1, fingerprint, 4), 0);
    cr_assert_eq(strncmp(name + 6, fingerprint + 4, 4), 0);
    cr_assert_eq(strncmp(name + 11, fingerprint + 8, 4), 0);
    cr_assert(veld_lan_name_is_derived(name));
    cr_assert(veld_lan_name_is_derived("k0123-4567-89ab-cdef-0123"));
    static const char *const others[] = {
        "k0123-4567-89ab-cdef-012",  "k0123-4567-89ab-cdef-01234", "l0123-4567-89ab-cdef-0123",
        "k0123-4567x89ab-cdef-0123", "k0123-4567-89ag-cdef-0123",  "laptop",
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(others); i++)
        cr_assert_not(veld_lan_name_is_derived(others[i]), "%s", others[i]);
}

Test(lan_pending, addresses_of_keys)
{
    bool differ = false;
    for (unsigned n = 0; n < 1000; n++) {
        struct veld_ip ip = veld_lan_ipv4(key(n)), again = veld_lan_ipv4(key(n));
        cr_assert(veld_ip_equal(&ip, &again));
        cr_assert(ip.family == 4 && ip.b[0] == 10 && ip.b[1] == 100);
        unsigned host = veld_load_be16(ip.b + 2);
        cr_assert(host != 0 && host != 0xffff);
        differ |= host != veld_load_be16(veld_lan_ipv4(key(n + 1)).b + 2);
    }
    cr_assert(differ);
}

Test(lan_pending, a_network_is_its_secret)
{
    uint8_t none[32], zeros[32] = {0}, a[32], b[32], secret[32] = {1};
    veld_lan_network_id(none, NULL);
    veld_lan_network_id(a, zeros);
    cr_assert_arr_eq(none, a, 32);
    veld_lan_network_id(a, secret);
    secret[31] = 1;
    veld_lan_network_id(b, secret);
    cr_assert_neq(memcmp(a, b, 32), 0);
    cr_assert_neq(memcmp(a, none, 32), 0);
}

/* ---- The list ---- */

Test(lan_pending, each_once_and_where_it_is_now)
{
    put(1, 10);
    put(2, 20);
    put(1, 11);
    cr_assert_eq(pending.n, 2);
    cr_assert_eq(pending.found[0].list[0].port, 11);
    cr_assert_eq(pending.found[0].since_s, 1001);
    veld_lan_pending_remove(&pending, key(1));
    cr_assert_eq(pending.n, 1);
    cr_assert_eq(pending.found[0].list[0].port, 20);
    veld_lan_pending_remove(&pending, key(1));
    cr_assert_eq(pending.n, 1);
}

Test(lan_pending, the_first_makes_room)
{
    for (unsigned n = 0; n < VELD_LAN_PENDING_MAX + 3; n++)
        put(n, 1);
    cr_assert_eq(pending.n, VELD_LAN_PENDING_MAX);
    cr_assert_eq(pending.dropped, 3);
    cr_assert_arr_eq(pending.found[0].pub, key(3), 32);
    cr_assert_arr_eq(pending.found[VELD_LAN_PENDING_MAX - 1].pub, key(VELD_LAN_PENDING_MAX + 2),
                     32);
}

Test(lan_pending, as_people_call_them)
{
    char name[VELD_LAN_NAME_STRLEN], text[VELD_PUBKEY_STRLEN],
        fingerprint[VELD_FINGERPRINT_STRLEN];
    const struct veld_lan_found *found;
    for (unsigned n = 1; n < 5; n++)
        put(n, (uint16_t)n);
    veld_pubkey_format(key(3), text);
    veld_pubkey_fingerprint(key(3), fingerprint);
    const char *const called[] = {veld_lan_name(key(3), name), text, fingerprint};
    for (size_t i = 0; i < VELD_ARRAY_LEN(called); i++) {
        cr_assert_eq(veld_lan_pending_find(&pending, called[i], &found), 0, "%s", called[i]);
        cr_assert_eq(found->list[0].port, 3);
    }
    fingerprint[20] = '\0';
    cr_assert_eq(veld_lan_pending_find(&pending, fingerprint, &found), 0);
    fingerprint[19] = '\0';
    cr_assert_eq(veld_lan_pending_find(&pending, fingerprint, &found), VELD_E_NOENT,
                 "so few digits are anybody's");
    cr_assert_eq(veld_lan_pending_find(&pending, "", &found), VELD_E_NOENT);
}

Test(lan_pending, two_of_one_name)
{
    const struct veld_lan_found *found;
    char name[VELD_LAN_NAME_STRLEN];
    put(1, 1);
    pending.found[1] = pending.found[0]; /* as if somebody had searched for such a key */
    pending.n = 2;
    cr_assert_eq(veld_lan_pending_find(&pending, veld_lan_name(key(1), name), &found),
                 VELD_E_STATE);
}

Test(lan_pending, endpoints_are_bounded)
{
    struct veld_endpoint many[VELD_CANDIDATES_MAX + 4] = {0};
    veld_lan_pending_put(&pending, key(1), many, VELD_ARRAY_LEN(many), 1);
    cr_assert_eq(pending.found[0].n, VELD_CANDIDATES_MAX);
}
