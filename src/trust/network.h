/*
 * A network: its id, its descriptor, and the addresses that follow from it.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_NETWORK_H
#define VELD_TRUST_NETWORK_H

#include "trust/trust.h"

struct veld_network {
    uint8_t id[VELD_NETWORK_ID_SIZE];
    uint8_t owner[32];
    char name[VELD_LABEL_MAX + 1];
    struct veld_prefix ipv4; /* masked */
    uint64_t created_s;
};

/* SHA-256("veld network" ‖ owner). */
void veld_network_id(uint8_t id[32], const uint8_t owner[32]);
/* Sign a new one with the owner's seed; `out` is an encoded Signed. */
VELD_MUST_USE int veld_network_make(struct veld_blob *out, const uint8_t owner_seed[32],
                                    const char *name, const struct veld_prefix *ipv4,
                                    uint64_t now_s);
/* VELD_E_FORMAT, VELD_E_AUTH. */
VELD_MUST_USE int veld_network_read(const uint8_t *p, size_t len, struct veld_network *out);
/* What people compare: the first 16 bytes of the id as 8 groups of 4 hex digits ("1a2b-...", 39 characters). */
#define VELD_NETWORK_TEXT_STRLEN 40
char *veld_network_text(const uint8_t id[32], char out[VELD_NETWORK_TEXT_STRLEN]);

/* May a member have it: an IPv4 address of the range, neither its first nor its last? */
bool veld_network_may_lease(const struct veld_network *n, const struct veld_ip *ip);

/* The member's IPv6 address: fd, 40 bits of SHA-256("veld prefix" ‖ id), 80 bits of SHA-256("veld address" ‖ id ‖ P). */
void veld_network_ipv6(const uint8_t id[32], const uint8_t member[32], struct veld_ip *out);
#define VELD_NETWORK_IPV6_LEN 48 /* prefix length of all members' addresses */

#endif
