/*
 * Where peers are on the links of this machine (discovery.h): remembered for whoever is a peer now
 * or becomes one later, and known to the engine as VELD_KNOWN_LAN.
 */
#include "control/control_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/lan/discovery.h"
#include "control/mesh/endpoints.h"
#include "control/mesh/hash.h"

#include <stdlib.h>

struct veld_lan {
    struct veld_lan_discovery *discovery;
    GHashTable
        *devices; /* by P: a struct veld_lan_report, owned; as many as discovery.h says */
};

/*
 * What is on a link of this machine. Announcements are anybody's: an address elsewhere would make
 * this machine call whomever they name.
 */
static size_t keep_on_link(const struct veld_control *c, const struct veld_endpoint *list,
                           size_t n, struct veld_endpoint out[VELD_LAN_ADDRESSES_MAX])
{
    const struct veld_prefix *own;
    size_t n_own = veld_self_addresses(c->self, &own), kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool on_link = list[i].scope != 0; /* link-local, and of which link */
        for (size_t k = 0; !on_link && k < n_own; k++)
            on_link = veld_prefix_contains(&own[k], &list[i].ip);
        if (on_link)
            out[kept++] = list[i];
    }
    return kept;
}

static void set_known(struct veld_control *c, uint32_t peer, const struct veld_endpoint *list,
                      size_t n)
{
    struct veld_endpoint usable[VELD_MEMBER_ENDPOINTS_MAX];
    char name[64], first[VELD_ENDPOINT_STRLEN];
    struct veld_endpoints_from self = veld_exchange_own_endpoints(c);
    struct veld_endpoint near[VELD_LAN_ADDRESSES_MAX];
    n = keep_on_link(c, list, n, near);
    size_t n_usable = veld_endpoints_usable(&self, NULL, 0, near, n, usable);
    int rc = veld_control_peer_known(c, peer, VELD_KNOWN_LAN, usable, n_usable);
    if (rc > 0 && n_usable > 0)
        VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(), "%s: found on the LAN at %s",
                         veld_control_peer_name(c, peer, name),
                         veld_endpoint_format(&usable[0], first));
    else if (rc > 0)
        VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(), "%s: no longer found on the LAN",
                         veld_control_peer_name(c, peer, name));
    else if (rc < 0)
        veld_warn("%s, found on the LAN: %s", veld_control_peer_name(c, peer, name),
                  veld_strerror(rc));
}

static void tell_mode(struct veld_control *c, const uint8_t pub[32],
                      const struct veld_endpoint *list, size_t n)
{
    struct veld_endpoint near[VELD_LAN_ADDRESSES_MAX];
    n = keep_on_link(c, list, n, near);
    veld_lan_mode_on_stranger(c->lan_mode, pub, near, n);
}

static void on_device(void *ctx, const uint8_t pub[32], const struct veld_endpoint *list,
                      size_t n)
{
    struct veld_control *c = ctx;
    uint32_t peer;
    struct veld_lan_report *device;
    if (n == 0) {
        g_hash_table_remove(c->lan->devices, pub);
    } else {
        device = g_new0(struct veld_lan_report, 1);
        memcpy(device->pub, pub, sizeof device->pub);
        memcpy(device->at, list, n * sizeof *list);
        device->n = (uint32_t)n;
        g_hash_table_replace(c->lan->devices, device->pub, device);
    }
    bool is_peer = veld_control_peer_find_pub(c, pub, &peer);
    if (is_peer)
        set_known(c, peer, list, n);
    if (is_peer && c->lan_mode)
        veld_lan_mode_on_known(c->lan_mode, pub, n);
    else if (!is_peer && c->lan_mode)
        tell_mode(c, pub, list, n);
}

void veld_control_lan_again(struct veld_control *c, const uint8_t pub[32])
{
    const struct veld_lan_report *device =
        c->lan ? g_hash_table_lookup(c->lan->devices, pub) : NULL;
    if (device)
        tell_mode(c, pub, device->at, device->n);
}

void veld_lan_on_peer(struct veld_control *c, uint32_t peer, const uint8_t pub[32])
{
    const struct veld_lan_report *device =
        c->lan ? g_hash_table_lookup(c->lan->devices, pub) : NULL;
    if (device)
        set_known(c, peer, device->at, device->n);
}

int veld_lan_start(struct veld_control *c, struct veld_diag *diag)
{
    struct veld_dataplane_info info;
    if (!c->config->mdns)
        return 0;
    veld_dataplane_get_info(c->dataplane, &info);
    const struct veld_lan_discovery_config cfg = {
        .listen = {.ip = c->config->listen.ip, .port = info.listen_port},
        .pub = c->identity->pub,
        .without = info.interface,
        .on_device = on_device,
        .ctx = c};
    c->lan = g_new0(struct veld_lan, 1);
    c->lan->devices = g_hash_table_new_full(veld_hash_key, veld_same_key, NULL, g_free);
    return veld_lan_discovery_start(&c->lan->discovery, &cfg, diag);
}

void veld_lan_stop(struct veld_control *c)
{
    if (!c->lan)
        return;
    veld_lan_discovery_stop(c->lan->discovery);
    g_hash_table_unref(c->lan->devices);
    g_free(c->lan);
    c->lan = NULL;
}
