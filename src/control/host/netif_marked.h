/*
 * Which of this host's interfaces are Veld's, as netif.h marks them.
 *
 * Control thread; one exchange with the kernel.
 */
#ifndef VELD_CONTROL_HOST_NETIF_MARKED_H
#define VELD_CONTROL_HOST_NETIF_MARKED_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#define VELD_NETIF_MARKED_MAX 64 /* daemons on one host; more are not told from others */

struct veld_netif_marked {
    char name[VELD_NETIF_MARKED_MAX][IF_NAMESIZE];
    size_t n;
};

/* None when the kernel does not tell. */
void veld_netif_marked_read(struct veld_netif_marked *out);
bool veld_netif_marked_has(const struct veld_netif_marked *m, const char *name);

#endif
