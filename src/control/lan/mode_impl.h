/*
 * What the files of LAN mode share. Nobody else includes it.
 *
 *   mode.c         found devices become peers, and members tell their names
 *   mode_trust.c   what the user accepts and forgets
 *   mode_status.c  what is said of all that
 */
#ifndef VELD_CONTROL_LAN_MODE_IMPL_H
#define VELD_CONTROL_LAN_MODE_IMPL_H

#include "control/lan/derive.h"
#include "control/lan/members.h"
#include "control/lan/mode.h"
#include "control/lan/pending.h"
#include "control/lan/trials.h"

#include <glib.h>

struct lan_peer {
    uint8_t pub[32];
    uint32_t id;
    bool proven;    /* a member: it completed a handshake, or its key is pinned */
    bool used;      /* a session with it came into use, or it told something: look again */
    uint8_t hellos; /* still to be sent */
    uint64_t hello_due_ns; /* not before */
};

struct veld_lan_mode {
    struct veld_config *config;
    const struct veld_identity *identity;
    struct veld_control *control; /* NULL while it is not started */
    uint8_t network_id[32];       /* of addresses */
    uint8_t handshake_id[32];
    struct veld_pins *pins;
    struct veld_lan_members *members;
    struct veld_lan_trials *trials;  /* NULL without a secret */
    struct veld_lan_pending pending; /* without one */
    GHashTable *peers;               /* by P: struct lan_peer, owned */
    GHashTable *by_id;               /* the same, borrowed */
    guint look;                      /* source of a look at those `used`; 0: none */
    bool is_full;                    /* a machine has the secret and finds no place */
    struct veld_diag pins_problem;   /* why they are not on the disk; empty: they are */
    struct veld_diag health[VELD_LAN_HEALTH_MAX];
};

static inline bool veld_lan_has_secret(const struct veld_lan_mode *m)
{
    return m->trials != NULL;
}

/* Make a member of a P that is trusted or has proved itself, and a peer if it is none. */
VELD_MUST_USE int veld_lan_enter(struct veld_lan_mode *m, const uint8_t pub[32]);
/* No member and no peer any more. */
void veld_lan_leave(struct veld_lan_mode *m, const uint8_t pub[32]);
/* The peer is to be as the member is. */
void veld_lan_apply(struct veld_lan_mode *m, const struct veld_lan_member *member);
/* Pins were changed by the user: judge all anew, those with a problem first. */
void veld_lan_judge_all(struct veld_lan_mode *m);
VELD_MUST_USE int veld_lan_save(struct veld_lan_mode *m, struct veld_diag *diag);
uint64_t veld_lan_now_s(void);

#endif
