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

#include "base/addr.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_MESSAGE_HEADER_SIZE   4
#define VELD_MESSAGE_MAX           256 /* header and body, padding of a probe aside */
#define VELD_PING_TOKEN_SIZE       16
#define VELD_PROBE_SIZE            10  /* a probe without padding, and an answer */
#define VELD_REVOKED_PART_MAX      200 /* bytes of a list in one message */
#define VELD_MESSAGE_ENDPOINTS_MAX 8
#define VELD_MESSAGE_NAME_MAX      63

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
    /*
     * Where the sender may be reached; of two the greater sequence counts. body: sequence 8, then
     * 0..8 endpoints: family 1 (4 or 6), port 2, address 4 or 16
     */
    VELD_MSG_CANDIDATES = 9,
    /*
     * Circuits through a relay (control/reach/circuits.h), each known by the P of the member at
     * its other end. OPEN goes to a relay, OFFER, OPENED and REFUSED come from one.
     */
    VELD_MSG_CIRCUIT_OPEN = 10, /* body: P 32, index 4 for datagrams to the sender */
    /* body: P 32, index 4 for datagrams to the relay, state 1 (1: the other end has asked too) */
    VELD_MSG_CIRCUIT_OPENED = 11,
    VELD_MSG_CIRCUIT_OFFER = 12,   /* body: P 32, who asked for a circuit to the receiver */
    VELD_MSG_CIRCUIT_REFUSED = 13, /* body: P 32, reason 1 (enum veld_circuit_refusal) */
    VELD_MSG_CIRCUIT_CLOSE = 14,   /* body: P 32; either way */
    /*
     * What the sender wants to be called, on a LAN without a server. body: IPv4 address 4
     * (zeros: none), name 1..63 (a-z 0-9 -)
     */
    VELD_MSG_HELLO = 15,
};

/* Why a relay refuses; others are to be read as VELD_CIRCUIT_NO. */
enum veld_circuit_refusal {
    VELD_CIRCUIT_NO = 0,       /* it does not relay */
    VELD_CIRCUIT_FULL = 1,     /* as many as it takes, of this member or in all */
    VELD_CIRCUIT_UNKNOWN = 2,  /* the other end is no member it talks to */
    VELD_CIRCUIT_INDIRECT = 3, /* one of the ends reaches it by a relay only */
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
    uint64_t sequence;   /* of candidates */
    struct veld_endpoint endpoints[VELD_MESSAGE_ENDPOINTS_MAX];
    uint8_t n_endpoints;
    uint8_t pub[32]; /* of circuits */
    uint32_t index;  /* open, opened */
    uint8_t state;   /* opened: 0 or 1; refused: enum veld_circuit_refusal */
    char name[VELD_MESSAGE_NAME_MAX + 1]; /* hello: not empty */
    struct veld_ip ipv4;                  /* hello; family 0: none */
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
