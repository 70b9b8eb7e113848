/*
 * STUN's Binding method (RFC 8489): the question "what address do I have, seen from there?", and
 * its answer. Without credentials and errors: what is not a plain request or a success is not for us.
 *
 * A request is padded to VELD_STUN_REQUEST_SIZE, and one that is shorter than its answer is not
 * answered: whoever forges the sender of a request gains nothing by it.
 *
 * Pure; any thread.
 */
#ifndef VELD_STUN_STUN_H
#define VELD_STUN_STUN_H

#include "base/addr.h"
#include "base/err.h"
#include "wire/stun.h"

#define VELD_STUN_ID_SIZE      12
#define VELD_STUN_REQUEST_SIZE 64
#define VELD_STUN_RESPONSE_MAX 44 /* of ours: a header and an IPv6 address */

enum veld_stun_kind { VELD_STUN_REQUEST, VELD_STUN_RESPONSE };

struct veld_stun {
    enum veld_stun_kind kind;
    uint8_t id[VELD_STUN_ID_SIZE];
    struct veld_endpoint mapped; /* response: where the request came from */
};

/* VELD_STUN_REQUEST_SIZE bytes. `id` is random, and of this request alone. */
void veld_stun_request_write(uint8_t out[VELD_STUN_REQUEST_SIZE],
                             const uint8_t id[VELD_STUN_ID_SIZE]);
/*
 * A Binding request, or a success response with an XOR-MAPPED-ADDRESS. VELD_E_FORMAT: malformed;
 * VELD_E_UNSUPPORTED: another method or class, a request with an attribute that must be understood
 * (credentials among them), or a response with one that is not known.
 */
VELD_MUST_USE int veld_stun_parse(const uint8_t *in, size_t len, struct veld_stun *out);
/*
 * The answer to a request that was parsed, of `request_len` bytes, from `from`. VELD_E_LIMIT when it
 * would be longer than that; VELD_E_INVAL when `from` is no IP address.
 */
VELD_MUST_USE int veld_stun_response_write(uint8_t out[VELD_STUN_RESPONSE_MAX], size_t *len,
                                           const struct veld_stun *request, size_t request_len,
                                           const struct veld_endpoint *from);

#endif
