/*
 * A network of made-up members, each with a key, a membership signed by the
 * owner and a record, and the encoded requests they make.
 *
 * One thread. What is returned is the caller's to free.
 */
#ifndef VELD_BENCH_COORD_MEMBERS_H
#define VELD_BENCH_COORD_MEMBERS_H

#include "trust/network.h"
#include "trust/trust.h"

struct bench_member {
    uint8_t seed[32], pub[32];
    unsigned number;
};

struct bench_network {
    struct bench_member owner;
    struct veld_blob signed_network;
    struct veld_network network;
};

/* A new network, with keys of its own. */
void bench_network_make(struct bench_network *n);
/* Member `number` of it, the same whenever asked. */
void bench_member_make(const struct bench_network *n, unsigned number, struct bench_member *m);

/* Encoded requests. */
struct veld_blob bench_create_network(const struct bench_network *n);
/* With a record whose IPv4 address is the member's own by its number: one call registers. */
struct veld_blob bench_register(const struct bench_network *n, const struct bench_member *m);
struct veld_blob bench_watch(const struct bench_network *n, uint64_t from_revision);

/* What matters of an encoded WatchEvent. */
struct bench_event {
    uint64_t revision;
    bool synced, reset;
    size_t members;
    uint8_t last[32]; /* P of the last member in it */
};
/* False when it is none. */
bool bench_event_read(const uint8_t *p, size_t len, struct bench_event *out);
/* The revision in an encoded RegisterReply, and whether the record was published. */
bool bench_registered(const uint8_t *p, size_t len, uint64_t *revision);

#endif
