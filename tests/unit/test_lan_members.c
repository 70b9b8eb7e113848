#include "base/bytes.h"
#include "control/lan/derive.h"
#include "control/lan/members.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"
#include "trust/network.h"

#include "../support/state_dir.h"

#include <criterion/criterion.h>
#include <string.h>

static struct veld_config config = {.name = "self"};
static struct veld_config_peer configured;
static struct veld_ip configured_addr;
static struct veld_prefix configured_route;
static struct veld_pins *pins;
static struct veld_lan_members *members;
static const uint8_t network[32] = {7};
static uint64_t now_ns = VELD_NS_PER_S;
static struct veld_diag diag;

static struct veld_ip ip(const char *text)
{
    struct veld_ip out;
    cr_assert_eq(veld_ip_parse(text, &out), 0);
    return out;
}

static void begin(void)
{
    cr_assert_eq(veld_pins_load(&pins, in_state_dir("pins.json"), network, &diag), 0, "%s",
                 diag.text);
    members = veld_lan_members_new(&(struct veld_lan_members_config){&config, pins, network});
}

static void end(void)
{
    veld_lan_members_free(members);
    veld_pins_free(pins);
}

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    state_dir_make();
    cr_assert_eq(veld_prefix_parse("10.100.0.1/16", &config.addrs[0]), 0);
    config.n_addrs = 1;
    configured_addr = ip("10.100.3.3");
    cr_assert_eq(veld_prefix_parse("10.100.64.0/24", &configured_route), 0);
    configured = (struct veld_config_peer){.name = "printer",
                                           .addrs = &configured_addr,
                                           .n_addrs = 1,
                                           .routes = &configured_route,
                                           .n_routes = 1};
    config.peers = &configured;
    config.n_peers = 1;
    begin();
}

static void cleanup(void)
{
    end();
    state_dir_remove();
}

TestSuite(lan_members, .init = setup, .fini = cleanup, .timeout = 20);

static const uint8_t *key(unsigned n)
{
    static uint8_t pub[2][32];
    static unsigned turn;
    uint8_t *out = pub[turn++ % 2];
    veld_store_be32(out, n);
    return out;
}

static const struct veld_lan_member *add(unsigned n)
{
    const struct veld_lan_member *x;
    cr_assert_eq(veld_lan_members_add(members, key(n), &x), 0);
    return x;
}

static int claim(unsigned n, const char *name, const char *ipv4)
{
    struct veld_message hello = {.type = VELD_MSG_HELLO};
    snprintf(hello.name, sizeof hello.name, "%s", name);
    if (ipv4)
        hello.ipv4 = ip(ipv4);
    now_ns += VELD_LAN_CLAIM_GAP_NS;
    return veld_lan_members_claim(members, key(n), &hello, now_ns, 1000);
}

/* Is member `n` known by these? NULL: no IPv4 address; by its derived name. */
static void check(unsigned n, const char *name, const char *ipv4)
{
    const struct veld_lan_member *x = veld_lan_members_find(members, key(n));
    char derived[VELD_LAN_NAME_STRLEN], text[VELD_IP_STRLEN];
    struct veld_ip ipv6;
    veld_network_ipv6(network, key(n), &ipv6);
    cr_assert_str_eq(x->as.name, name ? name : veld_lan_name(key(n), derived));
    cr_assert_eq(x->as.n_addrs, ipv4 ? 2 : 1);
    if (ipv4)
        cr_assert_str_eq(veld_ip_format(&x->as.addrs[0], text), ipv4);
    cr_assert(veld_ip_equal(&x->as.addrs[x->as.n_addrs - 1], &ipv6));
}

static void check_problem(unsigned n, enum veld_lan_verdict on_name,
                          enum veld_lan_verdict on_ipv4, const char *says)
{
    const struct veld_lan_member *x = veld_lan_members_find(members, key(n));
    cr_assert_eq(x->on_name, on_name, "%u", x->on_name);
    cr_assert_eq(x->on_ipv4, on_ipv4, "%u", x->on_ipv4);
    diag.text[0] = '\0';
    cr_assert_eq(veld_lan_member_problem(x, &diag), says != NULL);
    if (says)
        cr_assert_not_null(strstr(diag.text, says), "%s", diag.text);
}

Test(lan_members, a_name_and_addresses)
{
    add(1);
    check(1, NULL, NULL);
    cr_assert_eq(veld_pins_count(pins), 0, "it has told nothing");
    cr_assert_eq(claim(1, "laptop", "10.100.0.7"), 1);
    check(1, "laptop", "10.100.0.7");
    cr_assert_eq(claim(1, "laptop", "10.100.0.7"), 0);
    check_problem(1, VELD_LAN_FREE, VELD_LAN_FREE, NULL);
    cr_assert_eq(claim(1, "laptop-2", NULL), 1);
    check(1, "laptop-2", NULL);
    cr_assert_null(veld_pins_of(pins, "laptop"), "one name a key");
    cr_assert_eq(claim(2, "nobody", NULL), VELD_E_NOENT);
    const struct veld_lan_member *again;
    cr_assert_eq(veld_lan_members_add(members, key(1), &again), VELD_E_EXIST);
}

Test(lan_members, what_is_no_name)
{
    add(1);
    cr_assert_eq(claim(1, "-laptop", NULL), VELD_E_FORMAT);
    cr_assert_eq(claim(1, "laptop-", NULL), VELD_E_FORMAT);
    check(1, NULL, NULL);
}

Test(lan_members, claims_are_not_changed_at_will)
{
    struct veld_message hello = {.type = VELD_MSG_HELLO, .name = "b"};
    add(1);
    cr_assert_eq(claim(1, "a", NULL), 1);
    cr_assert_eq(veld_lan_members_claim(members, key(1), &hello, now_ns + 1, 1), VELD_E_LIMIT);
    check(1, "a", NULL);
}

Test(lan_members, a_name_is_one_key_s)
{
    add(1);
    add(2);
    claim(1, "laptop", "10.100.0.7");
    cr_assert_eq(claim(2, "laptop", "10.100.0.8"), 1);
    check(1, "laptop", "10.100.0.7");
    check(2, NULL, "10.100.0.8");
    check_problem(2, VELD_LAN_PINNED, VELD_LAN_FREE, "calls itself laptop");
    cr_assert_eq(claim(2, "self", NULL), 1);
    check_problem(2, VELD_LAN_OWN, VELD_LAN_FREE, "this machine's name");
    cr_assert_eq(claim(2, "printer", NULL), 1);
    check_problem(2, VELD_LAN_CONFIG, VELD_LAN_FREE, "[[peers]]");
    char derived[VELD_LAN_NAME_STRLEN];
    cr_assert_eq(claim(2, veld_lan_name(key(1), derived), NULL), 1);
    check_problem(2, VELD_LAN_DERIVED, VELD_LAN_FREE, "another key only");
    claim(2, veld_lan_name(key(2), derived), NULL);
    check_problem(2, VELD_LAN_FREE, VELD_LAN_FREE, NULL);
}

Test(lan_members, an_address_is_one_key_s)
{
    add(1);
    add(2);
    claim(1, "laptop", "10.100.0.7");
    claim(2, "tower", "10.100.0.7");
    check(2, "tower", NULL);
    check_problem(2, VELD_LAN_FREE, VELD_LAN_PINNED, "10.100.0.7, which is that of laptop");
    claim(2, "tower", "10.100.0.1");
    check(2, "tower", NULL);
    check_problem(2, VELD_LAN_FREE, VELD_LAN_OWN, "that of this machine");
    claim(2, "tower", "10.100.3.3");
    check(2, "tower", NULL);
    check_problem(2, VELD_LAN_FREE, VELD_LAN_CONFIG, "that of printer");
    claim(2, "tower", "10.100.64.9");
    check(2, "tower", NULL);
    check_problem(2, VELD_LAN_FREE, VELD_LAN_CONFIG, "that of printer");
    claim(2, "tower", "10.100.0.8");
    check(2, "tower", "10.100.0.8");
}

Test(lan_members, no_other_traffic_is_drawn)
{
    static const char *const outside[] = {"192.168.1.1",    "10.101.0.1", "10.100.0.0",
                                          "10.100.255.255", "127.0.0.1",  "224.0.0.1"};
    add(1);
    for (size_t i = 0; i < VELD_ARRAY_LEN(outside); i++) {
        claim(1, "laptop", outside[i]);
        check(1, "laptop", NULL);
        check_problem(1, VELD_LAN_FREE, VELD_LAN_OUTSIDE, "none of this machine's networks");
    }
}

Test(lan_members, pins_are_remembered)
{
    add(1);
    claim(1, "laptop", "10.100.0.7");
    cr_assert_eq(veld_pins_save(pins, &diag), 0, "%s", diag.text);
    end();
    begin();
    add(2);
    claim(2, "laptop", "10.100.0.7");
    check(2, NULL, NULL);
    check_problem(2, VELD_LAN_PINNED, VELD_LAN_PINNED, "laptop");
    add(1);
    check(1, "laptop", "10.100.0.7");
}

Test(lan_members, the_user_decides)
{
    add(1);
    add(2);
    claim(1, "laptop", "10.100.0.7");
    claim(2, "laptop", "10.100.0.7");
    struct veld_pin accepted =
        veld_lan_member_claimed(members, veld_lan_members_find(members, key(2)), 1000);
    cr_assert_eq(veld_pins_accept(pins, &accepted), 0);
    cr_assert_eq(veld_lan_members_judge(members, key(2), 1000), 1);
    cr_assert_eq(veld_lan_members_judge(members, key(1), 1000), 1);
    check(2, "laptop", "10.100.0.7");
    check(1, NULL, NULL);
    check_problem(1, VELD_LAN_PINNED, VELD_LAN_PINNED, "calls itself laptop");
}

Test(lan_members, as_people_call_them)
{
    const struct veld_lan_member *x;
    char derived[VELD_LAN_NAME_STRLEN], text[VELD_PUBKEY_STRLEN];
    add(1);
    add(2);
    claim(1, "laptop", NULL);
    cr_assert_eq(veld_lan_members_called(members, "Laptop", &x), 0);
    cr_assert_arr_eq(x->pub, key(1), 32);
    claim(2, "laptop", NULL);
    cr_assert_eq(veld_lan_members_called(members, "laptop", &x), VELD_E_STATE);
    cr_assert_eq(veld_lan_members_called(members, veld_lan_name(key(2), derived), &x), 0);
    cr_assert_arr_eq(x->pub, key(2), 32);
    veld_pubkey_format(key(1), text);
    cr_assert_eq(veld_lan_members_called(members, text, &x), 0);
    cr_assert_arr_eq(x->pub, key(1), 32);
    cr_assert_eq(veld_lan_members_called(members, "tower", &x), VELD_E_NOENT);
}

Test(lan_members, all_of_it_is_bounded)
{
    const struct veld_lan_member *x;
    for (unsigned n = 0; n < VELD_LAN_MEMBERS_MAX; n++)
        add(n);
    cr_assert_eq(veld_lan_members_add(members, key(5000), &x), VELD_E_FULL);
    for (unsigned n = 0; n < VELD_LAN_PINS_MAX; n++) {
        struct veld_pin pin = {.since_s = 1};
        snprintf(pin.name, sizeof pin.name, "n%u", n);
        memcpy(pin.pub, key(10000 + n), sizeof pin.pub);
        cr_assert_eq(veld_pins_add(pins, &pin), 0);
    }
    claim(1, "laptop", "10.100.0.7");
    check(1, NULL, NULL);
    check_problem(1, VELD_LAN_TOO_MANY, VELD_LAN_FREE, "no more names");
    cr_assert_eq(veld_pins_count(pins), VELD_LAN_PINS_MAX);
}
