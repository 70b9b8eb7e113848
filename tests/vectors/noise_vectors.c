/*
 * noise-vectors FILE: handshakes in cacophony's JSON format, of the patterns IK
 * and IKpsk2 over 25519, ChaChaPoly, SHA256; other protocols are skipped.
 *
 * Each side is run by itself against the file: what it writes must be the
 * vector's ciphertext, what it reads must yield the vector's payload. A side
 * runs as far as the file's secrets carry it. The first two messages are the
 * handshake; the others travel under the split keys, the initiator's first.
 */
#include "crypto/noise.h"
#include "crypto/primitives.h"
#include "vectors.h"

#include <stdio.h>
#include <string.h>

#define INITIATION_OVERHEAD 96
#define RESPONSE_OVERHEAD   48
#define TAG_LEN             16

struct message {
    struct bytes payload, ciphertext;
};

struct vector {
    enum veld_noise_pattern pattern;
    struct bytes static_key[2], ephemeral[2], psk[2], prologue[2]; /* by role; p NULL: none */
    struct bytes remote_static[2]; /* the other side's, by role */
    struct bytes hash;
    struct message *messages;
    size_t message_count;
};

static const char *const role_name[] = {"initiator", "responder"};

/* ---- parsing ---- */

static bool parse_pattern(json_t *v, enum veld_noise_pattern *out)
{
    json_t *name = json_object_get(v, "protocol_name");
    const char *text = json_string_value(name ? name : json_object_get(v, "name"));
    if (!text)
        vectors_unusable("a vector has no protocol_name");
    if (strcmp(text, "Noise_IK_25519_ChaChaPoly_SHA256") == 0)
        *out = VELD_NOISE_IK;
    else if (strcmp(text, "Noise_IKpsk2_25519_ChaChaPoly_SHA256") == 0)
        *out = VELD_NOISE_IKPSK2;
    else
        return false;
    return true;
}

static struct bytes optional_key(json_t *v, const char *name)
{
    struct bytes b = {0};
    if (vectors_hex_if_any(v, name, &b) && b.len != 32)
        vectors_unusable("\"%s\" is not 32 bytes", name);
    return b;
}

static struct bytes optional_psk(json_t *v, const char *name)
{
    json_t *psks = json_object_get(v, name);
    if (!psks || json_array_size(psks) == 0)
        return (struct bytes){0};
    if (json_array_size(psks) != 1)
        vectors_unusable("\"%s\" has more than the one psk of IKpsk2", name);
    json_t *wrapped = json_pack("{s:O}", name, json_array_get(psks, 0));
    struct bytes b = optional_key(wrapped, name);
    json_decref(wrapped);
    return b;
}

static struct bytes optional_bytes(json_t *v, const char *name)
{
    struct bytes b = {0};
    vectors_hex_if_any(v, name, &b);
    return b;
}

/* What the file gives for one side only is meant for both. */
static void share(struct bytes both[2])
{
    for (unsigned role = 0; role < 2; role++)
        if (!both[role].p)
            both[role] = both[!role];
}

static struct vector parse_vector(json_t *v, enum veld_noise_pattern pattern)
{
    struct vector out = {
        .pattern = pattern,
        .static_key = {optional_key(v, "init_static"), optional_key(v, "resp_static")},
        .ephemeral = {optional_key(v, "init_ephemeral"), optional_key(v, "resp_ephemeral")},
        .prologue = {optional_bytes(v, "init_prologue"), optional_bytes(v, "resp_prologue")},
        .remote_static = {optional_key(v, "init_remote_static"),
                          optional_key(v, "resp_remote_static")},
        .hash = optional_key(v, "handshake_hash")};
    if (pattern == VELD_NOISE_IKPSK2) {
        out.psk[0] = optional_psk(v, "init_psks");
        out.psk[1] = optional_psk(v, "resp_psks");
        share(out.psk);
    }
    share(out.prologue);
    for (unsigned role = 0; role < 2; role++)
        if (!out.remote_static[role].p && out.static_key[!role].p) {
            out.remote_static[role] = vectors_alloc(32);
            veld_x25519_public(out.remote_static[role].p, out.static_key[!role].p);
        }

    size_t i;
    json_t *m, *messages = vectors_array(v, "messages");
    out.message_count = json_array_size(messages);
    out.messages = (void *)vectors_alloc(out.message_count * sizeof out.messages[0]).p;
    json_array_foreach(messages, i, m)
    {
        out.messages[i].payload = vectors_hex(m, "payload");
        out.messages[i].ciphertext = vectors_hex(m, "ciphertext");
    }
    return out;
}

/* ---- running one side ---- */

static bool same(struct bytes got, struct bytes expected)
{
    return got.len == expected.len && memcmp(got.p, expected.p, got.len) == 0;
}

static const char *write_handshake(struct veld_noise *n, unsigned index, struct bytes ephemeral,
                                   const struct message *m)
{
    struct bytes out =
        vectors_alloc(m->payload.len + (index == 0 ? INITIATION_OVERHEAD : RESPONSE_OVERHEAD));
    int rc =
        index == 0
            ? veld_noise_write_initiation(n, ephemeral.p, m->payload.p, m->payload.len, out.p)
            : veld_noise_write_response(n, ephemeral.p, m->payload.p, m->payload.len, out.p);
    if (rc < 0)
        return veld_strerror(rc);
    return same(out, m->ciphertext) ? NULL : "writes another ciphertext";
}

static const char *read_handshake(struct veld_noise *n, unsigned index, const struct message *m)
{
    size_t overhead = index == 0 ? INITIATION_OVERHEAD : RESPONSE_OVERHEAD;
    struct bytes in = m->ciphertext;
    struct bytes out = vectors_alloc(in.len > overhead ? in.len - overhead : 0);
    int rc = index == 0 ? veld_noise_read_initiation(n, in.p, in.len, out.p)
                        : veld_noise_read_response(n, in.p, in.len, out.p);
    if (rc < 0)
        return veld_strerror(rc);
    return same(out, m->payload) ? NULL : "reads another payload";
}

static const char *seal_transport(const uint8_t key[32], uint64_t counter,
                                  const struct message *m)
{
    struct bytes out = vectors_alloc(m->payload.len + TAG_LEN);
    veld_seal(out.p, key, counter, NULL, 0, m->payload.p, m->payload.len);
    return same(out, m->ciphertext) ? NULL : "seals another ciphertext";
}

static const char *open_transport(const uint8_t key[32], uint64_t counter,
                                  const struct message *m)
{
    struct bytes in = m->ciphertext;
    struct bytes out = vectors_alloc(in.len > TAG_LEN ? in.len - TAG_LEN : 0);
    if (veld_open(out.p, key, counter, NULL, 0, in.p, in.len) < 0)
        return "does not open";
    return same(out, m->payload) ? NULL : "opens to another payload";
}

static const char *check_handshake_end(const struct vector *v, struct veld_noise *n,
                                       struct veld_noise_keys *keys)
{
    const struct bytes *remote = &v->remote_static[n->role];
    if (remote->p && memcmp(n->rs, remote->p, 32) != 0)
        return "learns another static key";
    veld_noise_split(n, keys);
    if (v->hash.p && memcmp(keys->hash, v->hash.p, 32) != 0)
        return "another handshake hash";
    return NULL;
}

/*
 * Can `role` do message `index` with what the file gives? Who has no ephemeral
 * can read the initiation and no more.
 */
static bool can_do(const struct vector *v, enum veld_noise_role role, size_t index)
{
    if (!v->static_key[role].p || (v->pattern == VELD_NOISE_IKPSK2 && !v->psk[role].p))
        return false;
    if (role == VELD_NOISE_INITIATOR)
        return v->ephemeral[role].p && v->remote_static[role].p;
    return v->ephemeral[role].p || index == 0;
}

/* NULL, or what went wrong in message `*at`. Messages beyond the file's secrets are left out. */
static const char *run_side(const struct vector *v, enum veld_noise_role role, size_t *at)
{
    struct veld_noise n;
    struct veld_noise_keys keys = {0};
    uint8_t pub[32];
    uint64_t counter[2] = {0}; /* by sender */
    veld_x25519_public(pub, v->static_key[role].p);
    veld_noise_init(&n, role,
                    &(struct veld_noise_config){.pattern = v->pattern,
                                                .static_secret = v->static_key[role].p,
                                                .static_public = pub,
                                                .remote_static = v->remote_static[role].p,
                                                .psk = v->psk[role].p,
                                                .prologue = v->prologue[role].p,
                                                .prologue_len = v->prologue[role].len});
    const char *why = NULL;
    for (*at = 0; *at < v->message_count && can_do(v, role, *at); ++*at) {
        const struct message *m = &v->messages[*at];
        unsigned sender = *at % 2;
        if (*at >= 2)
            why = sender == role ? seal_transport(keys.send, counter[sender]++, m)
                                 : open_transport(keys.recv, counter[sender]++, m);
        else
            why = sender == role ? write_handshake(&n, sender, v->ephemeral[role], m)
                                 : read_handshake(&n, sender, m);
        if (!why && *at == 1)
            why = check_handshake_end(v, &n, &keys);
        if (why)
            break;
    }
    veld_noise_wipe(&n);
    return why;
}

/* ---- a vector ---- */

static void run_vector(size_t index, json_t *json)
{
    enum veld_noise_pattern pattern;
    if (!parse_pattern(json, &pattern)) {
        vectors_skip();
        return;
    }
    struct vector v = parse_vector(json, pattern);
    unsigned sides = 0;
    for (enum veld_noise_role role = VELD_NOISE_INITIATOR; role <= VELD_NOISE_RESPONDER;
         role++) {
        size_t at;
        if (v.message_count == 0 || !can_do(&v, role, 0))
            continue;
        sides++;
        const char *problem = run_side(&v, role, &at);
        if (problem) {
            char which[32], why[128];
            snprintf(which, sizeof which, "vector %zu", index + 1);
            snprintf(why, sizeof why, "%s, message %zu: %s", role_name[role], at + 1, problem);
            vectors_differ(which, why);
            return;
        }
    }
    if (sides)
        vectors_agree();
    else
        vectors_skip();
}

int main(int argc, char **argv)
{
    json_t *root = vectors_load(argc, argv), *vector;
    size_t i;
    json_array_foreach(vectors_array(root, "vectors"), i, vector)
    {
        run_vector(i, vector);
    }
    return vectors_end();
}
