#include "cli/coord/admin.h"

#include "base/clock.h"
#include "cli/coord/revoking.h"
#include "crypto/primitives.h"

#include <string.h>

static uint64_t now_s(void)
{
    return veld_clock_now().wall_ns / VELD_NS_PER_S;
}

/* This machine's own membership, if it is one that holds. */
static int load_membership(struct veld_admin *a, struct veld_membership *m,
                           struct veld_diag *diag)
{
    int rc = veld_profile_read(a->machine.state_dir, a->network.name, VELD_PROFILE_MEMBERSHIP,
                               VELD_CHAIN_MAX, &a->chain, diag);
    if (rc == 0)
        rc = veld_membership_read(a->chain.p, a->chain.len, a->network.id, a->revocations,
                                  now_s(), m);
    if (rc == 0 && !veld_equal(m->member, a->machine.id->pub, sizeof m->member))
        rc = VELD_E_KEY;
    if (rc < 0)
        veld_blob_clear(&a->chain);
    return rc;
}

static int fail_no_right(const struct veld_admin *a, struct veld_diag *diag)
{
    return veld_fail(
        diag, VELD_E_PERM,
        "only the owner of network %s and its admins can do this, and this machine "
        "is neither%s; do it on the machine that made the network, or bring its "
        "key here: veld owner export, then veld owner import",
        a->network.name, veld_machine_hint(&a->machine));
}

static int find_right(struct veld_admin *a, struct veld_diag *diag)
{
    struct veld_membership m;
    struct veld_diag ignored;
    const char *dir = a->machine.state_dir, *name = a->network.name;
    a->owner_seed = veld_secure_alloc(32);
    if (!a->owner_seed)
        return veld_fail(diag, VELD_E_NOMEM, "no guarded memory for the owner's key");
    int rc = veld_profile_owner_load(dir, name, a->owner_seed, diag);
    if (rc < 0 && rc != VELD_E_NOENT)
        return rc;
    a->is_owner = rc == 0;
    bool is_member = load_membership(a, &m, &ignored) == 0;
    if (!a->is_owner && !(is_member && (m.flags & VELD_MEMBER_ADMIN)))
        return fail_no_right(a, diag);
    const struct veld_rpc_key own = {.seed = a->machine.id->seed, .pub = a->machine.id->pub};
    const struct veld_rpc_key owner = {.seed = a->owner_seed, .pub = a->network.owner};
    a->key = a->is_owner ? owner : own;
    a->member = is_member ? own : owner;
    a->signer.seed = a->key.seed;
    a->signer.chain = a->is_owner ? NULL : &a->chain;
    return 0;
}

int veld_admin_open(struct veld_admin *a, const char *state_dir, const char *network,
                    const char *socket, struct veld_diag *diag)
{
    char name[VELD_LABEL_MAX + 1];
    *a = (struct veld_admin){0};
    int rc = veld_machine_open(&a->machine, state_dir, diag);
    if (rc == 0)
        rc = veld_machine_network(&a->machine, network, socket, name, diag);
    if (rc == 0)
        rc = veld_profile_network_load(a->machine.state_dir, name, &a->network, diag);
    if (rc == 0)
        rc = veld_machine_identity(&a->machine, diag);
    if (rc == 0)
        rc = veld_profile_revocations_load(a->machine.state_dir, name, a->network.id,
                                           &a->revocations, diag);
    if (rc == 0)
        rc = find_right(a, diag);
    if (rc == 0)
        rc = veld_profile_coord_load(a->machine.state_dir, name, &a->coord, diag);
    return rc;
}

int veld_admin_connect(struct veld_admin *a, struct veld_diag *diag)
{
    int rc = veld_connect(&a->client, &a->coord, diag);
    return rc < 0 ? rc : veld_revoking_refresh(a, diag);
}

int veld_admin_members(struct veld_admin *a, struct veld_members *out, struct veld_diag *diag)
{
    return veld_members_fetch(out, a->client, &a->member, &a->network, a->revocations, diag);
}

void veld_admin_close(struct veld_admin *a)
{
    veld_rpc_close(a->client);
    veld_revocations_free(a->revocations);
    veld_blob_clear(&a->chain);
    veld_profile_coord_clear(&a->coord);
    veld_secure_free(a->owner_seed);
    veld_machine_close(&a->machine);
    *a = (struct veld_admin){0};
}
