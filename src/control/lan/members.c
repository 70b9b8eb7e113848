#include "control/lan/members.h"

#include "control/lan/derive.h"
#include "crypto/identity.h"
#include "trust/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct veld_lan_members {
    const struct veld_config *config;
    struct veld_pins *pins;
    uint8_t network_id[32];
    struct veld_lan_member list[VELD_LAN_MEMBERS_MAX];
    size_t n;
};

struct veld_lan_members *veld_lan_members_new(const struct veld_lan_members_config *cfg)
{
    struct veld_lan_members *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->config = cfg->config;
    m->pins = cfg->pins;
    memcpy(m->network_id, cfg->network_id, sizeof m->network_id);
    return m;
}

void veld_lan_members_free(struct veld_lan_members *m)
{
    free(m);
}

static struct veld_lan_member *find(const struct veld_lan_members *m, const uint8_t pub[32])
{
    for (size_t i = 0; i < m->n; i++) {
        if (memcmp(m->list[i].pub, pub, 32) == 0)
            return (struct veld_lan_member *)(uintptr_t)&m->list[i];
    }
    return NULL;
}

const struct veld_lan_member *veld_lan_members_find(const struct veld_lan_members *m,
                                                    const uint8_t pub[32])
{
    return find(m, pub);
}

const struct veld_lan_member *veld_lan_members_list(const struct veld_lan_members *m, size_t *n)
{
    *n = m->n;
    return m->list;
}

/* ---- What it may have ---- */

static enum veld_lan_verdict name_verdict(const struct veld_lan_members *m,
                                          const struct veld_lan_member *x)
{
    char derived[VELD_LAN_NAME_STRLEN];
    if (veld_lan_name_is_derived(x->name) &&
        strcmp(x->name, veld_lan_name(x->pub, derived)) != 0)
        return VELD_LAN_DERIVED;
    if (strcmp(x->name, m->config->name) == 0)
        return VELD_LAN_OWN;
    for (size_t i = 0; i < m->config->n_peers; i++) {
        if (strcmp(x->name, m->config->peers[i].name) == 0)
            return VELD_LAN_CONFIG;
    }
    const struct veld_pin *pin = veld_pins_of(m->pins, x->name);
    return pin && memcmp(pin->pub, x->pub, sizeof pin->pub) != 0 ? VELD_LAN_PINNED
                                                                 : VELD_LAN_FREE;
}

/* A network's first and last address mean all of it. */
static bool is_of_a_network(const struct veld_config *config, const struct veld_ip *ip)
{
    for (size_t i = 0; i < config->n_addrs; i++) {
        struct veld_prefix first = config->addrs[i];
        if (first.ip.family != 4 || first.len > 30 || !veld_prefix_contains(&first, ip))
            continue;
        veld_prefix_mask(&first);
        struct veld_ip last = first.ip;
        for (unsigned bit = first.len; bit < 32; bit++)
            last.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        return !veld_ip_equal(ip, &first.ip) && !veld_ip_equal(ip, &last);
    }
    return false;
}

/* The peer of the config that the address leads to; NULL: none. */
static const struct veld_config_peer *configured_at(const struct veld_config *config,
                                                    const struct veld_ip *ip)
{
    for (size_t i = 0; i < config->n_peers; i++) {
        const struct veld_config_peer *p = &config->peers[i];
        for (size_t k = 0; k < p->n_addrs; k++) {
            if (veld_ip_equal(&p->addrs[k], ip))
                return p;
        }
        for (size_t k = 0; k < p->n_routes; k++) {
            if (veld_prefix_contains(&p->routes[k], ip))
                return p;
        }
    }
    return NULL;
}

/* `x->as.name` is its own already. */
static enum veld_lan_verdict ipv4_verdict(const struct veld_lan_members *m,
                                          struct veld_lan_member *x)
{
    const struct veld_config *config = m->config;
    const struct veld_pin *against;
    x->other[0] = '\0';
    if (!x->ipv4.family)
        return VELD_LAN_FREE;
    if (!is_of_a_network(config, &x->ipv4))
        return VELD_LAN_OUTSIDE;
    for (size_t i = 0; i < config->n_addrs; i++) {
        if (veld_ip_equal(&config->addrs[i].ip, &x->ipv4))
            return VELD_LAN_OWN;
    }
    const struct veld_config_peer *peer = configured_at(config, &x->ipv4);
    if (peer) {
        snprintf(x->other, sizeof x->other, "%s", peer->name);
        return VELD_LAN_CONFIG;
    }
    struct veld_pin shown = {.addrs = {x->ipv4}, .n_addrs = 1};
    memcpy(shown.name, x->as.name, sizeof shown.name);
    memcpy(shown.pub, x->pub, sizeof shown.pub);
    if (veld_pins_check(m->pins, &shown, &against) != VELD_PIN_MISMATCH)
        return VELD_LAN_FREE;
    snprintf(x->other, sizeof x->other, "%s", against->name);
    return VELD_LAN_PINNED;
}

/* ---- What it is known by ---- */

static void set_ipv6(const struct veld_lan_members *m, struct veld_pin *pin)
{
    veld_network_ipv6(m->network_id, pin->pub, &pin->addrs[pin->n_addrs++]);
}

/* One name a key: the others are free again. Is any room left? */
static bool release_others(struct veld_lan_members *m, const struct veld_pin *as)
{
    size_t n = veld_pins_count(m->pins);
    const struct veld_pin **list = veld_pins_list(m->pins);
    for (size_t i = 0; list && i < n; i++) {
        if (memcmp(list[i]->pub, as->pub, sizeof as->pub) == 0 &&
            strcmp(list[i]->name, as->name) != 0)
            (void)!veld_pins_forget(m->pins, list[i]->name); /* it is there */
    }
    free(list);
    return veld_pins_of(m->pins, as->name) || veld_pins_count(m->pins) < VELD_LAN_PINS_MAX;
}

static void judge(struct veld_lan_members *m, struct veld_lan_member *x, uint64_t now_s)
{
    struct veld_pin as = {.since_s = now_s};
    char derived[VELD_LAN_NAME_STRLEN];
    memcpy(as.pub, x->pub, sizeof as.pub);
    x->on_name = x->name[0] ? name_verdict(m, x) : VELD_LAN_FREE;
    bool named = x->name[0] && x->on_name == VELD_LAN_FREE;
    strcpy(as.name, named ? x->name : veld_lan_name(x->pub, derived));
    memcpy(x->as.name, as.name, sizeof as.name);
    x->on_ipv4 = ipv4_verdict(m, x);
    if (x->ipv4.family && x->on_ipv4 == VELD_LAN_FREE)
        as.addrs[as.n_addrs++] = x->ipv4;
    set_ipv6(m, &as);
    if (x->name[0] && (!release_others(m, &as) || veld_pins_add(m->pins, &as) < 0)) {
        x->on_name = VELD_LAN_TOO_MANY;
        strcpy(as.name, veld_lan_name(x->pub, derived));
        as.n_addrs = 0;
        set_ipv6(m, &as);
    }
    x->as = as;
}

static bool is_known_otherwise(const struct veld_lan_member *a, const struct veld_lan_member *b)
{
    bool same = strcmp(a->as.name, b->as.name) == 0 && a->as.n_addrs == b->as.n_addrs &&
                a->on_name == b->on_name && a->on_ipv4 == b->on_ipv4;
    for (size_t i = 0; same && i < a->as.n_addrs; i++)
        same = veld_ip_equal(&a->as.addrs[i], &b->as.addrs[i]);
    return !same;
}

int veld_lan_members_judge(struct veld_lan_members *m, const uint8_t pub[32], uint64_t now_s)
{
    struct veld_lan_member *x = find(m, pub);
    if (!x)
        return 0;
    struct veld_lan_member before = *x;
    judge(m, x, now_s);
    return is_known_otherwise(&before, x);
}

/* ---- Come, tell, go ---- */

/* What was pinned is as if told. */
static void recall(const struct veld_lan_members *m, struct veld_lan_member *x)
{
    size_t n = veld_pins_count(m->pins);
    const struct veld_pin **list = veld_pins_list(m->pins);
    for (size_t i = 0; list && i < n; i++) {
        if (memcmp(list[i]->pub, x->pub, sizeof x->pub) != 0)
            continue;
        strcpy(x->name, list[i]->name);
        for (size_t k = 0; k < list[i]->n_addrs; k++) {
            if (list[i]->addrs[k].family == 4)
                x->ipv4 = list[i]->addrs[k];
        }
    }
    free(list);
}

int veld_lan_members_add(struct veld_lan_members *m, const uint8_t pub[32],
                         const struct veld_lan_member **out)
{
    if (find(m, pub))
        return VELD_E_EXIST;
    if (m->n == VELD_LAN_MEMBERS_MAX)
        return VELD_E_FULL;
    struct veld_lan_member *x = &m->list[m->n++];
    *x = (struct veld_lan_member){0};
    memcpy(x->pub, pub, sizeof x->pub);
    recall(m, x);
    judge(m, x, 0);
    *out = x;
    return 0;
}

void veld_lan_members_remove(struct veld_lan_members *m, const uint8_t pub[32])
{
    struct veld_lan_member *x = find(m, pub);
    if (x)
        *x = m->list[--m->n];
}

int veld_lan_members_claim(struct veld_lan_members *m, const uint8_t pub[32],
                           const struct veld_message *hello, uint64_t now_ns, uint64_t now_s)
{
    struct veld_lan_member *x = find(m, pub);
    if (!x)
        return VELD_E_NOENT;
    if (!veld_label_is_valid(hello->name))
        return VELD_E_FORMAT;
    if (strcmp(x->name, hello->name) == 0 && veld_ip_equal(&x->ipv4, &hello->ipv4))
        return 0;
    if (x->told_ns && now_ns - x->told_ns < VELD_LAN_CLAIM_GAP_NS)
        return VELD_E_LIMIT;
    strcpy(x->name, hello->name);
    x->ipv4 = hello->ipv4;
    x->told_ns = now_ns;
    return veld_lan_members_judge(m, pub, now_s);
}

/* ---- For people ---- */

static bool is_called(const struct veld_lan_member *x, const char *text)
{
    char derived[VELD_LAN_NAME_STRLEN], key[VELD_PUBKEY_STRLEN];
    veld_pubkey_format(x->pub, key);
    return strcasecmp(text, x->as.name) == 0 || strcasecmp(text, x->name) == 0 ||
           strcasecmp(text, veld_lan_name(x->pub, derived)) == 0 || strcmp(text, key) == 0;
}

int veld_lan_members_called(const struct veld_lan_members *m, const char *text,
                            const struct veld_lan_member **out)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!is_called(&m->list[i], text))
            continue;
        *out = &m->list[i];
        n++;
    }
    return n == 1 ? 0 : n ? VELD_E_STATE : VELD_E_NOENT;
}

static bool name_problem(const struct veld_lan_member *x, struct veld_diag *out)
{
    static const char *const why[] = {
        [VELD_LAN_OWN] =
            "which is this machine's name; give one of them another, with name = in "
            "its config or: veld up --lan --name NAME",
        [VELD_LAN_CONFIG] =
            "which [[peers]] in this machine's config says of another key; give it "
            "another name, or correct the config",
        [VELD_LAN_PINNED] =
            "which is the name of another key here; give it another name, or, if "
            "it took the other's place, compare veld pubkey there and run: veld "
            "trust accept",
        [VELD_LAN_DERIVED] = "which can be the name of another key only; give it another name",
        [VELD_LAN_TOO_MANY] = "and no more names are kept; forget some with: veld trust forget "
                              "NAME",
    };
    if (x->on_name == VELD_LAN_FREE)
        return false;
    char key[VELD_PUBKEY_STRLEN];
    veld_pubkey_format(x->pub, key);
    snprintf(out->text, sizeof out->text, "%s calls itself %s, %s%s%s", x->as.name, x->name,
             why[x->on_name], x->on_name == VELD_LAN_PINNED ? " " : "",
             x->on_name == VELD_LAN_PINNED ? key : "");
    return true;
}

bool veld_lan_member_problem(const struct veld_lan_member *x, struct veld_diag *out)
{
    char ip[VELD_IP_STRLEN];
    if (name_problem(x, out))
        return true;
    if (x->on_ipv4 == VELD_LAN_FREE)
        return false;
    veld_ip_format(&x->ipv4, ip);
    if (x->on_ipv4 == VELD_LAN_OUTSIDE)
        snprintf(out->text, sizeof out->text,
                 "%s has the address %s, which is in none of this machine's networks, and is "
                 "reached by IPv6 only; give both a vpn_ip = of one network in their configs",
                 x->as.name, ip);
    else
        snprintf(
            out->text, sizeof out->text,
            "%s has the address %s, which is that of %s, and is reached by IPv6 only; give "
            "one of them another, with vpn_ip = in its config",
            x->as.name, ip, x->other[0] ? x->other : "this machine");
    return true;
}

struct veld_pin veld_lan_member_claimed(const struct veld_lan_members *m,
                                        const struct veld_lan_member *x, uint64_t now_s)
{
    struct veld_pin pin = {.since_s = now_s};
    memcpy(pin.pub, x->pub, sizeof pin.pub);
    strcpy(pin.name, x->name[0] ? x->name : x->as.name);
    if (x->ipv4.family && (x->on_ipv4 == VELD_LAN_FREE || x->on_ipv4 == VELD_LAN_PINNED))
        pin.addrs[pin.n_addrs++] = x->ipv4;
    set_ipv6(m, &pin);
    return pin;
}
