#include "trust/join_request.h"

#include "crypto/primitives.h"
#include "trust/signed.h"

#include <string.h>

typedef Veld__Trust__V1__JoinRequest pb_join_request;

int veld_join_request_sign(struct veld_blob *out, const uint8_t seed[32],
                           const struct veld_join_request *r)
{
    struct veld_wire_routes routes;
    struct veld_join_request made;
    char name[VELD_LABEL_MAX + 1];
    pb_join_request body = VELD__TRUST__V1__JOIN_REQUEST__INIT;
    veld_blob_clear(out);
    if (r->n_routes > VELD_MEMBER_ROUTES_MAX || !veld_wire_take_label(r->name, name))
        return VELD_E_FORMAT;
    body.network_id = veld_wire_bytes(r->network_id, 32);
    body.member = veld_wire_bytes(r->member, 32);
    body.name = name;
    body.n_routes = r->n_routes;
    body.routes = veld_wire_put_routes(&routes, r->routes, r->n_routes);
    body.relay = r->relay;
    body.created = r->created_s;
    int rc = veld_signed_make(out, VELD_PURPOSE_JOIN_REQUEST, seed, &body);
    if (rc == 0)
        rc = veld_join_request_read(out->p, out->len, &made);
    if (rc < 0)
        veld_blob_clear(out);
    return rc;
}

static int from_body(const pb_join_request *b, const uint8_t signer[32],
                     struct veld_join_request *r)
{
    if (!veld_wire_take(&b->network_id, r->network_id, 32) ||
        !veld_wire_take_member(&b->member, r->member) ||
        !veld_wire_take_label(b->name, r->name) ||
        !veld_wire_take_routes(b->routes, b->n_routes, r->routes, &r->n_routes))
        return VELD_E_FORMAT;
    r->relay = b->relay;
    r->created_s = b->created;
    return memcmp(r->member, signer, 32) == 0 ? 0 : VELD_E_AUTH;
}

int veld_join_request_read(const uint8_t *p, size_t len, struct veld_join_request *out)
{
    uint8_t signer[32];
    void *body;
    memset(out, 0, sizeof *out);
    int rc = veld_signed_open(p, len, VELD_PURPOSE_JOIN_REQUEST,
                              &veld__trust__v1__join_request__descriptor, &body, signer);
    if (rc == 0)
        rc = from_body(body, signer, out);
    if (rc < 0)
        memset(out, 0, sizeof *out);
    veld_wire_free(body);
    return rc;
}

/* ---- the code ---- */

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void veld_join_code(const uint8_t network_id[32], const uint8_t member[32],
                    char out[VELD_JOIN_CODE_STRLEN])
{
    static const char what[] = "veld join";
    uint8_t hash[32];
    veld_sha256(hash,
                (struct veld_bytes[]){{what, sizeof what - 1}, {network_id, 32}, {member, 32}},
                3);
    for (unsigned i = 1; i < VELD_JOIN_CODE_ROUNDS; i++)
        veld_sha256(hash, &(struct veld_bytes){hash, sizeof hash}, 1);
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; i++)
        bits = bits << 8 | hash[i];
    char *to = out;
    for (unsigned i = 0; i < 8; i++) {
        if (i == 4)
            *to++ = '-';
        *to++ = crockford[bits >> (35 - 5 * i) & 31];
    }
    *to = '\0';
}

/* The digit that somebody meant, or NUL. */
static char digit_of(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == 'O')
        return '0';
    if (c == 'I' || c == 'L')
        return '1';
    return strchr(crockford, c) ? c : '\0'; /* NUL is its end */
}

bool veld_join_code_matches(const char *typed, const char code[VELD_JOIN_CODE_STRLEN])
{
    for (; *code; code++) {
        if (*code == '-') {
            typed += *typed == '-';
            continue;
        }
        if (digit_of(*typed) != *code)
            return false;
        typed++;
    }
    return *typed == '\0';
}
