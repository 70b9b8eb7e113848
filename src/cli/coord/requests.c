#include "cli/coord/requests.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void take(struct veld_requests *r, const struct veld_blob *bytes,
                 const uint8_t network_id[32])
{
    struct veld_join_request one;
    if (veld_join_request_read(bytes->p, bytes->len, &one) < 0 ||
        memcmp(one.network_id, network_id, sizeof one.network_id) != 0) {
        r->refused++;
        return;
    }
    struct veld_waiting_request *w = r->list;
    while (w < r->list + r->n && memcmp(w->request.member, one.member, 32) != 0)
        w++;
    bool is_new = w == r->list + r->n;
    r->n += is_new;
    if (!is_new && w->request.created_s >= one.created_s)
        return;
    w->request = one;
    if (is_new)
        veld_join_code(one.network_id, one.member, w->code);
}

int veld_requests_read(struct veld_requests *out, const struct veld_blob *blobs, size_t n,
                       const uint8_t network_id[32])
{
    *out = (struct veld_requests){.list = calloc(n + 1, sizeof *out->list)};
    if (!out->list)
        return VELD_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        take(out, &blobs[i], network_id);
    return 0;
}

void veld_requests_clear(struct veld_requests *r)
{
    free(r->list);
    *r = (struct veld_requests){0};
}

/* Its name proves nothing, and lets nobody in: the code is what both sides compare. */
static int fail_no_code(const struct veld_requests *r, const char *typed,
                        struct veld_diag *diag)
{
    const struct veld_waiting_request *named = NULL;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (strcasecmp(typed, r->list[i].request.name) != 0)
            continue;
        named = &r->list[i];
        n++;
    }
    if (n > 1)
        return veld_fail(diag, VELD_E_NOENT,
                         "%zu machines wait under the name %s; see their codes: veld approve",
                         n, named->request.name);
    if (n == 1)
        return veld_fail(diag, VELD_E_NOENT,
                         "%s waits with code %s; to let it in, if it shows the same: veld "
                         "approve %s",
                         named->request.name, named->code, named->code);
    return veld_fail(diag, VELD_E_NOENT,
                     "nobody with the code \"%.40s\" waits to be let in; see who does: veld "
                     "approve",
                     typed);
}

int veld_requests_find(const struct veld_requests *r, const char *typed,
                       const struct veld_waiting_request **out, struct veld_diag *diag)
{
    const struct veld_waiting_request *found = NULL;
    size_t n = 0;
    *out = NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (!veld_join_code_matches(typed, r->list[i].code))
            continue;
        found = &r->list[i];
        n++;
    }
    if (n == 0)
        return fail_no_code(r, typed, diag);
    if (n > 1)
        return veld_fail(
            diag, VELD_E_STATE,
            "%zu requests have the code %s, which does not happen by chance: "
            "somebody wants to be taken for somebody else. Let nobody in by it; use "
            "a token: veld token create",
            n, found->code);
    *out = found;
    return 0;
}
