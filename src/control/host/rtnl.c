#include "control/host/rtnl.h"

#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>

#define DUMP_TRIES 5

const char *veld_rtnl_name(int ifindex, char name[IF_NAMESIZE])
{
    if (!if_indextoname((unsigned)ifindex, name))
        snprintf(name, IF_NAMESIZE, "#%d", ifindex);
    return name;
}

int veld_rtnl_failed(struct veld_diag *diag, int err, const char *what, const char *on)
{
    if (err == -NLE_PERM)
        return veld_fail(diag, VELD_E_PERM, "cannot %s %s: needs root or CAP_NET_ADMIN", what,
                         on);
    return veld_fail(diag, err == -NLE_NODEV ? VELD_E_NOENT : VELD_E_IO, "cannot %s %s: %s",
                     what, on, nl_geterror(err));
}

int veld_rtnl_family(const struct veld_prefix *p)
{
    return p->ip.family == 4 ? AF_INET : AF_INET6;
}

int veld_rtnl_put_ip(struct nl_msg *msg, int attr, const struct veld_ip *ip)
{
    return nla_put(msg, attr, ip->family == 4 ? 4 : 16, ip->b);
}

bool veld_rtnl_get_ip(const struct nlattr *attr, int af, struct veld_ip *out)
{
    size_t len = af == AF_INET ? 4 : 16;
    *out = (struct veld_ip){.family = af == AF_INET ? 4 : 6};
    if (!attr)
        return true;
    if ((size_t)nla_len(attr) != len)
        return false;
    memcpy(out->b, nla_data(attr), len);
    return true;
}

int veld_rtnl_send(struct nl_sock *sock, struct nl_msg *msg, int fill)
{
    if (fill < 0) {
        nlmsg_free(msg);
        return -NLE_NOMEM;
    }
    return nl_send_sync(sock, msg);
}

int veld_rtnl_dump(struct nl_sock *sock, int type, int af, int (*each)(struct nl_msg *, void *),
                   void (*restart)(void *), void *arg)
{
    int rc = -NLE_DUMP_INTR;
    for (int i = 0; i < DUMP_TRIES && rc == -NLE_DUMP_INTR; i++) {
        struct rtgenmsg request = {.rtgen_family = (unsigned char)af};
        struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
        if (!cb)
            return -NLE_NOMEM;
        restart(arg);
        nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, each, arg);
        rc = nl_send_simple(sock, type, NLM_F_DUMP, &request, sizeof request);
        if (rc >= 0)
            rc = nl_recvmsgs(sock, cb);
        nl_cb_put(cb);
    }
    return rc;
}
