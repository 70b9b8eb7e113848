/*
 * The client's inside: the connection, its thread, the calls under way.
 *
 * A call under way is a `struct veld_rpc_op`, owned by the client's list from
 * its start until its last callback has returned. Only the client's thread ends
 * one. What gRPC fills (`received`, `status`, ...) belongs to that thread.
 */
#ifndef VELD_RPC_CLIENT_IMPL_H
#define VELD_RPC_CLIENT_IMPL_H

#include "rpc/client_grpc.h"
#include "rpc/client_pin.h"
#include "rpc/client.h"
#include "trust/rpc_auth.h"

#include <pthread.h>

#define VELD_RPC_OPS_MAX 256 /* calls under way at a time */

struct veld_rpc_op;

/* What gRPC gives back when a batch is done. */
struct veld_rpc_tag {
    struct veld_rpc_op *op;
    void (*done)(struct veld_rpc_op *op);
};

struct veld_rpc_op {
    struct veld_rpc_op *prev, *next; /* under the client's lock */
    uint64_t id;                     /* never used again */
    struct veld_rpc_client *client;
    grpc_call *call;
    uint8_t certificate[32]; /* that the signature names */

    /* To be told. */
    veld_rpc_done_fn *done;
    void *ctx;

    /* Sent; kept until the end. */
    grpc_metadata auth; /* key and value */
    bool is_signed;
    grpc_byte_buffer *body;

    /* Received. */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice details;
    bool broken; /* a message came that cannot be read */

    struct veld_rpc_tag whole; /* of the batch that ends with the status */
};

struct veld_rpc_client {
    char address[VELD_COORD_TEXT_MAX];
    struct veld_rpc_pin *pin;
    grpc_channel *channel;
    grpc_completion_queue *queue;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t idle;     /* n_ops has become 0 */
    struct veld_rpc_op *ops; /* may be cancelled; any order */
    size_t n_ops;            /* not freed yet */
    uint64_t next_id;
    bool closing;
};

/* ---- client_op.c: what calls and streams have in common ---- */

#define VELD_RPC_SENDS 3 /* operations that send a request */

/* How to start one. */
struct veld_rpc_plan {
    const struct veld_rpc_key *key;
    const char *method;
    const void *body;
    size_t len;
    int timeout_ms; /* 0: none */
    /* Start the batches, under the client's lock: the client's thread looks at none before it returns. */
    int (*begin)(struct veld_rpc_op *op);
};
/*
 * `op`, zeroed but for what is to be told, is the client's from here on: freed on
 * failure, and by veld_rpc_op_end otherwise. `id` (NULL: not wanted) is written
 * before anything is told.
 */
VELD_MUST_USE int veld_rpc_op_start(struct veld_rpc_client *c, struct veld_rpc_op *op,
                                    const struct veld_rpc_plan *plan, uint64_t *id);
/* The operations that send it all. */
void veld_rpc_op_sends(struct veld_rpc_op *op, grpc_op ops[VELD_RPC_SENDS]);
VELD_MUST_USE int veld_rpc_op_batch(struct veld_rpc_op *op, const grpc_op *ops, size_t n,
                                    struct veld_rpc_tag *tag);
/* All bytes of what was received, which is given back; `*whole` is the caller's to unref. */
VELD_MUST_USE int veld_rpc_op_take(struct veld_rpc_op *op, grpc_slice *whole);
/* Tell how it ended, and free it. The client's thread. */
void veld_rpc_op_end(struct veld_rpc_op *op);

/* ---- client_status.c: how a call ended, for people ---- */

/* `status`, `err` and `text` from what gRPC said; the text lies in `diag`. */
void veld_rpc_status(const struct veld_rpc_op *op, struct veld_rpc_result *r,
                     struct veld_diag *diag);

/* ---- client_thread.c ---- */

VELD_MUST_USE int veld_rpc_thread_start(struct veld_rpc_client *c, struct veld_diag *diag);
/* Cancels what is under way, waits for its end, and ends the thread. */
void veld_rpc_thread_stop(struct veld_rpc_client *c);

#endif
