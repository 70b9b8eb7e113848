/*
 * What follows from a key on a LAN without a server: the network's id from its secret, a
 * machine's IPv4 address and its name until it has told one from its P.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_LAN_DERIVE_H
#define VELD_CONTROL_LAN_DERIVE_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_LAN_IPV4_LEN    16 /* 10.100.0.0/16 */
#define VELD_LAN_NAME_GROUPS 5 /* of four digits: 80 bits, which nobody finds another key for */
#define VELD_LAN_NAME_STRLEN (1 + 5 * VELD_LAN_NAME_GROUPS) /* "k7f3a-91c2-..." and NUL */

/* HMAC-SHA256(secret, "veld lan network"); `secret` NULL: of 32 zeros. */
void veld_lan_network_id(uint8_t id[32], const uint8_t secret[32]);
/* In 10.100.0.0/16, neither its first nor its last: 16 bits of SHA-256("veld lan address" ‖ P). */
struct veld_ip veld_lan_ipv4(const uint8_t pub[32]);
/* "k" and the first 20 digits of the fingerprint. Returns `out`. */
const char *veld_lan_name(const uint8_t pub[32], char out[VELD_LAN_NAME_STRLEN]);
/* Is it of that form? */
bool veld_lan_name_is_derived(const char *name);

#endif
