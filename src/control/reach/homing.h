/*
 * This machine's home relays: those it stays connected with because peers may not be able to
 * reach it otherwise. They stand in its record and its calls; whoever looks for it asks there.
 *
 * When homes are missing a look is made: some relays are called, and those with the shortest
 * round trips are kept. One that has been without a session for VELD_HOMING_LOST_NS is given up.
 *
 * Order of calls: new; run twice a second. Pure: times are passed in, > 0. Control thread.
 */
#ifndef VELD_CONTROL_REACH_HOMING_H
#define VELD_CONTROL_REACH_HOMING_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_HOMES_MAX          2
#define VELD_HOMING_LOOK_MAX    4 /* relays called in one look */
#define VELD_HOMING_LOOK_NS     (2 * VELD_NS_PER_S)
#define VELD_HOMING_LOST_NS     (10 * VELD_NS_PER_S)
#define VELD_HOMING_ALL_NS      (2 * VELD_NS_PER_S) /* there was nobody to call: all are homes */
#define VELD_HOMING_AGAIN_NS    (60 * VELD_NS_PER_S)  /* to the next look, without any home */
#define VELD_HOMING_ONE_MORE_NS (600 * VELD_NS_PER_S) /* with fewer than wished */
#define VELD_HOMING_KEEPALIVE_S 25                    /* what keeps a NAT's mapping */

struct veld_homing_ops {
    void *ctx;
    /* Relays to call, likeliest first; how many. */
    size_t (*look)(void *ctx, uint32_t out[VELD_HOMING_LOOK_MAX]);
    /* Of a session with it at an address; 0: there is none. */
    uint64_t (*rtt_ns)(void *ctx, uint32_t relay);
    bool (*is_relay)(void *ctx, uint32_t id);
    void (*call)(void *ctx, uint32_t relay);
    /* The connection is kept from now on, and no longer. */
    void (*keep)(void *ctx, uint32_t relay);
    void (*leave)(void *ctx, uint32_t relay);
    void (*on_change)(void *ctx);
};

struct veld_homing;
struct veld_homing *veld_homing_new(const struct veld_homing_ops *ops); /* copied */
void veld_homing_free(struct veld_homing *h);                           /* NULL is allowed */

enum veld_homing_need { VELD_HOMING_NOT_NEEDED, VELD_HOMING_NEEDED };
void veld_homing_run(struct veld_homing *h, enum veld_homing_need need, uint64_t now_ns);
/* Those there are, in the order they were found. */
size_t veld_homing_get(const struct veld_homing *h, uint32_t out[VELD_HOMES_MAX]);
/* It is removed or blocked; `leave` is not called. */
void veld_homing_peer_gone(struct veld_homing *h, uint32_t id);

#endif
