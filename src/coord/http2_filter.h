/*
 * What of HTTP/2 (RFC 9113) may reach gRPC: a look at the heads of a client's
 * frames, before gRPC 1.51 parses them.
 *
 * That version puts no bound on a block of headers: a few megabytes of it become
 * gigabytes in memory, or seconds of copying (CVE-2023-33953). Nor does it on
 * frames that cost a client nothing (RST_STREAM: CVE-2023-44487).
 *
 * Invariant: no block of headers longer than VELD_HTTP2_HEADERS_MAX passes, no
 * frame longer than every server must take, and of frames that carry neither
 * headers nor data no more than the allowance. Once at fault, always at fault.
 * Headers and data themselves are not looked at.
 *
 * Pure; any thread, one at a time for a connection.
 */
#ifndef VELD_COORD_HTTP2_FILTER_H
#define VELD_COORD_HTTP2_FILTER_H

#include <stddef.h>
#include <stdint.h>

#define VELD_HTTP2_FRAME_MAX   16384 /* of the payload: SETTINGS_MAX_FRAME_SIZE's initial value */
#define VELD_HTTP2_HEADERS_MAX 4096 /* compressed, CONTINUATIONs included */
#define VELD_HTTP2_IDLE_BURST  2000 /* frames without headers or data, at once */
#define VELD_HTTP2_IDLE_RATE   200  /* and a second on and on */

enum veld_http2_fault {
    VELD_HTTP2_OK,
    VELD_HTTP2_PREFACE,  /* not HTTP/2 */
    VELD_HTTP2_FRAME,    /* too long, or not where it may be */
    VELD_HTTP2_HEADERS,  /* a block too long */
    VELD_HTTP2_TOO_MANY, /* idle frames */
    VELD_HTTP2_FAULTS
};
/* "preface", "frame", "headers", "too_many". */
const char *veld_http2_fault_name(enum veld_http2_fault fault);

/* Zeroed: a connection that has sent nothing. */
struct veld_http2_filter {
    enum veld_http2_fault fault;
    uint32_t preface; /* its bytes that came */
    uint8_t head[9];
    uint32_t have;     /* bytes of `head` */
    uint32_t left;     /* of the payload */
    uint32_t block;    /* bytes of a block of headers that is not at its end */
    uint8_t in_block;  /* CONTINUATION must follow */
    uint32_t spent;    /* of the allowance */
    uint64_t as_of_ns; /* `spent` */
};

/* The next bytes of a connection. */
enum veld_http2_fault veld_http2_filter(struct veld_http2_filter *f, const uint8_t *p,
                                        size_t len, uint64_t now_ns);

#endif
