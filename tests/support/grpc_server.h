/*
 * A server of gRPC for tests, in this process, over TLS on 127.0.0.1. What it
 * answers, a function says:
 *
 *     static void answer(void *ctx, const struct grpc_test_call *call,
 *                        struct grpc_test_answer *a);
 *
 * Order: start, stop. The function runs on the server's own thread.
 */
#ifndef VELD_TESTS_GRPC_SERVER_H
#define VELD_TESTS_GRPC_SERVER_H

#include "test_certificate.h"
#include "trust/trust.h"

#include <grpc/grpc.h>
#include <stdbool.h>

/* What was asked; borrowed. */
struct grpc_test_call {
    const char *method;  /* "/veld.coord.v1.Coord/Echo" */
    const uint8_t *auth; /* metadata veld-auth-bin; NULL: none */
    size_t auth_len;
    const uint8_t *body;
    size_t len;
};

/* Messages, then a status: zeroed, OK without a message. */
struct grpc_test_answer {
    struct veld_blob message;
    unsigned times; /* it is sent; UINT_MAX: until the client gives up */
    bool hang;      /* no status until the client gives up */
    bool compress;
    grpc_status_code code;
    char text[8192];
};
typedef void grpc_test_answer_fn(void *ctx, const struct grpc_test_call *call,
                                 struct grpc_test_answer *a);

struct grpc_test_server;
/* Port 0: any. NULL when it is taken. */
struct grpc_test_server *grpc_test_server_start(const struct test_certificate *certificate,
                                                int port, grpc_test_answer_fn *answer,
                                                void *ctx);
/* All calls end, and all connections. `is_last`: no client is open any more; gRPC ends too. */
void grpc_test_server_stop(struct grpc_test_server *s, bool is_last);
int grpc_test_server_port(const struct grpc_test_server *s);
/* Calls whose end has not come yet. */
unsigned grpc_test_server_open_calls(struct grpc_test_server *s);

/*
 * By the last part of the method's name: Echo, Auth (the metadata back), Fail (the body is
 * a code and a text), Big (the body is a size, 4 bytes in host order), Empty, Nothing (OK
 * without a message), Slow (no answer), Three (the body three times, then OK), Broken (twice,
 * then ABORTED), Endless, Packed (compressed).
 */
void grpc_test_answer(void *ctx, const struct grpc_test_call *call, struct grpc_test_answer *a);

#endif
