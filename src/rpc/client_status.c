#include "rpc/client_impl.h"

#include "base/bytes.h"
#include "base/grpc_text.h"
#include "base/log.h"
#include "crypto/primitives.h"
#include "rpc/text.h"

#include <string.h>

/*
 * gRPC's codes and ours: what a server means by each is in coord.proto. Those that
 * are FAILED come from gRPC on either side as well, and it cannot be told which.
 */
enum kind { SAID, FAILED };
static const struct {
    grpc_status_code code;
    int err;
    enum kind kind;
} codes[] = {
    {GRPC_STATUS_CANCELLED, VELD_E_STATE, FAILED},
    {GRPC_STATUS_UNKNOWN, VELD_E_IO, FAILED},
    {GRPC_STATUS_INVALID_ARGUMENT, VELD_E_INVAL, SAID},
    {GRPC_STATUS_DEADLINE_EXCEEDED, VELD_E_IO, FAILED},
    {GRPC_STATUS_NOT_FOUND, VELD_E_NOENT, SAID},
    {GRPC_STATUS_ALREADY_EXISTS, VELD_E_EXIST, SAID},
    {GRPC_STATUS_PERMISSION_DENIED, VELD_E_PERM, SAID},
    {GRPC_STATUS_RESOURCE_EXHAUSTED, VELD_E_LIMIT, SAID},
    {GRPC_STATUS_FAILED_PRECONDITION, VELD_E_STATE, SAID},
    {GRPC_STATUS_ABORTED, VELD_E_STATE, SAID},
    {GRPC_STATUS_OUT_OF_RANGE, VELD_E_RANGE, SAID},
    {GRPC_STATUS_UNIMPLEMENTED, VELD_E_UNSUPPORTED, SAID},
    {GRPC_STATUS_INTERNAL, VELD_E_IO, FAILED},
    {GRPC_STATUS_UNAVAILABLE, VELD_E_IO, FAILED},
    {GRPC_STATUS_DATA_LOSS, VELD_E_FORMAT, SAID},
    {GRPC_STATUS_UNAUTHENTICATED, VELD_E_AUTH, SAID},
};

static size_t row_of(grpc_status_code code)
{
    size_t unknown = 0;
    for (size_t i = 0; i < VELD_ARRAY_LEN(codes); i++) {
        if (codes[i].code == code)
            return i;
        if (codes[i].code == GRPC_STATUS_UNKNOWN)
            unknown = i;
    }
    return unknown;
}

/* Signed for a certificate that the server has no more (by CA alone: a pinned one stays). */
static bool is_outdated(const struct veld_rpc_op *op)
{
    uint8_t now[32];
    veld_rpc_pin_certificate(op->client->pin, now);
    return op->is_signed && !veld_equal(now, op->certificate, sizeof now);
}

static int said(const struct veld_rpc_op *op, int err, const char *text, struct veld_diag *diag)
{
    const char *address = op->client->address;
    if (op->status == GRPC_STATUS_UNAUTHENTICATED && is_outdated(op))
        return veld_fail(diag, VELD_E_IO,
                         "the server at %s has another certificate since this call was signed: "
                         "try again",
                         address);
    if (op->status == GRPC_STATUS_RESOURCE_EXHAUSTED && strstr(text, "message larger than max"))
        return veld_fail(diag, VELD_E_FORMAT,
                         "a message to or from the coord server at %s is larger than the %u "
                         "bytes there may be",
                         address, VELD_RPC_MESSAGE_MAX);
    return veld_fail(diag, err, "the coord server at %s says: %s", address,
                     text[0] ? text : veld_strerror(err));
}

/* The part of "...; last error: UNKNOWN: ..." that people can use. */
static const char *cause(const char *text)
{
    static const char *const before[] = {"last error: ", "UNKNOWN: "};
    for (size_t i = 0; i < VELD_ARRAY_LEN(before); i++) {
        const char *at = strstr(text, before[i]);
        if (at)
            text = at + strlen(before[i]);
    }
    return text;
}

static int unavailable(const struct veld_rpc_op *op, const char *text, struct veld_diag *diag)
{
    const char *address = op->client->address;
    if (strstr(text, VELD_RPC_PIN_REFUSAL) &&
        veld_rpc_pin_refused(op->client->pin, address, diag))
        return VELD_E_AUTH;
    if (strstr(text, "certificate verify failed"))
        return veld_fail(
            diag, VELD_E_AUTH,
            "the certificate that the server at %s shows is not vouched for by the "
            "CA that was given: check the CA's file and the address, then: veld "
            "login --coord %s --ca FILE",
            address, address);
    const char *reason = veld_grpc_reason(text);
    if (reason)
        return veld_fail(diag, VELD_E_IO,
                         "the coord server at %s cannot be reached (%s): check the address, "
                         "that veld-coord runs there, and that no firewall is in the way",
                         address, reason);
    return veld_fail(diag, VELD_E_IO,
                     "the coord server at %s is not available (%s): check the address, that "
                     "veld-coord runs there, and that no firewall is in the way",
                     address, cause(text));
}

static int failed(const struct veld_rpc_op *op, int err, const char *text,
                  struct veld_diag *diag)
{
    const char *address = op->client->address;
    veld_debug("a call to the coord server at %s ended with status %d: %s", address,
               (int)op->status, text);
    switch (op->status) {
    case GRPC_STATUS_UNAVAILABLE: return unavailable(op, text, diag);
    case GRPC_STATUS_CANCELLED:
        return veld_fail(diag, err, "the call to the coord server at %s was ended", address);
    case GRPC_STATUS_DEADLINE_EXCEEDED:
        return veld_fail(diag, err,
                         "the coord server at %s did not answer in time: check the network "
                         "between, or try again later",
                         address);
    default:
        return veld_fail(diag, err,
                         "the call to the coord server at %s failed (%s): check that it is "
                         "veld-coord that answers there",
                         address, text);
    }
}

void veld_rpc_status(const struct veld_rpc_op *op, struct veld_rpc_result *r,
                     struct veld_diag *diag)
{
    char text[VELD_RPC_TEXT_MAX + 1];
    size_t row = row_of(op->status);
    r->status = op->status;
    r->text = diag->text;
    if (op->broken)
        r->err = veld_fail(diag, VELD_E_FORMAT,
                           "the coord server at %s sent a message that cannot be read",
                           op->client->address);
    if (op->broken || op->status == GRPC_STATUS_OK)
        return;
    veld_rpc_text_clean(text, GRPC_SLICE_START_PTR(op->details),
                        GRPC_SLICE_LENGTH(op->details));
    r->err = codes[row].kind == SAID ? said(op, codes[row].err, text, diag)
                                     : failed(op, codes[row].err, text, diag);
}
