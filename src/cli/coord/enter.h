/*
 * How a machine gets into a network: it makes it, holds its owner's key, has a
 * token, or asks and is let in.
 *
 * Invariant: the membership is the last file written, after the server has
 * leased an address under it: a machine that was stopped midway asks again and
 * goes on where it was.
 *
 * Order of calls: fill in what stands above the line, then one of the functions,
 * then clear. Main thread.
 */
#ifndef VELD_CLI_COORD_ENTER_H
#define VELD_CLI_COORD_ENTER_H

#include "cli/coord/connect.h"
#include "cli/coord/machine.h"
#include "trust/token.h"

struct veld_entry {
    struct veld_machine *machine;    /* with its identity; borrowed */
    struct veld_profile_coord coord; /* owned */
    char network_name[VELD_LABEL_MAX + 1];
    char name[VELD_LABEL_MAX + 1]; /* of this machine */
    const char *fingerprint;       /* the network must have this one; NULL: any */
    struct veld_settings settings; /* routes: those it would like to offer */
    /* ---- */
    struct veld_rpc_client *client;
    struct veld_network network;
    struct veld_membership membership;
    struct veld_ip ipv4;
    bool created;  /* the network is new */
    bool for_more; /* a member already, that asks for what it may not yet */
};
void veld_entry_clear(struct veld_entry *e);
/* Does its membership allow what its settings say? */
bool veld_entry_is_allowed(const struct veld_entry *e);
/* What `veld approve` must say to allow all that its settings say: " --routes ... --relay", or "". */
#define VELD_ENTRY_GRANTS_STRLEN (VELD_MEMBER_ROUTES_MAX * VELD_PREFIX_STRLEN + 32)
const char *veld_entry_grants(const struct veld_entry *e, char out[VELD_ENTRY_GRANTS_STRLEN]);
/* What `veld set` must say to ask for what is not allowed: " --routes ... --relay yes". */
const char *veld_entry_lacks(const struct veld_entry *e, char out[VELD_ENTRY_GRANTS_STRLEN]);

/*
 * By name: create it where there is none, be let in by the owner's key where that is
 * here, else ask and wait to be let in. VELD_E_KEY: the name means another network
 * than before. VELD_E_EXIST: the machine's name is taken. VELD_E_PERM: refused.
 */
VELD_MUST_USE int veld_enter_by_name(struct veld_entry *e, struct veld_diag *diag);
/* By a token that was read from `text`; the server must know the token's network under its id. */
VELD_MUST_USE int veld_enter_by_token(struct veld_entry *e, const char *text,
                                      const struct veld_token *token, struct veld_diag *diag);
/*
 * A member already, that wants to offer or do what its membership does not allow: by the
 * owner's key at once, else asked for and waited for. `e->membership` is the one it has.
 */
VELD_MUST_USE int veld_enter_for_more(struct veld_entry *e, struct veld_diag *diag);

#endif
