#include "coord/service/methods.h"

#include "coord/service/page.h"

#include <veld/coord/v1/coord.pb-c.h>

static void list(struct veld_coord_call *c, uint64_t after, size_t limit)
{
    Veld__Coord__Inside__ListPeersReply reply = VELD__COORD__INSIDE__LIST_PEERS_REPLY__INIT;
    struct veld_page *page = g_new(struct veld_page, 1);
    veld_page_fill(page, c->net,
                   &(struct veld_page_for){.from = after, .what = VELD_PAGE_MEMBERS},
                   limit ? limit : VELD_PAGE_ITEMS);
    reply.members = page->members;
    reply.n_members = page->n_members;
    reply.revision = page->to;
    reply.more = !page->is_last;
    veld_call_reply(c, &reply);
    g_free(page);
}

void veld_rpc_list_peers(struct veld_coord_call *c)
{
    Veld__Coord__V1__ListPeersRequest *request =
        veld_call_unpack(c, &veld__coord__v1__list_peers_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id))
        list(c, request->after_revision, request->limit);
    veld_call_free(request);
}
