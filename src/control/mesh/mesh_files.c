/*
 * From the files of the network's folder to what the daemon goes by: at the
 * start, and when the command line tool says that they changed.
 */
#include "control/mesh/mesh_impl.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CA_MAX (1u << 20)

static int load_ca(struct veld_mesh *m, struct veld_diag *diag)
{
    const char *path = m->profile.coord.ca_path;
    size_t len;
    if (!path)
        return 0;
    m->ca = malloc(CA_MAX);
    int rc = m->ca ? veld_file_read(path, m->ca, CA_MAX, &len) : VELD_E_NOMEM;
    if (rc == 0)
        return 0;
    return veld_fail(diag, rc,
                     "cannot read %s, the CAs that the coord server is known by: %s; log in "
                     "again with veld login",
                     path, rc == VELD_E_NOMEM ? "out of memory" : strerror(errno));
}

static int check_lease(const struct veld_mesh *m, struct veld_diag *diag)
{
    const struct veld_profile *p = &m->profile;
    if (!p->ipv4.family)
        return veld_fail(diag, VELD_E_CONFIG,
                         "this machine has no address in network %s yet; get one with: veld up "
                         "--network %s",
                         p->network.name, p->network.name);
    if (!veld_network_may_lease(&p->network, &p->ipv4)) {
        char ip[VELD_IP_STRLEN], range[VELD_PREFIX_STRLEN];
        return veld_fail(diag, VELD_E_CONFIG,
                         "%s/networks/%s/lease: %s is no address of the network's (%s); remove "
                         "the file and run: veld up --network %s",
                         m->state_dir, p->network.name, veld_ip_format(&p->ipv4, ip),
                         veld_prefix_format(&p->network.ipv4, range), p->network.name);
    }
    return 0;
}

/* ---- Into the configuration ---- */

static int set_routes(struct veld_config *c, const struct veld_settings *s)
{
    if (c->given & VELD_CONFIG_ROUTES)
        return 0;
    struct veld_prefix *routes = calloc(s->n_routes + 1, sizeof *routes);
    if (!routes)
        return VELD_E_NOMEM;
    memcpy(routes, s->routes, s->n_routes * sizeof *routes);
    free(c->routes);
    c->routes = routes;
    c->n_routes = s->n_routes;
    return 0;
}

/* What may change while the daemon runs. */
static int take_live(struct veld_mesh *m, const struct veld_settings *s)
{
    if (!(m->config->given & VELD_CONFIG_ACCEPT_ROUTES))
        m->config->accept_routes = s->accept_routes;
    if (!(m->config->given & VELD_CONFIG_RELAY))
        m->config->relay = s->relay;
    if (!(m->config->given & VELD_CONFIG_RELAY_RATE))
        m->config->relay_rate_mbit = s->relay_rate_mbit;
    if (!(m->config->given & VELD_CONFIG_PORT_MAPPING))
        m->config->port_mapping = s->port_mapping;
    return set_routes(m->config, s);
}

static void take_fixed(struct veld_mesh *m, const struct veld_settings *s)
{
    struct veld_config *c = m->config;
    if (!(c->given & VELD_CONFIG_LISTEN))
        c->listen = s->listen;
    if (!(c->given & VELD_CONFIG_INTERFACE))
        memcpy(c->interface, s->interface, sizeof c->interface);
    if (!(c->given & VELD_CONFIG_MTU))
        c->mtu = s->mtu;
    if (!(c->given & VELD_CONFIG_MDNS))
        c->mdns = s->mdns;
}

static void take_addresses(struct veld_mesh *m)
{
    const struct veld_profile *p = &m->profile;
    struct veld_config *c = m->config;
    memcpy(c->name, p->membership.name, sizeof c->name);
    c->addrs[0] = (struct veld_prefix){.ip = p->ipv4, .len = p->network.ipv4.len};
    c->n_addrs = 1;
    m->networks[0] = p->network.ipv4;
    m->networks[1].len = VELD_NETWORK_IPV6_LEN;
    veld_network_ipv6(p->network.id, m->identity->pub, &m->networks[1].ip);
    if (veld_host_has_ipv6())
        c->addrs[c->n_addrs++] = m->networks[1];
    veld_prefix_mask(&m->networks[1]);
}

/* As the daemon's caller may mend it. */
static int load_profile(struct veld_mesh *m, struct veld_diag *diag)
{
    const char *network = m->config->network;
    int rc = veld_profile_load(m->state_dir, network, m->identity->pub, veld_mesh_now_s(),
                               &m->profile, diag);
    if (rc == VELD_E_NOENT && !strstr(diag->text, "veld up")) {
        struct veld_diag missing = *diag;
        return veld_fail(diag, rc,
                         "%.500s; join with: veld up --network %s, or veld join TOKEN",
                         missing.text, network);
    }
    return rc;
}

int veld_mesh_files_open(struct veld_mesh *m, struct veld_diag *diag)
{
    const char *network = m->config->network;
    char pins[VELD_PROFILE_PATH_MAX];
    int rc = load_profile(m, diag);
    if (rc == 0)
        rc = veld_profile_read(m->state_dir, network, VELD_PROFILE_NETWORK, VELD_SIGNED_MAX,
                               &m->signed_network, diag);
    if (rc == 0)
        rc = veld_settings_load(m->state_dir, network, &m->settings, diag);
    if (rc == 0)
        rc = check_lease(m, diag);
    if (rc == 0)
        rc = load_ca(m, diag);
    if (rc == 0)
        rc = veld_profile_path(m->state_dir, network, VELD_PROFILE_PINS, pins, diag);
    if (rc == 0)
        rc = veld_pins_load(&m->pins, pins, m->profile.network.id, diag);
    if (rc < 0)
        return rc;
    m->revoked = m->profile.revocations;
    m->profile.revocations = NULL;
    veld_pins_set_revoked(m->pins, m->revoked);
    m->lease = m->profile.ipv4;
    take_fixed(m, &m->settings);
    take_addresses(m);
    return take_live(m, &m->settings) < 0 ? veld_fail(diag, VELD_E_NOMEM, "out of memory") : 0;
}

/* ---- Again ---- */

static bool needs_restart(const struct veld_mesh *m, const struct veld_profile *p,
                          const struct veld_settings *s)
{
    const struct veld_settings *was = &m->settings;
    return strcmp(p->membership.name, m->profile.membership.name) != 0 ||
           memcmp(p->network.id, m->profile.network.id, sizeof p->network.id) != 0 ||
           strcmp(p->coord.address, m->profile.coord.address) != 0 ||
           memcmp(p->coord.certificate, m->profile.coord.certificate, 32) != 0 ||
           !veld_endpoint_equal(&s->listen, &was->listen) ||
           strcmp(s->interface, was->interface) != 0 || s->mtu != was->mtu ||
           s->mdns != was->mdns;
}

/* The link points at the chain's struct, so it is kept and what it holds replaced. */
static void take_profile(struct veld_mesh *m, struct veld_profile *p)
{
    struct veld_blob chain = m->profile.chain;
    m->profile.membership = p->membership;
    m->profile.chain = p->chain;
    p->chain = chain;
    if (p->revocations &&
        veld_revocations_epoch(p->revocations) > veld_revocations_epoch(m->revoked)) {
        veld_mesh_adopt_revocations(m, p->revocations);
        p->revocations = NULL;
    }
}

static int take_reloaded(struct veld_mesh *m, struct veld_profile *p,
                         const struct veld_settings *s, struct veld_diag *diag)
{
    if (needs_restart(m, p, s))
        return veld_fail(diag, VELD_E_STATE,
                         "what changed needs a restart: veld down && veld up --network %s",
                         m->network.name);
    int rc = take_live(m, s);
    if (rc < 0)
        return veld_fail(diag, rc, "out of memory");
    take_profile(m, p);
    m->settings = *s;
    rc = veld_control_offer_routes(m->control, diag);
    veld_portmap_on_change(m->control);
    if (veld_mesh_refresh_record(m))
        veld_link_on_record_changed(m->link);
    veld_mesh_judge_soon(m);
    return rc;
}

int veld_mesh_reload(struct veld_mesh *m, struct veld_diag *diag)
{
    const char *network = m->config->network;
    struct veld_profile p;
    struct veld_settings s;
    int rc =
        veld_profile_load(m->state_dir, network, m->identity->pub, veld_mesh_now_s(), &p, diag);
    if (rc < 0)
        return rc;
    rc = veld_settings_load(m->state_dir, network, &s, diag);
    if (rc == 0)
        rc = take_reloaded(m, &p, &s, diag);
    veld_mesh_look_at_request(m);
    veld_profile_clear(&p);
    return rc;
}
