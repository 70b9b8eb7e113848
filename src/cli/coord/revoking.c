#include "cli/coord/revoking.h"

#include "base/clock.h"
#include "cli/coord/reload.h"

#include <string.h>

#define TRIES 5

/* What `bytes` hold becomes what is known, if it is newer. A list that does not prove is an error. */
static int take(struct veld_admin *a, const struct veld_blob *bytes, struct veld_diag *diag)
{
    struct veld_revocations *read;
    int rc = veld_revocations_read(bytes->p, bytes->len, a->network.id, a->revocations, &read);
    if (rc == VELD_E_REPLAY)
        return 0;
    if (rc < 0)
        return veld_fail(
            diag, rc,
            "the list of revocations that %s has of network %s does not prove (%s); "
            "it was not taken",
            a->coord.address, a->network.name, veld_strerror(rc));
    veld_revocations_free(a->revocations);
    a->revocations = read;
    return veld_profile_write(a->machine.state_dir, a->network.name, VELD_PROFILE_REVOCATIONS,
                              bytes->p, bytes->len, diag);
}

int veld_revoking_refresh(struct veld_admin *a, struct veld_diag *diag)
{
    struct veld_blob list = {0};
    int rc =
        VELD_ASKING(veld_coord_get_revocations(a->client, &a->key, a->network.id, &list, diag));
    if (rc == 0 && list.len > 0)
        rc = take(a, &list, diag);
    veld_blob_clear(&list);
    return rc;
}

static int publish_once(struct veld_admin *a, const struct veld_revoked_entry *entry,
                        struct veld_diag *diag)
{
    struct veld_blob next = {0};
    struct veld_revoked_entry there;
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    /* What an admin revoked the owner may revoke too: it counts for more. */
    if (veld_revocations_find(a->revocations, entry->key, &there) &&
        (there.by_owner || !a->is_owner))
        return veld_fail(diag, VELD_E_EXIST, "it is revoked already");
    int rc =
        veld_revocations_add(&next, &a->signer, a->network.id, a->revocations, entry, now_s);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot sign the list of revocations: %s",
                         veld_strerror(rc));
    rc = VELD_ASKING(
        veld_coord_publish_revocations(a->client, &a->key, a->network.id, &next, diag));
    if (rc == 0)
        rc = take(a, &next, diag);
    veld_blob_clear(&next);
    return rc;
}

int veld_revoking_publish(struct veld_admin *a, const uint8_t key[32],
                          const uint8_t (*kept)[32], size_t n_kept, const char *socket,
                          struct veld_diag *diag)
{
    struct veld_revoked_entry entry = {.kept = kept, .n_kept = n_kept};
    memcpy(entry.key, key, sizeof entry.key);
    int rc = VELD_E_STATE;
    /* Anew the first time too: what an admin revoked while somebody was asked here must not go. */
    for (int i = 0; i < TRIES && rc == VELD_E_STATE; i++) {
        rc = veld_revoking_refresh(a, diag);
        if (rc == 0)
            rc = publish_once(a, &entry, diag);
    }
    if (rc == 0)
        veld_reload_daemon(socket, a->network.name);
    return rc;
}
