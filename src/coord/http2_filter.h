/*
 * What of HTTP/2 (RFC 9113) may reach gRPC: a look at the heads of a client's
 * frames, before gRPC 1.51 parses them.
 *
 * That version puts no bound on a block of headers: a few megabytes of it become
 * gigabytes in memory, or seconds of copying (CVE-2023-33953). It gathers a whole
 * message before it looks whether it is too long, up to 4 GB. Nor is there a bound
 * on frames that cost a client nothing (RST_STREAM: CVE-2023-44487).
 *
 * Invariant: no block of headers longer than VELD_HTTP2_HEADERS_MAX passes, nor
 * one of more than VELD_HTTP2_FIELDS_MAX fields, no frame longer than every server must take, of HEADERS and of frames that carry
 * neither headers nor data no more than the allowances, and of data that is not at its
 * stream's end no more than VELD_HTTP2_DATA_MAX, on VELD_HTTP2_STREAMS_MAX streams.
 * Once at fault, always at fault. What headers and data say is not looked at.
 *
 * Pure; any thread, one at a time for a connection.
 */
#ifndef VELD_COORD_HTTP2_FILTER_H
#define VELD_COORD_HTTP2_FILTER_H

#include "coord/hpack_count.h"

#include <stddef.h>
#include <stdint.h>

#define VELD_HTTP2_FRAME_MAX   16384 /* of the payload: SETTINGS_MAX_FRAME_SIZE's initial value */
#define VELD_HTTP2_HEADERS_MAX 4096       /* compressed, CONTINUATIONs included */
#define VELD_HTTP2_DATA_MAX    (1u << 21) /* of all streams whose requests are not whole */
#define VELD_HTTP2_STREAMS_MAX 32         /* such streams, of requests in several frames */
#define VELD_HTTP2_FIELDS_MAX  64         /* of a block */
#define VELD_HTTP2_CALLS_BURST 512        /* HEADERS, at once */
#define VELD_HTTP2_CALLS_RATE  20000      /* and a second on and on */
#define VELD_HTTP2_IDLE_BURST  2000       /* frames without headers or data, at once */
#define VELD_HTTP2_IDLE_RATE   200        /* and a second on and on */
#define VELD_HTTP2_IDLE_CALL   8          /* and of each whole request: what answers take */

enum veld_http2_fault {
    VELD_HTTP2_OK,
    VELD_HTTP2_PREFACE,  /* not HTTP/2 */
    VELD_HTTP2_FRAME,    /* too long, or not where it may be */
    VELD_HTTP2_HEADERS,  /* a block too long, of too many fields, or none */
    VELD_HTTP2_DATA,     /* of requests that are not whole too much */
    VELD_HTTP2_TOO_MANY, /* frames of a kind */
    VELD_HTTP2_FAULTS
};
/* "preface", "frame", "headers", "data", "too_many". */
const char *veld_http2_fault_name(enum veld_http2_fault fault);

/* Zeroed: a connection that has sent nothing. */
struct veld_http2_filter {
    enum veld_http2_fault fault;
    uint32_t preface; /* its bytes that came */
    uint8_t head[9];
    uint8_t in_block;               /* CONTINUATION must follow */
    uint8_t is_block;               /* this payload is of a block */
    uint32_t have;                  /* bytes of `head` */
    uint32_t left;                  /* of the payload */
    uint32_t block;                 /* bytes of the block of headers */
    uint32_t skip;                  /* of the payload, before the block: a priority */
    uint32_t gathered;              /* data of requests that are not whole */
    struct veld_hpack_count fields; /* of the block */
    struct veld_http2_spent {
        uint32_t n;
        uint64_t as_of_ns;
    } calls, idle; /* of the allowances */
    struct {
        uint32_t stream; /* 0: none */
        uint32_t bytes;
    } open[VELD_HTTP2_STREAMS_MAX]; /* the streams of requests that are not whole */
};

/* The next bytes of a connection. */
enum veld_http2_fault veld_http2_filter(struct veld_http2_filter *f, const uint8_t *p,
                                        size_t len, uint64_t now_ns);

#endif
