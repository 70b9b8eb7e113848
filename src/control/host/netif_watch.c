#include "control/host/netif_watch.h"

#include "control/host/rtnl.h"

#include <glib-unix.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/socket.h>

#define SETTLE_MS 50 /* an address goes and another comes in several messages */
/* A host whose routes change all the time is told of less often. */
#define QUICK_MAX 10
#define QUICK_US  (10 * G_USEC_PER_SEC)
#define SLOW_MS   1000

struct veld_netif_watch {
    struct nl_sock *sock;
    int own_ifindex;
    void (*changed)(void *ctx);
    void *ctx;
    guint source, settle;
    gint64 since_us; /* when the present QUICK_US began */
    unsigned quick;  /* changes told in it */
};

static gboolean on_settled(gpointer data)
{
    struct veld_netif_watch *w = data;
    w->settle = 0;
    w->changed(w->ctx);
    return G_SOURCE_REMOVE;
}

static void note(struct veld_netif_watch *w)
{
    gint64 now_us = g_get_monotonic_time();
    if (w->settle)
        return;
    if (now_us - w->since_us >= QUICK_US) {
        w->since_us = now_us;
        w->quick = 0;
    }
    w->settle = g_timeout_add(w->quick++ < QUICK_MAX ? SETTLE_MS : SLOW_MS, on_settled, w);
}

static bool is_default_route(struct nlmsghdr *h, int own_ifindex)
{
    const struct rtmsg *route = nlmsg_data(h);
    const struct nlattr *out = nlmsg_find_attr(h, sizeof *route, RTA_OIF);
    return route->rtm_dst_len == 0 && route->rtm_table == RT_TABLE_MAIN &&
           route->rtm_type == RTN_UNICAST && !(out && (int)nla_get_u32(out) == own_ifindex);
}

static bool counts(struct nlmsghdr *h, int own_ifindex)
{
    switch (h->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return nlmsg_valid_hdr(h, sizeof(struct ifaddrmsg)) &&
               (int)((const struct ifaddrmsg *)nlmsg_data(h))->ifa_index != own_ifindex;
    case RTM_NEWLINK: { /* switched on or off: an IPv4 address stays, and its routes are gone */
        const struct ifinfomsg *link = nlmsg_data(h);
        return nlmsg_valid_hdr(h, sizeof *link) && link->ifi_index != own_ifindex &&
               (link->ifi_change & IFF_UP);
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return nlmsg_valid_hdr(h, sizeof(struct rtmsg)) && is_default_route(h, own_ifindex);
    default: return false;
    }
}

static int on_message(struct nl_msg *msg, void *arg)
{
    struct veld_netif_watch *w = arg;
    if (counts(nlmsg_hdr(msg), w->own_ifindex))
        note(w);
    return NL_OK;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    struct veld_netif_watch *w = data;
    if (nl_recvmsgs_default(w->sock) == -NLE_NOMEM)
        note(w); /* the kernel had more to say than the socket holds */
    return G_SOURCE_CONTINUE;
}

int veld_netif_watch_start(struct veld_netif_watch **out, unsigned own_ifindex,
                           void (*changed)(void *ctx), void *ctx, struct veld_diag *diag)
{
    struct veld_netif_watch *w = g_new0(struct veld_netif_watch, 1);
    *w = (struct veld_netif_watch){.sock = nl_socket_alloc(),
                                   .own_ifindex = (int)own_ifindex,
                                   .changed = changed,
                                   .ctx = ctx};
    int rc = w->sock ? 0 : -NLE_NOMEM;
    if (rc == 0) {
        nl_socket_disable_seq_check(w->sock); /* what comes answers nothing */
        nl_socket_modify_cb(w->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, w);
        rc = nl_connect(w->sock, NETLINK_ROUTE);
    }
    if (rc == 0)
        rc = nl_socket_add_memberships(w->sock, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                       RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, 0);
    if (rc == 0)
        rc = nl_socket_set_nonblocking(w->sock);
    if (rc < 0) {
        veld_netif_watch_stop(w);
        return veld_rtnl_failed(diag, rc, "watch addresses", "this machine");
    }
    w->source = g_unix_fd_add(nl_socket_get_fd(w->sock), G_IO_IN, on_readable, w);
    *out = w;
    return 0;
}

void veld_netif_watch_stop(struct veld_netif_watch *w)
{
    if (!w)
        return;
    if (w->source)
        g_source_remove(w->source);
    if (w->settle)
        g_source_remove(w->settle);
    nl_socket_free(w->sock);
    g_free(w);
}
