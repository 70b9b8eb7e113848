#include "portmap/job.h"

#include "portmap/url.h"

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SEARCH_MS   1000 /* for each of the library's four kinds of device, until one is there */
#define DEVICES_MAX 8    /* that are looked at */
#define TRIES_MAX   4    /* ports and leases */
#define PORT_MIN    1024

/* UPnP's codes (WANIPConnection:1, 2.4.16). */
enum { CONFLICT = 718, PERMANENT_ONLY = 725 };

struct igd {
    struct UPNPUrls urls;
    struct IGDdatas data;
};

static bool is_usable(const struct igd *g, const struct veld_ip *gateway)
{
    return g->urls.controlURL && veld_portmap_url_is_at(g->urls.controlURL, gateway) &&
           veld_portmap_service_is_wan(g->data.first.servicetype);
}

/* What the gateway's description at `url` offers; the other of its services where the first is none. */
static bool describe(const char *url, const struct veld_ip *gateway, struct igd *out)
{
    char lan[64];
    if (UPNP_GetIGDFromUrl(url, &out->urls, &out->data, lan, sizeof lan) != 1)
        return false;
    if (is_usable(out, gateway))
        return true;
    FreeUPNPUrls(&out->urls);
    out->data.first = out->data.second;
    GetUPNPUrls(&out->urls, &out->data, url, 0);
    if (is_usable(out, gateway))
        return true;
    FreeUPNPUrls(&out->urls);
    return false;
}

static bool is_repeated(const struct UPNPDev *list, const struct UPNPDev *d)
{
    for (; list != d; list = list->pNext) {
        if (strcmp(list->descURL, d->descURL) == 0)
            return true;
    }
    return false;
}

/*
 * The library fetches whatever a description names, and asks whom that names next: each URL is
 * looked at before it is used. Its way by minissdpd, another program's list, is not taken.
 */
static bool find(const struct veld_portmap_job *job, struct igd *out)
{
    char own[VELD_IP_STRLEN];
    int error, looked = 0;
    bool found = false;
    struct UPNPDev *list = upnpDiscover(SEARCH_MS, veld_ip_format(&job->own, own), "",
                                        UPNP_LOCAL_PORT_ANY, 0, 1, &error);
    for (struct UPNPDev *d = list; d && !found && looked < DEVICES_MAX; d = d->pNext) {
        if (!veld_portmap_url_is_at(d->descURL, &job->gateway) || is_repeated(list, d))
            continue;
        looked++;
        found = describe(d->descURL, &job->gateway, out);
    }
    freeUPNPDevlist(list);
    return found;
}

static uint16_t draw_port(void)
{
    uint16_t port;
    if (getrandom(&port, sizeof port, 0) != sizeof port)
        return PORT_MIN;
    return (uint16_t)(PORT_MIN + port % (UINT16_MAX - PORT_MIN));
}

/* The mapping as the router has it. False: it is not ours. One that tells nothing is believed. */
static bool verify(const struct igd *g, const char *external, const char *own,
                   uint32_t *lease_s)
{
    char client[16] = "", port[6] = "", lease[16] = "";
    if (UPNP_GetSpecificPortMappingEntry(g->urls.controlURL, g->data.first.servicetype,
                                         external, "UDP", NULL, client, port, NULL, NULL,
                                         lease) != 0)
        return true;
    char *end;
    unsigned long told = strtoul(lease, &end, 10);
    if (end != lease && !*end && told < *lease_s)
        *lease_s = (uint32_t)told;
    return strcmp(client, own) == 0;
}

static int add(const struct igd *g, const struct veld_portmap_job *job,
               struct veld_portmap_answer *out)
{
    char own[VELD_IP_STRLEN], port[8], external[8], lease[16];
    uint32_t lease_s = VELD_PORTMAP_LEASE_S;
    out->mapped.port = job->external;
    veld_ip_format(&job->own, own);
    snprintf(port, sizeof port, "%u", job->port);
    for (int i = 0; i < TRIES_MAX; i++) {
        snprintf(external, sizeof external, "%u", out->mapped.port);
        snprintf(lease, sizeof lease, "%u", lease_s);
        int code = UPNP_AddPortMapping(g->urls.controlURL, g->data.first.servicetype, external,
                                       port, own, "veld", "UDP", NULL, lease);
        if (code == PERMANENT_ONLY && lease_s)
            lease_s = 0;
        else if (code == CONFLICT || (code == 0 && !verify(g, external, own, &lease_s)))
            out->mapped.port = draw_port();
        else if (code == 0) {
            out->lease_s = lease_s;
            return 0;
        } else
            return VELD_E_IO;
    }
    return VELD_E_FULL;
}

void veld_upnp_map(const struct veld_portmap_job *job, struct veld_portmap_answer *out)
{
    char outside[16] = "";
    struct igd g;
    *out = (struct veld_portmap_answer){.result = VELD_PORTMAP_SILENT};
    if (!find(job, &g))
        return;
    struct veld_portmap_answer a = {.result = VELD_PORTMAP_MAPPED, .method = VELD_PORTMAP_UPNP};
    if (UPNP_GetExternalIPAddress(g.urls.controlURL, g.data.first.servicetype, outside) != 0 ||
        veld_ip_parse(outside, &a.mapped.ip) < 0 || a.mapped.ip.family != 4)
        out->result = VELD_PORTMAP_NO_ADDRESS;
    else if (add(&g, job, &a) < 0)
        out->result = VELD_PORTMAP_REFUSED;
    else {
        /* Both were seen to fit. */
        snprintf(a.url, sizeof a.url, "%s", g.urls.controlURL);
        snprintf(a.service, sizeof a.service, "%s", g.data.first.servicetype);
        *out = a;
    }
    FreeUPNPUrls(&g.urls);
}

void veld_upnp_unmap(const struct veld_portmap_job *job)
{
    char external[8];
    if (!veld_portmap_url_is_at(job->url, &job->gateway) ||
        !veld_portmap_service_is_wan(job->service))
        return;
    snprintf(external, sizeof external, "%u", job->external);
    (void)!UPNP_DeletePortMapping(job->url, job->service, external, "UDP", NULL);
}
