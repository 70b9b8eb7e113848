#include "control/lan/announce.h"

#include "base/log.h"
#include "control/lan/devices.h"
#include "crypto/identity.h"

#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/strlst.h>
#include <avahi-common/timeval.h>
#include <avahi-core/publish.h>
#include <stdio.h>
#include <stdlib.h>

#define RENAME_MS_MIN 1000 /* whoever takes every name makes us send little */
#define RENAME_MS_MAX 60000
#define PACKETS_PER_S 100

struct veld_announce {
    const AvahiPoll *poll;
    AvahiTimeout *rename;
    unsigned rename_ms;
    AvahiServer *server;
    AvahiSEntryGroup *group; /* NULL: not announced yet */
    AvahiStringList *txt;
    uint16_t port;
    char name[32];
};

void veld_lan_server_config(AvahiServerConfig *out, const char *without)
{
    avahi_server_config_init(out);
    out->deny_interfaces = avahi_string_list_new("lo", without, NULL);
    out->publish_hinfo = 0;
    out->publish_workstation = 0;
    out->publish_domain = 0;
    out->disallow_other_stacks = 0;
    out->enable_wide_area = 0;
    out->ratelimit_interval = 1000000;
    out->ratelimit_burst = PACKETS_PER_S;
}

static void make_name(struct veld_announce *a)
{
    uint64_t number;
    veld_random(&number, sizeof number);
    snprintf(a->name, sizeof a->name, "veld-%016llx", (unsigned long long)number);
}

static void rename_later(struct veld_announce *a)
{
    struct timeval at;
    a->poll->timeout_update(a->rename, avahi_elapse_time(&at, a->rename_ms, 0));
    if (a->rename_ms < RENAME_MS_MAX)
        a->rename_ms *= 2;
}

static void withdraw(struct veld_announce *a)
{
    if (a->group)
        avahi_s_entry_group_reset(a->group);
}

static void on_group(AvahiServer *server, AvahiSEntryGroup *group, AvahiEntryGroupState state,
                     void *ctx)
{
    if (state == AVAHI_ENTRY_GROUP_COLLISION)
        rename_later(ctx);
    else if (state == AVAHI_ENTRY_GROUP_FAILURE)
        veld_warn("mDNS: this machine cannot be announced: %s",
                  avahi_strerror(avahi_server_errno(server)));
}

static void announce(struct veld_announce *a, AvahiServer *server)
{
    if (!a->group)
        a->group = avahi_s_entry_group_new(server, on_group, a);
    int rc = !a->group ? avahi_server_errno(server) : 0;
    if (rc == 0 && avahi_s_entry_group_is_empty(a->group)) {
        rc = avahi_server_add_service_strlst(server, a->group, AVAHI_IF_UNSPEC,
                                             AVAHI_PROTO_UNSPEC, 0, a->name, VELD_LAN_SERVICE,
                                             NULL, NULL, a->port, a->txt);
        if (rc == 0)
            rc = avahi_s_entry_group_commit(a->group);
    }
    if (rc < 0)
        veld_warn("mDNS: this machine cannot be announced: %s", avahi_strerror(rc));
}

/* `server`, because the first calls come before avahi_server_new returns. */
static void on_server(AvahiServer *server, AvahiServerState state, void *ctx)
{
    struct veld_announce *a = ctx;
    switch (state) {
    case AVAHI_SERVER_RUNNING: announce(a, server); break;
    case AVAHI_SERVER_REGISTERING: withdraw(a); break; /* the host's addresses change */
    case AVAHI_SERVER_COLLISION:
        withdraw(a);
        rename_later(a);
        break;
    case AVAHI_SERVER_FAILURE:
        veld_error("mDNS: %s", avahi_strerror(avahi_server_errno(server)));
        exit(1);
    case AVAHI_SERVER_INVALID: break;
    }
}

static void on_rename(AvahiTimeout *t, void *ctx)
{
    struct veld_announce *a = ctx;
    withdraw(a);
    make_name(a);
    if (avahi_server_set_host_name(a->server, a->name) < 0)
        rename_later(a);
}

struct veld_announce *veld_announce_start(const AvahiPoll *poll, const char *without,
                                          uint16_t port, const uint8_t pub[32], int *error)
{
    AvahiServerConfig config;
    char text[VELD_PUBKEY_STRLEN];
    struct veld_announce *a = calloc(1, sizeof *a);
    if (!a) {
        *error = AVAHI_ERR_NO_MEMORY;
        return NULL;
    }
    veld_pubkey_format(pub, text);
    a->poll = poll;
    a->port = port;
    a->rename_ms = RENAME_MS_MIN;
    a->rename = poll->timeout_new(poll, NULL, on_rename, a);
    a->txt = avahi_string_list_new(VELD_LAN_TXT_VERSION, NULL);
    a->txt = avahi_string_list_add_printf(a->txt, VELD_LAN_TXT_PUB "%s", text);
    make_name(a);
    veld_lan_server_config(&config, without);
    config.host_name = avahi_strdup(a->name);
    a->server = avahi_server_new(poll, &config, on_server, a, error);
    avahi_server_config_free(&config);
    if (a->server)
        return a;
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
    if (a->rename)
        a->poll->timeout_free(a->rename);
    free(a);
}
