/*
 * Found devices become peers, and members tell their names.
 */
#include "control/lan/mode_impl.h"

#include "base/log.h"
#include "base/state_dir.h"
#include "control/mesh/hash.h"
#include "crypto/primitives.h"
#include "trust/network.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLOS       2 /* datagrams get lost */
#define HELLO_GAP_NS (2 * VELD_NS_PER_S)

uint64_t veld_lan_now_s(void)
{
    return veld_clock_now().wall_ns / VELD_NS_PER_S;
}

size_t veld_lan_mode_peers_max(void)
{
    return VELD_LAN_MEMBERS_MAX + VELD_LAN_TRYING_MAX;
}

const uint8_t *veld_lan_mode_handshake_id(const struct veld_lan_mode *m)
{
    return m->handshake_id;
}

/* ---- Open and close ---- */

/* One that a config peer has already is to be chosen by a person. */
static int derive_ipv4(struct veld_lan_mode *m, struct veld_diag *diag)
{
    struct veld_config *c = m->config;
    struct veld_prefix own = {.ip = veld_lan_ipv4(m->identity->pub), .len = VELD_LAN_IPV4_LEN};
    char text[VELD_IP_STRLEN];
    for (size_t i = 0; i < c->n_peers; i++) {
        for (size_t k = 0; k < c->peers[i].n_addrs; k++) {
            if (veld_ip_equal(&c->peers[i].addrs[k], &own.ip))
                return veld_fail(diag, VELD_E_CONFIG,
                                 "%s: the address that follows from this machine's key, %s, is "
                                 "that of a peer; give this machine another, with vpn_ip = "
                                 "\"10.100.0.1/16\" at the top of the file",
                                 c->path, veld_ip_format(&own.ip, text));
        }
    }
    c->addrs[c->n_addrs++] = own;
    return 0;
}

/* Others reach it by what follows from its key, whatever else it has. */
static int give_addresses(struct veld_lan_mode *m, struct veld_diag *diag)
{
    struct veld_config *c = m->config;
    int rc = c->n_addrs ? 0 : derive_ipv4(m, diag);
    if (rc < 0)
        return rc;
    if (c->n_addrs == VELD_CONFIG_ADDRS_MAX)
        return veld_fail(diag, VELD_E_CONFIG,
                         "%s: vpn_ip: on a LAN without a server at most %d addresses can be "
                         "given; one more follows from the key",
                         c->path, VELD_CONFIG_ADDRS_MAX - 1);
    struct veld_prefix *own = &c->addrs[c->n_addrs++];
    veld_network_ipv6(m->network_id, m->identity->pub, &own->ip);
    own->len = VELD_NETWORK_IPV6_LEN;
    return 0;
}

/* Pins of one network each: with another secret names are free again. */
static int load_pins(struct veld_lan_mode *m, const char *state_dir, struct veld_diag *diag)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/lan", state_dir);
    if (n < 0 || n + 32 > PATH_MAX)
        return veld_fail(diag, VELD_E_RANGE, "the state directory's name is too long");
    int rc = veld_state_dir_make(path, diag);
    if (rc < 0)
        return rc;
    const uint8_t *id = m->network_id;
    snprintf(path + n, sizeof path - (size_t)n, "/pins-%02x%02x%02x%02x.json", id[0], id[1],
             id[2], id[3]);
    return veld_pins_load(&m->pins, path, m->network_id, diag);
}

int veld_lan_mode_open(struct veld_lan_mode **out, const struct veld_lan_mode_options *o,
                       struct veld_diag *diag)
{
    struct veld_lan_mode *m = g_new0(struct veld_lan_mode, 1);
    const struct veld_config *config = o->config;
    m->config = o->config;
    m->identity = o->identity;
    veld_lan_network_id(m->network_id, config->has_psk ? config->psk : NULL);
    if (config->has_psk) {
        memcpy(m->handshake_id, m->network_id, sizeof m->handshake_id);
        m->trials = veld_lan_trials_new();
    }
    m->peers = g_hash_table_new_full(veld_hash_key, veld_same_key, NULL, g_free);
    m->by_id = g_hash_table_new(NULL, NULL);
    int rc = give_addresses(m, diag);
    if (rc == 0)
        rc = load_pins(m, o->state_dir, diag);
    const struct veld_lan_members_config members = {config, m->pins, m->network_id};
    if (rc == 0 && !(m->members = veld_lan_members_new(&members)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    if (rc < 0) {
        veld_lan_mode_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

void veld_lan_mode_close(struct veld_lan_mode *m)
{
    if (!m)
        return;
    veld_lan_members_free(m->members);
    veld_lan_trials_free(m->trials);
    veld_pins_free(m->pins);
    g_hash_table_unref(m->by_id);
    g_hash_table_unref(m->peers);
    g_free(m);
}

int veld_lan_save(struct veld_lan_mode *m, struct veld_diag *diag)
{
    int rc = veld_pins_unsaved(m->pins) ? veld_pins_save(m->pins, diag) : 0;
    if (rc == 0)
        m->pins_problem.text[0] = '\0';
    else
        m->pins_problem = *diag;
    return rc;
}

static void save(struct veld_lan_mode *m)
{
    struct veld_diag diag;
    if (veld_lan_save(m, &diag) < 0)
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(), "%s", diag.text);
}

/* ---- Peers ---- */

static struct lan_peer *peer_of(const struct veld_lan_mode *m, const uint8_t pub[32])
{
    return g_hash_table_lookup(m->peers, pub);
}

static void remove_peer(struct veld_lan_mode *m, struct lan_peer *p)
{
    veld_control_peer_remove(m->control, p->id);
    g_hash_table_remove(m->by_id, GUINT_TO_POINTER(p->id));
    g_hash_table_remove(m->peers, p->pub);
}

/*
 * An unproven peer whose key is the same but for its sign, which somebody may announce to keep
 * the other out: they take turns.
 */
static bool make_way(struct veld_lan_mode *m, const uint8_t pub[32])
{
    GHashTableIter it;
    gpointer value;
    g_hash_table_iter_init(&it, m->peers);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        struct lan_peer *p = value;
        if (p->proven || !veld_ed25519_same_but_for_sign(p->pub, pub))
            continue;
        remove_peer(m, p);
        return true;
    }
    return false;
}

static int add_peer(struct veld_lan_mode *m, const struct veld_control_peer_spec *spec)
{
    uint32_t id;
    int rc = veld_control_peer_add(m->control, spec, &id);
    if (rc == VELD_E_KEY && make_way(m, spec->about->pub))
        rc = veld_control_peer_add(m->control, spec, &id);
    if (rc < 0)
        return rc;
    struct lan_peer *p = g_new0(struct lan_peer, 1);
    memcpy(p->pub, spec->about->pub, sizeof p->pub);
    p->id = id;
    p->proven = !spec->unproven;
    g_hash_table_insert(m->peers, p->pub, p);
    g_hash_table_insert(m->by_id, GUINT_TO_POINTER(id), p);
    return 0;
}

static void describe(const struct veld_lan_member *member, struct veld_config_peer *about)
{
    *about = (struct veld_config_peer){.addrs = (struct veld_ip *)(uintptr_t)member->as.addrs,
                                       .n_addrs = member->as.n_addrs};
    memcpy(about->name, member->as.name, sizeof about->name);
    memcpy(about->pub, member->pub, sizeof about->pub);
}

/* Who shows the name of another trusted key may be somebody who took its place. */
static void block_or_not(struct veld_lan_mode *m, const struct veld_lan_member *member,
                         uint32_t id)
{
    bool blocked = !veld_lan_has_secret(m) && member->on_name == VELD_LAN_PINNED;
    if (blocked == veld_control_peer_is_blocked(m->control, id))
        return;
    (void)!(blocked ? veld_control_peer_block(m->control, id)
                    : veld_control_peer_unblock(m->control, id)); /* it is there */
    if (blocked)
        veld_error("%s calls itself %s, which is the name of another key, and is blocked: see "
                   "veld trust list",
                   member->as.name, member->name);
}

void veld_lan_apply(struct veld_lan_mode *m, const struct veld_lan_member *member)
{
    struct veld_config_peer about;
    struct veld_diag problem;
    const struct veld_control_peer_spec spec = {.about = &about};
    const struct lan_peer *p = peer_of(m, member->pub);
    describe(member, &about);
    int rc = veld_control_peer_change(m->control, p->id, &spec);
    if (rc < 0)
        veld_warn("%s stays as it was known: %s", member->as.name, veld_strerror(rc));
    block_or_not(m, member, p->id);
    if (veld_lan_member_problem(member, &problem))
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "%s", problem.text);
}

int veld_lan_enter(struct veld_lan_mode *m, const uint8_t pub[32])
{
    const struct veld_lan_member *member;
    struct veld_config_peer about;
    const struct veld_control_peer_spec spec = {.about = &about};
    struct lan_peer *p = peer_of(m, pub);
    int rc = veld_lan_members_add(m->members, pub, &member);
    if (rc < 0)
        return rc;
    describe(member, &about);
    if (!p && (rc = add_peer(m, &spec)) < 0) {
        veld_lan_members_remove(m->members, pub);
        return rc;
    }
    if (p)
        p->proven = true;
    veld_lan_apply(m, member);
    return 0;
}

void veld_lan_leave(struct veld_lan_mode *m, const uint8_t pub[32])
{
    struct lan_peer *p = peer_of(m, pub);
    veld_lan_members_remove(m->members, pub);
    if (p)
        remove_peer(m, p);
}

void veld_lan_judge_all(struct veld_lan_mode *m)
{
    size_t n;
    struct veld_diag ignored;
    const struct veld_lan_member *list = veld_lan_members_list(m->members, &n);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < n; i++) {
            bool has_problem = veld_lan_member_problem(&list[i], &ignored);
            if ((round == 0) == has_problem &&
                veld_lan_members_judge(m->members, list[i].pub, veld_lan_now_s()))
                veld_lan_apply(m, &list[i]);
        }
    }
}

/* ---- What the control tells ---- */

static bool is_member(const struct veld_lan_mode *m, const struct lan_peer *p)
{
    return veld_lan_members_find(m->members, p->pub) != NULL;
}

/* It has the secret. */
static void admit(struct veld_lan_mode *m, struct lan_peer *p)
{
    uint8_t pub[32];
    memcpy(pub, p->pub, sizeof pub);
    int rc = veld_lan_enter(m, pub);
    m->is_full = rc == VELD_E_FULL;
    if (rc < 0)
        veld_lan_leave(m, pub);
    else
        veld_lan_trials_remove(m->trials, pub);
}

static gboolean on_look(gpointer data)
{
    struct veld_lan_mode *m = data;
    GList *all = g_hash_table_get_values(m->peers);
    m->look = 0;
    for (GList *i = all; i; i = i->next) {
        struct lan_peer *p = i->data;
        if (!p->used)
            continue;
        p->used = false;
        if (is_member(m, p))
            veld_lan_apply(m, veld_lan_members_find(m->members, p->pub));
        else
            admit(m, p);
    }
    g_list_free(all);
    save(m);
    return G_SOURCE_REMOVE;
}

/* Not at once: a hook changes no peers (peers.h). */
static void look_soon(struct veld_lan_mode *m, struct lan_peer *p)
{
    p->used = true;
    if (!m->look)
        m->look = g_idle_add(on_look, m);
}

static struct lan_peer *peer_of_id(const struct veld_lan_mode *m, uint32_t id)
{
    return g_hash_table_lookup(m->by_id, GUINT_TO_POINTER(id));
}

static void on_use(void *ctx, uint32_t id)
{
    struct veld_lan_mode *m = ctx;
    struct lan_peer *p = peer_of_id(m, id);
    if (!p)
        return; /* of the configuration, which says what it is called */
    p->hellos = HELLOS;
    p->hello_due_ns = 0;
    if (!is_member(m, p))
        look_soon(m, p);
}

static void on_message(void *ctx, uint32_t id, const struct veld_message *message)
{
    struct veld_lan_mode *m = ctx;
    struct lan_peer *p = peer_of_id(m, id);
    if (!p || message->type != VELD_MSG_HELLO)
        return;
    int rc = veld_lan_members_claim(m->members, p->pub, message, veld_clock_mono_ns(),
                                    veld_lan_now_s());
    if (rc > 0)
        look_soon(m, p);
    else if (rc < 0)
        veld_debug("what peer %u wants to be called is not taken: %s", id, veld_strerror(rc));
}

/* ---- Twice a second ---- */

static void say_hello(struct veld_lan_mode *m, struct lan_peer *p, uint64_t now_ns)
{
    const struct veld_config *c = m->config;
    struct veld_message hello = {.type = VELD_MSG_HELLO};
    memcpy(hello.name, c->name, sizeof hello.name);
    for (size_t i = 0; i < c->n_addrs && !hello.ipv4.family; i++) {
        if (c->addrs[i].ip.family == 4)
            hello.ipv4 = c->addrs[i].ip;
    }
    if (veld_control_peer_send(m->control, p->id, &hello) < 0)
        return; /* without a session in use, or with a full queue: the next time */
    p->hellos--;
    p->hello_due_ns = now_ns + HELLO_GAP_NS;
}

static void call(struct veld_lan_mode *m, const uint8_t pub[32])
{
    char name[VELD_LAN_NAME_STRLEN];
    struct veld_ip ipv6;
    struct veld_config_peer about = {.addrs = &ipv6, .n_addrs = 1};
    const struct veld_control_peer_spec spec = {.about = &about, .unproven = true};
    strcpy(about.name, veld_lan_name(pub, name));
    memcpy(about.pub, pub, sizeof about.pub);
    veld_network_ipv6(m->network_id, pub, &ipv6);
    int rc = add_peer(m, &spec);
    if (rc == 0)
        rc = veld_control_peer_call(m->control, peer_of(m, pub)->id);
    if (rc < 0)
        veld_debug("%s is not called: %s", name, veld_strerror(rc));
}

static void try_some(struct veld_lan_mode *m, uint64_t now_ns)
{
    enum veld_lan_step step;
    const struct veld_lan_found *found;
    while (veld_lan_trials_next(m->trials, now_ns, &step, &found)) {
        struct lan_peer *p = peer_of(m, found->pub);
        if (step == VELD_LAN_START && !p)
            call(m, found->pub);
        else if (step == VELD_LAN_STOP && p && !p->proven && !p->used)
            remove_peer(m, p);
    }
}

void veld_lan_mode_tick(struct veld_lan_mode *m)
{
    uint64_t now_ns = veld_clock_mono_ns();
    GHashTableIter it;
    gpointer value;
    if (!m->control)
        return;
    g_hash_table_iter_init(&it, m->peers);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        struct lan_peer *p = value;
        if (p->hellos && p->hello_due_ns <= now_ns)
            say_hello(m, p, now_ns);
    }
    if (m->trials)
        try_some(m, now_ns);
}

/* ---- Devices ---- */

static void wait_for_user(struct veld_lan_mode *m, const uint8_t pub[32],
                          const struct veld_endpoint *list, size_t n)
{
    char name[VELD_LAN_NAME_STRLEN];
    size_t before = m->pending.n;
    if (n == 0) {
        veld_lan_pending_remove(&m->pending, pub);
        return;
    }
    veld_lan_pending_put(&m->pending, pub, list, n, veld_lan_now_s());
    if (m->pending.n > before)
        VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(),
                         "found %s on this LAN; it waits for: veld trust accept",
                         veld_lan_name(pub, name));
}

void veld_lan_mode_on_stranger(struct veld_lan_mode *m, const uint8_t pub[32],
                               const struct veld_endpoint *list, size_t n)
{
    if (!m->control)
        return;
    if (!veld_lan_has_secret(m)) {
        wait_for_user(m, pub, list, n);
        return;
    }
    if (n == 0)
        veld_lan_trials_remove(m->trials, pub);
    else
        veld_lan_trials_put(m->trials, pub, list, n, veld_clock_mono_ns());
    try_some(m, veld_clock_mono_ns());
}

/* One that was accepted and has told nothing yet is called, so that both know their names. */
static void call_unnamed(struct veld_lan_mode *m, const struct lan_peer *p)
{
    const struct veld_lan_member *member = veld_lan_members_find(m->members, p->pub);
    if (member && veld_lan_name_is_derived(member->as.name) &&
        !veld_control_peer_has_session(m->control, p->id))
        (void)!veld_control_peer_call(m->control, p->id); /* a blocked one is not */
}

void veld_lan_mode_on_known(struct veld_lan_mode *m, const uint8_t pub[32], size_t n)
{
    struct lan_peer *p = peer_of(m, pub);
    if (!m->control || !p)
        return; /* the configuration's */
    if (n > 0) {
        call_unnamed(m, p);
    } else if (!p->proven && !p->used) {
        veld_lan_trials_remove(m->trials, pub);
        remove_peer(m, p);
    }
}

/* ---- Start and stop ---- */

/* Whom the user accepted; with a secret they are found, and prove themselves anew. */
static int enter_pinned(struct veld_lan_mode *m)
{
    size_t n = veld_pins_count(m->pins);
    const struct veld_pin **list = veld_pins_list(m->pins);
    uint8_t(*pubs)[32] = g_malloc_n(n + 1, sizeof *pubs);
    int rc = list ? 0 : VELD_E_NOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++) /* to enter changes the pins */
        memcpy(pubs[i], list[i]->pub, sizeof pubs[i]);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        int entered = veld_lan_enter(m, pubs[i]);
        if (entered < 0 && entered != VELD_E_EXIST) /* it is a peer of the configuration too */
            veld_warn("a trusted key is no peer: %s", veld_strerror(entered));
    }
    g_free(pubs);
    free(list);
    return rc;
}

int veld_lan_mode_start(struct veld_lan_mode *m, struct veld_control *control,
                        struct veld_diag *diag)
{
    const struct veld_control_hooks hooks = {
        .ctx = m, .on_use = on_use, .on_message = on_message};
    m->control = control;
    veld_control_set_hooks(control, &hooks);
    if (!veld_lan_has_secret(m) && enter_pinned(m) < 0)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return 0;
}

void veld_lan_mode_stop(struct veld_lan_mode *m)
{
    if (!m->control)
        return;
    veld_control_set_hooks(m->control, NULL);
    if (m->look)
        g_source_remove(m->look);
    m->look = 0;
    save(m);
    m->control = NULL;
}
