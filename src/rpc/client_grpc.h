/*
 * gRPC, reached when it is needed: libgrpc and what it brings along cost a daemon
 * 4 MB of resident memory by being linked, and 14 with a client open. One without
 * a coord server, and most commands of `veld`, do not pay that: the first client
 * loads it, it stays, and its functions are called through one table,
 * `veld_grpc.NAME(...)`.
 *
 * Invariant: the table is whole or the load failed.
 * Order: load, begin, ..., end. Any thread.
 */
#ifndef VELD_RPC_CLIENT_GRPC_H
#define VELD_RPC_CLIENT_GRPC_H

#include "base/err.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/string_util.h>
#include <grpc/support/time.h>

#define VELD_GRPC_FUNCTIONS(X)                                                                 \
    X(gpr_inf_future)                                                                          \
    X(gpr_now)                                                                                 \
    X(gpr_set_log_function)                                                                    \
    X(gpr_strdup)                                                                              \
    X(gpr_time_add)                                                                            \
    X(gpr_time_from_millis)                                                                    \
    X(grpc_byte_buffer_destroy)                                                                \
    X(grpc_byte_buffer_reader_destroy)                                                         \
    X(grpc_byte_buffer_reader_init)                                                            \
    X(grpc_byte_buffer_reader_readall)                                                         \
    X(grpc_call_cancel)                                                                        \
    X(grpc_call_start_batch)                                                                   \
    X(grpc_call_unref)                                                                         \
    X(grpc_channel_check_connectivity_state)                                                   \
    X(grpc_channel_create)                                                                     \
    X(grpc_channel_create_call)                                                                \
    X(grpc_channel_credentials_release)                                                        \
    X(grpc_channel_destroy)                                                                    \
    X(grpc_channel_reset_connect_backoff)                                                      \
    X(grpc_completion_queue_create_for_next)                                                   \
    X(grpc_completion_queue_destroy)                                                           \
    X(grpc_completion_queue_next)                                                              \
    X(grpc_completion_queue_shutdown)                                                          \
    X(grpc_init)                                                                               \
    X(grpc_is_initialized)                                                                     \
    X(grpc_metadata_array_destroy)                                                             \
    X(grpc_metadata_array_init)                                                                \
    X(grpc_raw_byte_buffer_create)                                                             \
    X(grpc_shutdown_blocking)                                                                  \
    X(grpc_slice_from_copied_buffer)                                                           \
    X(grpc_slice_from_copied_string)                                                           \
    X(grpc_slice_unref)                                                                        \
    X(grpc_tls_certificate_verifier_external_create)                                           \
    X(grpc_tls_certificate_verifier_release)                                                   \
    X(grpc_tls_credentials_create)                                                             \
    X(grpc_tls_credentials_options_create)                                                     \
    X(grpc_tls_credentials_options_set_certificate_verifier)                                   \
    X(grpc_tls_credentials_options_set_check_call_host)                                        \
    X(grpc_tls_credentials_options_set_verify_server_cert)

struct veld_grpc {
#define X(name) __typeof__(name) *name;
    VELD_GRPC_FUNCTIONS(X)
#undef X
};
extern struct veld_grpc veld_grpc;

/* VELD_E_UNSUPPORTED when the library is missing or another version. */
VELD_MUST_USE int veld_grpc_load(struct veld_diag *diag);
/* One more user, after a load; one less. After the last one gRPC's threads have ended. */
void veld_grpc_begin(void);
void veld_grpc_end(void);

#endif
