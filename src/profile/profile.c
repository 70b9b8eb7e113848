#include "profile/profile.h"

#include "crypto/primitives.h"
#include "crypto/secret_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LEASE_MAX 64 /* bytes of the file */

static int fail_broken(const char *state_dir, const char *network, const char *file, int rc,
                       const char *remedy, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int named = veld_profile_path(state_dir, network, file, path, diag);
    return named < 0 ? named
                     : veld_fail(diag, rc,
                                 "%s cannot be used (%s); restore it from a backup, or move it "
                                 "away and %s",
                                 path, veld_strerror(rc), remedy);
}

/* ---- The network ---- */

int veld_profile_network_load(const char *state_dir, const char *name, struct veld_network *out,
                              struct veld_diag *diag)
{
    struct veld_blob bytes = {0};
    *out = (struct veld_network){0};
    int rc =
        veld_profile_read(state_dir, name, VELD_PROFILE_NETWORK, VELD_SIGNED_MAX, &bytes, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc, "network %s is not known on this machine", name);
    if (rc < 0)
        return rc;
    rc = veld_network_read(bytes.p, bytes.len, out);
    if (rc == 0 && strcmp(out->name, name) != 0)
        rc = VELD_E_FORMAT;
    veld_blob_clear(&bytes);
    if (rc == 0)
        return 0;
    *out = (struct veld_network){0};
    return fail_broken(state_dir, name, VELD_PROFILE_NETWORK, rc, "join the network again",
                       diag);
}

int veld_profile_network_pin(const char *state_dir, const char *name,
                             const struct veld_blob *signed_network, struct veld_network *out,
                             struct veld_diag *diag)
{
    struct veld_network pinned;
    int rc = veld_network_read(signed_network->p, signed_network->len, out);
    if (rc < 0)
        return veld_fail(diag, rc,
                         "what the coord server says of network %s is not signed by "
                         "its owner",
                         name);
    if (strcmp(out->name, name) != 0) {
        *out = (struct veld_network){0};
        return veld_fail(diag, VELD_E_AUTH,
                         "the coord server answered with another network than %s", name);
    }
    rc = veld_profile_network_load(state_dir, name, &pinned, diag);
    if (rc == VELD_E_NOENT)
        return veld_profile_write(state_dir, name, VELD_PROFILE_NETWORK, signed_network->p,
                                  signed_network->len, diag);
    if (rc == 0 && !veld_equal(pinned.id, out->id, sizeof pinned.id)) {
        char known[VELD_NETWORK_TEXT_STRLEN], told[VELD_NETWORK_TEXT_STRLEN];
        rc = veld_fail(diag, VELD_E_KEY,
                       "network %s is another one than before: %s is known here, the coord "
                       "server says %s. It may have been made anew by its owner, or somebody "
                       "wants you to join theirs. If you are sure, forget the one that is "
                       "known with: veld leave %s",
                       name, veld_network_text(pinned.id, known),
                       veld_network_text(out->id, told), name);
        *out = (struct veld_network){0};
    }
    return rc;
}

/* ---- Revocations and lease ---- */

int veld_profile_revocations_load(const char *state_dir, const char *network,
                                  const uint8_t network_id[32], struct veld_revocations **out,
                                  struct veld_diag *diag)
{
    struct veld_blob bytes = {0};
    *out = NULL;
    int rc = veld_profile_read(state_dir, network, VELD_PROFILE_REVOCATIONS,
                               VELD_REVOCATIONS_MAX, &bytes, diag);
    if (rc == VELD_E_NOENT)
        return 0;
    if (rc < 0)
        return rc;
    rc = veld_revocations_read(bytes.p, bytes.len, network_id, NULL, out);
    veld_blob_clear(&bytes);
    if (rc < 0)
        return fail_broken(state_dir, network, VELD_PROFILE_REVOCATIONS, rc,
                           "start again: it is told anew by the coord server and the members",
                           diag);
    return 0;
}

int veld_profile_lease_load(const char *state_dir, const char *network, struct veld_ip *ipv4,
                            struct veld_diag *diag)
{
    struct veld_blob bytes = {0};
    *ipv4 = (struct veld_ip){0};
    int rc = veld_profile_read(state_dir, network, VELD_PROFILE_LEASE, LEASE_MAX, &bytes, diag);
    if (rc == VELD_E_NOENT)
        return 0;
    if (rc < 0)
        return rc;
    char text[LEASE_MAX + 1];
    size_t len = bytes.len;
    memcpy(text, bytes.p, len);
    text[len] = '\0';
    veld_blob_clear(&bytes);
    bool whole = len > 0 && strlen(text) == len && text[len - 1] == '\n';
    if (whole)
        text[len - 1] = '\0';
    struct veld_ip ip;
    if (!whole || veld_ip_parse(text, &ip) < 0 || ip.family != 4)
        return fail_broken(state_dir, network, VELD_PROFILE_LEASE, VELD_E_FORMAT,
                           "start again: the coord server gives the same address again", diag);
    *ipv4 = ip;
    return 0;
}

int veld_profile_lease_save(const char *state_dir, const char *network,
                            const struct veld_ip *ipv4, struct veld_diag *diag)
{
    char ip[VELD_IP_STRLEN], text[LEASE_MAX];
    if (ipv4->family != 4)
        return veld_fail(diag, VELD_E_INVAL, "no IPv4 address to keep");
    int n = snprintf(text, sizeof text, "%s\n", veld_ip_format(ipv4, ip));
    return veld_profile_write(state_dir, network, VELD_PROFILE_LEASE, text, (size_t)n, diag);
}

/* ---- The owner's key ---- */

int veld_profile_owner_load(const char *state_dir, const char *network, uint8_t seed[32],
                            struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX], remedy[VELD_LABEL_MAX + 64];
    struct veld_network n;
    uint8_t pub[32];
    memset(seed, 0, 32);
    int rc = veld_profile_path(state_dir, network, VELD_PROFILE_OWNER, path, diag);
    if (rc == 0)
        rc = veld_profile_network_load(state_dir, network, &n, diag);
    if (rc < 0)
        return rc;
    snprintf(remedy, sizeof remedy, "veld owner import FILE %s", network);
    rc = veld_secret_file_read(path, "owner's key", remedy, seed, diag);
    if (rc < 0)
        return rc;
    veld_ed25519_keypair(seed, pub);
    if (veld_equal(pub, n.owner, sizeof pub))
        return 0;
    veld_wipe(seed, 32);
    return veld_fail(diag, VELD_E_KEY,
                     "%s: is not the key of the owner of network %s; move it away and run: %s",
                     path, network, remedy);
}

int veld_profile_owner_save(const char *state_dir, const char *network, const uint8_t seed[32],
                            struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    int rc = veld_profile_path(state_dir, network, VELD_PROFILE_OWNER, path, diag);
    if (rc == 0)
        rc = veld_profile_make(state_dir, network, diag);
    return rc < 0 ? rc : veld_secret_file_create(path, "owner's key", seed, diag);
}

/* ---- All of it ---- */

void veld_profile_clear(struct veld_profile *p)
{
    veld_blob_clear(&p->chain);
    veld_revocations_free(p->revocations);
    veld_profile_coord_clear(&p->coord);
    *p = (struct veld_profile){0};
}

static int fail_membership(const char *state_dir, const char *network, int rc,
                           const struct veld_membership *m, struct veld_diag *diag)
{
    if (rc == VELD_E_PERM)
        return veld_fail(diag, rc,
                         "this machine's membership of %s was revoked; it can come back only "
                         "with another key: veld leave %s, move %s/identity away, and join "
                         "again",
                         network, network, state_dir);
    if (rc == VELD_E_RANGE)
        return veld_fail(diag, rc,
                         "this machine's membership of %s has ended, or has not begun by this "
                         "machine's clock; see that the clock is right, or ask to be let in "
                         "anew: veld leave %s, then veld up --network %s",
                         network, network, network);
    return fail_broken(state_dir, network, VELD_PROFILE_MEMBERSHIP, rc,
                       "ask to be let in again: veld up --network NAME", diag);
}

static int load_membership(const char *state_dir, const char *network, const uint8_t self[32],
                           uint64_t now_s, struct veld_profile *p, struct veld_diag *diag)
{
    int rc = veld_profile_read(state_dir, network, VELD_PROFILE_MEMBERSHIP, VELD_CHAIN_MAX,
                               &p->chain, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "this machine is no member of network %s; join it with: veld up "
                         "--network %s",
                         network, network);
    if (rc < 0)
        return rc;
    rc = veld_membership_read(p->chain.p, p->chain.len, p->network.id, p->revocations, now_s,
                              &p->membership);
    if (rc < 0)
        return fail_membership(state_dir, network, rc, &p->membership, diag);
    if (!veld_equal(p->membership.member, self, sizeof p->membership.member))
        return veld_fail(diag, VELD_E_KEY,
                         "the membership of network %s is not that of this machine's identity; "
                         "restore the identity it was made for, or join anew: veld leave %s, "
                         "then veld up --network %s",
                         network, network, network);
    return 0;
}

static int load_coord(const char *state_dir, const char *network, struct veld_profile *p,
                      struct veld_diag *diag)
{
    int rc = veld_profile_coord_load(state_dir, network, &p->coord, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "which coord server network %s has is not known here; log in: veld "
                         "login --coord HOST:PORT, then veld up --network %s",
                         network, network);
    return rc;
}

int veld_profile_load(const char *state_dir, const char *network, const uint8_t self[32],
                      uint64_t now_s, struct veld_profile *out, struct veld_diag *diag)
{
    *out = (struct veld_profile){0};
    int rc = veld_profile_network_load(state_dir, network, &out->network, diag);
    if (rc == 0)
        rc = veld_profile_revocations_load(state_dir, network, out->network.id,
                                           &out->revocations, diag);
    if (rc == 0)
        rc = load_membership(state_dir, network, self, now_s, out, diag);
    if (rc == 0)
        rc = veld_profile_lease_load(state_dir, network, &out->ipv4, diag);
    if (rc == 0)
        rc = load_coord(state_dir, network, out, diag);
    if (rc < 0)
        veld_profile_clear(out);
    return rc;
}
