/*
 * What control's uses of rtnetlink share: addresses in messages, one
 * acknowledged message, one walk through a table, an error as a sentence.
 *
 * Control thread; each call waits for the kernel.
 */
#ifndef VELD_CONTROL_HOST_RTNL_H
#define VELD_CONTROL_HOST_RTNL_H

#include "base/addr.h"
#include "base/err.h"

#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

/* "cannot WHAT ON: why", of an error of libnl. Returns the code to return. */
int veld_rtnl_failed(struct veld_diag *diag, int err, const char *what, const char *on);

int veld_rtnl_family(const struct veld_prefix *p); /* AF_INET or AF_INET6 */
/* 0 or an error of libnl. */
VELD_MUST_USE int veld_rtnl_put_ip(struct nl_msg *msg, int attr, const struct veld_ip *ip);
/* False unless `attr` (NULL: all zeros) is an address of `af`. */
VELD_MUST_USE bool veld_rtnl_get_ip(const struct nlattr *attr, int af, struct veld_ip *out);
/* Its name, or "#7" when it has just gone. Returns `name`. */
const char *veld_rtnl_name(int ifindex, char name[IF_NAMESIZE]);

/*
 * Send `msg` and wait for its acknowledgement; `fill` is what filling it in
 * returned. Frees `msg`. 0 or an error of libnl.
 */
VELD_MUST_USE int veld_rtnl_send(struct nl_sock *sock, struct nl_msg *msg, int fill);

/*
 * Call `each` with every object of the kernel's table. `restart` makes ready
 * for the first try, and for another one when the table changed while it was
 * read. 0 or an error of libnl.
 */
VELD_MUST_USE int veld_rtnl_dump(struct nl_sock *sock, int type, int af,
                                 int (*each)(struct nl_msg *, void *), void (*restart)(void *),
                                 void *arg);

#endif
