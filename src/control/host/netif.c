#include "control/host/netif.h"

#include "base/file.h"
#include "base/log.h"
#include "control/host/netif_routes.h"
#include "control/host/rtnl.h"

#include <glib.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IPV6_MTU_MIN 1280

struct veld_netif {
    struct nl_sock *sock;
    int ifindex;
    char name[IF_NAMESIZE];
    struct veld_prefix *networks; /* of our addresses */
    size_t n_networks;
};

/* ---- link ---- */

static struct nl_msg *link_message(const struct veld_netif *n, int type, unsigned flags)
{
    struct nl_msg *msg = nlmsg_alloc_simple(type, 0);
    struct ifinfomsg info = {.ifi_index = n->ifindex, .ifi_flags = flags, .ifi_change = flags};
    if (msg && nlmsg_append(msg, &info, sizeof info, NLMSG_ALIGNTO) < 0) {
        nlmsg_free(msg);
        return NULL;
    }
    return msg;
}

static int link_set(struct veld_netif *n, int attr, uint32_t value, const char *what,
                    struct veld_diag *diag)
{
    struct nl_msg *msg = link_message(n, RTM_NEWLINK, 0);
    int rc = msg ? veld_rtnl_send(n->sock, msg, nla_put_u32(msg, attr, value)) : -NLE_NOMEM;
    return rc < 0 ? veld_rtnl_failed(diag, rc, what, n->name) : 0;
}

static int link_up(struct veld_netif *n, struct veld_diag *diag)
{
    struct nl_msg *msg = link_message(n, RTM_NEWLINK, IFF_UP);
    int rc = msg ? veld_rtnl_send(n->sock, msg, 0) : -NLE_NOMEM;
    return rc < 0 ? veld_rtnl_failed(diag, rc, "bring up", n->name) : 0;
}

static void link_remove(struct veld_netif *n)
{
    struct nl_msg *msg = link_message(n, RTM_DELLINK, 0);
    int rc = msg ? veld_rtnl_send(n->sock, msg, 0) : -NLE_NOMEM;
    if (rc < 0 && rc != -NLE_INVAL) /* the kernel's answer for a link that is gone */
        veld_warn("cannot remove %s: %s; it goes with the process", n->name, nl_geterror(rc));
}

static int link_mark(struct veld_netif *n, struct veld_diag *diag)
{
    struct nl_msg *msg = link_message(n, RTM_NEWLINK, 0);
    int rc =
        msg ? veld_rtnl_send(n->sock, msg, nla_put_string(msg, IFLA_IFALIAS, VELD_NETIF_ALIAS))
            : -NLE_NOMEM;
    return rc < 0 ? veld_rtnl_failed(diag, rc, "set the alias of", n->name) : 0;
}

/* The kernel shall not give the interface a link-local address: nobody is there to talk to by it. */
static int link_no_ipv6_autoconf(struct veld_netif *n, struct veld_diag *diag)
{
    struct nl_msg *msg = link_message(n, RTM_NEWLINK, 0);
    if (!msg)
        return veld_rtnl_failed(diag, -NLE_NOMEM, "configure", n->name);
    struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC);
    struct nlattr *inet6 = spec ? nla_nest_start(msg, AF_INET6) : NULL;
    int fill =
        inet6 ? nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE) : -NLE_NOMEM;
    if (fill == 0) {
        nla_nest_end(msg, inet6);
        nla_nest_end(msg, spec);
    }
    int rc = veld_rtnl_send(n->sock, msg, fill);
    return rc < 0 ? veld_rtnl_failed(diag, rc, "turn IPv6 link-local addresses off on", n->name)
                  : 0;
}

static void ipv6_switch_path(const struct veld_netif *n, char path[128])
{
    snprintf(path, 128, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", n->name);
}

/* On this interface, which is ours and goes with us; elsewhere IPv6 stays as it is. */
static int enable_ipv6(struct veld_netif *n, unsigned mtu, struct veld_diag *diag)
{
    char path[128], text[16];
    size_t len;
    ipv6_switch_path(n, path);
    if (mtu < IPV6_MTU_MIN)
        return veld_fail(
            diag, VELD_E_CONFIG,
            "an MTU of %u is too small for the IPv6 address of %s: set mtu to %d or "
            "more, or use IPv4 only",
            mtu, n->name, IPV6_MTU_MIN);
    if (veld_file_read(path, text, sizeof text, &len) < 0)
        return veld_fail(
            diag, VELD_E_UNSUPPORTED,
            "IPv6 is disabled in this kernel (no %s): start without ipv6.disable=1, "
            "or remove the IPv6 address from vpn_ip",
            path);
    if (text[0] == '0')
        return 0;
    FILE *f = fopen(path, "we");
    bool ok = f && fputs("0\n", f) >= 0;
    if (f && fclose(f) != 0)
        ok = false;
    if (!ok)
        return veld_fail(
            diag, VELD_E_PERM,
            "IPv6 is disabled for new interfaces and %s cannot be changed: run "
            "sysctl net.ipv6.conf.default.disable_ipv6=0 (in a container: start it "
            "so), or remove the IPv6 address from vpn_ip",
            path);
    veld_info("IPv6 is disabled for new interfaces here: enabled on %s alone", n->name);
    return 0;
}

static int configure_link(struct veld_netif *n, const struct veld_netif_config *cfg,
                          struct veld_diag *diag)
{
    char path[128];
    int rc = link_mark(n, diag); /* before it has addresses */
    if (rc == 0)
        rc = link_set(n, IFLA_MTU, cfg->mtu, "set the MTU of", diag);
    if (rc == 0)
        rc = link_set(n, IFLA_TXQLEN, cfg->tx_queue_len, "set the queue length of", diag);
    if (rc == 0 && cfg->gso_max_size)
        rc = link_set(n, IFLA_GSO_MAX_SIZE, cfg->gso_max_size, "set the GSO size of", diag);
    ipv6_switch_path(n, path);
    if (rc == 0 && access(path, F_OK) == 0)
        rc = link_no_ipv6_autoconf(n, diag);
    for (size_t i = 0; rc == 0 && i < cfg->n_addrs; i++)
        if (cfg->addrs[i].ip.family == 6)
            rc = enable_ipv6(n, cfg->mtu, diag);
    return rc;
}

/* ---- addresses ---- */

struct addresses {
    int ifindex;
    const struct veld_netif_config *cfg;
    bool *present;     /* by index in cfg->addrs */
    int other_ifindex; /* 0: no conflict */
    struct veld_ip conflict;
};

static void restart_addresses(void *arg)
{
    struct addresses *s = arg;
    memset(s->present, 0, s->cfg->n_addrs * sizeof s->present[0]);
    s->other_ifindex = 0;
}

static int on_address(struct nl_msg *msg, void *arg)
{
    struct addresses *s = arg;
    struct nlmsghdr *h = nlmsg_hdr(msg);
    struct nlattr *tb[IFA_MAX + 1];
    struct veld_ip ip;
    if (h->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse(h, sizeof(struct ifaddrmsg), tb, IFA_MAX, NULL) < 0)
        return NL_SKIP;
    const struct ifaddrmsg *ifa = nlmsg_data(h);
    const struct nlattr *local = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
    if (!local || (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6) ||
        !veld_rtnl_get_ip(local, ifa->ifa_family, &ip))
        return NL_SKIP;
    for (size_t i = 0; i < s->cfg->n_addrs; i++) {
        if (!veld_ip_equal(&s->cfg->addrs[i].ip, &ip))
            continue;
        if ((int)ifa->ifa_index == s->ifindex) {
            s->present[i] = true;
        } else {
            s->other_ifindex = (int)ifa->ifa_index;
            s->conflict = ip;
        }
    }
    return NL_OK;
}

static int add_address(struct veld_netif *n, const struct veld_prefix *p,
                       struct veld_diag *diag)
{
    char what[VELD_PREFIX_STRLEN + 32], text[VELD_PREFIX_STRLEN];
    struct ifaddrmsg ifa = {.ifa_family = (uint8_t)veld_rtnl_family(p),
                            .ifa_prefixlen = p->len,
                            .ifa_flags = p->ip.family == 6 ? IFA_F_NODAD
                                                           : 0, /* nobody else can have it */
                            .ifa_index = (unsigned)n->ifindex};
    snprintf(what, sizeof what, "add the address %s to", veld_prefix_format(p, text));
    struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    if (!msg)
        return veld_rtnl_failed(diag, -NLE_NOMEM, what, n->name);
    int fill = nlmsg_append(msg, &ifa, sizeof ifa, NLMSG_ALIGNTO);
    fill = fill < 0 ? fill : veld_rtnl_put_ip(msg, IFA_LOCAL, &p->ip);
    fill = fill < 0 ? fill : veld_rtnl_put_ip(msg, IFA_ADDRESS, &p->ip);
    int rc = veld_rtnl_send(n->sock, msg, fill);
    return rc < 0 ? veld_rtnl_failed(diag, rc, what, n->name) : 0;
}

/* Which of ours are there already; fails when another interface has one. */
static int survey_addresses(struct veld_netif *n, struct addresses *s, struct veld_diag *diag)
{
    char text[VELD_IP_STRLEN], other[IF_NAMESIZE];
    int rc = veld_rtnl_dump(n->sock, RTM_GETADDR, AF_UNSPEC, on_address, restart_addresses, s);
    if (rc < 0)
        return veld_rtnl_failed(diag, rc, "read the addresses beside", n->name);
    if (s->other_ifindex)
        return veld_fail(
            diag, VELD_E_EXIST,
            "%s is already an address of %s: choose another vpn_ip, or remove it there",
            veld_ip_format(&s->conflict, text), veld_rtnl_name(s->other_ifindex, other));
    return 0;
}

static int add_addresses(struct veld_netif *n, const struct addresses *s,
                         struct veld_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->cfg->n_addrs; i++)
        if (!s->present[i])
            rc = add_address(n, &s->cfg->addrs[i], diag);
    return rc;
}

bool veld_netif_leads_to(const struct veld_netif *n, const struct veld_prefix *p)
{
    if (p->len < veld_ip_bits(&p->ip))
        return false;
    for (size_t i = 0; i < n->n_networks; i++)
        if (veld_prefix_contains(&n->networks[i], &p->ip))
            return true;
    return false;
}

int veld_netif_set_routes(struct veld_netif *n, const struct veld_prefix *routes, size_t count,
                          struct veld_diag *diag)
{
    struct veld_routes s;
    int rc = veld_routes_survey(n->sock, n->ifindex, &s, routes, count, diag);
    for (size_t i = 0; rc == 0 && i < s.n_wanted; i++)
        if (!s.wanted[i].present && !veld_netif_leads_to(n, &s.wanted[i].prefix))
            rc = veld_routes_change(n->sock, n->ifindex, RTM_NEWROUTE, &s.wanted[i].prefix, 0,
                                    diag);
    for (guint i = 0; rc == 0 && i < s.stale->len; i++) {
        const struct veld_route_stale *stale =
            &g_array_index(s.stale, struct veld_route_stale, i);
        rc = veld_routes_change(n->sock, n->ifindex, RTM_DELROUTE, &stale->prefix,
                                stale->metric, diag);
    }
    veld_routes_clear(&s);
    return rc;
}

/* ---- routes while the daemon runs ---- */

struct veld_netif_fit {
    struct veld_netif *n;
    struct veld_routes routes;
    size_t done; /* of the stale ones, then of the wanted ones */
    size_t left_out;
    struct veld_diag first;
};

int veld_netif_fit_begin(struct veld_netif *n, const struct veld_prefix *routes, size_t count,
                         struct veld_netif_fit **out, struct veld_diag *diag)
{
    struct veld_netif_fit *f = g_new0(struct veld_netif_fit, 1);
    f->n = n;
    int rc = veld_routes_look(n->sock, n->ifindex, &f->routes, routes, count, diag);
    if (rc < 0) {
        veld_netif_fit_end(f);
        return rc;
    }
    *out = f;
    return 0;
}

static void leave_out(struct veld_netif_fit *f, const struct veld_prefix *p,
                      const struct veld_diag *why)
{
    char text[VELD_PREFIX_STRLEN];
    if (f->left_out++ == 0)
        veld_fail(&f->first, 0, "%s; see: ip %sroute show %s", why->text,
                  p->ip.family == 6 ? "-6 " : "", veld_prefix_format(p, text));
}

static void take_away(struct veld_netif_fit *f, const struct veld_prefix *p, uint32_t metric)
{
    struct veld_diag why;
    if (veld_routes_change(f->n->sock, f->n->ifindex, RTM_DELROUTE, p, metric, &why) < 0)
        leave_out(f, p, &why);
}

/* True when it took a change. */
static bool fit_wanted(struct veld_netif_fit *f, const struct veld_route_wanted *w)
{
    struct veld_netif *n = f->n;
    struct veld_diag why;
    char text[VELD_PREFIX_STRLEN], other[IF_NAMESIZE];
    if (w->other_ifindex) {
        veld_fail(&why, 0, "%s is not routed through %s, as it is a route of %s already",
                  veld_prefix_format(&w->prefix, text), n->name,
                  veld_rtnl_name(w->other_ifindex, other));
        leave_out(f, &w->prefix, &why);
        if (w->present)
            take_away(f, &w->prefix, 0);
        return w->present;
    }
    if (w->present || veld_netif_leads_to(n, &w->prefix))
        return false;
    if (veld_routes_change(n->sock, n->ifindex, RTM_NEWROUTE, &w->prefix, 0, &why) < 0)
        leave_out(f, &w->prefix, &why);
    return true;
}

bool veld_netif_fit_some(struct veld_netif_fit *f, size_t max)
{
    size_t n_stale = f->routes.stale->len, end = n_stale + f->routes.n_wanted;
    while (f->done < end && max > 0) {
        if (f->done >= n_stale) {
            max -= fit_wanted(f, &f->routes.wanted[f->done - n_stale]);
        } else {
            const struct veld_route_stale *s =
                &g_array_index(f->routes.stale, struct veld_route_stale, f->done);
            take_away(f, &s->prefix, s->metric);
            max--;
        }
        f->done++;
    }
    return f->done < end;
}

size_t veld_netif_fit_left_out(const struct veld_netif_fit *f, struct veld_diag *first)
{
    if (f->left_out)
        *first = f->first;
    return f->left_out;
}

void veld_netif_fit_end(struct veld_netif_fit *f)
{
    if (!f)
        return;
    veld_routes_clear(&f->routes);
    g_free(f);
}

/* ---- life ---- */

static int configure(struct veld_netif *n, const struct veld_netif_config *cfg,
                     struct veld_diag *diag)
{
    struct addresses addresses = {
        .ifindex = n->ifindex, .cfg = cfg, .present = g_new0(bool, cfg->n_addrs + 1)};
    struct veld_routes routes;
    int rc = nl_connect(n->sock, NETLINK_ROUTE);
    if (rc < 0)
        rc = veld_rtnl_failed(diag, rc, "configure", n->name);
    else
        rc = survey_addresses(n, &addresses, diag);
    if (rc == 0) { /* the routes the addresses bring */
        rc = veld_routes_survey(n->sock, n->ifindex, &routes, cfg->addrs, cfg->n_addrs, diag);
        veld_routes_clear(&routes);
    }
    if (rc == 0)
        rc = configure_link(n, cfg, diag);
    if (rc == 0)
        rc = add_addresses(n, &addresses, diag);
    if (rc == 0)
        rc = link_up(n, diag);
    g_free(addresses.present);
    return rc;
}

static void netif_free(struct veld_netif *n)
{
    nl_socket_free(n->sock);
    g_free(n->networks);
    g_free(n);
}

int veld_netif_open(struct veld_netif **out, const struct veld_netif_config *cfg,
                    struct veld_diag *diag)
{
    struct veld_netif *n = g_new0(struct veld_netif, 1);
    n->ifindex = (int)cfg->ifindex;
    snprintf(n->name, sizeof n->name, "%s", cfg->name);
    n->n_networks = cfg->n_addrs;
    n->networks = g_memdup2(cfg->addrs, cfg->n_addrs * sizeof cfg->addrs[0]);
    n->sock = nl_socket_alloc();
    int rc = n->sock
                 ? configure(n, cfg, diag)
                 : veld_fail(diag, VELD_E_NOMEM, "cannot configure %s: out of memory", n->name);
    if (rc < 0) {
        netif_free(n);
        return rc;
    }
    *out = n;
    return 0;
}

void veld_netif_close(struct veld_netif *n)
{
    if (!n)
        return;
    link_remove(n);
    netif_free(n);
}
