/*
 * STUN's Binding method (RFC 8489): the question "what address do I have, seen from there?", and
 * its answer. The messages are read and written by libnice's codec, and only here is it known.
 *
 * A request is padded to VELD_STUN_REQUEST_SIZE, and one that is shorter than its answer is not
 * answered: whoever forges the sender of a request gains nothing by it.
 *
 * Pure: no socket, no clock. Any thread, one at a time a codec.
 */
#ifndef VELD_STUN_STUN_H
#define VELD_STUN_STUN_H

#include "base/addr.h"
#include "base/err.h"
#include "wire/stun.h"

#define VELD_STUN_ID_SIZE      12
#define VELD_STUN_REQUEST_SIZE 64 /* no answer of ours is longer */

enum veld_stun_kind { VELD_STUN_REQUEST, VELD_STUN_RESPONSE };

struct veld_stun {
    enum veld_stun_kind kind;
    uint8_t id[VELD_STUN_ID_SIZE];
    struct veld_endpoint mapped; /* response: where the request came from */
};

/* A request with this id, which is random. Returns its size. */
size_t veld_stun_request_write(uint8_t out[VELD_STUN_MAX], const uint8_t id[VELD_STUN_ID_SIZE]);
/*
 * What came: a Binding request, or a success response with an address in it. VELD_E_FORMAT for what
 * is malformed; VELD_E_UNSUPPORTED for other methods and classes, and for requests with
 * comprehension-required attributes that are not known.
 */
VELD_MUST_USE int veld_stun_parse(const uint8_t *in, size_t len, struct veld_stun *out);
/*
 * The answer to a request of `request_len` bytes from `from`. VELD_E_LIMIT when it would be longer
 * than that.
 */
VELD_MUST_USE int veld_stun_response_write(uint8_t out[VELD_STUN_MAX], size_t *len,
                                           const uint8_t *request, size_t request_len,
                                           const struct veld_endpoint *from);

#endif
