/*
 * One call while it is handled: who asks, what, and what becomes of it.
 *
 * Order: service.c finds the method and proves the caller; the method's handler
 * takes its request apart (veld_call_unpack), enters the network it is about
 * (veld_call_enter, which holds the caller to what the method's row says), asks
 * the host (veld_call_allow), changes what is to be changed, and replies.
 *
 * Invariant: the status is OK until veld_call_fail, after which nothing is changed.
 * Thread: the server's loop.
 */
#ifndef VELD_COORD_SERVICE_CALL_H
#define VELD_COORD_SERVICE_CALL_H

#include "coord/service/impl.h"

#include <protobuf-c/protobuf-c.h>

enum veld_may_call {
    VELD_MAY_ANYBODY, /* unsigned */
    VELD_MAY_SIGNED,  /* anybody with a key; the handler looks closer */
    VELD_MAY_MEMBER,  /* of the network: registered, neither revoked nor expired */
    VELD_MAY_ADMIN,   /* the network's owner, or such a member with the flag */
    VELD_MAY_CARRY,   /* the network's owner, or any such member */
};

struct veld_coord_call;
struct veld_method {
    const char *name;
    void (*handle)(struct veld_coord_call *c);
    enum veld_may_call may;
    uint32_t body_max; /* bytes */
    bool is_watch;
};

struct veld_coord_call {
    struct veld_service *s;
    const struct veld_method *method;
    const struct veld_service_request *request;
    const struct veld_now *now;
    uint8_t caller[32]; /* proved, or zero for VELD_MAY_ANYBODY */
    uint64_t account;
    /* By veld_call_enter. */
    struct veld_net *net;
    struct veld_member *member; /* the caller's, when it is one in good standing */
    /* Where it goes. */
    struct veld_blob *reply;
    struct veld_coord_status *status;
    /* Of a watch. */
    struct veld_watcher *watcher;
    veld_watch_ready_fn *ready;
    void *ready_ctx;
};

void veld_status_set(struct veld_coord_status *status, enum veld_coord_code code,
                     const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define veld_call_fail(c, code, ...) veld_status_set((c)->status, code, __VA_ARGS__)
bool veld_call_is_ok(const struct veld_coord_call *c);
uint64_t veld_call_now_s(const struct veld_coord_call *c);
bool veld_call_is_owner(const struct veld_coord_call *c);

/* The request (veld_call_free), or NULL when it failed. */
void *veld_call_unpack(struct veld_coord_call *c, const ProtobufCMessageDescriptor *type);
void veld_call_free(void *request); /* NULL is allowed */
void veld_call_reply(struct veld_coord_call *c, const void *reply);

/* Fill in `net` and `member`; false when it failed. */
bool veld_call_enter(struct veld_coord_call *c, const ProtobufCBinaryData *network_id);
/* A membership that does not hold as it should, in words. `rc` as of veld_membership_read. */
void veld_call_fail_membership(struct veld_coord_call *c, int rc);

/*
 * May `p` have this name? False when it failed: another member has it. A member
 * whose membership has ended has none.
 */
bool veld_call_name_is_free(struct veld_coord_call *c, const char *name, const uint8_t p[32]);

/* May it be done? False when it failed. `member` NULL: about nobody in particular. */
bool veld_call_allow(struct veld_coord_call *c, enum veld_coord_act act,
                     const struct veld_membership *member);
/* The same with a network that is not here yet. */
bool veld_call_allow_in(struct veld_coord_call *c, enum veld_coord_act act,
                        const struct veld_network *network,
                        const struct veld_membership *member);
/* It is being done: the host is told after the commit. */
void veld_call_audit(struct veld_coord_call *c, enum veld_coord_act act,
                     const struct veld_membership *member);
/* Of what the server does itself. */
void veld_service_audit(struct veld_service *s, const struct veld_net *net,
                        enum veld_coord_act act, const struct veld_membership *member);

/* Bytes as protobuf-c wants them: borrowed, and not written to. */
ProtobufCBinaryData veld_pb_bytes(const void *p, size_t len);
bool veld_pb_take(const ProtobufCBinaryData *b, void *out, size_t len); /* exactly `len` */
struct veld_blob veld_pb_blob(const ProtobufCBinaryData *b);            /* borrowed */

#endif
