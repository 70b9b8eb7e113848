/*
 * A join token: one string that lets a device in without asking anybody.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_TOKEN_H
#define VELD_TRUST_TOKEN_H

#include "trust/membership.h"

#define VELD_TOKEN_TEXT_MAX 4096 /* characters and NUL */

struct veld_token {
    char coord[VELD_COORD_TEXT_MAX];
    bool has_certificate;
    uint8_t certificate[32];
    char network[VELD_LABEL_MAX + 1];
    uint8_t network_id[32];
    uint8_t token_key[32];
    uint64_t created_s, expires_s;
    uint32_t uses;
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n_routes;
    uint32_t flags;
    uint8_t seed[32]; /* secret */
};
/*
 * What `t` says, network_id and token_key aside, signed. VELD_E_AUTH when the signer
 * has not the right, or the flags have VELD_MEMBER_ADMIN: that the owner alone gives,
 * and by name. The caller wipes `text` and `seed`.
 */
VELD_MUST_USE int veld_token_make(char text[VELD_TOKEN_TEXT_MAX],
                                  const struct veld_signer *signer,
                                  const uint8_t network_id[32], const struct veld_token *t);
/*
 * VELD_E_FORMAT when it is no token or cut short, VELD_E_AUTH when its signature
 * does not hold or the seed is another key's. Expiry is the caller's to look at.
 * The caller wipes `out`.
 */
VELD_MUST_USE int veld_token_read(const char *text, struct veld_token *out);
/*
 * The membership it gives `member` under `name`: all routes and flags of the token,
 * from `now_s` on without end, with `now_s` as its serial, or more where the member had
 * `last_serial` before (0: none known); as an encoded Chain.
 * VELD_E_RANGE when the token is over.
 */
VELD_MUST_USE int veld_token_admit(struct veld_blob *chain, const char *text,
                                   const uint8_t member[32], const char *name, uint64_t now_s,
                                   uint64_t last_serial);

#endif
