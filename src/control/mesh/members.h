/*
 * The members of a network as this machine knows them, and which of them it talks to.
 *
 * Invariants:
 *  - whoever is here has proved its membership, which holds at present: what ends
 *    or is revoked goes;
 *  - a member's record and membership never go back to older ones, nor do they after
 *    the member was taken away (departed.h);
 *  - a name or an IPv4 address is used for one member at most. A claim loses to
 *    this machine's own and to a pin (pins.h); of claims that nobody has pinned, to
 *    the one known earlier. Who loses one is blocked altogether;
 *  - the outcome does not depend on the order in which what is learned at one time is
 *    applied, as long as members do not contradict themselves;
 *  - the server takes nobody away: one that it lists no more stays until the caller
 *    drops it, which is when there is no session with it;
 *  - at most VELD_MEMBERS_MAX. The unlisted make room for the listed.
 *
 * Order of calls: new, any, free. After a call that changes something,
 * veld_members_next_change until it returns false says whom to look at again.
 *
 * Pure: no clock, no I/O. Control thread.
 */
#ifndef VELD_CONTROL_MESH_MEMBERS_H
#define VELD_CONTROL_MESH_MEMBERS_H

#include "control/mesh/pins.h"
#include "trust/record.h"

#define VELD_MEMBERS_MAX 16384

#define VELD_MEMBER_STANDINGS(X)                                                               \
    X(GOOD, "good", "")                                                                        \
    X(KEY_CHANGED, "key_changed", "key changed")                                               \
    X(OWN_CLAIM, "own_claim", "it claims this machine's own name or address")                  \
    X(NAME_TAKEN, "name_taken", "its name is another member's")                                \
    X(ADDRESS_TAKEN, "address_taken", "its address is another member's")

enum veld_member_standing {
#define X(name, id, text) VELD_MEMBER_##name,
    VELD_MEMBER_STANDINGS(X)
#undef X
};
/* For scripts, and what follows "blocked: ". Static; never NULL. */
const char *veld_member_standing_name(enum veld_member_standing s);
const char *veld_member_standing_text(enum veld_member_standing s);

struct veld_member {
    uint8_t pub[32];
    char name[VELD_LABEL_MAX + 1];
    struct veld_ip ipv4, ipv6; /* ipv4: family 0 when it has none */
    const struct veld_prefix *routes;
    size_t n_routes;
    const struct veld_endpoint *endpoints;
    size_t n_endpoints;
    const uint8_t (*relays)[32]; /* P of those it is found through */
    size_t n_relays;
    uint32_t flags; /* enum veld_member_flag */
    bool relay;
    uint64_t features, sequence, serial;
    uint64_t not_before_s, ends_s; /* of its membership; ends 0: no end */
    uint8_t signer[32], admin[32]; /* of its membership; admin zeros: none */
    enum veld_member_standing standing;
    bool listed; /* by the server */
    bool online; /* as the server says */
    uint64_t last_seen_s, revision;
    uint64_t since;          /* its place among what was learned, under this name and address */
    struct veld_blob record; /* its PeerRecord as it was verified */
};
/* As the pins see it. */
struct veld_pin veld_member_pin(const struct veld_member *m, uint64_t now_s);

struct veld_members;
/* This machine. Copied, but for what is pointed at, which outlives the table. */
struct veld_members_self {
    uint8_t pub[32];
    char name[VELD_LABEL_MAX + 1];
    struct veld_ip ipv4; /* family 0: none */
    const struct veld_network *network;
    const struct veld_pins *pins;
};
struct veld_members *veld_members_new(const struct veld_members_self *self);
void veld_members_free(struct veld_members *t); /* NULL is allowed */

/* ---- What is learned ---- */

/* A record that was verified (veld_record_read), and what the server said beside it. */
struct veld_member_news {
    struct veld_record record;
    struct veld_blob
        bytes; /* of the record; taken over by veld_members_apply when it returns 0 */
    bool online;
    uint64_t last_seen_s, revision;
    uint64_t since; /* its place in the order in which things were learned */
};
/*
 * VELD_E_REPLAY when it is older than what is known (and nothing changes but that
 * it is listed), VELD_E_FULL, VELD_E_EXIST for this machine's own key.
 */
VELD_MUST_USE int veld_members_apply(struct veld_members *t, struct veld_member_news *news);
/* What the server says of one whose record is known. */
struct veld_member_presence {
    uint8_t pub[32];
    bool online;
    uint64_t revision, last_seen_s;
};
/* VELD_E_NOENT for one that is not known. */
VELD_MUST_USE int veld_members_presence(struct veld_members *t,
                                        const struct veld_member_presence *p);
/* The server lists it no more. */
void veld_members_unlist(struct veld_members *t, const uint8_t pub[32]);
/* All follow from here; those that did not, up to `synced`, are unlisted by it. */
void veld_members_reset(struct veld_members *t);
void veld_members_synced(struct veld_members *t);
/* Between reset and synced. */
bool veld_members_is_resetting(const struct veld_members *t);

/* Forget this one: it is unlisted, and nobody talks to it. */
void veld_members_drop(struct veld_members *t, const uint8_t pub[32]);
/* Whoever's membership does not hold against this list goes. Returns how many. */
size_t veld_members_revoke(struct veld_members *t, const struct veld_revocations *revoked,
                           uint64_t now_s);
/* Memberships that ended. Returns how many. */
size_t veld_members_expire(struct veld_members *t, uint64_t now_s);

/* This member was pinned: the pin stands against others' claims now. */
void veld_members_on_pinned(struct veld_members *t, const uint8_t pub[32]);
/* The user changed the pins, or another list of revocations decides which of them stand. */
void veld_members_on_pins_changed(struct veld_members *t);

/* ---- What is known ---- */

/* Someone to look at again, as found by veld_members_find, or gone. False: nobody. */
bool veld_members_next_change(struct veld_members *t, uint8_t pub[32]);
/* NULL: not known. Borrowed until the next change of the table. */
const struct veld_member *veld_members_find(const struct veld_members *t,
                                            const uint8_t pub[32]);
/* Whose claim to the address counts. NULL: nobody's. Borrowed likewise. */
const struct veld_member *veld_members_of_ipv4(const struct veld_members *t,
                                               const struct veld_ip *ipv4);
size_t veld_members_count(const struct veld_members *t);
/*
 * All, an array of borrowed pointers that the caller frees; NULL when out of memory.
 * In the order in which their claims count: given back in this order with `since`
 * growing, they are judged alike.
 */
const struct veld_member **veld_members_list(const struct veld_members *t);

#endif
