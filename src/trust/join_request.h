/*
 * Asking to be let in, and the code by which two people know that they mean the same request.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_JOIN_REQUEST_H
#define VELD_TRUST_JOIN_REQUEST_H

#include "trust/trust.h"

struct veld_join_request {
    uint8_t network_id[32];
    uint8_t member[32];
    char name[VELD_LABEL_MAX + 1];
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n_routes;
    bool relay; /* it would like to */
    uint64_t created_s;
};
VELD_MUST_USE int veld_join_request_sign(struct veld_blob *out, const uint8_t seed[32],
                                         const struct veld_join_request *r);
VELD_MUST_USE int veld_join_request_read(const uint8_t *p, size_t len,
                                         struct veld_join_request *out);
/*
 * "4F7K-Q2M9": the first 40 bits, in Crockford's base32, of SHA-256("veld join" ‖
 * network id ‖ P), hashed again until it was hashed 2^16 times: some 15 ms, so that
 * nobody finds another key with the same code while people wait.
 */
#define VELD_JOIN_CODE_STRLEN 10
#define VELD_JOIN_CODE_ROUNDS 65536
void veld_join_code(const uint8_t network_id[32], const uint8_t member[32],
                    char out[VELD_JOIN_CODE_STRLEN]);
/* As typed: any case, with or without the hyphen, O for 0, I and L for 1. */
bool veld_join_code_matches(const char *typed, const char code[VELD_JOIN_CODE_STRLEN]);

#endif
