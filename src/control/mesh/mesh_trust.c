/*
 * Pins, as they are made and checked at handshakes, and changed by the user.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define SAVE_AFTER_MS 100 /* one file for all handshakes that end meanwhile */

void veld_mesh_save_pins(struct veld_mesh *m)
{
    if (!veld_pins_unsaved(m->pins))
        return;
    if (veld_pins_save(m->pins, &m->pins_problem) == 0)
        m->pins_problem.text[0] = '\0';
    else
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(), "%s", m->pins_problem.text);
}

static gboolean on_save(gpointer data)
{
    struct veld_mesh *m = data;
    m->save_pins = 0;
    veld_mesh_save_pins(m);
    return G_SOURCE_REMOVE;
}

/* ---- At a handshake ---- */

/* The pin goes that the owner's revocation released. */
static void say_if_replaced(const struct veld_mesh *m, const struct veld_pin *shown,
                            enum veld_pin_verdict verdict)
{
    const struct veld_pin *pin = veld_pins_of(m->pins, shown->name);
    char key[VELD_PUBKEY_STRLEN];
    if (verdict != VELD_PIN_NEW || !pin || memcmp(pin->pub, shown->pub, sizeof pin->pub) == 0)
        return;
    veld_pubkey_format(shown->pub, key);
    veld_warn("%s is back with another key, %s, which is pinned now: the owner revoked the one "
              "that was",
              shown->name, key);
}

bool veld_mesh_may_use(void *ctx, uint32_t id)
{
    struct veld_mesh *m = ctx;
    const struct veld_member *member = veld_mesh_member_of_id(m, id);
    if (!member || member->standing != VELD_MEMBER_GOOD || m->self_revoked)
        return false;
    struct veld_pin shown = veld_member_pin(member, veld_mesh_now_s());
    enum veld_pin_verdict verdict = veld_pins_check(m->pins, &shown, NULL);
    if (verdict == VELD_PIN_OK)
        return true;
    say_if_replaced(m, &shown, verdict);
    int rc = verdict == VELD_PIN_NEW ? veld_pins_add(m->pins, &shown) : VELD_E_EXIST;
    if (rc == VELD_E_FULL)
        veld_fail(&m->pins_problem, rc,
                  "%d names are pinned, and no more are kept, so %s is blocked; forget some "
                  "with: veld trust forget NAME",
                  VELD_PINS_MAX, member->name);
    veld_members_on_pinned(m->members, member->pub);
    veld_mesh_drain_soon(m);
    if (rc == 0 && !m->save_pins)
        m->save_pins = g_timeout_add(SAVE_AFTER_MS, on_save, m);
    return rc == 0;
}

/* ---- By the user ---- */

static void add_blocked(const struct veld_mesh *m, json_t *list)
{
    const struct veld_member **members = veld_members_list(m->members);
    for (size_t i = 0; members && i < veld_members_count(m->members); i++) {
        if (members[i]->standing == VELD_MEMBER_GOOD)
            continue;
        struct veld_pin shown = veld_member_pin(members[i], 0);
        json_t *o = veld_pin_json(&shown);
        json_object_set_new(o, "blocked",
                            json_string(veld_member_standing_text(members[i]->standing)));
        json_array_append_new(list, o);
    }
    free(members);
}

json_t *veld_mesh_trust(const struct veld_mesh *m)
{
    json_t *list = json_array();
    const struct veld_pin **pins = veld_pins_list(m->pins);
    for (size_t i = 0; pins && i < veld_pins_count(m->pins); i++) {
        json_t *o = veld_pin_json(pins[i]);
        if (veld_pins_is_revoked(m->pins, pins[i]))
            json_object_set_new(o, "revoked", json_true());
        json_array_append_new(list, o);
    }
    free(pins);
    add_blocked(m, list);
    return json_pack("{s:o}", "pins", list);
}

static bool is_called(const struct veld_member *member, const char *text)
{
    char key[VELD_PUBKEY_STRLEN];
    veld_pubkey_format(member->pub, key);
    return strcmp(member->name, text) == 0 || strcmp(key, text) == 0;
}

/* The one that is blocked for its key and called so. */
static int find_blocked(const struct veld_mesh *m, const char *name,
                        const struct veld_member **out, struct veld_diag *diag)
{
    const struct veld_member **members = veld_members_list(m->members);
    size_t n = 0, known = 0;
    for (size_t i = 0; members && i < veld_members_count(m->members); i++) {
        if (!is_called(members[i], name))
            continue;
        known++;
        if (members[i]->standing != VELD_MEMBER_KEY_CHANGED)
            continue;
        *out = members[i];
        n++;
    }
    free(members);
    if (n == 1)
        return 0;
    if (n > 1)
        return veld_fail(diag, VELD_E_STATE,
                         "%zu members call themselves %s; give the key of the one you mean: "
                         "veld trust list shows them",
                         n, name);
    if (known)
        return veld_fail(diag, VELD_E_STATE,
                         "%s is not blocked for its key: there is nothing to accept", name);
    return veld_fail(diag, VELD_E_NOENT, "no member is called %s; 'veld peers' lists them",
                     name);
}

/* What the user decided is on the disk before it holds. */
static int keep(struct veld_mesh *m, struct veld_diag *diag)
{
    int rc = veld_pins_save(m->pins, diag);
    m->pins_problem.text[0] = '\0';
    veld_members_on_pins_changed(m->members);
    veld_mesh_drain(m);
    veld_mesh_judge_soon(m);
    return rc;
}

int veld_mesh_trust_accept(struct veld_mesh *m, const char *name,
                           char pubkey[VELD_PUBKEY_STRLEN], struct veld_diag *diag)
{
    const struct veld_member *member = NULL;
    int rc = find_blocked(m, name, &member, diag);
    if (rc < 0)
        return rc;
    struct veld_pin shown = veld_member_pin(member, veld_mesh_now_s());
    veld_pubkey_format(member->pub, pubkey);
    rc = veld_pins_accept(m->pins, &shown);
    if (rc < 0)
        return veld_fail(diag, rc, "%s cannot be pinned: %s", name, veld_strerror(rc));
    veld_warn("the key of %s was accepted: %s", shown.name, pubkey);
    return keep(m, diag);
}

int veld_mesh_trust_forget(struct veld_mesh *m, const char *name, struct veld_diag *diag)
{
    int rc = veld_pins_forget(m->pins, name);
    if (rc < 0)
        return veld_fail(diag, rc,
                         "no key is pinned to %s; veld trust list shows those that are", name);
    veld_warn("the key of %s was forgotten", name);
    return keep(m, diag);
}
