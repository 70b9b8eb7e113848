#include "control/lan/browse.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/lan/announce.h"
#include "control/lan/devices.h"

#include <avahi-common/error.h>
#include <avahi-common/timeval.h>
#include <avahi-core/lookup.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_MS     20  /* what comes together is told together */
#define WAIT_MS       500 /* between looks at what waits for time to pass */
#define ANEW_MS_MIN   10000
#define ANEW_MS_MAX   600000
#define CACHE_ENTRIES 4096 /* of each interface and family: 1024 devices of four records */

enum { ADDRESS_4, ADDRESS_6, ADDRESS_FAMILIES };

struct entry {
    struct veld_browse *browse;
    AvahiSServiceResolver *service; /* NULL: free */
    AvahiSRecordBrowser *address[ADDRESS_FAMILIES];
};

struct veld_browse {
    struct veld_browse_config cfg;
    struct veld_lan_devices *devices;
    AvahiServer *server;
    AvahiSServiceBrowser *browser;
    AvahiTimeout *tick, *anew;
    bool ticks, anew_is_due;
    unsigned anew_ms;
    uint64_t began_ns;
    struct entry entries[VELD_LAN_SIGHTINGS_MAX]; /* by sighting */
};

static void arm(const struct veld_browse *b, AvahiTimeout *t, unsigned ms)
{
    struct timeval at;
    b->cfg.poll->timeout_update(t, avahi_elapse_time(&at, ms, 0));
}

static void tick_soon(struct veld_browse *b, unsigned ms)
{
    if (!b->ticks)
        arm(b, b->tick, ms);
    b->ticks = true;
}

/* ---- Something is left out ---- */

static void on_left_out(struct veld_browse *b)
{
    if (b->anew_is_due)
        return;
    uint64_t quiet_ns = veld_clock_mono_ns() - b->began_ns;
    if (quiet_ns > 2 * ANEW_MS_MAX * VELD_NS_PER_MS)
        b->anew_ms = ANEW_MS_MIN;
    b->anew_is_due = true;
    arm(b, b->anew, b->anew_ms);
    b->anew_ms = VELD_MIN(2 * b->anew_ms, ANEW_MS_MAX);
}

/* ---- A sighting's objects ---- */

static struct veld_lan_link link_of(AvahiIfIndex interface, AvahiProtocol protocol)
{
    return (struct veld_lan_link){.interface = (uint32_t)interface,
                                  .family = protocol == AVAHI_PROTO_INET6 ? 6 : 4};
}

static int number(const struct entry *e)
{
    return (int)(e - e->browse->entries);
}

static void stop_addresses(struct entry *e)
{
    for (size_t i = 0; i < ADDRESS_FAMILIES; i++) {
        if (e->address[i])
            avahi_s_record_browser_free(e->address[i]);
        e->address[i] = NULL;
    }
}

static void forget(struct entry *e)
{
    stop_addresses(e);
    if (e->service)
        avahi_s_service_resolver_free(e->service);
    e->service = NULL;
    veld_lan_devices_forget(e->browse->devices, number(e));
    tick_soon(e->browse, SETTLE_MS);
}

static bool read_address(const AvahiRecord *r, struct veld_ip *out)
{
    *out = (struct veld_ip){.family = r->key->type == AVAHI_DNS_TYPE_A ? 4 : 6};
    if (r->key->type == AVAHI_DNS_TYPE_A)
        memcpy(out->b, &r->data.a.address.address, 4);
    else if (r->key->type == AVAHI_DNS_TYPE_AAAA)
        memcpy(out->b, r->data.aaaa.address.address, 16);
    else
        return false;
    return true;
}

static void on_address(AvahiSRecordBrowser *browser, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiBrowserEvent event, AvahiRecord *record,
                       AvahiLookupResultFlags flags, void *ctx)
{
    struct entry *e = ctx;
    struct veld_ip ip;
    if (!record || !read_address(record, &ip))
        return;
    if (event == AVAHI_BROWSER_NEW)
        veld_lan_devices_add(e->browse->devices, number(e), &ip);
    else if (event == AVAHI_BROWSER_REMOVE)
        veld_lan_devices_remove(e->browse->devices, number(e), &ip);
    tick_soon(e->browse, SETTLE_MS);
}

static void browse_addresses(struct entry *e, struct veld_lan_link link, const char *host)
{
    static const uint16_t types[ADDRESS_FAMILIES] = {AVAHI_DNS_TYPE_A, AVAHI_DNS_TYPE_AAAA};
    stop_addresses(e);
    for (size_t i = 0; i < ADDRESS_FAMILIES; i++) {
        AvahiKey *key = avahi_key_new(host, AVAHI_DNS_CLASS_IN, types[i]);
        if (key)
            e->address[i] = avahi_s_record_browser_new(
                e->browse->server, (AvahiIfIndex)link.interface,
                link.family == 6 ? AVAHI_PROTO_INET6 : AVAHI_PROTO_INET, key,
                AVAHI_LOOKUP_USE_MULTICAST, on_address, e);
        if (key)
            avahi_key_unref(key);
    }
}

static int describe(struct entry *e, uint16_t port, AvahiStringList *txt)
{
    struct veld_bytes strings[VELD_LAN_TXT_MAX];
    size_t n = 0;
    for (AvahiStringList *l = txt; l && n < VELD_LAN_TXT_MAX; l = avahi_string_list_get_next(l))
        strings[n++] =
            (struct veld_bytes){avahi_string_list_get_text(l), avahi_string_list_get_size(l)};
    return veld_lan_devices_describe(e->browse->devices, number(e), port, strings, n);
}

static void on_service(AvahiSServiceResolver *resolver, AvahiIfIndex interface,
                       AvahiProtocol protocol, AvahiResolverEvent event, const char *name,
                       const char *type, const char *domain, const char *host,
                       const AvahiAddress *address, uint16_t port, AvahiStringList *txt,
                       AvahiLookupResultFlags flags, void *ctx)
{
    struct entry *e = ctx;
    if (event != AVAHI_RESOLVER_FOUND) {
        on_left_out(e->browse);
        forget(e);
        return;
    }
    int rc = describe(e, port, txt);
    if (rc == VELD_E_FULL)
        on_left_out(e->browse);
    if (rc < 0)
        forget(e);
    else
        browse_addresses(e, link_of(interface, protocol), host);
    tick_soon(e->browse, SETTLE_MS);
}

/* ---- Names ---- */

static void on_new_name(struct veld_browse *b, struct veld_lan_link link,
                        AvahiProtocol protocol, const char *name)
{
    int at = veld_lan_devices_see(b->devices, link, name, veld_clock_mono_ns());
    if (at == VELD_E_LIMIT || at == VELD_E_FULL)
        on_left_out(b);
    if (at < 0)
        return;
    struct entry *e = &b->entries[at];
    e->browse = b;
    e->service = avahi_s_service_resolver_new(
        b->server, (AvahiIfIndex)link.interface, protocol, name, VELD_LAN_SERVICE, NULL,
        AVAHI_PROTO_UNSPEC, AVAHI_LOOKUP_USE_MULTICAST | AVAHI_LOOKUP_NO_ADDRESS, on_service,
        e);
    if (!e->service)
        forget(e);
    tick_soon(b, WAIT_MS);
}

static void on_name(AvahiSServiceBrowser *browser, AvahiIfIndex interface,
                    AvahiProtocol protocol, AvahiBrowserEvent event, const char *name,
                    const char *type, const char *domain, AvahiLookupResultFlags flags,
                    void *ctx)
{
    struct veld_browse *b = ctx;
    struct veld_lan_link link = link_of(interface, protocol);
    if (event == AVAHI_BROWSER_NEW)
        on_new_name(b, link, protocol, name);
    if (event != AVAHI_BROWSER_REMOVE)
        return;
    int at = veld_lan_devices_find(b->devices, link, name);
    if (at >= 0)
        forget(&b->entries[at]);
}

/* ---- News ---- */

static void on_tick(AvahiTimeout *t, void *ctx)
{
    struct veld_browse *b = ctx;
    uint64_t now_ns = veld_clock_mono_ns();
    struct veld_lan_report report;
    int late;
    b->ticks = false;
    while ((late = veld_lan_devices_late(b->devices, now_ns)) >= 0) {
        on_left_out(b);
        forget(&b->entries[late]);
    }
    while (veld_lan_devices_next(b->devices, now_ns, &report))
        b->cfg.on_report(b->cfg.ctx, &report);
    if (veld_lan_devices_wait(b->devices))
        tick_soon(b, WAIT_MS);
}

/* ---- Begin, end, anew ---- */

static void on_server(AvahiServer *server, AvahiServerState state, void *ctx)
{
    if (state != AVAHI_SERVER_FAILURE)
        return;
    veld_error("mDNS: %s", avahi_strerror(avahi_server_errno(server)));
    exit(1);
}

static void end(struct veld_browse *b)
{
    for (size_t i = 0; i < VELD_LAN_SIGHTINGS_MAX; i++) {
        if (b->entries[i].service)
            forget(&b->entries[i]);
    }
    if (b->browser)
        avahi_s_service_browser_free(b->browser);
    if (b->server)
        avahi_server_free(b->server);
    b->browser = NULL;
    b->server = NULL;
}

static int begin(struct veld_browse *b)
{
    AvahiServerConfig config;
    int error = AVAHI_OK;
    veld_lan_server_config(&config, b->cfg.without);
    config.disable_publishing = 1;
    config.n_cache_entries_max = CACHE_ENTRIES;
    b->server = avahi_server_new(b->cfg.poll, &config, on_server, b, &error);
    avahi_server_config_free(&config);
    if (!b->server)
        return error;
    b->began_ns = veld_clock_mono_ns();
    b->browser = avahi_s_service_browser_new(b->server, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC,
                                             VELD_LAN_SERVICE, NULL, AVAHI_LOOKUP_USE_MULTICAST,
                                             on_name, b);
    return b->browser ? AVAHI_OK : avahi_server_errno(b->server);
}

static void on_anew(AvahiTimeout *t, void *ctx)
{
    struct veld_browse *b = ctx;
    b->anew_is_due = false;
    end(b);
    int error = begin(b);
    if (error == AVAHI_OK)
        return;
    veld_error("mDNS: %s", avahi_strerror(error));
    exit(1);
}

struct veld_browse *veld_browse_start(const struct veld_browse_config *cfg, int *error)
{
    struct veld_browse *b = calloc(1, sizeof *b);
    *error = AVAHI_ERR_NO_MEMORY;
    if (!b)
        return NULL;
    b->cfg = *cfg;
    b->anew_ms = ANEW_MS_MIN;
    b->devices = veld_lan_devices_new(cfg->pub);
    b->tick = cfg->poll->timeout_new(cfg->poll, NULL, on_tick, b);
    b->anew = cfg->poll->timeout_new(cfg->poll, NULL, on_anew, b);
    if (b->devices && b->tick && b->anew && (*error = begin(b)) == AVAHI_OK)
        return b;
    veld_browse_stop(b);
    return NULL;
}

void veld_browse_stop(struct veld_browse *b)
{
    if (!b)
        return;
    end(b);
    if (b->tick)
        b->cfg.poll->timeout_free(b->tick);
    if (b->anew)
        b->cfg.poll->timeout_free(b->anew);
    veld_lan_devices_free(b->devices);
    free(b);
}
