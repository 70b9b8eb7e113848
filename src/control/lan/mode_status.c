/*
 * What is said of LAN mode: trust, status, health.
 */
#include "control/lan/mode_impl.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_SILENT 3

static json_t *pending_json(const struct veld_lan_mode *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->pending.n; i++) {
        const struct veld_lan_found *f = &m->pending.found[i];
        char name[VELD_LAN_NAME_STRLEN], key[VELD_PUBKEY_STRLEN],
            fingerprint[VELD_FINGERPRINT_STRLEN], at[VELD_ENDPOINT_STRLEN];
        json_t *endpoints = json_array();
        veld_pubkey_format(f->pub, key);
        veld_pubkey_fingerprint(f->pub, fingerprint);
        for (size_t k = 0; k < f->n; k++)
            json_array_append_new(endpoints,
                                  json_string(veld_endpoint_format(&f->list[k], at)));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:I}", "name",
                                              veld_lan_name(f->pub, name), "pubkey", key,
                                              "fingerprint", fingerprint, "endpoints",
                                              endpoints, "since", (json_int_t)f->since_s));
    }
    return list;
}

/* Whoever claims what is pinned to another. */
static void add_claimants(const struct veld_lan_mode *m, json_t *pins)
{
    size_t n;
    const struct veld_lan_member *list = veld_lan_members_list(m->members, &n);
    for (size_t i = 0; i < n; i++) {
        if (list[i].on_name != VELD_LAN_PINNED)
            continue;
        struct veld_pin shown = veld_lan_member_claimed(m->members, &list[i], 0);
        json_t *o = veld_pin_json(&shown);
        json_object_set_new(o, "blocked", json_string("the name is another key's"));
        json_array_append_new(pins, o);
    }
}

json_t *veld_lan_mode_trust(const struct veld_lan_mode *m)
{
    json_t *pins = json_array();
    const struct veld_pin **list = veld_pins_list(m->pins);
    for (size_t i = 0; list && i < veld_pins_count(m->pins); i++)
        json_array_append_new(pins, veld_pin_json(list[i]));
    free(list);
    add_claimants(m, pins);
    return json_pack("{s:o, s:o}", "pins", pins, "pending", pending_json(m));
}

json_t *veld_lan_mode_status(const struct veld_lan_mode *m)
{
    size_t n;
    veld_lan_members_list(m->members, &n);
    size_t found = veld_lan_has_secret(m) ? veld_lan_trials_count(m->trials) : m->pending.n;
    return json_pack("{s:b, s:I, s:I, s:o}", "secret", veld_lan_has_secret(m), "members",
                     (json_int_t)n, "found", (json_int_t)found, "pending", pending_json(m));
}

/* One that was accepted here only answers nothing. */
static bool is_one_sided(const struct veld_lan_mode *m, const struct lan_peer *p)
{
    struct veld_peer_info info;
    return !veld_lan_has_secret(m) && veld_control_peer_info(m->control, p->id, &info) == 0 &&
           info.last_handshake_wall_ns == 0 &&
           (info.state == VELD_PEER_OFFLINE || info.attempts >= ATTEMPTS_SILENT);
}

size_t veld_lan_mode_health(struct veld_lan_mode *m, const char *out[VELD_LAN_HEALTH_MAX])
{
    size_t n_members, n = 0;
    char own[VELD_LAN_NAME_STRLEN];
    const struct veld_lan_member *list = veld_lan_members_list(m->members, &n_members);
    if (m->pins_problem.text[0])
        out[n++] = m->pins_problem.text;
    if (m->is_full)
        out[n++] = "more machines have the network's secret than are members at a time; stop "
                   "those that are not needed, then: veld down, veld up";
    if (veld_lan_has_secret(m) && n_members == 0 && veld_lan_trials_ended(m->trials) > 0)
        out[n++] =
            "no device that was found on this LAN has this network's secret; see that the "
            "others were given the same file, as sha256sum FILE shows";
    for (size_t i = 0; i < n_members && n < VELD_LAN_HEALTH_MAX; i++) {
        const struct lan_peer *p = g_hash_table_lookup(m->peers, list[i].pub);
        struct veld_diag *text = &m->health[n];
        if (veld_lan_member_problem(&list[i], text))
            out[n++] = text->text;
        else if (is_one_sided(m, p)) {
            veld_fail(text, 0,
                      "%s is trusted here and does not answer; see there that veld is up, and "
                      "that it trusts this machine: veld trust accept %s",
                      list[i].as.name, veld_lan_name(m->identity->pub, own));
            out[n++] = text->text;
        }
    }
    return n;
}
