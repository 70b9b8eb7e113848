#include "coord/server_probe.h"

#include "base/bytes.h"
#include "base/grpc_text.h"
#include "base/log.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/health/v1/health.pb-c.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <stdbool.h>

#define METHOD "/grpc.health.v1.Health/Check"

/* Whatever it shows (server_probe.h). */
static int accept_any(void *ctx, grpc_tls_custom_verification_check_request *request,
                      grpc_tls_on_custom_verification_check_done_cb callback,
                      void *callback_arg, grpc_status_code *status, char **text)
{
    *status = GRPC_STATUS_OK;
    return 1; /* done */
}
static void cancel(void *ctx, grpc_tls_custom_verification_check_request *request)
{
}
static void destruct(void *ctx)
{
}
static grpc_tls_certificate_verifier_external any = {NULL, accept_any, cancel, destruct};

static grpc_channel *connect_to(const char *address)
{
    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_certificate_verifier *verifier =
        grpc_tls_certificate_verifier_external_create(&any);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_certificate_verifier_release(verifier);
    grpc_tls_credentials_options_set_verify_server_cert(options, 0);
    grpc_tls_credentials_options_set_check_call_host(options, 0);
    grpc_channel_credentials *credentials = grpc_tls_credentials_create(options);
    grpc_arg proxy = {.type = GRPC_ARG_INTEGER,
                      .key = (char *)(uintptr_t)GRPC_ARG_ENABLE_HTTP_PROXY,
                      .value.integer = 0};
    grpc_channel_args args = {.num_args = 1, .args = &proxy};
    grpc_channel *channel = grpc_channel_create(address, credentials, &args);
    grpc_channel_credentials_release(credentials);
    return channel;
}

/* What came back. */
struct answer {
    grpc_byte_buffer *message;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
};

static void ask(grpc_call *call, grpc_completion_queue *queue, struct answer *a)
{
    grpc_slice nothing =
        grpc_empty_slice(); /* an empty HealthCheckRequest: the server as a whole */
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&nothing, 1);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &a->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &a->message},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &a->trailing,
                                        .status = &a->status,
                                        .status_details = &a->text}},
    };
    if (grpc_call_start_batch(call, ops, VELD_ARRAY_LEN(ops), a, NULL) == GRPC_CALL_OK)
        (void)grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_byte_buffer_destroy(request);
}

static bool is_serving(grpc_byte_buffer *message)
{
    grpc_byte_buffer_reader reader;
    bool serving = false;
    if (!message || !grpc_byte_buffer_reader_init(&reader, message))
        return false;
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    Grpc__Health__V1__HealthCheckResponse *r = grpc__health__v1__health_check_response__unpack(
        NULL, GRPC_SLICE_LENGTH(bytes), GRPC_SLICE_START_PTR(bytes));
    if (r) {
        serving = r->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
        grpc__health__v1__health_check_response__free_unpacked(r, NULL);
    }
    grpc_slice_unref(bytes);
    grpc_byte_buffer_reader_destroy(&reader);
    return serving;
}

static int judge(const char *address, struct answer *a, struct veld_diag *diag)
{
    if (a->status == GRPC_STATUS_OK && is_serving(a->message))
        return 0;
    if (a->status == GRPC_STATUS_OK)
        return veld_fail(diag, VELD_E_STATE, "the server at %s is stopping", address);
    char *text = grpc_slice_to_c_string(a->text);
    const char *reason = veld_grpc_reason(text);
    veld_debug("the health check of %s ended with status %d: %s", address, (int)a->status,
               text);
    veld_fail(diag, VELD_E_IO, "no coord server answers at %s: %s", address,
              reason ? reason : text);
    gpr_free(text);
    return VELD_E_IO;
}

/* The diag says it. */
static void say_nothing(gpr_log_func_args *args)
{
}

int veld_server_probe(const char *address, int timeout_ms, struct veld_diag *diag)
{
    struct answer a = {.status = GRPC_STATUS_UNKNOWN};
    gpr_set_log_function(say_nothing);
    grpc_init();
    grpc_channel *channel = connect_to(address);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                         gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    grpc_metadata_array_init(&a.initial);
    grpc_metadata_array_init(&a.trailing);
    a.text = grpc_empty_slice();
    grpc_call *call =
        grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                 grpc_slice_from_static_string(METHOD), NULL, deadline, NULL);
    ask(call, queue, &a);
    int rc = judge(address, &a, diag);
    grpc_call_unref(call);
    if (a.message)
        grpc_byte_buffer_destroy(a.message);
    grpc_slice_unref(a.text);
    grpc_metadata_array_destroy(&a.initial);
    grpc_metadata_array_destroy(&a.trailing);
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(queue);
    while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_completion_queue_destroy(queue);
    grpc_shutdown_blocking();
    return rc;
}
