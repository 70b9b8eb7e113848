/*
 * The devices that announce themselves, of what mDNS tells name by name and link by link: which
 * of it is looked at, how much of it is kept, and what of it is news.
 *
 * A name on one link (one interface, IPv4 or IPv6) is a sighting. What all sightings say of one P
 * makes one device: its addresses, IPv4 first, of each sighting the first before the second of
 * any, so that a forged sighting pushes out no more than a share.
 *
 * Invariants:
 *  - at most VELD_LAN_SIGHTINGS_MAX sightings, VELD_LAN_UNDESCRIBED_MAX of them not described yet
 *    and each of those for VELD_LAN_DESCRIBE_MS; at most VELD_LAN_DEVICES_MAX devices of at most
 *    VELD_LAN_ADDRESSES_MAX addresses;
 *  - of new names VELD_LAN_LOOKS_BURST are looked at, then VELD_LAN_LOOKS_PER_S each second;
 *  - a device is told of when it is another than what was told last, and as gone when it has had
 *    no address for VELD_LAN_GONE_MS.
 * Nothing is authenticated here.
 *
 * Pure: the time is an argument. One thread.
 */
#ifndef VELD_CONTROL_LAN_DEVICES_H
#define VELD_CONTROL_LAN_DEVICES_H

#include "base/err.h"
#include "control/lan/report.h"
#include "crypto/primitives.h"

#define VELD_LAN_SIGHTINGS_MAX   2048
#define VELD_LAN_UNDESCRIBED_MAX 256
#define VELD_LAN_DESCRIBE_MS     3000
#define VELD_LAN_LOOKS_PER_S     100
#define VELD_LAN_LOOKS_BURST     512
#define VELD_LAN_GONE_MS         3000
#define VELD_LAN_NAME_MAX        63 /* bytes of a DNS label */

/* Of the TXT record, RFC 6763, section 6. */
#define VELD_LAN_TXT_VERSION "v=1"
#define VELD_LAN_TXT_PUB     "p=" /* and P in base64 */
#define VELD_LAN_TXT_MAX     16   /* strings that are looked at */

struct veld_lan_link {
    uint32_t interface; /* its index */
    uint8_t family;     /* 4, 6: by which mDNS speaks there */
};

struct veld_lan_devices;
/* `own`: this machine's P, which is no device. NULL when out of memory. */
struct veld_lan_devices *veld_lan_devices_new(const uint8_t own[32]);
void veld_lan_devices_free(struct veld_lan_devices *d); /* NULL is allowed */

/*
 * A name is new on a link. Returns its number, below VELD_LAN_SIGHTINGS_MAX, or VELD_E_EXIST (it
 * is there), VELD_E_LIMIT, VELD_E_FULL (more than is looked at), VELD_E_FORMAT (no DNS label).
 */
VELD_MUST_USE int veld_lan_devices_see(struct veld_lan_devices *d, struct veld_lan_link link,
                                       const char *name, uint64_t now_ns);
/* VELD_E_NOENT. */
VELD_MUST_USE int veld_lan_devices_find(const struct veld_lan_devices *d,
                                        struct veld_lan_link link, const char *name);
/*
 * Its port and the strings of its TXT record, the first time or others; it has no address then.
 * VELD_E_FORMAT: no device of this version, or this machine; VELD_E_FULL: one more than is kept.
 * Forget it then.
 */
VELD_MUST_USE int veld_lan_devices_describe(struct veld_lan_devices *d, int sighting,
                                            uint16_t port, const struct veld_bytes *txt,
                                            size_t n);
/* An address of one that is described; what is nobody's, and what is beyond the bound, is left out. */
void veld_lan_devices_add(struct veld_lan_devices *d, int sighting, const struct veld_ip *ip);
void veld_lan_devices_remove(struct veld_lan_devices *d, int sighting,
                             const struct veld_ip *ip);
void veld_lan_devices_forget(struct veld_lan_devices *d, int sighting);
/* One that has not been described in time; VELD_E_NOENT: none. Forget it then. */
VELD_MUST_USE int veld_lan_devices_late(const struct veld_lan_devices *d, uint64_t now_ns);

/* What is to be told next; false: nothing now. */
bool veld_lan_devices_next(struct veld_lan_devices *d, uint64_t now_ns,
                           struct veld_lan_report *out);
/* Something waits for time to pass: to be described, or to be told as gone. */
bool veld_lan_devices_wait(const struct veld_lan_devices *d);

#endif
