/*
 * What veld-portmap tells the daemon, as one line of text:
 *
 *   mapped natpmp 203.0.113.7:51820 7200
 *   mapped upnp 203.0.113.7:51820 0 http://192.168.1.1:5000/ctl/IPConn urn:...:WANIPConnection:1
 *   silent | refused | no-address
 *
 * Its fields come from a router that nobody vouches for, through a program that has read more of
 * its bytes than is good for it: what is parsed is bounded and of this form, and that is all.
 *
 * Pure; any thread.
 */
#ifndef VELD_PORTMAP_ANSWER_H
#define VELD_PORTMAP_ANSWER_H

#include "base/addr.h"

#include <stddef.h>

#define VELD_PORTMAP_URL_MAX     255
#define VELD_PORTMAP_SERVICE_MAX 127
#define VELD_PORTMAP_LINE_MAX    512  /* its newline counted */
#define VELD_PORTMAP_LEASE_S     7200 /* asked for */
#define VELD_PORTMAP_TIME_MAX_S  20   /* the helper lives no longer */

enum veld_portmap_result {
    VELD_PORTMAP_SILENT,     /* nobody answers at the gateway */
    VELD_PORTMAP_REFUSED,    /* it answers, and gives no mapping */
    VELD_PORTMAP_NO_ADDRESS, /* it is not connected itself */
    VELD_PORTMAP_MAPPED,
};

enum veld_portmap_method { VELD_PORTMAP_NATPMP, VELD_PORTMAP_UPNP };

struct veld_portmap_answer {
    enum veld_portmap_result result;
    /* MAPPED; else zero. */
    enum veld_portmap_method method;
    struct veld_endpoint mapped; /* IPv4 */
    uint32_t lease_s;            /* 0: until it is removed */
    /* UPnP: where to remove it; else empty. Printable, without blanks. */
    char url[VELD_PORTMAP_URL_MAX + 1], service[VELD_PORTMAP_SERVICE_MAX + 1];
};

/* "natpmp", "upnp". Static. */
const char *veld_portmap_method_name(enum veld_portmap_method m);
VELD_MUST_USE int veld_portmap_method_parse(const char *text, enum veld_portmap_method *out);

/* The line with its newline; returns its length. */
size_t veld_portmap_answer_format(const struct veld_portmap_answer *a,
                                  char out[VELD_PORTMAP_LINE_MAX + 1]);
/* VELD_E_FORMAT unless it is one such line, whose URL, if any, is `gateway`'s (url.h). */
VELD_MUST_USE int veld_portmap_answer_parse(const char *text, size_t len,
                                            const struct veld_ip *gateway,
                                            struct veld_portmap_answer *out);

#endif
