/*
 * The machines of a LAN without a server, once they have proved who they are: what each wants to be
 * called (VELD_MSG_HELLO), and what it is called here.
 *
 * Invariants:
 *  - a name and an address mean one key: this machine's, then what the config says of [[peers]],
 *    then what was pinned (mesh/pins.h), then whoever claims it first, which pins it;
 *  - each member has the IPv6 address that follows from its P, and a name: the one derived from its
 *    P until it tells one that it may have;
 *  - an IPv4 address is one of this machine's own networks, so that no member draws other traffic
 *    to itself;
 *  - at most VELD_LAN_MEMBERS_MAX members and VELD_LAN_PINS_MAX pinned names, one name a key.
 *
 * Order of calls: new, add, then claim as members tell; judge for all when pins were changed by the
 * user. Pure: times are passed in; the pins are the caller's, to be saved when they are unsaved.
 * Control thread.
 */
#ifndef VELD_CONTROL_LAN_MEMBERS_H
#define VELD_CONTROL_LAN_MEMBERS_H

#include "base/clock.h"
#include "control/config/config.h"
#include "control/mesh/pins.h"
#include "wire/message.h"

#define VELD_LAN_MEMBERS_MAX  256
#define VELD_LAN_PINS_MAX     1024
#define VELD_LAN_CLAIM_GAP_NS (VELD_NS_PER_S) /* from one claim to another that differs */

enum veld_lan_verdict {
    VELD_LAN_FREE,     /* it may have it, or claims none */
    VELD_LAN_OWN,      /* it is this machine's */
    VELD_LAN_CONFIG,   /* [[peers]] says that it is another's */
    VELD_LAN_PINNED,   /* it is pinned to another key */
    VELD_LAN_DERIVED,  /* a name that can follow from another key only */
    VELD_LAN_OUTSIDE,  /* an address of none of this machine's networks */
    VELD_LAN_TOO_MANY, /* names are pinned */
};

struct veld_lan_member {
    uint8_t pub[32];
    struct veld_pin as;            /* name and addresses that it has here */
    char name[VELD_LABEL_MAX + 1]; /* claimed; empty: nothing was told yet */
    struct veld_ip ipv4;           /* claimed; family 0: none */
    enum veld_lan_verdict on_name, on_ipv4;
    char other[VELD_LABEL_MAX + 1]; /* who has the address; empty: this machine */
    uint64_t told_ns;               /* when the claim was taken */
};

struct veld_lan_members_config {
    const struct veld_config *config; /* outlives the members, complete: addresses too */
    struct veld_pins *pins;           /* outlives the members */
    const uint8_t *network_id;        /* 32 bytes, copied */
};
struct veld_lan_members;
struct veld_lan_members *veld_lan_members_new(const struct veld_lan_members_config *cfg);
void veld_lan_members_free(struct veld_lan_members *m); /* NULL is allowed */

/* By the name that is pinned to P, else the derived one. VELD_E_EXIST, VELD_E_FULL. */
VELD_MUST_USE int veld_lan_members_add(struct veld_lan_members *m, const uint8_t pub[32],
                                       const struct veld_lan_member **out);
void veld_lan_members_remove(struct veld_lan_members *m, const uint8_t pub[32]);
/* NULL when there is none. Good until one is added or removed. */
const struct veld_lan_member *veld_lan_members_find(const struct veld_lan_members *m,
                                                    const uint8_t pub[32]);
/* All, `*n` of them. */
const struct veld_lan_member *veld_lan_members_list(const struct veld_lan_members *m,
                                                    size_t *n);

/*
 * What the member tells. 1: it is known otherwise now, or why it is not; 0: nothing new.
 * VELD_E_NOENT, VELD_E_FORMAT (no name), VELD_E_LIMIT (another claim came just now).
 */
VELD_MUST_USE int veld_lan_members_claim(struct veld_lan_members *m, const uint8_t pub[32],
                                         const struct veld_message *hello, uint64_t now_ns,
                                         uint64_t now_s);
/* Its last claim again, since pins were changed. 1, or 0 as above. */
int veld_lan_members_judge(struct veld_lan_members *m, const uint8_t pub[32], uint64_t now_s);

/* By the name it has here, the one it claims, its derived one, or its key. VELD_E_NOENT, VELD_E_STATE (several). */
VELD_MUST_USE int veld_lan_members_called(const struct veld_lan_members *m, const char *text,
                                          const struct veld_lan_member **out);
/* A sentence on what it claims and does not get, with what to do; false: it has all. */
bool veld_lan_member_problem(const struct veld_lan_member *member, struct veld_diag *out);
/* Name and addresses as it claims them, for the user to accept. */
struct veld_pin veld_lan_member_claimed(const struct veld_lan_members *m,
                                        const struct veld_lan_member *member, uint64_t now_s);

#endif
