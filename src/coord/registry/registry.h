/*
 * Networks and their members, as they are and as they are stored.
 *
 * Invariants:
 *  - every change goes through a function of this header, which makes it in memory,
 *    puts it into the batch, and notes the way back (batch.h);
 *  - each change of a member gives it the network's next revision and moves it to the
 *    end of the list of changes. Revisions are microseconds since the epoch, or one
 *    more than the last where that is greater: a network that is brought
 *    back from a backup, or from nothing, goes on above all that was told before;
 *  - a name and an IPv4 address belong to one member of a network at a time;
 *  - what was removed is remembered, VELD_REMOVALS_MAX of a network; up to `horizon` more
 *    may have been removed than that.
 *
 * Nothing here judges who may do what. Thread: the server's loop.
 */
#ifndef VELD_COORD_REGISTRY_REGISTRY_H
#define VELD_COORD_REGISTRY_REGISTRY_H

#include "base/clock.h"
#include "coord/registry/batch.h"
#include "coord/registry/changes.h"
#include "coord/registry/table.h"
#include "trust/membership.h"
#include "trust/network.h"
#include "trust/revocations.h"

#define VELD_REMOVALS_MAX 4096 /* remembered, of a network */

struct veld_watcher;
struct veld_net;

/*
 * What a member registered: immutable, one allocation. Beside the bytes, what was
 * read from them when they were verified, so that it need not be done again.
 */
struct veld_facts {
    uint64_t sequence; /* of the record */
    uint32_t ipv4;     /* host order */
    /* As in struct veld_membership. */
    char name[VELD_LABEL_MAX + 1];
    uint32_t flags, token_uses;
    bool by_token;
    uint64_t not_before_s, not_after_s, begins_s, ends_s, serial, token_expires_s;
    uint8_t signer[32], admin[32], chain_digest[32];
    struct veld_prefix *routes; /* in `bytes` */
    uint32_t n_routes;
    /* In `bytes` too. */
    const uint8_t *chain, *peer;
    uint32_t chain_len; /* an encoded Chain; 0: it is in the peer's record */
    uint32_t peer_len;  /* an encoded PeerRecord; 0: no record was published */
    _Alignas(8) uint8_t bytes[];
};

struct veld_member {
    uint8_t p[32]; /* first: the key of tables */
    struct veld_net *net;
    struct veld_facts
        *facts;        /* owned; NULL: not (any more) a member, for the rest of the batch */
    uint64_t revision; /* of its last change */
    uint64_t
        facts_revision; /* of the last change of its facts: the rest was coming and going */
    uint64_t last_seen_s;
    bool online;
    /* Of this process alone, and service/watch.c's. */
    struct veld_watcher *watcher;
    GList lease;       /* in the queue of leases, when lease_ns is set */
    uint64_t lease_ns; /* when it goes offline */
    uint64_t left_s;   /* when its last watch closed */
};

/* A member that was removed. */
struct veld_removal {
    uint64_t revision;
    uint32_t ipv4;
    uint8_t p[32];
};

/* One use of a join token, by its first member. */
struct veld_token_use {
    uint8_t pair[64]; /* first: the token's key, the member's */
    uint64_t expires_s;
};

enum veld_join_state { VELD_JOIN_IS_WAITING = 1, VELD_JOIN_IS_APPROVED, VELD_JOIN_IS_REFUSED };
/* A request to be let in, and what became of it. Immutable, one allocation. */
struct veld_join {
    uint8_t p[32]; /* first */
    enum veld_join_state state;
    uint64_t filed_s;
    uint8_t from[9]; /* of the address that filed it (service/rates.h) */
    /* In `bytes`: an encoded Signed join request; an encoded Chain, when approved. */
    const uint8_t *request, *chain;
    uint32_t request_len, chain_len;
    uint8_t bytes[];
};

/*
 * Between the last revision of one run of the server and the first of the next there
 * is none. Somebody who was told one of there was told it by a server whose
 * database was since replaced by an older copy, and has to begin anew.
 */
#define VELD_GAPS_MAX 8 /* remembered; older ones raise the horizon */
struct veld_gap {
    uint64_t after, before; /* both are revisions that were */
};

struct veld_net {
    uint8_t id[VELD_NETWORK_ID_SIZE]; /* first */
    struct veld_registry *registry;
    struct veld_network descriptor;
    struct veld_blob signed_descriptor;
    uint64_t put_s; /* when this database first had it */
    uint64_t revision, horizon;
    uint64_t news; /* the last revision, or a later one, that was more than a coming or going */
    struct veld_gap gaps[VELD_GAPS_MAX + 1]; /* in order */
    size_t n_gaps;
    bool is_quiet;                        /* nothing changed yet since the server started */
    struct veld_revocations *revocations; /* NULL: none */
    GHashTable *members, *by_name, *by_ipv4;
    struct veld_changes changed; /* struct veld_member */
    struct veld_changes removed; /* struct veld_removal */
    /* These are there only when something is in them. */
    GHashTable *resting;      /* struct veld_removal by ipv4: the last that had it */
    GHashTable *uses;         /* struct veld_token_use */
    GHashTable *token_counts; /* token key to struct token_count */
    GHashTable *joins;        /* struct veld_join */
    /* In this batch: has anything changed, and the least revision that a member had before it did. */
    bool is_changed;
    uint64_t moved_from;
    /* Of this process alone; service/watch.c's and service/events.c's. */
    GQueue watchers, events;
    uint64_t told; /* the revision that those who had all before may be told up to */
    uint64_t told_ns, tell_interval_ns; /* when, and how long until the next time */
    bool tell_waits;
};

struct veld_registry {
    struct veld_batch *batch; /* owned */
    GHashTable *nets, *nets_by_name;
    GPtrArray *changed; /* nets, in this batch */
    uint64_t members, online, joins;
};

/* Reads all. VELD_E_FORMAT, VELD_E_UNSUPPORTED (a newer version's), VELD_E_IO. */
VELD_MUST_USE int veld_registry_open(struct veld_registry **out, struct veld_store *store,
                                     struct veld_diag *diag);
/* NULL is allowed. What was not committed is undone. */
void veld_registry_close(struct veld_registry *r);
/* Make all durable, and tell each network whose members changed, or undo all. */
VELD_MUST_USE int veld_registry_commit(struct veld_registry *r,
                                       void (*changed)(void *ctx, struct veld_net *net),
                                       void *ctx, struct veld_diag *diag);

/* ---- Networks ---- */

struct veld_net *veld_net_by_id(const struct veld_registry *r, const uint8_t id[32]);
/* May somebody have been told all up to `revision`, and of nothing else, by this network as it is? */
bool veld_net_has_told(const struct veld_net *net, uint64_t revision);
struct veld_net *veld_net_by_name(const struct veld_registry *r, const char *name);
/* `network` as read from the Signed `p`, whose id and name are free. */
struct veld_net *veld_net_add(struct veld_registry *r, const struct veld_network *network,
                              const void *p, size_t len, const struct veld_now *now);
/* One that has no members. */
void veld_net_remove(struct veld_registry *r, struct veld_net *net);
/* Takes `list` over. */
void veld_net_revoke(struct veld_registry *r, struct veld_net *net,
                     struct veld_revocations *list);

/* ---- Members ---- */

struct veld_member *veld_member_by_key(const struct veld_net *net, const uint8_t p[32]);
struct veld_member *veld_member_by_name(const struct veld_net *net, const char *name);
struct veld_member *veld_member_by_ipv4(const struct veld_net *net, uint32_t ipv4);
/*
 * What is registered of it from now on; `facts` is taken over, made by veld_facts_new.
 * A new member when there is none of this key yet. Name and address must be free or its own.
 */
struct veld_member *veld_member_register(struct veld_registry *r, struct veld_net *net,
                                         const uint8_t p[32], struct veld_facts *facts,
                                         const struct veld_now *now);
/* Nothing when it is so already. */
void veld_member_set_online(struct veld_registry *r, struct veld_member *m, uint64_t seen_s,
                            const struct veld_now *now);
void veld_member_set_offline(struct veld_registry *r, struct veld_member *m, uint64_t seen_s,
                             const struct veld_now *now);
/* `m` is gone after the commit. */
void veld_member_remove(struct veld_registry *r, struct veld_member *m,
                        const struct veld_now *now);
/* `chain` or `peer` is empty; copied. */
struct veld_facts *veld_facts_new(const struct veld_membership *m, uint32_t ipv4,
                                  uint64_t sequence, const struct veld_blob *chain,
                                  const struct veld_blob *peer);
bool veld_member_has_ended(const struct veld_member *m, uint64_t now_s);
/* The membership as it was read. */
void veld_member_membership(const struct veld_member *m, struct veld_membership *out);

/* ---- Tokens ---- */

bool veld_token_is_used_by(const struct veld_net *net, const uint8_t token[32],
                           const uint8_t p[32]);
uint32_t veld_token_uses(const struct veld_net *net, const uint8_t token[32]);
void veld_token_use(struct veld_registry *r, struct veld_net *net, const uint8_t token[32],
                    const uint8_t p[32], uint64_t expires_s);
/* Forget the uses of tokens that expired before `now_s`: they admit nobody any more. */
void veld_tokens_tidy(struct veld_registry *r, struct veld_net *net, uint64_t now_s);

/* ---- Join requests ---- */

const struct veld_join *veld_join_of(const struct veld_net *net, const uint8_t p[32]);
/* In place of the one there is. Its bytes (`chain` NULL: none) and `like`'s first four fields are copied. */
void veld_join_set(struct veld_registry *r, struct veld_net *net, const struct veld_join *like,
                   const struct veld_blob *request, const struct veld_blob *chain);
/* Nothing when there is none. */
void veld_join_remove(struct veld_registry *r, struct veld_net *net, const uint8_t p[32]);

#endif
