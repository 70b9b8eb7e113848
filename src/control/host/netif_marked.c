#include "control/host/netif_marked.h"

#include "control/host/netif.h"
#include "control/host/rtnl.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>

static void restart(void *arg)
{
    ((struct veld_netif_marked *)arg)->n = 0;
}

static int on_link(struct nl_msg *msg, void *arg)
{
    struct veld_netif_marked *m = arg;
    struct nlattr *tb[IFLA_MAX + 1];
    if (nlmsg_hdr(msg)->nlmsg_type != RTM_NEWLINK ||
        nlmsg_parse(nlmsg_hdr(msg), sizeof(struct ifinfomsg), tb, IFLA_MAX, NULL) < 0 ||
        !tb[IFLA_IFNAME] || !tb[IFLA_IFALIAS] || m->n == VELD_NETIF_MARKED_MAX ||
        nla_strcmp(tb[IFLA_IFALIAS], VELD_NETIF_ALIAS) != 0)
        return NL_SKIP;
    snprintf(m->name[m->n++], IF_NAMESIZE, "%s", nla_get_string(tb[IFLA_IFNAME]));
    return NL_OK;
}

void veld_netif_marked_read(struct veld_netif_marked *out)
{
    struct nl_sock *sock = nl_socket_alloc();
    out->n = 0;
    if (sock && nl_connect(sock, NETLINK_ROUTE) == 0 &&
        veld_rtnl_dump(sock, RTM_GETLINK, AF_UNSPEC, on_link, restart, out) < 0)
        out->n = 0;
    nl_socket_free(sock);
}

bool veld_netif_marked_has(const struct veld_netif_marked *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->name[i], name) == 0)
            return true;
    }
    return false;
}
