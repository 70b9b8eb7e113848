/*
 * Noticing that this machine's ways out changed (another Wi-Fi, a new lease, an interface that is
 * switched off, another default route), so that peers learn where it is without waiting for it
 * to have something to say.
 *
 * Invariant: changes within 50 ms are told as one, and no more often than once a second when there are many.
 * Those of Veld's own interface are not told.
 * Control thread, on the default GLib main context.
 */
#ifndef VELD_CONTROL_HOST_NETIF_WATCH_H
#define VELD_CONTROL_HOST_NETIF_WATCH_H

#include "base/err.h"

struct veld_netif_watch;

/* `changed` is called from the main loop. What `own_ifindex` has does not count. */
VELD_MUST_USE int veld_netif_watch_start(struct veld_netif_watch **out, unsigned own_ifindex,
                                         void (*changed)(void *ctx), void *ctx,
                                         struct veld_diag *diag);
void veld_netif_watch_stop(struct veld_netif_watch *w); /* NULL is allowed */

#endif
