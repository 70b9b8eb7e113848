/*
 * One gRPC call over HTTP/2, without a connection of its own: what is asked, what
 * has come of the answer, and who is told.
 *
 * Order: new, link into its connection's list, submit once that is up, then header and data as
 * they come, and end once: it tells the handler and frees the call.
 */
#ifndef VELD_BENCH_COORD_CALL_H
#define VELD_BENCH_COORD_CALL_H

#include "coord/net.h"

#include <nghttp2/nghttp2.h>

struct call_handler {
    net_event_fn *event; /* NULL: a single reply */
    net_done_fn *done;
    void *ctx;
};

struct call {
    struct call *next, **at; /* in its connection's list; `at` NULL: in none */
    struct call_handler handler;
    char path[96];
    char auth[1024];      /* base64; empty: unsigned */
    struct veld_blob out; /* the framed message */
    size_t sent;
    struct veld_blob in; /* of the message under way, its frame included */
    size_t got, room;
    struct veld_blob reply; /* the last whole message of a single reply */
    int code;               /* gRPC's; -1: not told */
    char text[200];
};

/* NULL when out of memory. `who` NULL: unsigned. `body` is copied. */
struct call *call_new(const struct bench_member *who, const uint8_t certificate[32],
                      const char *method, const struct veld_blob *body,
                      const struct call_handler *handler);
void call_link(struct call *c, struct call **list);
void call_submit(struct call *c, nghttp2_session *h2, const char *authority);
void call_header(struct call *c, const uint8_t *name, size_t name_len, const uint8_t *value,
                 size_t value_len);
void call_data(struct call *c, const uint8_t *data, size_t len);
/* `trouble` NULL: the server ended it. */
void call_end(struct call *c, const char *trouble);

#endif
