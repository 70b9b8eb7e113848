/*
 * Bytes from a stranger to every reader of signed statements; the first byte says which.
 *
 * Whatever comes: no memory error, no leak; what is refused leaves zeros; and what is
 * taken is what was signed, since nobody makes a signature by chance.
 */
#include "trust_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Zeros where it was refused. */
static bool taken(int rc, const void *out, size_t size)
{
    require(rc == 0 || veld_is_zero(out, size));
    return rc == 0;
}

static void read_revocations(const struct world *w, const uint8_t *p, size_t len)
{
    struct veld_revocations *r;
    int rc = veld_revocations_read(p, len, w->t.network.id, w->revoked, &r);
    require((rc == 0) == (r != NULL));
    veld_revocations_free(r);
    rc = veld_revocations_read(p, len, w->t.network.id, NULL, &r);
    require((rc == 0) == (r != NULL));
    if (r) {
        struct veld_blob b = veld_revocations_bytes(r);
        require(b.len == len && memcmp(b.p, p, len) == 0);
    }
    veld_revocations_free(r);
}

static void read_token(const uint8_t *p, size_t len)
{
    struct veld_token out;
    char *text = malloc(len + 1);
    require(text != NULL);
    memcpy(text, p, len);
    text[len] = '\0';
    if (taken(veld_token_read(text, &out), &out, sizeof out))
        require(out.coord[0] && veld_label_is_valid(out.network));
    free(text);
}

static void read_chain(const struct world *w, const uint8_t *p, size_t len)
{
    struct veld_membership out;
    if (taken(veld_membership_read(p, len, w->t.network.id, w->revoked, w->t.now_s, &out), &out,
              sizeof out))
        require(strcmp(out.name, "server1") == 0 || strcmp(out.name, "admin") == 0);
}

static void read_record(const struct world *w, const uint8_t *p, size_t len)
{
    struct veld_record a, b;
    bool known = taken(veld_record_read_known(p, len, &w->t.network, &w->member.membership,
                                              w->revoked, w->t.now_s, &a),
                       &a, sizeof a);
    bool anew = taken(veld_record_read(p, len, &w->t.network, w->revoked, w->t.now_s, &b), &b,
                      sizeof b);
    require(known == anew);
    if (anew)
        require(a.sequence == b.sequence && strcmp(a.membership.name, "server1") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct world *w = world();
    struct veld_network network;
    struct veld_join_request request;
    struct veld_call call;
    struct veld_rpc_auth auth;
    static const uint8_t certificate[32] = {5};
    if (size == 0)
        return 0;
    enum raw_kind kind = data[0] % RAW_KINDS;
    /* Of exact size, for AddressSanitizer to watch. */
    size_t len = size - 1;
    uint8_t *p = malloc(len ? len : 1);
    require(p != NULL);
    memcpy(p, data + 1, len);
    switch (kind) {
    case RAW_NETWORK:
        if (taken(veld_network_read(p, len, &network), &network, sizeof network))
            require(memcmp(network.id, w->t.network.id, 32) == 0);
        break;
    case RAW_CHAIN: read_chain(w, p, len); break;
    case RAW_RECORD: read_record(w, p, len); break;
    case RAW_REVOCATIONS: read_revocations(w, p, len); break;
    case RAW_JOIN_REQUEST:
        if (taken(veld_join_request_read(p, len, &request), &request, sizeof request))
            require(memcmp(request.member, w->member.id->pub, 32) == 0);
        break;
    case RAW_TOKEN: read_token(p, len); break;
    case RAW_SIGNAL:
        if (taken(veld_signal_open(p, len, w->other, w->member.id->pub, w->t.network.id, &call),
                  &call, sizeof call))
            require(call.sequence == 1);
        break;
    default:
        if (taken(veld_rpc_verify(p, len, WORLD_METHOD, certificate, "body", 4, &auth), &auth,
                  sizeof auth))
            require(memcmp(auth.key, w->member.id->pub, 32) == 0);
    }
    free(p);
    return 0;
}
