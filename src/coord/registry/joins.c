#include "coord/registry/registry.h"

#include "coord/registry/internal.h"
#include "coord/registry/persist.h"

#include <string.h>

struct veld_join *veld_join_build(const struct veld_join *like, const struct veld_blob *request,
                                  const struct veld_blob *chain)
{
    size_t chain_len = chain ? chain->len : 0;
    struct veld_join *j = g_malloc(sizeof *j + request->len + chain_len);
    *j = *like;
    j->request = j->bytes;
    j->request_len = (uint32_t)request->len;
    j->chain = j->bytes + request->len;
    j->chain_len = (uint32_t)chain_len;
    memcpy(j->bytes, request->p, request->len);
    if (chain_len)
        memcpy(j->bytes + request->len, chain->p, chain_len);
    return j;
}

void veld_join_link(struct veld_net *net, struct veld_join *j)
{
    if (!veld_table_put(&net->joins, veld_table_by_key, j->p, j))
        net->registry->joins++;
}

void veld_join_unlink(struct veld_net *net, struct veld_join *j)
{
    if (veld_table_take(net->joins, j->p))
        net->registry->joins--;
}

const struct veld_join *veld_join_of(const struct veld_net *net, const uint8_t p[32])
{
    return veld_table_find(net->joins, p);
}

/* ---- changes ---- */

struct change {
    struct veld_net *net;
    struct veld_join *before, *after; /* NULL: none */
};

static void keep(void *what)
{
    struct change *c = what;
    g_free(c->before);
    g_free(c);
}

static void undo(void *what)
{
    struct change *c = what;
    if (c->after)
        veld_join_unlink(c->net, c->after);
    if (c->before)
        veld_join_link(c->net, c->before);
    g_free(c->after);
    g_free(c);
}

static void note(struct veld_registry *r, struct veld_net *net, struct veld_join *before,
                 struct veld_join *after)
{
    struct change *c = g_new(struct change, 1);
    *c = (struct change){.net = net, .before = before, .after = after};
    veld_batch_note(r->batch, c, keep, undo);
}

void veld_join_set(struct veld_registry *r, struct veld_net *net, const struct veld_join *like,
                   const struct veld_blob *request, const struct veld_blob *chain)
{
    struct veld_join *before = veld_table_find(net->joins, like->p);
    struct veld_join *j = veld_join_build(like, request, chain);
    veld_join_link(net, j);
    veld_persist_join(r->batch, net, j);
    note(r, net, before, j);
}

void veld_join_remove(struct veld_registry *r, struct veld_net *net, const uint8_t p[32])
{
    struct veld_join *j = veld_table_find(net->joins, p);
    if (!j)
        return;
    veld_join_unlink(net, j);
    veld_persist_join_gone(r->batch, net, j);
    note(r, net, j, NULL);
}
