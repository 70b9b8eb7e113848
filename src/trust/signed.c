#include "trust/signed.h"

#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

/* purpose ‖ 0x00 ‖ body; the caller frees. NULL: out of memory. */
static uint8_t *text_to_sign(const char *purpose, const void *body, size_t len, size_t *total)
{
    size_t head = strlen(purpose) + 1;
    uint8_t *text = malloc(head + len);
    if (!text)
        return NULL;
    memcpy(text, purpose, head);
    if (len)
        memcpy(text + head, body, len);
    *total = head + len;
    return text;
}

int veld_statement_sign(struct veld_statement *out, const char *purpose, const uint8_t seed[32],
                        const void *message, size_t max)
{
    veld_statement_clear(out);
    int rc = veld_wire_pack(&out->body, message, max);
    if (rc < 0)
        return rc;
    size_t len;
    uint8_t *text = text_to_sign(purpose, out->body.p, out->body.len, &len);
    if (!text) {
        veld_statement_clear(out);
        return VELD_E_NOMEM;
    }
    veld_ed25519_keypair(seed, out->signer);
    veld_ed25519_sign(out->signature, seed, text, len);
    free(text);
    return 0;
}

void veld_statement_clear(struct veld_statement *s)
{
    veld_blob_clear(&s->body);
    memset(s, 0, sizeof *s);
}

void veld_statement_view(const struct veld_statement *s, pb_signed *out)
{
    veld__trust__v1__signed__init(out);
    out->body = veld_wire_bytes(s->body.p, s->body.len);
    out->signer = veld_wire_bytes(s->signer, sizeof s->signer);
    out->signature = veld_wire_bytes(s->signature, sizeof s->signature);
}

int veld_signed_make(struct veld_blob *out, const char *purpose, const uint8_t seed[32],
                     const void *message)
{
    struct veld_statement s = {0};
    pb_signed view;
    veld_blob_clear(out);
    int rc = veld_statement_sign(&s, purpose, seed, message, VELD_SIGNED_MAX);
    if (rc == 0) {
        veld_statement_view(&s, &view);
        rc = veld_wire_pack(out, &view, VELD_SIGNED_MAX);
    }
    veld_statement_clear(&s);
    return rc;
}

bool veld_signed_is_shaped(const pb_signed *s, size_t max)
{
    return s && veld_wire_is_plain(s) && s->body.len <= max && s->signer.len == 32 &&
           s->signature.len == 64;
}

int veld_signed_verify(const pb_signed *s, const char *purpose)
{
    size_t len;
    uint8_t *text = text_to_sign(purpose, s->body.data, s->body.len, &len);
    if (!text)
        return VELD_E_NOMEM;
    int rc = veld_ed25519_verify(s->signature.data, s->signer.data, text, len);
    free(text);
    return rc;
}

int veld_signed_open(const uint8_t *p, size_t len, const char *purpose,
                     const ProtobufCMessageDescriptor *type, void **body, uint8_t signer[32])
{
    *body = NULL;
    pb_signed *s =
        veld_wire_unpack(&veld__trust__v1__signed__descriptor, p, len, VELD_SIGNED_MAX);
    int rc = veld_signed_is_shaped(s, VELD_SIGNED_MAX) ? veld_signed_verify(s, purpose)
                                                       : VELD_E_FORMAT;
    if (rc == 0) {
        *body = veld_wire_unpack(type, s->body.data, s->body.len, VELD_SIGNED_MAX);
        rc = *body ? 0 : VELD_E_FORMAT;
    }
    if (rc == 0)
        memcpy(signer, s->signer.data, 32);
    veld_wire_free(s);
    return rc;
}
