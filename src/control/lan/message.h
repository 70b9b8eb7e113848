/*
 * Whether an mDNS message may go on to Avahi: one that is as long as its records say, and has no
 * alias among them. Avahi 0.8 follows aliases without an end, and asserts that there are none
 * where there may be some (CVE-2025-68468, CVE-2025-68471): one datagram ends the process.
 * Nobody needs them: no responder sends a CNAME by itself.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_LAN_MESSAGE_H
#define VELD_CONTROL_LAN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_LAN_MESSAGE_MAX 9000 /* RFC 6762, section 17, with its headers */

bool veld_lan_message_is_plain(const uint8_t *p, size_t len);

#endif
