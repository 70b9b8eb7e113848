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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_MESSAGE_HEADER_SIZE 4
#define VELD_MESSAGE_MAX         256 /* header and body, padding of a probe aside */
#define VELD_PING_TOKEN_SIZE     16
#define VELD_PROBE_SIZE          10  /* a probe without padding, and an answer */
#define VELD_REVOKED_PART_MAX    200 /* bytes of a list in one message */

enum veld_message_type {
    VELD_MSG_PING = 1,    /* body: 16-byte token; answered by a pong with the same token */
    VELD_MSG_PONG = 2,    /* body: the ping's token */
    VELD_MSG_GOODBYE = 3, /* no body: the sender is stopping and forgets its sessions */
    /* body: id 4, size 2 (of the whole message), padding up to that size; answered by PROBED */
    VELD_MSG_PROBE = 4,
    VELD_MSG_PROBED = 5, /* body: id and size of the probe that arrived */
    /* Members of a network hand its list of revoked keys on (control/mesh/spread.h). */
    VELD_MSG_REVOKED_EPOCH = 6, /* body: epoch 8 of the list the sender has */
    VELD_MSG_REVOKED_GET = 7,   /* body: epoch 8, offset 4; answered by a part, or an epoch */
    VELD_MSG_REVOKED_PART = 8,  /* body: epoch 8, total 4, offset 4, 1..200 bytes of the list */
};

struct veld_message {
    uint8_t type;
    uint8_t token[VELD_PING_TOKEN_SIZE]; /* ping and pong */
    uint32_t id;                         /* probe and probed */
    uint16_t size;                       /* the same; at least VELD_PROBE_SIZE */
    uint64_t epoch;                      /* of revocations */
    uint32_t offset, total;              /* get, part; part: offset + part_len <= total */
    const uint8_t *part; /* borrowed: of the bytes parsed, or for the call that writes */
    uint8_t part_len;    /* 1..VELD_REVOKED_PART_MAX */
};

/*
 * Bytes written, at most VELD_MESSAGE_MAX. `m->type` must be a known type. Of a
 * probe the padding is not written: whoever sends it adds it, up to `m->size`.
 */
size_t veld_message_write(uint8_t out[VELD_MESSAGE_MAX], const struct veld_message *m);

/*
 * Of `len` bytes the first VELD_MESSAGE_MAX are read: only a probe may be
 * longer, and its padding says nothing.
 * VELD_E_FORMAT when malformed; VELD_E_UNSUPPORTED when well-formed but of an
 * unknown type (to be ignored, not counted as an error).
 */
VELD_MUST_USE int veld_message_parse(const uint8_t *in, size_t len, struct veld_message *out);

/* Is it of a type that the engine leaves to whoever knows the network's members? */
bool veld_message_is_passed_on(uint8_t type);

#endif
