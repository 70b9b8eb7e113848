#include "control/peer_list.h"

#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct veld_peer_list list;

static struct veld_ip ip(const char *text)
{
    struct veld_ip v;
    cr_assert_eq(veld_ip_parse(text, &v), 0);
    return v;
}

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix v;
    cr_assert_eq(veld_prefix_parse(text, &v), 0);
    return v;
}

static void make(void)
{
    cr_assert_eq(veld_peer_list_init(&list, 8, "mynet"), 0);
}

static void done(void)
{
    veld_peer_list_free(&list);
}

TestSuite(peer_list, .init = make, .fini = done);

/* A description of the list's own. */
static struct veld_config_peer *about(const char *name, const char *addr, uint8_t pub)
{
    struct veld_ip addrs[] = {ip(addr), ip("fd00::1")};
    struct veld_prefix routes[] = {prefix("192.168.0.0/16")};
    struct veld_config_peer p = {
        .addrs = addrs, .n_addrs = 2, .routes = routes, .n_routes = 1, .pub = {pub}};
    snprintf(p.name, sizeof p.name, "%s", name);
    struct veld_config_peer *copy = veld_peer_about_copy(&p);
    cr_assert_not_null(copy);
    memset(addrs, 0xee, sizeof addrs); /* nothing of it is borrowed */
    memset(routes, 0xee, sizeof routes);
    return copy;
}

static void put(uint32_t id, const char *name, const char *addr)
{
    veld_peer_list_put(&list, id, about(name, addr, (uint8_t)(id + 1)), true);
}

static uint32_t find(const char *text)
{
    uint32_t id = UINT32_MAX;
    bool found = veld_peer_list_find(&list, text, &id);
    cr_assert_eq(found, id != UINT32_MAX);
    return id;
}

static size_t walk(void)
{
    size_t n = 0;
    for (uint32_t id = 0; veld_peer_list_next(&list, &id); id++)
        n++;
    return n;
}

Test(peer_list, ids_come_and_go)
{
    put(1, "b", "10.0.0.2");
    put(4, "c", "10.0.0.3");
    cr_assert_eq(list.n, 2);
    cr_assert_eq(walk(), 2);
    cr_assert_null(veld_peer_list_get(&list, 0));
    cr_assert_null(veld_peer_list_get(&list, 7));
    cr_assert_str_eq(veld_peer_list_get(&list, 4)->about->name, "c");
    veld_peer_list_drop(&list, 4);
    cr_assert_null(veld_peer_list_get(&list, 4));
    cr_assert_eq(list.end, 2, "the end comes back");
    cr_assert_eq(walk(), 1);
    veld_peer_list_drop(&list, 1);
    cr_assert_eq(list.end, 0);
    cr_assert_eq(walk(), 0);
    put(1, "again", "10.0.0.4");
    cr_assert_not(veld_peer_list_get(&list, 1)->blocked);
    cr_assert_eq(find("again"), 1);
    cr_assert_eq(find("b"), UINT32_MAX);
}

Test(peer_list, who_has_not_proved_itself_is_not_found)
{
    put(1, "b", "10.0.0.2");
    list.peers[1].unproven = true;
    cr_assert_eq(find("b"), UINT32_MAX);
    cr_assert_eq(find("10.0.0.2"), UINT32_MAX);
    list.peers[1].unproven = false;
    cr_assert_eq(find("b"), 1);
}

Test(peer_list, a_description_may_be_the_configurations)
{
    struct veld_ip addr = ip("10.0.0.9");
    struct veld_config_peer of_config = {.addrs = &addr, .n_addrs = 1, .name = "static"};
    veld_peer_list_put(&list, 0, &of_config, false);
    cr_assert_eq(find("static"), 0);
    veld_peer_list_drop(&list, 0); /* and is not freed */
    cr_assert_str_eq(of_config.name, "static");
}

Test(peer_list, a_change_is_seen_and_is_one_when_places_differ)
{
    put(0, "b", "10.0.0.2");
    struct veld_config_peer *same = about("b", "10.0.0.2", 1),
                            *moved = about("b", "10.0.0.7", 1),
                            *renamed = about("bb", "10.0.0.2", 1);
    same->keepalive_s = 25;
    cr_assert(veld_peer_about_same_places(same, list.peers[0].about));
    cr_assert_not(veld_peer_about_same_places(moved, list.peers[0].about));
    cr_assert_not(veld_peer_about_same_places(renamed, list.peers[0].about));
    moved->n_routes = 0;
    same->n_routes = 0;
    cr_assert_not(veld_peer_about_same_places(same, list.peers[0].about));
    veld_peer_list_change(&list, 0, moved);
    cr_assert_eq(find("10.0.0.7"), 0);
    cr_assert_eq(find("10.0.0.2"), UINT32_MAX);
    free(same);
    free(renamed);
}

Test(peer_list, live_peers_are_listed_once)
{
    for (uint32_t id = 0; id < 4; id++)
        put(id, "b", "10.0.0.2");
    static const uint32_t begun[] = {2, 0, 2, 3, 2};
    for (size_t i = 0; i < sizeof begun / sizeof begun[0]; i++)
        veld_peer_list_session(&list, begun[i]);
    cr_assert_eq(list.n_live, 3);
    cr_assert_not(veld_peer_list_session_end(&list, 2));
    cr_assert_not(veld_peer_list_session_end(&list, 2));
    cr_assert(veld_peer_list_session_end(&list, 2));
    cr_assert_not(veld_peer_list_session_end(&list, 2), "there was none");
    cr_assert_eq(list.n_live, 2);
    cr_assert(veld_peer_list_session_end(&list, 3));
    cr_assert_eq(list.n_live, 1);
    cr_assert_eq(list.live[0], 0);
    cr_assert(veld_peer_list_session_end(&list, 0));
    cr_assert_eq(list.n_live, 0);
}

Test(peer_list, what_people_type)
{
    put(0, "machine-b", "10.0.0.2");
    put(2, "", "10.0.0.3");
    static const char *const texts[] = {"machine-b",
                                        "MACHINE-B",
                                        "machine-b.veld",
                                        "Machine-B.VELD",
                                        "machine-b.mynet.veld",
                                        "machine-b.MyNet.veld",
                                        "10.0.0.2"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_eq(find(texts[i]), 0, "%s", texts[i]);
    static const char *const wrong[] = {"machine",    "machine-b.mynet", "machine-b.other.veld",
                                        "mynet.veld", ".veld",           "",
                                        "10.0.0.9",   ".mynet.veld",     "machine-b.veld.veld"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(find(wrong[i]), UINT32_MAX, "%s", wrong[i]);
    char key[VELD_PUBKEY_STRLEN], name[64];
    static const uint8_t seed[32] = {1};
    cr_assert_eq(veld_crypto_init(), 0);
    struct veld_identity *identity = veld_identity_from_seed(seed);
    struct veld_config_peer *keyed = about("keyed", "10.0.0.4", 0);
    memcpy(keyed->pub, identity->pub, sizeof keyed->pub);
    veld_peer_list_put(&list, 3, keyed, true);
    veld_pubkey_format(identity->pub, key);
    cr_assert_eq(find(key), 3);
    veld_identity_free(identity);
    cr_assert_str_eq(veld_peer_list_name(&list, 0, name), "machine-b");
    cr_assert_str_eq(veld_peer_list_name(&list, 2, name), "10.0.0.3");
    cr_assert_str_eq(veld_peer_list_name(&list, 5, name), "peer 5");
}

/* Whoever took another's name is blocked, and the name still means the other. */
Test(peer_list, of_two_the_one_that_is_not_blocked)
{
    put(0, "b", "10.0.0.2");
    list.peers[0].blocked = true;
    cr_assert_eq(find("b"), 0);
    put(3, "b", "10.0.0.2");
    cr_assert_eq(find("b"), 3);
    cr_assert_eq(find("10.0.0.2"), 3);
    put(5, "b", "10.0.0.2");
    list.peers[5].blocked = true;
    cr_assert_eq(find("b"), 3);
}

Test(peer_list, without_a_network_a_name_ends_by_veld_alone)
{
    veld_peer_list_free(&list);
    cr_assert_eq(veld_peer_list_init(&list, 1, NULL), 0);
    put(0, "b", "10.0.0.2");
    cr_assert_eq(find("b.veld"), 0);
    cr_assert_eq(find("b.mynet.veld"), UINT32_MAX);
}

/* Who asks by STUN is answered by this: nobody else learns that something listens here. */
Test(peer_list, at_an_address_is_who_has_a_session_there_and_is_not_blocked)
{
    struct veld_ip there = ip("198.51.100.7"), elsewhere = ip("198.51.100.8");
    struct veld_ip nowhere = {0};
    put(1, "b", "10.0.0.2");
    put(2, "c", "10.0.0.3");
    veld_peer_list_get(&list, 1)->endpoint = (struct veld_endpoint){.ip = there, .port = 4000};
    cr_assert_not(veld_peer_list_is_at(&list, &there), "it has no session");
    veld_peer_list_session(&list, 1);
    veld_peer_list_session(&list, 2);
    cr_assert(veld_peer_list_is_at(&list, &there));
    cr_assert_not(veld_peer_list_is_at(&list, &elsewhere));
    cr_assert_not(veld_peer_list_is_at(&list, &nowhere), "a peer without an endpoint");
    veld_peer_list_get(&list, 1)->blocked = true;
    cr_assert_not(veld_peer_list_is_at(&list, &there));
    veld_peer_list_get(&list, 1)->blocked = false;
    cr_assert(veld_peer_list_session_end(&list, 1));
    cr_assert_not(veld_peer_list_is_at(&list, &there));
}

static void says_relay(uint32_t id, bool relay)
{
    struct veld_config_peer *a = about("x", "10.0.0.9", (uint8_t)(id + 1));
    a->relay = relay;
    if (veld_peer_list_get(&list, id))
        veld_peer_list_change(&list, id, a);
    else
        veld_peer_list_put(&list, id, a, true);
}

static unsigned relays(void)
{
    unsigned bits = 0;
    for (size_t i = 0; i < list.n_relays; i++) {
        cr_assert_eq(bits & 1u << list.relays[i], 0, "each once");
        bits |= 1u << list.relays[i];
    }
    return bits;
}

Test(peer_list, those_who_relay_are_at_hand)
{
    cr_assert_eq(relays(), 0);
    for (uint32_t id = 0; id < 8; id++)
        says_relay(id, id != 3);
    cr_assert_eq(relays(), 0xf7);
    says_relay(3, true);
    says_relay(0, false);
    says_relay(5, true);
    cr_assert_eq(relays(), 0xfe);
    veld_peer_list_drop(&list, 7);
    veld_peer_list_drop(&list, 1);
    veld_peer_list_drop(&list, 0);
    cr_assert_eq(relays(), 0x7c);
    says_relay(1, true);
    cr_assert_eq(relays(), 0x7e);
}
