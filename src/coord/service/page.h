/*
 * A page of what changed in a network after a revision, ready to be encoded.
 *
 * Invariant: whoever knew all up to `from`, and takes in the page, knows all up to
 * `to`. A page has at most VELD_PAGE_BYTES, or one member. It borrows from the
 * network: encode it before anything changes.
 *
 * Costs as much as there is on the page. Thread: the server's loop.
 */
#ifndef VELD_COORD_SERVICE_PAGE_H
#define VELD_COORD_SERVICE_PAGE_H

#include "coord/registry/registry.h"

#include <veld/coord/v1/inside.pb-c.h>

#define VELD_PAGE_BYTES 65536
#define VELD_PAGE_ITEMS 512

enum veld_page_of {
    VELD_PAGE_ALL,     /* members and removals */
    VELD_PAGE_MEMBERS, /* for somebody who knows nothing that could be removed */
};

struct veld_page {
    Veld__Coord__Inside__Member member[VELD_PAGE_ITEMS], *members[VELD_PAGE_ITEMS];
    Veld__Coord__Inside__Presence presence[VELD_PAGE_ITEMS], *presences[VELD_PAGE_ITEMS];
    ProtobufCBinaryData removed[VELD_PAGE_ITEMS];
    size_t n_members, n_removed, n_presences;
    uint64_t to;
    bool is_last; /* `to` is the network's revision */
};

/* Whom the page is for. */
struct veld_page_for {
    uint64_t from;  /* has been told the changes up to this revision */
    uint64_t whole; /* and at this one had been told all there was; 0: never */
    enum veld_page_of what;
};
/* At most `max` items (VELD_PAGE_ITEMS). */
void veld_page_fill(struct veld_page *p, const struct veld_net *net,
                    const struct veld_page_for *who, size_t max);

#endif
