/*
 * What is needed to be in a network, read from its folder and verified.
 * folder.h says what lies there, and what holds for all of it.
 *
 * Invariant: what is loaded is a membership of the identity that asked, proved
 * up to the key that made the id to which the network's name is pinned.
 */
#ifndef VELD_PROFILE_PROFILE_H
#define VELD_PROFILE_PROFILE_H

#include "profile/folder.h"
#include "profile/server.h"
#include "profile/settings.h"
#include "profile/tokens.h"
#include "trust/membership.h"
#include "trust/network.h"
#include "trust/revocations.h"

struct veld_profile {
    struct veld_network network;
    struct veld_membership membership;    /* of `self` */
    struct veld_blob chain;               /* encoded; owned */
    struct veld_revocations *revocations; /* owned; NULL: none known */
    struct veld_ip ipv4;                  /* family 0: no lease yet */
    struct veld_profile_coord coord;
};
/*
 * VELD_E_NOENT when this machine is no member of `network`, or a file that it
 * needs is missing; VELD_E_KEY when the membership is another identity's,
 * VELD_E_PERM when it is revoked, VELD_E_RANGE when it has ended; VELD_E_FORMAT,
 * VELD_E_AUTH for a file that is broken. `out` is overwritten, zeroed on failure.
 */
VELD_MUST_USE int veld_profile_load(const char *state_dir, const char *network,
                                    const uint8_t self[32], uint64_t now_s,
                                    struct veld_profile *out, struct veld_diag *diag);
void veld_profile_clear(struct veld_profile *p);

/* ---- One by one ---- */

/* The network that the name is pinned to. VELD_E_NOENT: not known here. */
VELD_MUST_USE int veld_profile_network_load(const char *state_dir, const char *name,
                                            struct veld_network *out, struct veld_diag *diag);
/*
 * Pin `name` to an encoded, signed network, which bears that name. Again is fine;
 * VELD_E_KEY when the name is pinned to another id. `out` is the network.
 */
VELD_MUST_USE int veld_profile_network_pin(const char *state_dir, const char *name,
                                           const struct veld_blob *signed_network,
                                           struct veld_network *out, struct veld_diag *diag);
/* NULL where none are known. Free with veld_revocations_free. */
VELD_MUST_USE int veld_profile_revocations_load(const char *state_dir, const char *network,
                                                const uint8_t network_id[32],
                                                struct veld_revocations **out,
                                                struct veld_diag *diag);
/* Family 0 where there is none. */
VELD_MUST_USE int veld_profile_lease_load(const char *state_dir, const char *network,
                                          struct veld_ip *ipv4, struct veld_diag *diag);
VELD_MUST_USE int veld_profile_lease_save(const char *state_dir, const char *network,
                                          const struct veld_ip *ipv4, struct veld_diag *diag);

/*
 * The owner's key: 0600, refused when others may read it (crypto/secret_file.h),
 * and when it is not the key that made the network. The caller wipes `seed`.
 */
VELD_MUST_USE int veld_profile_owner_load(const char *state_dir, const char *network,
                                          uint8_t seed[32], struct veld_diag *diag);
/* Never over another key (VELD_E_EXIST). */
VELD_MUST_USE int veld_profile_owner_save(const char *state_dir, const char *network,
                                          const uint8_t seed[32], struct veld_diag *diag);

#endif
