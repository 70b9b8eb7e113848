/*
 * In-session control messages: the plaintext of a data datagram whose flag
 * VELD_FLAG_CONTROL is set. They are authenticated by the session.
 *
 *   byte 0     type
 *   byte 1     version, 1
 *   bytes 2-3  body length; the message is exactly 4 + body bytes
 *
 * A message of an unknown type is well-formed and ignored, so that later
 * versions can add types. Pure; any thread.
 */
#ifndef VELD_WIRE_MESSAGE_H
#define VELD_WIRE_MESSAGE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define VELD_MESSAGE_HEADER_SIZE 4
#define VELD_MESSAGE_MAX         256 /* header and body */
#define VELD_PING_TOKEN_SIZE     16

enum veld_message_type {
    VELD_MSG_PING = 1,    /* body: 16-byte token; answered by a pong with the same token */
    VELD_MSG_PONG = 2,    /* body: the ping's token */
    VELD_MSG_GOODBYE = 3, /* no body: the sender is stopping and forgets its sessions */
};

struct veld_message {
    uint8_t type;
    uint8_t token[VELD_PING_TOKEN_SIZE]; /* ping and pong */
};

/* Bytes written, at most VELD_MESSAGE_MAX. `m->type` must be a known type. */
size_t veld_message_write(uint8_t out[VELD_MESSAGE_MAX], const struct veld_message *m);

/*
 * VELD_E_FORMAT when malformed; VELD_E_UNSUPPORTED when well-formed but of an
 * unknown type (to be ignored, not counted as an error).
 */
VELD_MUST_USE int veld_message_parse(const uint8_t *in, size_t len, struct veld_message *out);

#endif
