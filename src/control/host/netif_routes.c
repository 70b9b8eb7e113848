#include "control/host/netif_routes.h"

#include "control/host/rtnl.h"

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int prefix_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct veld_prefix)); /* bytes only: no padding */
}

/* Both `struct veld_route_wanted` and `struct veld_route_stale` begin with their prefix. */
_Static_assert(sizeof(struct veld_prefix) == 18, "compared as bytes");

/* The prefixes masked, sorted, each once. Free the result. */
static struct veld_route_wanted *wanted_set(const struct veld_prefix *prefixes, size_t count,
                                            size_t *n)
{
    struct veld_route_wanted *w = g_new0(struct veld_route_wanted, count + 1);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        w[i].prefix = prefixes[i];
        veld_prefix_mask(&w[i].prefix);
    }
    if (count > 0)
        qsort(w, count, sizeof w[0], prefix_compare);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || prefix_compare(&w[i], &w[kept - 1]) != 0)
            w[kept++] = w[i];
    *n = kept;
    return w;
}

static void restart_routes(void *arg)
{
    struct veld_routes *s = arg;
    for (size_t i = 0; i < s->n_wanted; i++) {
        s->wanted[i].present = false;
        s->wanted[i].other_ifindex = 0;
    }
    g_array_set_size(s->stale, 0);
}

/* The interface of a route, of its first next hop if it has several; 0 for none. */
static int route_ifindex(struct nlattr *const *tb)
{
    if (tb[RTA_OIF] && nla_len(tb[RTA_OIF]) >= 4)
        return (int)nla_get_u32(tb[RTA_OIF]);
    if (tb[RTA_MULTIPATH] && (size_t)nla_len(tb[RTA_MULTIPATH]) >= sizeof(struct rtnexthop))
        return ((const struct rtnexthop *)nla_data(tb[RTA_MULTIPATH]))->rtnh_ifindex;
    return 0;
}

static bool is_main_unicast(const struct rtmsg *rtm, struct nlattr *const *tb)
{
    uint32_t table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : rtm->rtm_table;
    return (rtm->rtm_family == AF_INET || rtm->rtm_family == AF_INET6) &&
           table == RT_TABLE_MAIN && rtm->rtm_type == RTN_UNICAST &&
           !(rtm->rtm_flags & RTM_F_CLONED);
}

static int on_route(struct nl_msg *msg, void *arg)
{
    struct veld_routes *s = arg;
    struct nlmsghdr *h = nlmsg_hdr(msg);
    struct nlattr *tb[RTA_MAX + 1];
    struct veld_prefix p = {0};
    if (h->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(h, sizeof(struct rtmsg), tb, RTA_MAX, NULL) < 0)
        return NL_SKIP;
    const struct rtmsg *rtm = nlmsg_data(h);
    if (!is_main_unicast(rtm, tb) || !veld_rtnl_get_ip(tb[RTA_DST], rtm->rtm_family, &p.ip))
        return NL_SKIP;
    p.len = rtm->rtm_dst_len;
    int ifindex = route_ifindex(tb);
    struct veld_route_wanted *w =
        s->n_wanted ? bsearch(&p, s->wanted, s->n_wanted, sizeof s->wanted[0], prefix_compare)
                    : NULL;
    if (ifindex == s->ifindex && w) {
        w->present = true;
    } else if (ifindex == s->ifindex && rtm->rtm_protocol != RTPROT_KERNEL) {
        struct veld_route_stale stale = {p,
                                         tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0};
        g_array_append_val(s->stale, stale);
    } else if (w && ifindex != 0 && ifindex != s->ifindex) {
        w->other_ifindex = ifindex;
    }
    return NL_OK;
}

int veld_routes_look(struct nl_sock *sock, int ifindex, struct veld_routes *s,
                     const struct veld_prefix *prefixes, size_t count, struct veld_diag *diag)
{
    char ours[IF_NAMESIZE];
    *s = (struct veld_routes){.ifindex = ifindex,
                              .stale =
                                  g_array_new(FALSE, FALSE, sizeof(struct veld_route_stale))};
    s->wanted = wanted_set(prefixes, count, &s->n_wanted);
    int rc = veld_rtnl_dump(sock, RTM_GETROUTE, AF_UNSPEC, on_route, restart_routes, s);
    if (rc < 0)
        return veld_rtnl_failed(diag, rc, "read the routes beside",
                                veld_rtnl_name(ifindex, ours));
    return 0;
}

int veld_routes_survey(struct nl_sock *sock, int ifindex, struct veld_routes *s,
                       const struct veld_prefix *prefixes, size_t count, struct veld_diag *diag)
{
    char text[VELD_PREFIX_STRLEN], ours[IF_NAMESIZE], other[IF_NAMESIZE];
    int rc = veld_routes_look(sock, ifindex, s, prefixes, count, diag);
    for (size_t i = 0; rc == 0 && i < s->n_wanted; i++) {
        if (s->wanted[i].other_ifindex)
            rc = veld_fail(diag, VELD_E_EXIST,
                           "%s is already a route of %s: remove it there, or do not route it "
                           "through %s",
                           veld_prefix_format(&s->wanted[i].prefix, text),
                           veld_rtnl_name(s->wanted[i].other_ifindex, other),
                           veld_rtnl_name(ifindex, ours));
    }
    return rc;
}

void veld_routes_clear(struct veld_routes *s)
{
    g_array_free(s->stale, TRUE);
    g_free(s->wanted);
}

int veld_routes_change(struct nl_sock *sock, int ifindex, int type, const struct veld_prefix *p,
                       uint32_t metric, struct veld_diag *diag)
{
    char what[VELD_PREFIX_STRLEN + 40], text[VELD_PREFIX_STRLEN], ours[IF_NAMESIZE];
    bool adds = type == RTM_NEWROUTE;
    struct rtmsg rtm = {.rtm_family = (uint8_t)veld_rtnl_family(p),
                        .rtm_dst_len = p->len,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = adds ? RTPROT_STATIC : RTPROT_UNSPEC,
                        .rtm_scope = adds ? RT_SCOPE_LINK : RT_SCOPE_NOWHERE,
                        .rtm_type = RTN_UNICAST};
    snprintf(what, sizeof what, "%s the route %s %s", adds ? "add" : "remove",
             veld_prefix_format(p, text), adds ? "to" : "from");
    struct nl_msg *msg = nlmsg_alloc_simple(type, adds ? NLM_F_CREATE | NLM_F_EXCL : 0);
    if (!msg)
        return veld_rtnl_failed(diag, -NLE_NOMEM, what, veld_rtnl_name(ifindex, ours));
    int fill = nlmsg_append(msg, &rtm, sizeof rtm, NLMSG_ALIGNTO);
    fill = fill < 0 ? fill : veld_rtnl_put_ip(msg, RTA_DST, &p->ip);
    fill = fill < 0 ? fill : nla_put_u32(msg, RTA_OIF, (uint32_t)ifindex);
    if (fill >= 0 && metric)
        fill = nla_put_u32(msg, RTA_PRIORITY, metric);
    int rc = veld_rtnl_send(sock, msg, fill);
    if (!adds && rc == -NLE_OBJ_NOTFOUND)
        rc = 0; /* gone in the meantime */
    return rc < 0 ? veld_rtnl_failed(diag, rc, what, veld_rtnl_name(ifindex, ours)) : 0;
}
