#include "base/bytes.h"
#include "control/mesh/endpoints.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MAX 16

static struct veld_prefix networks[2];
static struct veld_prefix addrs[MAX];

/* From a list of addresses ended by NULL. */
static struct veld_endpoints_from from_of(const char *seen, const char *const *list)
{
    struct veld_endpoints_from from = {
        .addrs = addrs, .networks = networks, .n_networks = 2, .port = 51820};
    cr_assert_eq(veld_prefix_parse("10.100.0.0/16", &networks[0]), 0);
    cr_assert_eq(veld_prefix_parse("fd12:3456:789a::/48", &networks[1]), 0);
    if (seen)
        cr_assert_eq(veld_ip_parse(seen, &from.seen), 0);
    for (; list[from.n_addrs]; from.n_addrs++)
        cr_assert_eq(veld_prefix_parse(list[from.n_addrs], &addrs[from.n_addrs]), 0);
    return from;
}

static const char *text_of(const struct veld_endpoint *e, size_t n)
{
    static char text[1024];
    char one[VELD_ENDPOINT_STRLEN];
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "",
                 veld_endpoint_format(&e[i], one));
    }
    return text;
}

static const char *choose(const struct veld_endpoints_from *from)
{
    struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX];
    return text_of(out, veld_endpoints_choose(from, out));
}

Test(mesh_endpoints, the_likeliest_first)
{
    static const char *const list[] = {"192.168.1.5/24", "2001:db8::5/64", "203.0.113.9/24",
                                       NULL};
    struct veld_endpoints_from from = from_of("198.51.100.7", list);
    cr_assert_str_eq(choose(&from), "[2001:db8::5]:51820 203.0.113.9:51820 198.51.100.7:51820 "
                                    "192.168.1.5:51820");
}

Test(mesh_endpoints, the_address_that_the_server_sees_is_named_once)
{
    static const char *const list[] = {"192.168.1.5/24", "203.0.113.9/24", NULL};
    struct veld_endpoints_from from = from_of("203.0.113.9", list);
    cr_assert_str_eq(choose(&from), "203.0.113.9:51820 192.168.1.5:51820");
    from = from_of("192.168.1.5", list);
    cr_assert_str_eq(choose(&from), "203.0.113.9:51820 192.168.1.5:51820");
    from = from_of(NULL, list);
    cr_assert_str_eq(choose(&from), "203.0.113.9:51820 192.168.1.5:51820");
}

Test(mesh_endpoints, none_that_leads_nowhere)
{
    static const char *const list[] = {
        "127.0.0.1/8",  "::1/128",       "fe80::1/64",           "169.254.3.4/16", "0.0.0.0/0",
        "224.0.0.5/32", "10.100.3.4/16", "fd12:3456:789a::9/48", "fd00::9/64",     NULL};
    struct veld_endpoints_from from = from_of("127.0.0.1", list);
    cr_assert_str_eq(choose(&from), "[fd00::9]:51820");
    from = from_of("10.100.0.9", list);
    cr_assert_str_eq(choose(&from), "[fd00::9]:51820", "seen through the tunnel");
}

Test(mesh_endpoints, only_of_the_family_that_is_listened_on)
{
    static const char *const list[] = {"192.168.1.5/24", "2001:db8::5/64", NULL};
    struct veld_endpoints_from from = from_of("2001:db8::7", list);
    from.family = 4;
    cr_assert_str_eq(choose(&from), "192.168.1.5:51820");
    from.family = 6;
    cr_assert_str_eq(choose(&from), "[2001:db8::5]:51820 [2001:db8::7]:51820");
}

Test(mesh_endpoints, bounded_and_no_kind_crowds_out_the_others)
{
    static const char *const list[] = {"2001:db8::1/64", "2001:db8::2/64", "2001:db8::3/64",
                                       "2001:db8::4/64", "2001:db8::5/64", "10.0.0.1/24",
                                       "10.0.1.1/24",    "10.0.2.1/24",    "10.0.3.1/24",
                                       "10.0.4.1/24",    "10.0.5.1/24",    NULL};
    struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX];
    struct veld_endpoints_from from = from_of("198.51.100.7", list);
    cr_assert_eq(veld_endpoints_choose(&from, out), VELD_MEMBER_ENDPOINTS_MAX);
    cr_assert_str_eq(choose(&from),
                     "[2001:db8::1]:51820 [2001:db8::2]:51820 [2001:db8::3]:51820 "
                     "198.51.100.7:51820 10.0.0.1:51820 10.0.1.1:51820 10.0.2.1:51820 "
                     "10.0.3.1:51820");
}

/* A peer's word on where it is must not make this machine talk to itself, or through the tunnel. */
Test(mesh_endpoints, what_a_peer_says_is_used_where_it_can_be)
{
    static const char *const list[] = {"192.168.1.5/24", NULL};
    static const char *const says[] = {
        "198.51.100.7:51820", "192.168.1.5:51820",   "192.168.1.5:4000",
        "10.100.0.9:51820",   "192.168.9.4:51820",   "[fe80::1]:51820",
        "127.0.0.1:51820",    "[2001:db8::1]:51820", "[fd12:3456:789a::1]:51820"};
    struct veld_endpoint in[VELD_ARRAY_LEN(says)], out[VELD_MEMBER_ENDPOINTS_MAX];
    struct veld_endpoints_from from = from_of(NULL, list);
    struct veld_prefix route;
    for (size_t i = 0; i < VELD_ARRAY_LEN(says); i++)
        cr_assert_eq(veld_endpoint_parse(says[i], &in[i]), 0, "%s", says[i]);
    cr_assert_eq(veld_prefix_parse("192.168.9.0/24", &route), 0);
    size_t n = veld_endpoints_usable(&from, &route, 1, in, VELD_ARRAY_LEN(says), out);
    cr_assert_str_eq(text_of(out, n),
                     "198.51.100.7:51820 192.168.1.5:4000 [2001:db8::1]:51820");
    from.family = 4;
    n = veld_endpoints_usable(&from, &route, 1, in, VELD_ARRAY_LEN(says), out);
    cr_assert_str_eq(text_of(out, n), "198.51.100.7:51820 192.168.1.5:4000");
}

/* fe80::1 of a record or a call may be anybody's; of mDNS it is on the link where it was heard. */
Test(mesh_endpoints, a_link_local_address_counts_with_its_link)
{
    static const char *const list[] = {"192.168.1.5/24", NULL};
    struct veld_endpoints_from self = from_of(NULL, list);
    struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX],
        in = {.ip = {.family = 6, .b = {0xfe, 0x80, [15] = 1}}, .port = 1};
    cr_assert_eq(veld_endpoints_usable(&self, NULL, 0, &in, 1, out), 0);
    in.scope = 3;
    cr_assert_eq(veld_endpoints_usable(&self, NULL, 0, &in, 1, out), 1);
    cr_assert(veld_endpoint_equal(out, &in));
    self.family = 4;
    cr_assert_eq(veld_endpoints_usable(&self, NULL, 0, &in, 1, out), 0);
}

static const char *usable(const struct veld_endpoints_from *self, const char *const *says)
{
    struct veld_endpoint in[MAX], out[VELD_MEMBER_ENDPOINTS_MAX];
    size_t n = 0;
    for (; says[n]; n++)
        cr_assert_eq(veld_endpoint_parse(says[n], &in[n]), 0, "%s", says[n]);
    return text_of(out, veld_endpoints_usable(self, NULL, 0, in, n, out));
}

/* One datagram there would come to every host of the network. */
Test(mesh_endpoints, no_peer_is_at_all_of_an_own_network)
{
    static const char *const list[] = {"192.168.1.5/24",  "172.16.9.9/30", "198.51.100.6/31",
                                       "198.51.100.9/32", "10.9.0.5/8",    NULL};
    static const char *const broadcast[] = {"192.168.1.255:51820", "192.168.1.0:51820",
                                            "172.16.9.11:51820",   "172.16.9.8:51820",
                                            "10.255.255.255:1",    NULL};
    static const char *const others[] = {
        "192.168.1.254:1", "192.168.2.255:1", "192.168.2.0:1", "198.51.100.7:1",
        "172.16.9.10:1",   "10.9.0.255:1",    "10.9.0.0:1",    NULL};
    struct veld_endpoints_from self = from_of(NULL, list);
    cr_assert_str_eq(usable(&self, broadcast), "");
    cr_assert_str_eq(usable(&self, others),
                     "192.168.1.254:1 192.168.2.255:1 192.168.2.0:1 198.51.100.7:1 "
                     "172.16.9.10:1 10.9.0.255:1 10.9.0.0:1");
}

/* Routes come as the kernel has them: in any order, one within another. */
Test(mesh_endpoints, no_peer_is_behind_a_route_into_the_tunnel)
{
    static const char *const list[] = {"192.168.1.5/24", NULL};
    static const char *const says[] = {"203.0.113.9:1",   "172.20.0.9:1", "198.51.100.7:1",
                                       "[2001:db8::9]:1", "10.100.0.9:1", NULL};
    struct veld_prefix routes[4];
    struct veld_endpoints_from self = from_of(NULL, list);
    cr_assert_eq(veld_prefix_parse("203.0.113.0/24", &routes[0]), 0);
    cr_assert_eq(veld_prefix_parse("172.20.0.1/32", &routes[1]), 0);
    cr_assert_eq(veld_prefix_parse("172.20.0.0/16", &routes[2]), 0);
    cr_assert_eq(veld_prefix_parse("2001:db8::/64", &routes[3]), 0);
    cr_assert_str_eq(usable(&self, says),
                     "203.0.113.9:1 172.20.0.9:1 198.51.100.7:1 [2001:db8::9]:1");
    self.routes = routes;
    self.n_routes = 4;
    cr_assert_str_eq(usable(&self, says), "198.51.100.7:1");
}

/* Which another daemon here has: one tunnel in the other would call for ever. */
Test(mesh_endpoints, no_peer_is_in_another_tunnel_of_this_host)
{
    static const char *const list[] = {"192.168.1.5/24", NULL};
    static const char *const says[] = {"10.7.0.2:1", "10.8.0.2:1", "[fd07::2]:1", NULL};
    struct veld_prefix tunnels[2];
    struct veld_endpoints_from self = from_of("10.7.0.1", list);
    cr_assert_eq(veld_prefix_parse("10.7.0.1/24", &tunnels[0]), 0);
    cr_assert_eq(veld_prefix_parse("fd07::1/64", &tunnels[1]), 0);
    cr_assert_str_eq(usable(&self, says), "10.7.0.2:1 10.8.0.2:1 [fd07::2]:1");
    cr_assert_str_eq(choose(&self), "10.7.0.1:51820 192.168.1.5:51820");
    self.tunnels = tunnels;
    self.n_tunnels = 2;
    cr_assert_str_eq(usable(&self, says), "10.8.0.2:1");
    cr_assert_str_eq(choose(&self), "192.168.1.5:51820");
}

/* Circuits are numbers between two machines: one that a peer names would be another's. */
Test(mesh_endpoints, no_peer_names_a_circuit_or_a_port_that_is_none)
{
    static const char *const list[] = {"192.168.1.5/24", NULL};
    struct veld_endpoints_from self = from_of(NULL, list);
    struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX],
        in[] = {{.ip.family = VELD_FAMILY_CIRCUIT, .port = 1, .scope = 77},
                {.ip = {.family = 4, .b = {198, 51, 100, 7}}}};
    cr_assert_eq(veld_endpoints_usable(&self, NULL, 0, in, 2, out), 0);
    in[1].port = 1;
    cr_assert_eq(veld_endpoints_usable(&self, NULL, 0, in, 2, out), 1);
}
