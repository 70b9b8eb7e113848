/*
 * A client that several threads use at once: they call and wait, call and are told, open
 * streams and cancel them, while the client's thread calls back. Then it is closed with
 * calls open. Everything that was begun is told of exactly once.
 */
#include "rpc/client.h"

#include "../support/grpc_server.h"
#include "crypto/primitives.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4
#define ROUNDS  25 /* so that never more than 256 calls are under way */

static struct veld_rpc_client *client;
static atomic_uint begun, told, wrong;

static void on_message(void *ctx, const uint8_t *message, size_t len)
{
    unsigned *n = ctx; /* of the client's thread alone, until it is told */
    if (n)
        (*n)++;
}

static void on_done(void *ctx, const struct veld_rpc_result *r)
{
    on_message(ctx, NULL, 0);
    told++;
}

static void note(int rc, int other)
{
    if (rc == 0)
        begun++;
    else if (rc != other)
        wrong++;
}

static void *use(void *arg)
{
    const struct veld_rpc_key *key = arg;
    struct veld_blob reply = {0};
    struct veld_diag diag;
    for (int i = 0; i < ROUNDS; i++) {
        char body[16];
        int len = snprintf(body, sizeof body, "round %d", i);
        if (veld_rpc_call_wait(client, key, "Echo", body, (size_t)len, 20000, &reply, &diag) <
                0 ||
            reply.len != (size_t)len || memcmp(reply.p, body, (size_t)len) != 0)
            wrong++;
        note(veld_rpc_call(client, key, i % 8 ? "Echo" : "Slow", body, (size_t)len, 20000,
                           on_done, NULL),
             VELD_E_FULL);
        uint64_t stream = 0;
        int rc =
            veld_rpc_stream(client, key, "Endless", "", 0, on_message, on_done, NULL, &stream);
        note(rc, VELD_E_FULL);
        veld_rpc_stream_cancel(client, stream);
        veld_rpc_stream_cancel(client, stream);
    }
    veld_blob_clear(&reply);
    return NULL;
}

int main(void)
{
    struct test_certificate certificate;
    pthread_t threads[THREADS];
    uint8_t seed[32] = {1}, pub[32];
    struct veld_rpc_key key = {seed, pub};
    struct veld_diag diag;
    char address[32];
    if (veld_crypto_init() < 0)
        return 1;
    veld_ed25519_keypair(seed, pub);
    test_certificate_make(&certificate, NULL, NULL, NULL, 0);
    struct grpc_test_server *server =
        grpc_test_server_start(&certificate, 0, grpc_test_answer, NULL);
    snprintf(address, sizeof address, "127.0.0.1:%d", grpc_test_server_port(server));
    struct veld_rpc_server to = {.address = address};
    memcpy(to.certificate, certificate.sha256, 32);
    if (veld_rpc_open(&client, &to, &diag) < 0) {
        puts(diag.text);
        return 1;
    }
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, use, &key))
            return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    unsigned counted = 0;
    note(veld_rpc_stream(client, &key, "Endless", "", 0, on_message, on_done, &counted, NULL),
         0);
    veld_rpc_close(client);
    grpc_test_server_stop(server, true);
    test_certificate_clear(&certificate);
    printf("begun %u, told %u, wrong %u, the last %u times\n", begun, told, wrong, counted);
    return begun == told && wrong == 0 && counted > 0 && begun > THREADS * ROUNDS ? 0 : 1;
}
