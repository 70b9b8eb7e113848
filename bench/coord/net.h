/*
 * Many clients of one coord server in one thread: connections of their own, as many as
 * machines have, calls and watches on them. gRPC's wire protocol on nghttp2 and OpenSSL, since
 * they share a machine with the server: gRPC's own client takes several times as much of it.
 *
 * Order of calls: open, connect*, (call | watch)*, turn*, disconnect*, close.
 * Handlers run inside turn. One thread.
 */
#ifndef VELD_BENCH_COORD_NET_H
#define VELD_BENCH_COORD_NET_H

#include "coord/members.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;
struct connection;

/* Exits with a word when the server cannot be asked for its certificate. */
struct net *net_open(const char *address);
void net_close(struct net *n);

/* Nothing is sent until the first call, nor after an end until the next. */
struct connection *net_connect(struct net *n);
void net_disconnect(struct connection *c);

/* `code` is gRPC's; `text` its sentence, borrowed; `reply` borrowed, NULL unless `code` is 0. */
typedef void net_done_fn(void *ctx, int code, const char *text, const uint8_t *reply,
                         size_t len);
typedef void net_event_fn(void *ctx, const uint8_t *event, size_t len);

/* `who` NULL: unsigned. `body` is copied. */
void net_call(struct connection *c, const struct bench_member *who, const char *method,
              const void *body, size_t len, net_done_fn *done, void *ctx);
/* `done`, with the stream's end, comes last. */
void net_watch(struct connection *c, const struct bench_member *who, const void *body,
               size_t len, net_event_fn *event, net_done_fn *done, void *ctx);

/* Handle what has come, or wait `timeout_ms` for something. False: nothing came. */
bool net_turn(struct net *n, int timeout_ms);

#endif
