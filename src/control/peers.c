/*
 * Peers enter and leave: those of the configuration at the start, others at run
 * time (peers.h). Each is with the engine, which gives its id, with the dataplane,
 * and in the list.
 */
#include "control/control_impl.h"

#include <stdlib.h>
#include <string.h>

/* With engine, dataplane and list, or nowhere. `about` becomes the list's when `owned`. */
static int enter(struct veld_control *c, const struct veld_engine_peer_config *cfg,
                 const struct veld_config_peer *about, bool owned, uint32_t *id)
{
    int rc = veld_engine_peer_add(c->engine, cfg, id);
    if (rc < 0)
        return rc;
    rc = veld_dataplane_peer_add(c->dataplane, *id);
    if (rc < 0) {
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_REMOVE_PEER, .peer = *id});
        return rc;
    }
    veld_peer_list_put(&c->peers, *id, about, owned);
    return 0;
}

/* ---- The configuration's ---- */

static int add_configured(struct veld_control *c, const struct veld_config_peer *peer,
                          struct veld_diag *diag)
{
    struct veld_engine_peer_config cfg = {.endpoint = peer->endpoint,
                                          .keepalive_s = peer->keepalive_s};
    memcpy(cfg.pub, peer->pub, sizeof cfg.pub);
    uint32_t id = 0;
    int rc = enter(c, &cfg, peer, false, &id);
    if (rc == VELD_E_KEY && memcmp(peer->pub, c->identity->pub, sizeof peer->pub) == 0)
        return veld_fail(diag, VELD_E_CONFIG,
                         "%s:%u: peers.pubkey: this is this machine's own key; put the other "
                         "machine's here ('veld pubkey' there prints it)",
                         c->config->path, peer->pub_line);
    if (rc == VELD_E_KEY)
        return veld_fail(diag, VELD_E_CONFIG,
                         "%s:%u: peers.pubkey: the key is unusable beside another peer's",
                         c->config->path, peer->pub_line);
    if (rc == 0 && peer->endpoint.ip.family)
        rc = veld_dataplane_peer_set_endpoint(c->dataplane, id, &peer->endpoint);
    if (rc < 0)
        return veld_fail(diag, rc, "%s:%u: cannot add the peer: %s", c->config->path,
                         peer->line, veld_strerror(rc));
    c->peers.peers[id].endpoint = peer->endpoint;
    return 0;
}

int veld_peers_add_configured(struct veld_control *c, struct veld_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->config->n_peers; i++)
        rc = add_configured(c, &c->config->peers[i], diag);
    return rc;
}

/* ---- Others ---- */

static bool are_usable(const struct veld_endpoint *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!veld_endpoint_usable(&list[i]))
            return false;
    }
    return true;
}

static bool is_sound(const struct veld_control_peer_spec *spec)
{
    const struct veld_config_peer *a = spec->about;
    return a->n_addrs >= 1 && a->n_addrs <= VELD_CONFIG_ADDRS_MAX &&
           a->n_routes <= VELD_CONFIG_ROUTES_MAX && a->n_relays <= VELD_MEMBER_RELAYS_MAX &&
           strnlen(a->name, sizeof a->name) < sizeof a->name &&
           (!a->endpoint.ip.family || veld_endpoint_usable(&a->endpoint)) &&
           spec->n_candidates <= VELD_CANDIDATES_MAX &&
           are_usable(spec->candidates, spec->n_candidates);
}

static struct veld_engine_peer_config engine_config(const struct veld_config_peer *about,
                                                    const struct veld_endpoint *candidates,
                                                    size_t n)
{
    struct veld_engine_peer_config cfg = {.endpoint = about->endpoint,
                                          .candidates = candidates,
                                          .n_candidates = n,
                                          .keepalive_s = about->keepalive_s};
    memcpy(cfg.pub, about->pub, sizeof cfg.pub);
    return cfg;
}

/* What `id` is as `about` has it, and where all sources say it may be. */
static int set_engine(struct veld_control *c, uint32_t id, const struct veld_config_peer *about)
{
    struct veld_endpoint candidates[VELD_CANDIDATES_MAX];
    size_t n = veld_known_compose(c->known, id, candidates);
    struct veld_engine_peer_config cfg = engine_config(about, candidates, n);
    if (!cfg.keepalive_s)
        cfg.keepalive_s = c->peers.peers[id].home_keepalive_s;
    if (!c->peers.peers[id].owned)
        cfg.last_known = c->peers.peers[id].endpoint; /* of the last run, if need be */
    return veld_engine_peer_set(c->engine, id, &cfg);
}

/* A session looks whether one of them is better than where it is. */
static void seek(struct veld_control *c, uint32_t id)
{
    if (veld_control_peer_has_session(c, id))
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_SEEK, .peer = id});
}

int veld_control_peer_known(struct veld_control *c, uint32_t id, enum veld_known_source source,
                            const struct veld_endpoint *list, size_t n)
{
    g_assert(!c->in_step);
    const struct control_peer *p = veld_peer_list_get(&c->peers, id);
    if (!p)
        return VELD_E_NOENT;
    if (n > VELD_CANDIDATES_MAX || !are_usable(list, n))
        return VELD_E_INVAL;
    if (!veld_known_set(c->known, id, source, list, n))
        return 0;
    int rc = set_engine(c, id, p->about);
    if (rc == 0)
        seek(c, id);
    veld_control_rearm(c);
    return rc < 0 ? rc : 1;
}

int veld_control_peer_add(struct veld_control *c, const struct veld_control_peer_spec *spec,
                          uint32_t *id)
{
    g_assert(!c->in_step);
    if (!is_sound(spec))
        return VELD_E_INVAL;
    struct veld_config_peer *about = veld_peer_about_copy(spec->about);
    if (!about)
        return VELD_E_NOMEM;
    struct veld_engine_peer_config cfg =
        engine_config(spec->about, spec->candidates, spec->n_candidates);
    cfg.last_known = veld_calls_remembered(c, cfg.pub);
    int rc = enter(c, &cfg, about, true, id);
    if (rc < 0) {
        free(about);
        return rc;
    }
    c->peers.peers[*id].unproven = spec->unproven;
    veld_known_set(c->known, *id, VELD_KNOWN_MEMBER, spec->candidates, spec->n_candidates);
    if (cfg.last_known.ip.family)
        veld_calls_add(c, *id);
    veld_lan_on_peer(c, *id, about->pub);
    veld_control_rearm(c);
    veld_publish_soon(c);
    return 0;
}

int veld_control_peer_change(struct veld_control *c, uint32_t id,
                             const struct veld_control_peer_spec *spec)
{
    g_assert(!c->in_step);
    struct control_peer *p = veld_peer_list_get(&c->peers, id);
    if (!p)
        return VELD_E_NOENT;
    if (!p->owned || !is_sound(spec))
        return VELD_E_INVAL;
    struct veld_config_peer *about = veld_peer_about_copy(spec->about);
    if (!about)
        return VELD_E_NOMEM;
    bool news =
        veld_known_set(c->known, id, VELD_KNOWN_MEMBER, spec->candidates, spec->n_candidates);
    int rc = set_engine(c, id, about);
    if (rc < 0) {
        free(about);
        return rc;
    }
    bool same = veld_peer_about_same_places(p->about, about) && p->unproven == spec->unproven;
    p->unproven = spec->unproven;
    veld_peer_list_change(&c->peers, id, about);
    if (news)
        seek(c, id);
    veld_control_rearm(c);
    if (!same)
        veld_publish_soon(c);
    return 0;
}

void veld_peers_set_home(struct veld_control *c, uint32_t id, uint16_t keepalive_s)
{
    struct control_peer *p = veld_peer_list_get(&c->peers, id);
    p->home_keepalive_s = keepalive_s;
    (void)!set_engine(c, id, p->about); /* it is there, and no list grows */
    veld_control_rearm(c);
}

/* Whoever waits for something of this peer, waits in vain. */
static void disappoint(struct veld_control *c, uint32_t id, const char *why)
{
    veld_pings_fail(c, id, why);
    veld_rekeys_fail(c, id, why);
    veld_calls_forget(c, id);
}

void veld_control_peer_remove(struct veld_control *c, uint32_t id)
{
    g_assert(!c->in_step);
    const struct control_peer *p = veld_peer_list_get(&c->peers, id);
    if (!p)
        return;
    disappoint(c, id, "it was removed");
    veld_relaying_peer_gone(c, id);
    veld_control_step(c, &(struct veld_event){.type = VELD_EV_REMOVE_PEER, .peer = id});
    veld_lane_ports_forget(c, id);
    veld_dataplane_peer_remove(c->dataplane, id);
    veld_relays_peer_gone(c, id);
    veld_known_forget(c->known, id);
    veld_candidates_forget(c->candidates, id);
    veld_peer_list_drop(&c->peers, id);
    veld_publish_soon(c);
}

int veld_control_peer_block(struct veld_control *c, uint32_t id)
{
    g_assert(!c->in_step);
    struct control_peer *p = veld_peer_list_get(&c->peers, id);
    if (!p)
        return VELD_E_NOENT;
    if (p->blocked)
        return 0;
    p->blocked = true;
    disappoint(c, id, VELD_BLOCKED_TEXT);
    veld_relaying_peer_gone(c, id);
    veld_control_step(c, &(struct veld_event){.type = VELD_EV_BLOCK, .peer = id});
    veld_dataplane_peer_drop_held(c->dataplane, id);
    veld_relays_peer_gone(c, id);
    veld_publish_soon(c);
    return 0;
}

int veld_control_peer_unblock(struct veld_control *c, uint32_t id)
{
    g_assert(!c->in_step);
    struct control_peer *p = veld_peer_list_get(&c->peers, id);
    if (!p)
        return VELD_E_NOENT;
    if (!p->blocked)
        return 0;
    p->blocked = false;
    veld_publish_soon(c);
    return veld_control_step(c, &(struct veld_event){.type = VELD_EV_UNBLOCK, .peer = id});
}

int veld_control_peer_call(struct veld_control *c, uint32_t id)
{
    g_assert(!c->in_step);
    veld_self_stun_on_wanted(c);
    return veld_control_step(c, &(struct veld_event){.type = VELD_EV_CALLED, .peer = id});
}

int veld_control_peer_send(struct veld_control *c, uint32_t id, const struct veld_message *m)
{
    struct veld_peer_info info;
    uint8_t bytes[VELD_MESSAGE_MAX];
    int rc = veld_engine_peer_get(c->engine, id, &info);
    if (rc < 0)
        return rc;
    if (!info.current_index)
        return VELD_E_STATE;
    size_t len = veld_message_write(bytes, m);
    return veld_dataplane_send_message(c->dataplane, info.current_index, NULL, bytes, len);
}

/* ---- To look at ---- */

struct veld_self *veld_control_self(const struct veld_control *c)
{
    return c->self;
}

uint32_t veld_control_peers_max(const struct veld_control *c)
{
    return c->peers.max;
}

size_t veld_control_peers_live(const struct veld_control *c, const uint32_t **ids)
{
    *ids = c->peers.live;
    return c->peers.n_live;
}

const struct veld_config_peer *veld_control_peer_about(const struct veld_control *c,
                                                       uint32_t id)
{
    const struct control_peer *p = veld_peer_list_get(&c->peers, id);
    return p ? p->about : NULL;
}

bool veld_control_peer_is_blocked(const struct veld_control *c, uint32_t id)
{
    const struct control_peer *p = veld_peer_list_get(&c->peers, id);
    return p && p->blocked;
}

bool veld_control_peer_has_session(const struct veld_control *c, uint32_t id)
{
    const struct control_peer *p = veld_peer_list_get(&c->peers, id);
    return p && p->sessions > 0;
}

bool veld_control_peer_is_active(const struct veld_control *c, uint32_t id)
{
    struct veld_peer_info info;
    return veld_engine_peer_get(c->engine, id, &info) == 0 && info.state == VELD_PEER_ACTIVE;
}

int veld_control_peer_info(const struct veld_control *c, uint32_t id,
                           struct veld_peer_info *out)
{
    return veld_engine_peer_get(c->engine, id, out);
}

bool veld_control_peer_find(const struct veld_control *c, const char *text, uint32_t *id)
{
    return veld_peer_list_find(&c->peers, text, id);
}

bool veld_control_peer_find_pub(const struct veld_control *c, const uint8_t pub[32],
                                uint32_t *id)
{
    return veld_engine_peer_find(c->engine, pub, id);
}

const char *veld_control_peer_name(const struct veld_control *c, uint32_t id, char out[64])
{
    return veld_peer_list_name(&c->peers, id, out);
}

void veld_control_set_hooks(struct veld_control *c, const struct veld_control_hooks *hooks)
{
    c->hooks = hooks ? *hooks : (struct veld_control_hooks){0};
}
