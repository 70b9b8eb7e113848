#include "control/peer_list.h"

#include "base/bytes.h"
#include "control/names/dns.h"
#include "crypto/identity.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int veld_peer_list_init(struct veld_peer_list *l, uint32_t max, const char *network)
{
    *l = (struct veld_peer_list){.max = max};
    l->peers = calloc(max, sizeof *l->peers);
    l->live = calloc(max, sizeof *l->live);
    l->relays = calloc(max, sizeof *l->relays);
    if (!l->peers || !l->live || !l->relays) {
        veld_peer_list_free(l);
        return VELD_E_NOMEM;
    }
    if (network)
        snprintf(l->network, sizeof l->network, "%s", network);
    return 0;
}

static void about_free(struct control_peer *p)
{
    if (p->owned)
        free((void *)(uintptr_t)p->about);
}

void veld_peer_list_free(struct veld_peer_list *l)
{
    for (uint32_t id = 0; id < l->end; id++)
        about_free(&l->peers[id]);
    free(l->peers);
    free(l->live);
    free(l->relays);
    *l = (struct veld_peer_list){0};
}

/* ---- Descriptions ---- */

struct veld_config_peer *veld_peer_about_copy(const struct veld_config_peer *about)
{
    size_t addrs = about->n_addrs * sizeof about->addrs[0];
    size_t routes = about->n_routes * sizeof about->routes[0];
    size_t relays = about->n_relays * sizeof about->relays[0];
    struct veld_config_peer *copy = malloc(sizeof *copy + addrs + routes + relays);
    if (!copy)
        return NULL;
    *copy = *about;
    copy->addrs = (struct veld_ip *)(void *)(copy + 1); /* bytes only, as prefixes are */
    copy->routes = (struct veld_prefix *)(void *)((uint8_t *)copy->addrs + addrs);
    uint8_t(*keys)[32] = (void *)((uint8_t *)copy->routes + routes);
    copy->relays = (const uint8_t(*)[32])keys;
    if (addrs)
        memcpy(copy->addrs, about->addrs, addrs);
    if (routes)
        memcpy(copy->routes, about->routes, routes);
    if (relays)
        memcpy(keys, about->relays, relays);
    return copy;
}

bool veld_peer_about_same_places(const struct veld_config_peer *a,
                                 const struct veld_config_peer *b)
{
    return strcmp(a->name, b->name) == 0 && a->n_addrs == b->n_addrs &&
           a->n_routes == b->n_routes &&
           (a->n_addrs == 0 ||
            memcmp(a->addrs, b->addrs, a->n_addrs * sizeof a->addrs[0]) == 0) &&
           (a->n_routes == 0 ||
            memcmp(a->routes, b->routes, a->n_routes * sizeof a->routes[0]) == 0);
}

/* ---- Places ---- */

static void set_about(struct veld_peer_list *l, uint32_t id,
                      const struct veld_config_peer *about)
{
    struct control_peer *p = &l->peers[id];
    bool was_relay = p->about && p->about->relay, is_relay = about && about->relay;
    about_free(p);
    p->about = about;
    if (is_relay && !was_relay) {
        p->relay_index = (uint32_t)l->n_relays;
        l->relays[l->n_relays++] = id;
    } else if (was_relay && !is_relay) {
        uint32_t moved = l->relays[--l->n_relays];
        l->relays[p->relay_index] = moved;
        l->peers[moved].relay_index = p->relay_index;
    }
}

void veld_peer_list_put(struct veld_peer_list *l, uint32_t id,
                        const struct veld_config_peer *about, bool owned)
{
    assert(id < l->max && !l->peers[id].about);
    set_about(l, id, about);
    l->peers[id].owned = owned;
    l->end = VELD_MAX(l->end, id + 1);
    l->n++;
}

void veld_peer_list_change(struct veld_peer_list *l, uint32_t id,
                           const struct veld_config_peer *about)
{
    assert(l->peers[id].about && l->peers[id].owned);
    set_about(l, id, about);
}

void veld_peer_list_drop(struct veld_peer_list *l, uint32_t id)
{
    struct control_peer *p = &l->peers[id];
    assert(p->about && p->sessions == 0);
    set_about(l, id, NULL);
    *p = (struct control_peer){0};
    l->n--;
    while (l->end > 0 && !l->peers[l->end - 1].about)
        l->end--;
}

struct control_peer *veld_peer_list_get(const struct veld_peer_list *l, uint32_t id)
{
    return id < l->end && l->peers[id].about ? &l->peers[id] : NULL;
}

struct control_peer *veld_peer_list_next(const struct veld_peer_list *l, uint32_t *id)
{
    while (*id < l->end && !l->peers[*id].about)
        ++*id;
    return veld_peer_list_get(l, *id);
}

/* ---- Sessions ---- */

void veld_peer_list_session(struct veld_peer_list *l, uint32_t id)
{
    struct control_peer *p = &l->peers[id];
    assert(p->about && p->sessions < UINT8_MAX);
    if (p->sessions++ > 0)
        return;
    p->live_index = (uint32_t)l->n_live;
    l->live[l->n_live++] = id;
}

bool veld_peer_list_session_end(struct veld_peer_list *l, uint32_t id)
{
    struct control_peer *p = &l->peers[id];
    if (p->sessions == 0 || --p->sessions > 0)
        return false;
    uint32_t moved = l->live[--l->n_live];
    l->live[p->live_index] = moved;
    l->peers[moved].live_index = p->live_index;
    return true;
}

/* ---- What people call it ---- */

bool veld_peer_list_is_at(const struct veld_peer_list *l, const struct veld_ip *ip)
{
    for (size_t i = 0; i < l->n_live; i++) {
        const struct control_peer *p = &l->peers[l->live[i]];
        if (!p->blocked && p->endpoint.ip.family && veld_ip_equal(&p->endpoint.ip, ip))
            return true;
    }
    return false;
}

const char *veld_peer_list_name(const struct veld_peer_list *l, uint32_t id, char out[64])
{
    const struct control_peer *p = veld_peer_list_get(l, id);
    if (!p)
        snprintf(out, 64, "peer %u", id);
    else if (p->about->name[0])
        snprintf(out, 64, "%s", p->about->name);
    else
        veld_ip_format(&p->about->addrs[0], out);
    return out;
}

/* `len` bytes of `text` without ".`end`", if they end by that. */
static size_t without(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    if (len > n + 1 && text[len - n - 1] == '.' && strncasecmp(text + len - n, end, n) == 0)
        return len - n - 1;
    return len;
}

/* How much of what was typed is a name: "b", "b.veld" and "b.NETWORK.veld" mean the same. */
static size_t name_length(const struct veld_peer_list *l, const char *text)
{
    size_t all = strlen(text), len = without(text, all, VELD_DNS_DOMAIN);
    return len < all && l->network[0] ? without(text, len, l->network) : len;
}

bool veld_peer_list_find(const struct veld_peer_list *l, const char *text, uint32_t *id)
{
    struct veld_ip ip = {0};
    uint8_t pub[32];
    bool is_ip = veld_ip_parse(text, &ip) == 0, is_key = veld_pubkey_parse(text, pub) == 0;
    bool found = false;
    size_t len = name_length(l, text);
    const struct control_peer *p;
    for (uint32_t i = 0; (p = veld_peer_list_next(l, &i)); i++) {
        const struct veld_config_peer *about = p->about;
        if (p->unproven)
            continue;
        bool hit =
            len > 0 && strlen(about->name) == len && strncasecmp(about->name, text, len) == 0;
        hit |= is_key && memcmp(about->pub, pub, sizeof pub) == 0;
        for (size_t a = 0; is_ip && a < about->n_addrs; a++)
            hit |= veld_ip_equal(&about->addrs[a], &ip);
        if (!hit || (found && p->blocked))
            continue;
        *id = i;
        found = true;
        if (!p->blocked)
            return true;
    }
    return found;
}
