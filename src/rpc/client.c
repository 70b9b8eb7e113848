#include "rpc/client.h"

#include "rpc/certificate.h"
#include "rpc/client_impl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS   5000 /* of one address */
#define BACKOFF_FIRST_MS     500
#define BACKOFF_MAX_MS       10000
#define LOOKUP_EVERY_MS      2000 /* names, at most so often */
#define KEEPALIVE_MS         30000
#define KEEPALIVE_TIMEOUT_MS 10000
#define METADATA_MAX         4096 /* a status has the most: its text, escaped */

#define INTEGER(k, v)                                                                          \
    {                                                                                          \
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)(k), .value.integer = (v)          \
    }

static grpc_channel *make_channel(const char *target, grpc_channel_credentials *credentials)
{
    grpc_arg args[] = {
        INTEGER(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, VELD_RPC_MESSAGE_MAX),
        INTEGER(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, VELD_RPC_MESSAGE_MAX),
        INTEGER(GRPC_ARG_MAX_METADATA_SIZE, METADATA_MAX),
        /* A message is as long as it says; nothing unfolds. */
        INTEGER(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        INTEGER(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        INTEGER(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        /* A dead connection is noticed, with and without calls. */
        INTEGER(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
        INTEGER(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
        INTEGER(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        INTEGER(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        /* gRPC adds its own chance to these. The least is how long one attempt may take. */
        INTEGER(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
        INTEGER(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, BACKOFF_FIRST_MS),
        INTEGER(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, BACKOFF_MAX_MS),
        INTEGER(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, LOOKUP_EVERY_MS),
        /* Nobody else has a say: no proxy by the environment, no configuration by DNS. */
        INTEGER(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        INTEGER(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        INTEGER(GRPC_ARG_ENABLE_RETRIES, 0),
        /* Connections are this client's alone. */
        INTEGER(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        INTEGER(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    const grpc_channel_args all = {.num_args = sizeof args / sizeof args[0], .args = args};
    return veld_grpc.grpc_channel_create(target, credentials, &all);
}

/* Everything of gRPC. Threads made here and below take no signals, which are the program's. */
static int connect_to(struct veld_rpc_client *c, const struct veld_rpc_server *server,
                      const struct veld_rpc_address *address, struct veld_diag *diag)
{
    char target[VELD_COORD_TEXT_MAX + 16];
    snprintf(target, sizeof target, "dns:///%s", c->address);
    c->pin = veld_rpc_pin_new(server, address);
    if (!c->pin)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for a client of %s", c->address);
    grpc_channel_credentials *credentials = veld_rpc_pin_credentials(c->pin);
    c->channel = make_channel(target, credentials);
    veld_grpc.grpc_channel_credentials_release(credentials);
    c->queue = veld_grpc.grpc_completion_queue_create_for_next(NULL);
    return veld_rpc_thread_start(c, diag);
}

static void disconnect(struct veld_rpc_client *c)
{
    if (c->channel) {
        /* A wait for the next attempt would outlast the channel. */
        veld_grpc.grpc_channel_reset_connect_backoff(c->channel);
        veld_grpc.grpc_channel_destroy(c->channel);
    }
    if (c->queue)
        veld_grpc.grpc_completion_queue_destroy(c->queue);
    veld_rpc_pin_unref(c->pin);
    veld_grpc_end();
    pthread_cond_destroy(&c->idle);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static int start(struct veld_rpc_client *c, const struct veld_rpc_server *server,
                 const struct veld_rpc_address *address, struct veld_diag *diag)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    veld_grpc_begin();
    int rc = connect_to(c, server, address, diag);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int veld_rpc_open(struct veld_rpc_client **out, const struct veld_rpc_server *server,
                  struct veld_diag *diag)
{
    struct veld_rpc_address address;
    *out = NULL;
    int rc = veld_rpc_address_parse(server->address, &address, diag);
    uint8_t any[32];
    if (rc == 0 && server->ca && veld_certificate_of_pem(server->ca, any) < 0)
        rc = veld_fail(diag, VELD_E_FORMAT, "the CA's file holds no certificate in PEM");
    if (rc == 0)
        rc = veld_grpc_load(diag);
    if (rc < 0)
        return rc;
    struct veld_rpc_client *c = calloc(1, sizeof *c);
    if (!c)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for a client of %s",
                         server->address);
    snprintf(c->address, sizeof c->address, "%s", server->address);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->idle, NULL);
    c->next_id = 1;
    rc = start(c, server, &address, diag);
    if (rc < 0) {
        if (c->queue)
            veld_grpc.grpc_completion_queue_shutdown(c->queue);
        disconnect(c);
        return rc;
    }
    *out = c;
    return 0;
}

void veld_rpc_close(struct veld_rpc_client *c)
{
    if (!c)
        return;
    veld_rpc_thread_stop(c);
    disconnect(c);
}

const char *veld_rpc_address(const struct veld_rpc_client *c)
{
    return c->address;
}
