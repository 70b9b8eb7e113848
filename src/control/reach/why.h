/*
 * Why a peer is not reached: one reason, the first that explains it, and what to do about it.
 *
 * Pure, but for the time zone; any thread.
 */
#ifndef VELD_CONTROL_REACH_WHY_H
#define VELD_CONTROL_REACH_WHY_H

#include "base/addr.h"

enum veld_why {
    VELD_WHY_NONE, /* nothing is known to be wrong */
    VELD_WHY_OFFLINE,
    VELD_WHY_UDP_BLOCKED,
    VELD_WHY_RELAYS_REFUSE,
    VELD_WHY_RELAYS_FAIL,
    VELD_WHY_NO_ENDPOINT,
    VELD_WHY_NO_COMMON,
    VELD_WHY_NO_RELAY,
    VELD_WHY_SILENT,
    VELD_WHY_COUNT,
};

/* Whether the peer is up, as the coord server says. */
enum veld_why_presence { VELD_WHY_UNKNOWN, VELD_WHY_IS_ONLINE, VELD_WHY_IS_OFFLINE };

/* What is known of a peer that is wanted and not reached. */
struct veld_why_facts {
    bool is_member; /* of a network with a coord server or of a LAN: no config has to name it */
    bool has_coord; /* of the network: relays are made by veld set, and not by the config */
    enum veld_why_presence presence;
    uint64_t last_seen_s;           /* by the coord server; 0: not known */
    bool hears_udp;                 /* there are sessions, or a STUN server answered last */
    bool asked_stun;                /* in a round that is over */
    bool own_v4, own_v6;            /* this machine has candidates of the family */
    bool peer_v4, peer_v6;          /* the peer has */
    bool relays;                    /* there are some that may lead to it */
    unsigned asked, ready, refused; /* circuits to it: not answered yet, and so on */
    uint8_t refusal;                /* of one that was refused: enum veld_circuit_refusal */
    struct veld_endpoint at;        /* where it was tried last; family 0: nowhere */
    bool at_is_configured;          /* so it listens at that port; else it may be a NAT's */
};

enum veld_why veld_why(const struct veld_why_facts *f);
/* For scripts: "udp_blocked" stays "udp_blocked". */
const char *veld_why_name(enum veld_why why);

#define VELD_WHY_TEXT_STRLEN 64
#define VELD_WHY_NEXT_STRLEN 256
/* A few words: "UDP blocked". "" for none. Returns `out`. */
const char *veld_why_text(enum veld_why why, const struct veld_why_facts *f, uint64_t now_s,
                          char out[VELD_WHY_TEXT_STRLEN]);
/* What to do about it: "see ... : veld netcheck". "" for none. Returns `out`. */
const char *veld_why_next(enum veld_why why, const struct veld_why_facts *f,
                          char out[VELD_WHY_NEXT_STRLEN]);

#endif
