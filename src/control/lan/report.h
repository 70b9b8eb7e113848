/*
 * What the helper (helper.c) tells the daemon (discovery.c), one datagram of their socket each.
 * Both are of one build, so the struct itself is what is sent.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_LAN_REPORT_H
#define VELD_CONTROL_LAN_REPORT_H

#include "base/addr.h"

#include <stddef.h>

#define VELD_LAN_ADDRESSES_MAX 8    /* of one device */
#define VELD_LAN_DEVICES_MAX   1024 /* of all links */

/* Where the device of this P is now, IPv4 first; n == 0: it is gone. */
struct veld_lan_report {
    uint8_t pub[32];
    uint32_t n;
    struct veld_endpoint at[VELD_LAN_ADDRESSES_MAX];
};

/* The helper reads what strangers send, so it is not believed either. */
static inline bool veld_lan_report_is_sound(const struct veld_lan_report *r, size_t len)
{
    if (len != sizeof *r || r->n > VELD_LAN_ADDRESSES_MAX)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i].ip.family != 4 && r->at[i].ip.family != 6)
            return false;
    }
    return true;
}

#endif
