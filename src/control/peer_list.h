/*
 * The peers of the control thread, by the engine's id: what is known of each, and
 * how people call it.
 *
 * Invariants: a place has nobody exactly when its `about` is NULL; `live` names
 * each peer with sessions once, `relays` each that may relay.
 *
 * Ownership: of a peer put in with `owned` set the list frees `about`; else it is
 * the configuration's and outlives the list.
 *
 * Pure; control thread.
 */
#ifndef VELD_CONTROL_PEER_LIST_H
#define VELD_CONTROL_PEER_LIST_H

#include "control/config/config.h"

struct control_peer {
    const struct veld_config_peer *about; /* NULL: nobody has this id */
    uint32_t live_index;                  /* into `live` while sessions > 0 */
    uint32_t relay_index;                 /* into `relays` while `about` says that it may */
    uint8_t sessions;                     /* installed and not retired; the engine keeps few */
    bool owned;     /* `about` is freed with the peer: it came at run time */
    bool connected; /* a session was used since the last give-up: for the log */
    bool blocked;
    bool unproven;                 /* neither listed nor named nor routed to (peers.h) */
    uint16_t home_keepalive_s;     /* it is a home relay of ours; 0: it is not */
    struct veld_endpoint endpoint; /* as the dataplane has it; family 0: none */
};

struct veld_peer_list {
    struct control_peer *peers; /* by id, room for `max` */
    uint32_t max, end;          /* ids from `end` on have nobody */
    size_t n;                   /* peers there are */
    uint32_t *live;             /* ids of peers with sessions */
    size_t n_live;
    uint32_t *relays; /* ids of those who relay */
    size_t n_relays;
    char network[VELD_NAME_MAX + 1]; /* by which its members' names end; empty: none */
};

/* Room is touched as it is used. `network` NULL: none. VELD_E_NOMEM. */
VELD_MUST_USE int veld_peer_list_init(struct veld_peer_list *l, uint32_t max,
                                      const char *network);
void veld_peer_list_free(struct veld_peer_list *l);

/* A copy in one piece, for a peer to own; free() it. NULL when out of memory. */
struct veld_config_peer *veld_peer_about_copy(const struct veld_config_peer *about);
/* Do both have the same name, addresses and routes? */
bool veld_peer_about_same_places(const struct veld_config_peer *a,
                                 const struct veld_config_peer *b);

/* `id` < max, with nobody there. */
void veld_peer_list_put(struct veld_peer_list *l, uint32_t id,
                        const struct veld_config_peer *about, bool owned);
/* Another description of a peer that owns its own: the old one is freed. */
void veld_peer_list_change(struct veld_peer_list *l, uint32_t id,
                           const struct veld_config_peer *about);
/* It has no sessions any more. */
void veld_peer_list_drop(struct veld_peer_list *l, uint32_t id);

/* NULL when nobody has this id. */
struct control_peer *veld_peer_list_get(const struct veld_peer_list *l, uint32_t id);
/* The first from `id` on; NULL when there is none. `id` receives which. */
struct control_peer *veld_peer_list_next(const struct veld_peer_list *l, uint32_t *id);

/* A session more, a session less. */
void veld_peer_list_session(struct veld_peer_list *l, uint32_t id);
/* True when it was the last one. */
bool veld_peer_list_session_end(struct veld_peer_list *l, uint32_t id);

/* Is a peer that has a session, and is not blocked, at this address? */
bool veld_peer_list_is_at(const struct veld_peer_list *l, const struct veld_ip *ip);

/* What to call it: its name, else its first address; "peer 7" when it is gone. Returns `out`. */
const char *veld_peer_list_name(const struct veld_peer_list *l, uint32_t id, char out[64]);
/*
 * By name, full name, address or public key, as people type it. Of two the one
 * that is not blocked.
 */
bool veld_peer_list_find(const struct veld_peer_list *l, const char *text, uint32_t *id);

#endif
