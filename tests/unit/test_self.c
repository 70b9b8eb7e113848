#include "control/reach/self.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *own[8], *tunnels[8]; /* ended by NULL */
static unsigned changes;

static size_t addresses(const char *without, enum veld_host_side side,
                        struct veld_prefix out[VELD_HOST_ADDRS_MAX])
{
    const char *const *list = side == VELD_HOST_TUNNELS ? tunnels : own;
    size_t n = 0;
    cr_assert_str_eq(without, "veld0");
    for (; list[n]; n++)
        cr_assert_eq(veld_prefix_parse(list[n], &out[n]), 0);
    return n;
}

static void on_change(void *ctx)
{
    changes++;
}

static struct veld_self *self;

static struct veld_self *new_self(const char *listen)
{
    struct veld_prefix network;
    struct veld_endpoint at = {.ip.family = 6, .port = 51820};
    cr_assert_eq(veld_prefix_parse("10.100.0.9/16", &network), 0);
    if (listen)
        cr_assert_eq(veld_endpoint_parse(listen, &at), 0);
    changes = 0;
    veld_self_free(self);
    self = veld_self_new(&(struct veld_self_config){.interface = "veld0",
                                                    .listen = at,
                                                    .port = 51820,
                                                    .networks = &network,
                                                    .n_networks = 1,
                                                    .addresses = addresses,
                                                    .on_change = on_change});
    return self;
}

static void setup(void)
{
    memset(own, 0, sizeof own);
    memset(tunnels, 0, sizeof tunnels);
    own[0] = "127.0.0.1/8";
    own[1] = "192.168.1.5/24";
    new_self(NULL);
}

static void cleanup(void)
{
    veld_self_free(self);
}

TestSuite(self, .init = setup, .fini = cleanup, .timeout = 20);

static const char *candidates(void)
{
    static char text[1024];
    char one[VELD_ENDPOINT_STRLEN];
    struct veld_endpoint list[VELD_SELF_CANDIDATES_MAX];
    size_t n = veld_self_candidates(self, list);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "",
                 veld_endpoint_format(&list[i], one));
    }
    return text;
}

static void map(enum veld_self_source source, const char *text)
{
    struct veld_endpoint e = {0};
    if (text)
        cr_assert_eq(veld_endpoint_parse(text, &e), 0);
    veld_self_add_mapped(self, source, &e);
}

static void see(const char *text)
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse(text, &ip), 0);
    veld_self_set_seen(self, &ip);
}

Test(self, an_address_change_is_read_and_told_once)
{
    cr_assert_str_eq(candidates(), "192.168.1.5:51820");
    veld_self_on_address_change(self);
    cr_assert_eq(changes, 0, "nothing changed");
    own[1] = "192.168.7.5/24";
    veld_self_on_address_change(self);
    cr_assert_eq(changes, 1);
    cr_assert_str_eq(candidates(), "192.168.7.5:51820");
}

Test(self, what_is_mapped_comes_before_private_addresses_with_its_own_port)
{
    map(VELD_SELF_STUN4, "203.0.113.7:40001");
    cr_assert_eq(changes, 1);
    cr_assert_str_eq(candidates(), "203.0.113.7:40001 192.168.1.5:51820");
    map(VELD_SELF_UPNP, "203.0.113.7:51820");
    cr_assert_str_eq(candidates(), "203.0.113.7:51820 203.0.113.7:40001 192.168.1.5:51820");
    map(VELD_SELF_UPNP, NULL);
    map(VELD_SELF_STUN4, NULL);
    cr_assert_str_eq(candidates(), "192.168.1.5:51820");
}

Test(self, what_the_server_sees_is_a_guess_for_want_of_better)
{
    see("203.0.113.7");
    cr_assert_str_eq(candidates(), "203.0.113.7:51820 192.168.1.5:51820");
    map(VELD_SELF_STUN4, "203.0.113.7:40001");
    cr_assert_str_eq(candidates(), "203.0.113.7:40001 192.168.1.5:51820");
    map(VELD_SELF_STUN4, NULL);
    map(VELD_SELF_STUN6, "[2001:db8::7]:40001");
    cr_assert_str_eq(candidates(), "[2001:db8::7]:40001 203.0.113.7:51820 192.168.1.5:51820");
}

Test(self, what_cannot_be_our_address_is_not_taken)
{
    static const char *const lies[] = {"127.0.0.1:1",
                                       "224.0.0.1:1",
                                       "255.255.255.255:1",
                                       "169.254.1.1:51820",
                                       "[fe80::1]:1",
                                       "10.100.0.3:51820",
                                       NULL};
    for (size_t i = 0; lies[i]; i++) {
        map(lies[i][0] == '[' ? VELD_SELF_STUN6 : VELD_SELF_STUN4, lies[i]);
        cr_assert_str_eq(candidates(), "192.168.1.5:51820", "%s", lies[i]);
        cr_assert(!veld_self_is_behind_nat(self, 4) || i > 2, "%s is no mapping", lies[i]);
    }
}

Test(self, behind_a_nat_is_who_is_seen_at_another_address)
{
    cr_assert_not(veld_self_is_behind_nat(self, 4));
    map(VELD_SELF_STUN4, "192.168.1.5:51820");
    cr_assert_not(veld_self_is_behind_nat(self, 4));
    map(VELD_SELF_STUN4, "203.0.113.7:40001");
    cr_assert(veld_self_is_behind_nat(self, 4));
    cr_assert_not(veld_self_is_behind_nat(self, 6));
    cr_assert_eq(veld_self_public(self).ip.family, 0, "it is the NAT's");
    own[2] = "203.0.113.7/24";
    veld_self_on_address_change(self);
    cr_assert_not(veld_self_is_behind_nat(self, 4));
    cr_assert_eq(veld_self_public(self).port, 51820);
}

Test(self, who_listens_on_one_address_is_reached_there_and_where_it_is_mapped)
{
    new_self("192.168.1.5:51820");
    own[2] = "192.168.9.9/24";
    veld_self_on_address_change(self);
    cr_assert_str_eq(candidates(), "192.168.1.5:51820");
    map(VELD_SELF_STUN4, "203.0.113.7:40001");
    cr_assert_str_eq(candidates(), "203.0.113.7:40001 192.168.1.5:51820");
}

/* Of another daemon here, whose network a server may see us in. */
Test(self, another_tunnel_of_this_host_is_no_way_to_us)
{
    const struct veld_prefix *list;
    tunnels[0] = "10.7.0.9/24";
    veld_self_on_address_change(self);
    map(VELD_SELF_STUN4, "10.7.0.9:51820");
    see("10.7.0.9");
    cr_assert_str_eq(candidates(), "192.168.1.5:51820");
    cr_assert_eq(veld_self_tunnels(self, &list), 1);
    cr_assert_eq(list[0].len, 24);
    tunnels[0] = NULL; /* it stopped */
    veld_self_on_address_change(self);
    cr_assert_eq(veld_self_tunnels(self, &list), 0);
    cr_assert_str_eq(candidates(), "10.7.0.9:51820 192.168.1.5:51820");
}
