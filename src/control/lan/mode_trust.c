/*
 * Whom the user accepts, and forgets. What was decided is on the disk before it holds.
 */
#include "control/lan/mode_impl.h"

#include "base/log.h"
#include "trust/network.h"

#include <stdlib.h>
#include <string.h>

/* ---- Accept ---- */

static int fail_several(const char *name, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_STATE,
                     "several are called %s; give the public key of the one you mean: veld "
                     "trust list shows them",
                     name);
}

/* The change of the pins is not to be lost, or not to be. */
static int keep(struct veld_lan_mode *m, const char *name, struct veld_diag *diag)
{
    int rc = veld_lan_save(m, diag);
    if (rc < 0)
        (void)!veld_pins_forget(m->pins, name); /* it is there */
    return rc;
}

static int accept_device(struct veld_lan_mode *m, const uint8_t pub[32], struct veld_diag *diag)
{
    struct veld_pin pin = {.since_s = veld_lan_now_s(), .n_addrs = 1};
    uint32_t id;
    memcpy(pin.pub, pub, sizeof pin.pub);
    veld_lan_name(pub, pin.name);
    veld_network_ipv6(m->network_id, pub, &pin.addrs[0]);
    if (veld_control_peer_find_pub(m->control, pub, &id))
        return veld_fail(diag, VELD_E_STATE,
                         "%s is trusted already: there is nothing to accept", pin.name);
    int rc = veld_pins_accept(m->pins, &pin);
    if (rc == 0 && (rc = keep(m, pin.name, diag)) < 0)
        return rc;
    if (rc == 0 && (rc = veld_lan_enter(m, pub)) < 0) {
        (void)!veld_pins_forget(m->pins, pin.name); /* it is there */
        (void)!veld_lan_save(m, diag);              /* else with the next change */
    }
    if (rc == VELD_E_FULL)
        return veld_fail(diag, rc,
                         "%d machines are trusted, and no more are kept; forget one with: veld "
                         "trust forget NAME",
                         VELD_LAN_MEMBERS_MAX);
    if (rc < 0)
        return veld_fail(diag, rc, "%s cannot be a peer: %s", pin.name, veld_strerror(rc));
    veld_lan_pending_remove(&m->pending, pub);
    veld_warn("the key of %s was accepted", pin.name);
    (void)!veld_control_peer_find_pub(m->control, pub, &id); /* it is there */
    (void)!veld_control_peer_call(m->control, id);
    return 0;
}

/* The name or address that it claims is its own from now on, and no longer another's. */
static int accept_claim(struct veld_lan_mode *m, const struct veld_lan_member *member,
                        const char *name, struct veld_diag *diag)
{
    if (member->on_name != VELD_LAN_PINNED && member->on_ipv4 != VELD_LAN_PINNED)
        return veld_fail(diag, VELD_E_STATE,
                         "%s is trusted already: there is nothing to accept", name);
    struct veld_pin pin = veld_lan_member_claimed(m->members, member, veld_lan_now_s());
    int rc = veld_pins_accept(m->pins, &pin);
    if (rc < 0)
        return veld_fail(diag, rc, "%s cannot be pinned: %s", name, veld_strerror(rc));
    veld_warn("%s is another key from now on: the one of %s", pin.name, member->as.name);
    veld_lan_judge_all(m);
    return veld_lan_save(m, diag);
}

/* Of several that are called so the one that is not yet trusted by that name. */
static int find_claimant(const struct veld_lan_mode *m, const char *name,
                         const struct veld_lan_member **out)
{
    size_t n, found = 0;
    const struct veld_lan_member *list = veld_lan_members_list(m->members, &n);
    int rc = veld_lan_members_called(m->members, name, out);
    for (size_t i = 0; rc == VELD_E_STATE && i < n; i++) {
        if (g_ascii_strcasecmp(list[i].name, name) != 0 || list[i].on_name != VELD_LAN_PINNED)
            continue;
        *out = &list[i];
        found++;
    }
    return rc == VELD_E_STATE && found == 1 ? 0 : rc;
}

int veld_lan_mode_trust_accept(struct veld_lan_mode *m, const char *name,
                               char pubkey[VELD_PUBKEY_STRLEN], struct veld_diag *diag)
{
    const struct veld_lan_found *found;
    const struct veld_lan_member *member;
    uint8_t pub[32];
    int rc = find_claimant(m, name, &member);
    if (rc == 0) {
        veld_pubkey_format(member->pub, pubkey);
        return accept_claim(m, member, name, diag);
    }
    if (rc == VELD_E_NOENT && (rc = veld_lan_pending_find(&m->pending, name, &found)) == 0)
        memcpy(pub, found->pub, sizeof pub);
    if (rc == VELD_E_STATE)
        return fail_several(name, diag);
    /* A whole key needs not be found. */
    if (rc < 0 && (veld_lan_has_secret(m) || veld_pubkey_parse(name, pub) < 0))
        return veld_fail(diag, rc,
                         "no machine that was found is called %s; 'veld trust list' "
                         "lists them",
                         name);
    veld_pubkey_format(pub, pubkey);
    return accept_device(m, pub, diag);
}

/* ---- Forget ---- */

int veld_lan_mode_trust_forget(struct veld_lan_mode *m, const char *name,
                               struct veld_diag *diag)
{
    const struct veld_lan_member *member = NULL;
    const struct veld_pin *pin = veld_pins_of(m->pins, name);
    uint8_t pub[32];
    if (!pin && veld_lan_members_called(m->members, name, &member) == 0)
        pin = veld_pins_of(m->pins, member->as.name);
    if (!pin)
        return veld_fail(diag, VELD_E_NOENT,
                         "no key is pinned to %s; veld trust list shows those that are", name);
    memcpy(pub, pin->pub, sizeof pub);
    struct veld_pin forgotten = *pin; /* `pin` goes now */
    (void)!veld_pins_forget(m->pins, forgotten.name);
    int rc = veld_lan_save(m, diag);
    if (rc < 0) {
        (void)!veld_pins_add(m->pins, &forgotten); /* it was there */
        return rc;
    }
    veld_warn("the key of %s was forgotten", forgotten.name);
    veld_lan_leave(m, pub);
    veld_lan_judge_all(m);
    veld_control_lan_again(m->control, pub); /* with the secret it is back soon */
    return veld_lan_save(m, diag);
}
