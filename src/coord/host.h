/*
 * What a host of the coord server may decide: limits, accounts, policy of
 * subnets, the audit log, and what happens at the turns of a network's life.
 * One table of functions with a complete default (host_default.c): no limits,
 * subnets as the owner's certificates allow, audit events to the log.
 *
 * Nothing here can weaken what members verify themselves: a host can refuse,
 * never admit.
 *
 * Thread: the server's loop. No function may block or keep what it is given.
 */
#ifndef VELD_COORD_HOST_H
#define VELD_COORD_HOST_H

#include "base/addr.h"
#include "base/err.h"
#include "trust/membership.h"
#include "trust/network.h"

/* What somebody is about to do. Fields that do not apply are NULL or 0. */
enum veld_coord_act {
    VELD_COORD_CREATE_NETWORK,
    VELD_COORD_JOIN,     /* a member the network had not before */
    VELD_COORD_REGISTER, /* a member again */
    VELD_COORD_WATCH,
    VELD_COORD_SIGNAL,
    VELD_COORD_OFFLINE, /* a member, for now */
    VELD_COORD_LEAVE,   /* and for good: record, name and address are given up */
    VELD_COORD_REQUEST_JOIN,
    VELD_COORD_ANSWER_JOIN,
    VELD_COORD_REVOKE,
    VELD_COORD_REMOVE, /* the server itself: revoked */
};
const char *veld_coord_act_name(enum veld_coord_act act); /* "create-network", ... */

struct veld_coord_deed {
    enum veld_coord_act act;
    const uint8_t *caller; /* 32 bytes */
    struct veld_ip from;
    const struct veld_network *network;
    const struct veld_membership *member; /* who it is about */
    uint64_t members;                     /* of the network now */
    uint64_t networks;                    /* of the server now */
    uint64_t account;                     /* as account_of said */
};

struct veld_coord_host {
    void *ctx;
    /* Whose account pays; 0: nobody's. */
    uint64_t (*account_of)(void *ctx, const uint8_t caller[32], struct veld_ip from);
    /* 0, or VELD_E_LIMIT or VELD_E_PERM with the sentence for the caller. */
    int (*allow)(void *ctx, const struct veld_coord_deed *deed, struct veld_diag *diag);
    /* May this member offer this route, which its membership allows? */
    bool (*route_allowed)(void *ctx, const struct veld_network *network,
                          const struct veld_membership *member,
                          const struct veld_prefix *route);
    /* It was done, durably. */
    void (*audit)(void *ctx, const struct veld_coord_deed *deed);
    /* The server starts, its registry read; and stops. What `start` returns that is not 0 ends it. */
    int (*start)(void *ctx, struct veld_diag *diag);
    void (*stop)(void *ctx);
};

extern const struct veld_coord_host veld_coord_host_default;

#endif
