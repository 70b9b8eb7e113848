/*
 * The outer datagrams of protocol version 1: sizes, layouts, and one parser
 * each. docs/PROTOCOL.md says what the fields mean.
 *
 *   byte 0     type        0xC1 initiation .. 0xC4 data; all >= 0xC0, so that
 *                          STUN (first byte 0..3) can share the port
 *   byte 1     flags       data only, else 0
 *   byte 2     lane        data; of a relayed datagram, that of the one inside; else 0
 *   byte 3     version     1
 *   bytes 4-7  index       as its reader assigned it; in an initiation the sender's own
 *   bytes 8-15 counter     data; in a response bytes 8-11 are the responder's own index
 *
 * Invariant: a parser accepts exactly the lengths and zero fields of its type
 * and touches nothing beyond `len`. Pure; any thread.
 */
#ifndef VELD_WIRE_DATAGRAM_H
#define VELD_WIRE_DATAGRAM_H

#include "base/drop.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_PROTOCOL_VERSION 1

enum veld_datagram_type {
    VELD_INITIATION = 0xC1,
    VELD_RESPONSE = 0xC2,
    VELD_COOKIE_REPLY = 0xC3,
    VELD_DATA = 0xC4,
    VELD_RELAYED = 0xC5, /* a header, and behind it one whole datagram of another type */
};

enum veld_data_flag {
    VELD_FLAG_PARTIAL_CSUM = 1 << 0, /* L4 checksum holds the pseudo-header sum only */
    VELD_FLAG_SEGMENT = 1 << 1,      /* one segment of a super-packet */
    VELD_FLAG_CONTINUES = 1 << 2,    /* continues the previous counter's segment */
    VELD_FLAG_CONTROL = 1 << 3,      /* payload is an in-session control message */
    VELD_FLAGS_KNOWN = 0x0f,
};

/* Sizes in bytes. */
#define VELD_HEADER_SIZE             16
#define VELD_TAG_SIZE                16
#define VELD_MAC_SIZE                16
#define VELD_KEY_SIZE                32
#define VELD_INITIATION_PAYLOAD_SIZE 48 /* P 32, timestamp 8, lanes 1, zero 3, features 4 */
#define VELD_RESPONSE_PAYLOAD_SIZE   8  /* lanes 1, zero 3, features 4 */
#define VELD_INITIATION_SIZE         (16 + 32 + (32 + 16) + (48 + 16) + 16 + 16) /* 192 */
#define VELD_RESPONSE_SIZE           (16 + 32 + (8 + 16) + 16 + 16)              /* 104 */
#define VELD_COOKIE_NONCE_SIZE       24
#define VELD_COOKIE_SIZE             16
#define VELD_COOKIE_REPLY_SIZE       (16 + 24 + (16 + 16)) /* 72 */
#define VELD_DATA_OVERHEAD           (VELD_HEADER_SIZE + VELD_TAG_SIZE)
#define VELD_RELAYED_OVERHEAD        VELD_HEADER_SIZE
#define VELD_RELAYED_MIN                                                                       \
    (VELD_RELAYED_OVERHEAD + VELD_DATA_OVERHEAD) /* what is inside is checked by itself */
#define VELD_HANDSHAKE_MAX VELD_INITIATION_SIZE
#define VELD_LANES_MAX     64

/* Offsets within the handshake messages. */
#define VELD_NOISE_OFFSET               VELD_HEADER_SIZE /* the Noise message starts here */
#define VELD_INITIATION_MAC1_OFFSET     (VELD_INITIATION_SIZE - 32)
#define VELD_RESPONSE_MAC1_OFFSET       (VELD_RESPONSE_SIZE - 32)
#define VELD_COOKIE_REPLY_NONCE_OFFSET  16
#define VELD_COOKIE_REPLY_SEALED_OFFSET 40

struct veld_header {
    uint8_t type, flags, lane;
    uint32_t index;
    uint64_t counter;         /* data only */
    uint32_t responder_index; /* response only */
};

/* Write the 16 bytes of `h`; the fields its type does not have are written as zero. */
void veld_header_write(uint8_t out[VELD_HEADER_SIZE], const struct veld_header *h);

/*
 * Parse and check a datagram's header and its length by type. True, or false
 * with the reason to count it under in `drop`; `out` is then untouched.
 */
VELD_MUST_USE bool veld_header_parse(const uint8_t *datagram, size_t len,
                                     struct veld_header *out, enum veld_drop *drop);

/* The header before a datagram that takes its way through a relay. */
struct veld_relayed {
    uint8_t lane; /* of the datagram behind it */
    uint32_t index;
};

void veld_relayed_write(uint8_t out[VELD_RELAYED_OVERHEAD], const struct veld_relayed *h);
/* As veld_header_parse, of a datagram of type VELD_RELAYED; what is inside is parsed by itself. */
VELD_MUST_USE bool veld_relayed_parse(const uint8_t *datagram, size_t len,
                                      struct veld_relayed *out, enum veld_drop *drop);
/* Whether a datagram of this type may be inside: never another relayed one. */
static inline bool veld_is_relayable(uint8_t type)
{
    return type >= VELD_INITIATION && type <= VELD_DATA;
}

struct veld_initiation_payload {
    uint8_t identity[VELD_KEY_SIZE]; /* initiator's Ed25519 P */
    uint64_t timestamp_ns;           /* since the epoch; strictly increasing per device */
    uint8_t lanes;                   /* 1..64: lanes the initiator can receive on */
    uint32_t features;               /* unknown bits are ignored */
};

struct veld_response_payload {
    uint8_t lanes; /* 1..offered: lanes both sides use */
    uint32_t features;
};

void veld_initiation_payload_write(uint8_t out[VELD_INITIATION_PAYLOAD_SIZE],
                                   const struct veld_initiation_payload *p);
/* VELD_E_FORMAT on lanes out of 1..64 or a non-zero reserved byte. */
VELD_MUST_USE int veld_initiation_payload_parse(const uint8_t in[VELD_INITIATION_PAYLOAD_SIZE],
                                                struct veld_initiation_payload *out);
void veld_response_payload_write(uint8_t out[VELD_RESPONSE_PAYLOAD_SIZE],
                                 const struct veld_response_payload *p);
VELD_MUST_USE int veld_response_payload_parse(const uint8_t in[VELD_RESPONSE_PAYLOAD_SIZE],
                                              struct veld_response_payload *out);

#endif
