#include "control/lan/announce.h"

#include "base/log.h"
#include "control/lan/devices.h"
#include "control/lan/links.h"
#include "crypto/identity.h"

#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/strlst.h>
#include <avahi-common/timeval.h>
#include <avahi-core/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_MS     300  /* of addresses that change together */
#define RENAME_MS_MIN 1000 /* whoever takes every name makes us send little */
#define RENAME_MS_MAX 60000
#define PACKETS_PER_S 100
#define CACHE_ENTRIES 32 /* it asks for nothing */

struct veld_announce {
    const AvahiPoll *poll;
    const char *without;
    AvahiTimeout *settle, *rename;
    unsigned rename_ms;
    int links; /* of veld_lan_links_watch */
    AvahiWatch *watch;
    AvahiServer *server;
    AvahiSEntryGroup *group;
    AvahiStringList *txt;
    struct veld_endpoint listen;
    char name[32], host[48];
    size_t n;
    struct veld_lan_address address[VELD_LAN_LINK_ADDRESSES_MAX];
};

/*
 * Addresses are published by announce.c: Avahi itself would claim the name of each address
 * (in-addr.arpa) too, which is that of this machine's own mDNS responder where there is one.
 */
void veld_lan_server_config(AvahiServerConfig *out, const char *without)
{
    avahi_server_config_init(out);
    out->host_name = avahi_strdup("veld"); /* or it would ask for this machine's */
    out->deny_interfaces = avahi_string_list_new("lo", without, NULL);
    out->publish_hinfo = 0;
    out->publish_addresses = 0;
    out->publish_workstation = 0;
    out->publish_domain = 0;
    out->disallow_other_stacks = 0;
    out->enable_wide_area = 0;
    out->ratelimit_interval = 1000000;
    out->ratelimit_burst = PACKETS_PER_S;
}

static void arm(const struct veld_announce *a, AvahiTimeout *t, unsigned ms)
{
    struct timeval at;
    a->poll->timeout_update(t, avahi_elapse_time(&at, ms, 0));
}

static void make_name(struct veld_announce *a)
{
    uint64_t number;
    veld_random(&number, sizeof number);
    snprintf(a->name, sizeof a->name, "veld-%016llx", (unsigned long long)number);
    snprintf(a->host, sizeof a->host, "%s.local", a->name);
}

/* ---- The records ---- */

static int add_address(const struct veld_announce *a, const struct veld_lan_address *from)
{
    AvahiAddress to = {.proto = AVAHI_PROTO_INET};
    if (from->ip.family == 4) {
        memcpy(&to.data.ipv4.address, from->ip.b, 4);
    } else {
        to.proto = AVAHI_PROTO_INET6;
        memcpy(to.data.ipv6.address, from->ip.b, 16);
    }
    return avahi_server_add_address(a->server, a->group, (AvahiIfIndex)from->interface,
                                    AVAHI_PROTO_UNSPEC, AVAHI_PUBLISH_NO_REVERSE, a->host, &to);
}

static void publish(struct veld_announce *a)
{
    avahi_s_entry_group_reset(a->group);
    a->n = veld_lan_links_read(a->without, &a->listen.ip, a->address);
    int rc = avahi_server_add_service_strlst(a->server, a->group, AVAHI_IF_UNSPEC,
                                             AVAHI_PROTO_UNSPEC, 0, a->name, VELD_LAN_SERVICE,
                                             NULL, a->host, a->listen.port, a->txt);
    for (size_t i = 0; i < a->n && rc == 0; i++)
        rc = add_address(a, &a->address[i]);
    if (rc == 0)
        rc = avahi_s_entry_group_commit(a->group);
    if (rc < 0)
        veld_warn("mDNS: this machine cannot be announced: %s", avahi_strerror(rc));
}

/* ---- When they are others ---- */

static void on_settled(AvahiTimeout *t, void *ctx)
{
    struct veld_announce *a = ctx;
    struct veld_lan_address now[VELD_LAN_LINK_ADDRESSES_MAX];
    size_t n = veld_lan_links_read(a->without, &a->listen.ip, now);
    bool same = n == a->n;
    for (size_t i = 0; i < n && same; i++)
        same = now[i].interface == a->address[i].interface &&
               veld_ip_equal(&now[i].ip, &a->address[i].ip);
    if (!same)
        publish(a);
}

static void on_links(AvahiWatch *w, int fd, AvahiWatchEvent event, void *ctx)
{
    static uint8_t ignored[8192];
    while (recv(fd, ignored, sizeof ignored, MSG_DONTWAIT) > 0)
        ;
    const struct veld_announce *a = ctx;
    arm(a, a->settle, SETTLE_MS);
}

static void on_rename(AvahiTimeout *t, void *ctx)
{
    struct veld_announce *a = ctx;
    make_name(a);
    publish(a);
}

static void on_group(AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state,
                     void *ctx)
{
    struct veld_announce *a = ctx;
    if (state == AVAHI_ENTRY_GROUP_FAILURE)
        veld_warn("mDNS: this machine cannot be announced: %s",
                  avahi_strerror(avahi_server_errno(server)));
    if (state != AVAHI_ENTRY_GROUP_COLLISION)
        return;
    arm(a, a->rename, a->rename_ms);
    if (a->rename_ms < RENAME_MS_MAX)
        a->rename_ms *= 2;
}

static void on_server(AvahiServer *server, AvahiServerState state, void *ctx)
{
    if (state != AVAHI_SERVER_FAILURE)
        return; /* it publishes nothing by itself, so nothing of it is another's */
    veld_error("mDNS: %s", avahi_strerror(avahi_server_errno(server)));
    exit(1);
}

/* ---- Start, stop ---- */

static int open_server(struct veld_announce *a)
{
    AvahiServerConfig config;
    int error = AVAHI_OK;
    veld_lan_server_config(&config, a->without);
    config.n_cache_entries_max = CACHE_ENTRIES;
    a->server = avahi_server_new(a->poll, &config, on_server, a, &error);
    avahi_server_config_free(&config);
    if (!a->server)
        return error;
    a->group = avahi_s_entry_group_new(a->server, on_group, a);
    return a->group ? AVAHI_OK : avahi_server_errno(a->server);
}

struct veld_announce *veld_announce_start(const AvahiPoll *poll, const char *without,
                                          const struct veld_endpoint *listen,
                                          const uint8_t pub[32], int *error)
{
    char text[VELD_PUBKEY_STRLEN];
    struct veld_announce *a = calloc(1, sizeof *a);
    *error = AVAHI_ERR_NO_MEMORY;
    if (!a)
        return NULL;
    veld_pubkey_format(pub, text);
    a->poll = poll;
    a->without = without;
    a->listen = *listen;
    a->rename_ms = RENAME_MS_MIN;
    a->settle = poll->timeout_new(poll, NULL, on_settled, a);
    a->rename = poll->timeout_new(poll, NULL, on_rename, a);
    a->links = veld_lan_links_watch();
    if (a->links >= 0)
        a->watch = poll->watch_new(poll, a->links, AVAHI_WATCH_IN, on_links, a);
    a->txt = avahi_string_list_new(VELD_LAN_TXT_VERSION, NULL);
    a->txt = avahi_string_list_add_printf(a->txt, VELD_LAN_TXT_PUB "%s", text);
    make_name(a);
    if (a->settle && a->rename && a->watch && (*error = open_server(a)) == AVAHI_OK) {
        publish(a);
        return a;
    }
    veld_announce_stop(a);
    return NULL;
}

void veld_announce_stop(struct veld_announce *a)
{
    if (!a)
        return;
    if (a->server)
        avahi_server_free(a->server);
    avahi_string_list_free(a->txt);
    if (a->watch)
        a->poll->watch_free(a->watch);
    if (a->links >= 0)
        close(a->links);
    if (a->settle)
        a->poll->timeout_free(a->settle);
    if (a->rename)
        a->poll->timeout_free(a->rename);
    free(a);
}
