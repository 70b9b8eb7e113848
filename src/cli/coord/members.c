#include "cli/coord/members.h"

#include "base/clock.h"
#include "cli/coord/connect.h"

#include <stdlib.h>
#include <string.h>

static int by_key_then_serial(const void *pa, const void *pb)
{
    const struct veld_membership *a = &((const struct veld_member_entry *)pa)->membership;
    const struct veld_membership *b = &((const struct veld_member_entry *)pb)->membership;
    int order = memcmp(a->member, b->member, sizeof a->member);
    if (order != 0)
        return order;
    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

/* Of a member that is there twice the greater serial counts. */
static void keep_one_each(struct veld_members *m)
{
    size_t kept = 0;
    qsort(m->list, m->n, sizeof *m->list, by_key_then_serial);
    for (size_t i = 0; i < m->n; i++) {
        bool last = i + 1 == m->n || memcmp(m->list[i].membership.member,
                                            m->list[i + 1].membership.member, 32) != 0;
        if (last)
            m->list[kept++] = m->list[i];
    }
    m->n = kept;
}

static void verify(struct veld_members *m, const struct veld_blob *records, size_t n,
                   const struct veld_network *network, const struct veld_revocations *revoked)
{
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    for (size_t i = 0; i < n; i++) {
        struct veld_record r;
        if (veld_record_read(records[i].p, records[i].len, network, revoked, now_s, &r) < 0) {
            m->refused++;
            continue;
        }
        m->list[m->n++] =
            (struct veld_member_entry){.membership = r.membership, .ipv4 = r.ipv4};
    }
}

int veld_members_fetch(struct veld_members *out, struct veld_rpc_client *client,
                       const struct veld_rpc_key *key, const struct veld_network *network,
                       const struct veld_revocations *revoked, struct veld_diag *diag)
{
    struct veld_blob *records = NULL;
    size_t n = 0;
    *out = (struct veld_members){0};
    int rc = VELD_ASKING(veld_coord_list_peers(client, key, network->id, &records, &n, diag));
    if (rc < 0)
        return rc;
    out->list = calloc(n + 1, sizeof *out->list);
    if (out->list) {
        verify(out, records, n, network, revoked);
        keep_one_each(out);
    } else {
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    }
    veld_blobs_free(records, n);
    return rc;
}

void veld_members_clear(struct veld_members *m)
{
    free(m->list);
    *m = (struct veld_members){0};
}

const struct veld_membership *veld_members_by_name(const struct veld_members *m,
                                                   const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->list[i].membership.name, name) == 0)
            return &m->list[i].membership;
    }
    return NULL;
}

const struct veld_membership *veld_members_by_key(const struct veld_members *m,
                                                  const uint8_t key[32])
{
    for (size_t i = 0; i < m->n; i++) {
        if (memcmp(m->list[i].membership.member, key, 32) == 0)
            return &m->list[i].membership;
    }
    return NULL;
}

int veld_members_signed_by(const struct veld_members *m, const uint8_t key[32],
                           uint8_t (**out)[32], size_t *n, struct veld_diag *diag)
{
    *n = 0;
    *out = calloc(m->n + 1, sizeof **out);
    if (!*out)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    for (size_t i = 0; i < m->n; i++) {
        const struct veld_membership *one = &m->list[i].membership;
        bool by_key = memcmp(one->signer, key, 32) == 0 || memcmp(one->admin, key, 32) == 0;
        if (by_key && memcmp(one->member, key, 32) != 0)
            memcpy((*out)[(*n)++], one->member, 32);
    }
    return 0;
}
