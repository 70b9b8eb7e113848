/* On TUN interfaces, in a network namespace of the test's own; read back through libnl. */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "control/host/addresses.h"
#include "control/host/netif.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static struct nl_sock *sock;
static struct veld_diag diag;

static unsigned make_tun(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* open until the test's process ends */
    if (fd < 0)
        cr_skip("needs /dev/net/tun");
    cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
    return if_nametoindex(name);
}

static void own_namespace(void)
{
    if (geteuid() != 0)
        cr_skip("needs root");
    cr_assert_eq(unshare(CLONE_NEWNET), 0);
    sock = nl_socket_alloc();
    cr_assert_eq(nl_connect(sock, NETLINK_ROUTE), 0);
}

static void done(void)
{
    nl_socket_free(sock);
}

TestSuite(netif, .init = own_namespace, .fini = done, .timeout = 60);

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix p;
    cr_assert_eq(veld_prefix_parse(text, &p), 0, "%s", text);
    return p;
}

static int open_with(struct veld_netif **n, const char *name, const char *v4, const char *v6)
{
    struct veld_prefix addrs[2];
    size_t count = 0;
    if (v4)
        addrs[count++] = prefix(v4);
    if (v6)
        addrs[count++] = prefix(v6);
    struct veld_netif_config cfg = {.ifindex = if_nametoindex(name),
                                    .name = name,
                                    .mtu = 1420,
                                    .tx_queue_len = 3000,
                                    .gso_max_size = 61440,
                                    .addrs = addrs,
                                    .n_addrs = count};
    return veld_netif_open(n, &cfg, &diag);
}

static struct veld_netif *must_open(const char *name, const char *v4, const char *v6)
{
    struct veld_netif *n = NULL;
    make_tun(name);
    cr_assert_eq(open_with(&n, name, v4, v6), 0, "%s", diag.text);
    return n;
}

static int set(struct veld_netif *n, const char *const *texts, size_t count)
{
    struct veld_prefix p[16];
    for (size_t i = 0; i < count; i++)
        p[i] = prefix(texts[i]);
    return veld_netif_set_routes(n, p, count, &diag);
}
#define SET(n, ...)                                                                            \
    set(n, (const char *const[]){__VA_ARGS__},                                                 \
        VELD_ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

/* Routes of the main table through `name`, "dst proto" each, and the number of them. */
static int count_routes(const char *name, const char *want, int protocol, int scope)
{
    struct nl_cache *cache;
    int found = 0, all = 0;
    cr_assert_eq(rtnl_route_alloc_cache(sock, AF_UNSPEC, 0, &cache), 0);
    for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
        struct rtnl_route *r = (struct rtnl_route *)o;
        char dst[64];
        if (rtnl_route_get_table(r) != RT_TABLE_MAIN || rtnl_route_get_nnexthops(r) != 1 ||
            rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(r, 0)) != (int)if_nametoindex(name))
            continue;
        all++;
        nl_addr2str(rtnl_route_get_dst(r), dst, sizeof dst);
        if (want && strcmp(dst, want) == 0) {
            found++;
            cr_expect_eq(rtnl_route_get_protocol(r), protocol, "%s", dst);
            cr_expect_eq(rtnl_route_get_scope(r), scope, "%s", dst);
        }
    }
    nl_cache_free(cache);
    return want ? found : all;
}

static int has_route(const char *name, const char *dst)
{
    return count_routes(name, dst, RTPROT_STATIC,
                        strchr(dst, ':') ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
}

/* Flags of the address, -1 when the interface does not have it; `all` receives how many it has. */
static int address_flags(const char *name, const char *want, int *all)
{
    struct nl_cache *cache;
    int flags = -1;
    *all = 0;
    cr_assert_eq(rtnl_addr_alloc_cache(sock, &cache), 0);
    for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
        struct rtnl_addr *a = (struct rtnl_addr *)o;
        char text[64];
        if (rtnl_addr_get_ifindex(a) != (int)if_nametoindex(name))
            continue;
        ++*all;
        if (strcmp(nl_addr2str(rtnl_addr_get_local(a), text, sizeof text), want) == 0)
            flags = (int)rtnl_addr_get_flags(a);
    }
    nl_cache_free(cache);
    return flags;
}

Test(netif, everything_is_set)
{
    struct veld_netif *n = must_open("vt0", "10.0.0.1/24", "fd00::1/64");
    struct rtnl_link *link;
    uint32_t gso = 0;
    uint8_t mode = 0xff;
    int all;
    cr_assert_eq(rtnl_link_get_kernel(sock, 0, "vt0", &link), 0);
    cr_assert_eq(rtnl_link_get_mtu(link), 1420);
    cr_assert_eq(rtnl_link_get_txqlen(link), 3000);
    cr_assert_eq(rtnl_link_get_gso_max_size(link, &gso), 0);
    cr_assert_eq(gso, 61440);
    cr_assert(rtnl_link_get_flags(link) & IFF_UP);
    cr_assert_eq(rtnl_link_inet6_get_addr_gen_mode(link, &mode), 0);
    cr_assert_eq(mode, IN6_ADDR_GEN_MODE_NONE);
    rtnl_link_put(link);
    cr_assert_geq(address_flags("vt0", "10.0.0.1/24", &all), 0);
    int flags = address_flags("vt0", "fd00::1/64", &all);
    cr_assert_geq(flags, 0);
    cr_assert(flags & IFA_F_NODAD);
    cr_assert_not(flags & IFA_F_TENTATIVE, "usable at once");
    cr_assert_eq(all, 2, "no link-local address");
    cr_assert_eq(count_routes("vt0", "10.0.0.0/24", RTPROT_KERNEL, RT_SCOPE_LINK), 1);
    cr_assert_eq(count_routes("vt0", "fd00::/64", RTPROT_KERNEL, RT_SCOPE_UNIVERSE), 1);

    struct veld_netif *again = NULL;
    cr_assert_eq(open_with(&again, "vt0", "10.0.0.1/24", "fd00::1/64"), 0, "%s", diag.text);
    veld_netif_close(again);
    cr_assert_eq(if_nametoindex("vt0"), 0, "gone at once, though its file is open still");
    veld_netif_close(n);
}

Test(netif, routes_become_exactly_those_asked)
{
    struct veld_netif *n = must_open("vt0", "10.0.0.1/24", "fd00::1/64");
    int from_addresses = count_routes("vt0", NULL, 0, 0);
    /* host bits are cut off, doubles count once, a connected network is there already, and so
       are its hosts, but not a network within it */
    cr_assert_eq(SET(n, "192.168.1.7/24", "192.168.1.0/24", "10.9.0.0/16", "fd01::5/64",
                     "10.0.0.0/24", "172.16.0.1/32", "10.0.0.7/32", "10.0.0.128/25",
                     "fd00::7/128"),
                 0, "%s", diag.text);
    cr_assert_eq(has_route("vt0", "10.0.0.7"), 0);
    cr_assert_eq(has_route("vt0", "fd00::7"), 0);
    cr_assert_eq(has_route("vt0", "10.0.0.128/25"), 1);
    cr_assert_eq(has_route("vt0", "192.168.1.0/24"), 1);
    cr_assert_eq(has_route("vt0", "10.9.0.0/16"), 1);
    cr_assert_eq(has_route("vt0", "172.16.0.1"), 1);
    cr_assert_eq(has_route("vt0", "fd01::/64"), 1);
    cr_assert_eq(count_routes("vt0", NULL, 0, 0), from_addresses + 5);

    cr_assert_eq(SET(n, "10.9.0.0/16", "10.8.0.0/16", "fd02::/64"), 0, "%s", diag.text);
    cr_assert_eq(has_route("vt0", "192.168.1.0/24"), 0);
    cr_assert_eq(has_route("vt0", "fd01::/64"), 0);
    cr_assert_eq(has_route("vt0", "10.9.0.0/16"), 1);
    cr_assert_eq(has_route("vt0", "10.8.0.0/16"), 1);
    cr_assert_eq(has_route("vt0", "fd02::/64"), 1);
    cr_assert_eq(count_routes("vt0", NULL, 0, 0), from_addresses + 3);

    cr_assert_eq(veld_netif_set_routes(n, NULL, 0, &diag), 0);
    cr_assert_eq(count_routes("vt0", NULL, 0, 0), from_addresses);
    veld_netif_close(n);
}

Test(netif, conflicts_are_named)
{
    struct veld_netif *a = must_open("vt0", "10.0.0.1/24", "fd00::1/64"), *b = NULL;
    cr_assert_eq(SET(a, "10.9.0.0/16", "fd09::/64"), 0);
    make_tun("vt1");

    cr_assert_eq(open_with(&b, "vt1", "10.0.0.1/32", NULL), VELD_E_EXIST);
    cr_assert_not_null(strstr(diag.text, "10.0.0.1 "));
    cr_assert_not_null(strstr(diag.text, "vt0"));
    cr_assert_eq(open_with(&b, "vt1", NULL, "fd00::1/48"), VELD_E_EXIST);
    cr_assert_not_null(strstr(diag.text, "fd00::1 "));
    /* the network of the address is another interface's */
    cr_assert_eq(open_with(&b, "vt1", "10.0.0.2/24", NULL), VELD_E_EXIST);
    cr_assert_not_null(strstr(diag.text, "10.0.0.0/24"));
    cr_assert_null(b);

    cr_assert_eq(open_with(&b, "vt1", "10.1.0.1/24", "fd10::1/64"), 0, "%s", diag.text);
    static const char *const taken[] = {"10.9.0.0/16", "fd09::/64", "10.0.0.0/24", "fd00::/64"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(taken); i++) {
        cr_assert_eq(SET(b, "10.3.0.0/16", taken[i]), VELD_E_EXIST, "%s", taken[i]);
        cr_assert_not_null(strstr(diag.text, taken[i]));
        cr_assert_not_null(strstr(diag.text, "vt0"));
        cr_assert_eq(has_route("vt1", "10.3.0.0/16"), 0, "nothing is changed on a conflict");
    }
    /* longer and shorter prefixes are no conflict */
    cr_assert_eq(SET(b, "10.9.1.0/24", "10.0.0.0/8"), 0, "%s", diag.text);
    veld_netif_close(a);
    veld_netif_close(b);
}

/* Fit a few changes at a time; how many routes were left out. */
static size_t fit(struct veld_netif *n, const char *const *texts, size_t count, size_t max)
{
    struct veld_prefix p[16];
    struct veld_netif_fit *f = NULL;
    for (size_t i = 0; i < count; i++)
        p[i] = prefix(texts[i]);
    cr_assert_eq(veld_netif_fit_begin(n, p, count, &f, &diag), 0, "%s", diag.text);
    while (veld_netif_fit_some(f, max))
        ;
    diag.text[0] = '\0';
    size_t left_out = veld_netif_fit_left_out(f, &diag);
    veld_netif_fit_end(f);
    return left_out;
}
#define FIT(n, ...)                                                                            \
    fit(n, (const char *const[]){__VA_ARGS__},                                                 \
        VELD_ARRAY_LEN(((const char *const[]){__VA_ARGS__})), 1)

Test(netif, a_running_daemon_leaves_out_what_is_anothers)
{
    struct veld_netif *a = must_open("vt0", "10.0.0.1/24", "fd00::1/64");
    struct veld_netif *b = must_open("vt1", "10.1.0.1/24", "fd10::1/64");
    int from_addresses = count_routes("vt1", NULL, 0, 0);
    cr_assert_eq(SET(a, "10.9.0.0/16", "fd09::/64"), 0);
    cr_assert_eq(FIT(b, "10.3.0.0/16", "10.9.0.0/16", "10.1.0.7/32", "fd09::/64", "fd03::/64"),
                 2);
    cr_assert_str_eq(diag.text,
                     "10.9.0.0/16 is not routed through vt1, as it is a route of vt0 "
                     "already; see: ip route show 10.9.0.0/16");
    cr_assert_eq(has_route("vt1", "10.3.0.0/16"), 1);
    cr_assert_eq(has_route("vt1", "fd03::/64"), 1);
    cr_assert_eq(count_routes("vt1", NULL, 0, 0), from_addresses + 2);

    /* exactly those asked for, once the other has given way */
    cr_assert_eq(veld_netif_set_routes(a, NULL, 0, &diag), 0);
    cr_assert_eq(FIT(b, "10.9.0.0/16", "fd09::/64"), 0);
    cr_assert_str_empty(diag.text);
    cr_assert_eq(count_routes("vt1", NULL, 0, 0), from_addresses + 2);
    cr_assert_eq(has_route("vt1", "10.9.0.0/16"), 1);
    veld_netif_close(a);
    veld_netif_close(b);
}

Test(netif, a_running_daemon_gives_way)
{
    struct veld_netif *n = must_open("vt0", "10.0.0.1/24", "fd00::1/64");
    cr_assert_eq(FIT(n, "10.9.0.0/16", "fd09::/64"), 0);
    struct veld_netif *lan = must_open("vt1", NULL, NULL);
    cr_assert_eq(system("ip route add 10.9.0.0/16 dev vt1 metric 100 &&"
                        "ip -6 route add fd09::/64 dev vt1 metric 100"),
                 0);
    cr_assert_eq(FIT(n, "10.9.0.0/16", "fd09::/64"), 2);
    cr_assert_eq(has_route("vt0", "10.9.0.0/16"), 0);
    cr_assert_eq(has_route("vt0", "fd09::/64"), 0);
    cr_assert_eq(count_routes("vt1", NULL, 0, 0), 2, "the other's stay");
    veld_netif_close(lan);
    veld_netif_close(n);
}

Test(netif, a_route_that_cannot_be_had_is_told_with_the_command_that_shows_it)
{
    struct veld_netif *n = must_open("vt0", "10.0.0.1/24", "fd00::1/64");
    cr_assert_eq(system("ip link set vt0 down"), 0);
    cr_assert_eq(FIT(n, "fd09::/64", "10.9.0.0/16", "10.8.0.0/16"), 3);
    cr_assert_not_null(strstr(diag.text, "cannot add the route 10.8.0.0/16 to vt0"));
    cr_assert_not_null(strstr(diag.text, "; see: ip route show 10.8.0.0/16"));
    veld_netif_close(n);
}

Test(netif, thousands_of_routes)
{
    enum { MANY = 10000 };
    struct veld_netif *n = must_open("vt0", "10.0.0.1/24", NULL);
    struct veld_prefix *p = calloc(MANY, sizeof *p);
    for (unsigned i = 0; i < MANY; i++) {
        p[i] = (struct veld_prefix){
            .ip = {.family = 4, .b = {20, (uint8_t)(i >> 8), (uint8_t)i, 0}}, .len = 24};
    }
    uint64_t began = veld_clock_mono_ns();
    cr_assert_eq(veld_netif_set_routes(n, p, MANY, &diag), 0, "%s", diag.text);
    cr_assert_eq(count_routes("vt0", NULL, 0, 0), MANY + 1);
    cr_assert_eq(veld_netif_set_routes(n, p, MANY, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_netif_set_routes(n, p + MANY / 2, MANY / 2, &diag), 0, "%s", diag.text);
    cr_assert_eq(count_routes("vt0", NULL, 0, 0), MANY / 2 + 1);
    cr_log_info("%d routes in, half of them out: %llu ms", MANY,
                (unsigned long long)((veld_clock_mono_ns() - began) / VELD_NS_PER_MS));
    free(p);
    veld_netif_close(n);
}

static void write_switch(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(write(fd, value, 1), 1);
    close(fd);
}

Test(netif, ipv6_disabled_by_default_is_enabled_here_alone)
{
    write_switch("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    struct veld_netif *n = must_open("vt0", NULL, "fd00::1/64");
    int all;
    cr_assert_geq(address_flags("vt0", "fd00::1/64", &all), 0);
    make_tun("vt1");
    char text[8];
    size_t len;
    cr_assert_eq(
        veld_file_read("/proc/sys/net/ipv6/conf/vt1/disable_ipv6", text, sizeof text, &len), 0);
    cr_assert_eq(text[0], '1');
    veld_netif_close(n);
}

Test(netif, ipv6_that_cannot_be_enabled_is_told)
{
    write_switch("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    make_tun("vt0");
    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL), 0);
    cr_assert_eq(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    struct veld_netif *n = NULL;
    cr_assert_eq(open_with(&n, "vt0", NULL, "fd00::1/64"), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "net.ipv6.conf.default.disable_ipv6=0"));
    cr_assert_eq(open_with(&n, "vt0", "10.0.0.1/24", NULL), 0, "%s", diag.text);
    veld_netif_close(n);
}

Test(netif, small_mtu_and_ipv6)
{
    struct veld_prefix p = prefix("fd00::1/64");
    struct veld_netif_config cfg = {
        .ifindex = make_tun("vt0"), .name = "vt0", .mtu = 1200, .tx_queue_len = 500};
    struct veld_netif *n = NULL;
    cfg.addrs = &p;
    cfg.n_addrs = 1;
    cr_assert_eq(veld_netif_open(&n, &cfg, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "1280"));
}

Test(netif, without_privilege)
{
    make_tun("vt0");
    cr_assert_eq(setuid(65534), 0);
    struct veld_netif *n = NULL;
    cr_assert_eq(open_with(&n, "vt0", "10.0.0.1/24", NULL), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "CAP_NET_ADMIN"));
}

Test(netif, missing_interface)
{
    struct veld_netif_config cfg = {
        .ifindex = 4711, .name = "vt9", .mtu = 1420, .tx_queue_len = 500};
    struct veld_netif *n = NULL;
    cr_assert_eq(veld_netif_open(&n, &cfg, &diag), VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "vt9"));
}

static const char *get(const char *path)
{
    static char text[16];
    size_t len;
    cr_assert_eq(veld_file_read(path, text, sizeof text, &len), 0);
    return text;
}

Test(netif, forwarding_by_family_and_undone)
{
    static const char v4[] = "/proc/sys/net/ipv4/ip_forward";
    static const char v6[] = "/proc/sys/net/ipv6/conf/all/forwarding";
    char dir[] = "/tmp/veld-test-netif.XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    struct veld_prefix routes[] = {prefix("192.168.1.0/24"), prefix("fd01::/64")};
    for (size_t count = 0; count <= 2; count++) {
        struct veld_journal *j;
        cr_assert_eq(veld_journal_open(&j, dir, &diag), 0);
        cr_assert_eq(veld_netif_enable_forwarding(j, routes, count, &diag), 0, "%s", diag.text);
        cr_assert_str_eq(get(v4), count >= 1 ? "1\n" : "0\n");
        cr_assert_str_eq(get(v6), count >= 2 ? "1\n" : "0\n");
        veld_journal_close(j);
        cr_assert_str_eq(get(v4), "0\n");
        cr_assert_str_eq(get(v6), "0\n");
    }
    /* on already: not ours to turn off */
    write_switch(v4, "2");
    struct veld_journal *j;
    cr_assert_eq(veld_journal_open(&j, dir, &diag), 0);
    cr_assert_eq(veld_netif_enable_forwarding(j, routes, 1, &diag), 0);
    cr_assert_str_eq(get(v4), "2\n");
    veld_journal_close(j);
    cr_assert_eq(rmdir(dir), 0);
}

/* As the host's addresses, "a b", in the kernel's order. */
static const char *addresses(const char *without, enum veld_host_side side)
{
    static char text[512];
    struct veld_prefix list[VELD_HOST_ADDRS_MAX];
    char one[VELD_PREFIX_STRLEN];
    size_t n = veld_host_addresses(without, side, list);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "",
                 veld_prefix_format(&list[i], one));
    }
    return text;
}

Test(netif, interfaces_of_veld_are_told_from_others)
{
    struct veld_netif *a = must_open("veld0", "10.0.0.1/24", NULL);
    struct veld_netif *b = must_open("veld1", "10.7.0.1/24", NULL);
    cr_assert_str_eq(addresses("veld1", VELD_HOST_TUNNELS), "10.0.0.1/24");
    cr_assert_str_eq(addresses(NULL, VELD_HOST_TUNNELS), "10.0.0.1/24 10.7.0.1/24");
    cr_assert_str_eq(addresses("veld1", VELD_HOST_OUTSIDE), "");
    make_tun("wg0"); /* somebody else's, and what veld0 would be without its alias */
    cr_assert_eq(system("ip link set wg0 addrgenmode none && "
                        "ip addr add 10.8.0.1/24 dev wg0 && ip link set wg0 up"),
                 0);
    cr_assert_str_eq(addresses("veld1", VELD_HOST_OUTSIDE), "10.8.0.1/24");
    cr_assert_eq(system("ip link set veld0 alias other"), 0);
    cr_assert_str_eq(addresses("veld1", VELD_HOST_OUTSIDE), "10.0.0.1/24 10.8.0.1/24");
    veld_netif_close(b);
    veld_netif_close(a);
}
