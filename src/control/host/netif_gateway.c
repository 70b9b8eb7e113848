#include "control/host/netif_gateway.h"

#include "control/host/rtnl.h"

#include <linux/rtnetlink.h>
#include <netlink/socket.h>

/* Of the Internet, and in no network of anybody's own: a root name server. Nothing is sent to it. */
static const struct veld_ip far_away = {.family = 4, .b = {198, 41, 0, 4}};

static int on_route(struct nl_msg *msg, void *arg)
{
    struct nlmsghdr *h = nlmsg_hdr(msg);
    struct nlattr *tb[RTA_MAX + 1];
    struct veld_gateway g = {0};
    if (h->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(h, sizeof(struct rtmsg), tb, RTA_MAX, NULL) < 0)
        return NL_SKIP;
    const struct rtmsg *rtm = nlmsg_data(h);
    if (rtm->rtm_type == RTN_UNICAST && tb[RTA_GATEWAY] && tb[RTA_PREFSRC] && tb[RTA_OIF] &&
        nla_len(tb[RTA_OIF]) >= 4 && veld_rtnl_get_ip(tb[RTA_GATEWAY], AF_INET, &g.ip) &&
        veld_rtnl_get_ip(tb[RTA_PREFSRC], AF_INET, &g.own)) {
        g.ifindex = (int)nla_get_u32(tb[RTA_OIF]);
        *(struct veld_gateway *)arg = g;
    }
    return NL_OK;
}

static int ask(struct nl_sock *sock)
{
    struct rtmsg request = {.rtm_family = AF_INET, .rtm_dst_len = 32};
    struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, 0);
    if (!msg)
        return -NLE_NOMEM;
    int fill = nlmsg_append(msg, &request, sizeof request, NLMSG_ALIGNTO);
    if (fill == 0)
        fill = veld_rtnl_put_ip(msg, RTA_DST, &far_away);
    return veld_rtnl_send(sock, msg, fill);
}

struct veld_gateway veld_netif_gateway(void)
{
    struct veld_gateway g = {0};
    struct nl_sock *sock = nl_socket_alloc();
    if (!sock)
        return g;
    nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_route, &g);
    if (nl_connect(sock, NETLINK_ROUTE) < 0 || ask(sock) < 0)
        g = (struct veld_gateway){0};
    nl_socket_free(sock);
    return g;
}

bool veld_gateway_equal(const struct veld_gateway *a, const struct veld_gateway *b)
{
    return veld_ip_equal(&a->ip, &b->ip) && veld_ip_equal(&a->own, &b->own) &&
           a->ifindex == b->ifindex;
}
