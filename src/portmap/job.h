/*
 * One job of veld-portmap, as both protocols carry it out. Each call waits for the gateway, some
 * seconds at most where the gateway keeps to the protocol; one that does not is cut off by the
 * limits that the program sets itself (main.c).
 *
 * The program's one thread.
 */
#ifndef VELD_PORTMAP_JOB_H
#define VELD_PORTMAP_JOB_H

#include "portmap/answer.h"

struct veld_portmap_job {
    struct veld_ip gateway, own; /* IPv4 */
    uint16_t port;               /* UDP, here */
    uint16_t external;           /* there: wished, or to be removed */
    const char *url, *service;   /* UPnP, to remove; borrowed */
};

/* natpmp.c: RFC 6886, by libnatpmp */
void veld_natpmp_map(const struct veld_portmap_job *job, struct veld_portmap_answer *out);
void veld_natpmp_unmap(const struct veld_portmap_job *job);

/* upnp.c: an Internet Gateway Device, by libminiupnpc */
void veld_upnp_map(const struct veld_portmap_job *job, struct veld_portmap_answer *out);
void veld_upnp_unmap(const struct veld_portmap_job *job);

#endif
