#include "control/host/netif_watch.h"

#include "control/host/rtnl.h"

#include <glib-unix.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>

#define SETTLE_MS 50 /* an address goes and another comes in several messages */

struct veld_netif_watch {
    struct nl_sock *sock;
    int own_ifindex;
    void (*changed)(void *ctx);
    void *ctx;
    guint source, settle;
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
    if (!w->settle)
        w->settle = g_timeout_add(SETTLE_MS, on_settled, w);
}

static int on_message(struct nl_msg *msg, void *arg)
{
    struct veld_netif_watch *w = arg;
    const struct nlmsghdr *h = nlmsg_hdr(msg);
    if ((h->nlmsg_type != RTM_NEWADDR && h->nlmsg_type != RTM_DELADDR) ||
        !nlmsg_valid_hdr(h, sizeof(struct ifaddrmsg)))
        return NL_OK;
    const struct ifaddrmsg *addr = nlmsg_data(h);
    if ((int)addr->ifa_index != w->own_ifindex)
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
        rc = nl_socket_add_memberships(w->sock, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0);
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
