#include "rpc/client_pin.h"

#include "crypto/primitives.h"
#include "rpc/certificate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct veld_rpc_pin {
    atomic_uint refs; /* the client's and gRPC's; the last to leave frees */
    struct veld_rpc_address host;
    char *ca; /* NULL: pinned */
    grpc_tls_certificate_verifier_external verifier;

    pthread_mutex_t lock;    /* for what follows */
    uint8_t certificate[32]; /* pinned; by CA: taken last */
    uint8_t shown[32];       /* the one that was refused last */
    const char *doubt;       /* why; static. NULL: the last one was taken */
};

struct veld_rpc_pin *veld_rpc_pin_new(const struct veld_rpc_server *server,
                                      const struct veld_rpc_address *host)
{
    struct veld_rpc_pin *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    p->host = *host;
    p->ca = server->ca ? strdup(server->ca) : NULL;
    if (server->ca && !p->ca) {
        free(p);
        return NULL;
    }
    memcpy(p->certificate, server->certificate, sizeof p->certificate);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void veld_rpc_pin_unref(struct veld_rpc_pin *p)
{
    /* Release what this thread did, acquire what all others did. */
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p->ca);
    free(p);
}

static void on_destruct(void *pin)
{
    veld_rpc_pin_unref(pin);
}

/* NULL: it is right. */
static const char *doubt_of(const struct veld_rpc_pin *p, const char *chain,
                            const uint8_t shown[32])
{
    if (p->ca)
        return veld_certificate_doubt(chain, p->ca, &p->host);
    return veld_equal(shown, p->certificate, 32) ? NULL : "it is another one";
}

/* gRPC asks after the handshake and before it sends the first byte of a call. */
static int on_verify(void *pin, grpc_tls_custom_verification_check_request *request,
                     grpc_tls_on_custom_verification_check_done_cb callback, void *callback_arg,
                     grpc_status_code *status, char **details)
{
    struct veld_rpc_pin *p = pin;
    const char *first = request->peer_info.peer_cert;
    const char *chain = request->peer_info.peer_cert_full_chain;
    uint8_t shown[32] = {0};
    bool whole = first && veld_certificate_of_pem(first, shown) == 0;
    pthread_mutex_lock(&p->lock);
    p->doubt = whole ? doubt_of(p, chain ? chain : first, shown) : "there is none";
    bool right = p->doubt == NULL;
    memcpy(right ? p->certificate : p->shown, shown, sizeof shown);
    pthread_mutex_unlock(&p->lock);
    *status = right ? GRPC_STATUS_OK : GRPC_STATUS_UNAUTHENTICATED;
    if (!right)
        *details = veld_grpc.gpr_strdup(VELD_RPC_PIN_REFUSAL);
    return 1; /* answered, not later */
}

static void on_cancel(void *pin, grpc_tls_custom_verification_check_request *request)
{
}

grpc_channel_credentials *veld_rpc_pin_credentials(struct veld_rpc_pin *p)
{
    grpc_tls_credentials_options *options = veld_grpc.grpc_tls_credentials_options_create();
    /* Whatever is shown comes to on_verify, which alone says what is right. */
    veld_grpc.grpc_tls_credentials_options_set_verify_server_cert(options, 0);
    veld_grpc.grpc_tls_credentials_options_set_check_call_host(options, 0);
    p->verifier = (grpc_tls_certificate_verifier_external){
        .user_data = p, .verify = on_verify, .cancel = on_cancel, .destruct = on_destruct};
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed); /* the caller's keeps it */
    grpc_tls_certificate_verifier *verifier =
        veld_grpc.grpc_tls_certificate_verifier_external_create(&p->verifier);
    veld_grpc.grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    veld_grpc.grpc_tls_certificate_verifier_release(verifier);
    return veld_grpc.grpc_tls_credentials_create(options); /* takes the options */
}

void veld_rpc_pin_certificate(struct veld_rpc_pin *p, uint8_t certificate[32])
{
    pthread_mutex_lock(&p->lock);
    memcpy(certificate, p->certificate, 32);
    pthread_mutex_unlock(&p->lock);
}

bool veld_rpc_pin_refused(struct veld_rpc_pin *p, const char *address, struct veld_diag *diag)
{
    char shown[VELD_CERTIFICATE_STRLEN], pinned[VELD_CERTIFICATE_STRLEN];
    pthread_mutex_lock(&p->lock);
    const char *doubt = p->doubt;
    veld_certificate_format(p->shown, shown);
    veld_certificate_format(p->certificate, pinned);
    pthread_mutex_unlock(&p->lock);
    if (doubt && p->ca)
        (void)veld_fail(diag, VELD_E_AUTH,
                        "the CA does not vouch for the certificate that the server at %s shows "
                        "(%s): %s; check the address, the CA's file and the server, then: veld "
                        "login --coord %s --ca FILE",
                        address, shown, doubt, address);
    else if (doubt)
        (void)veld_fail(diag, VELD_E_AUTH,
                        "the server at %s shows another certificate (%s) than the pinned one "
                        "(%s): either it was replaced, or somebody is in between; compare on "
                        "the server with: veld-coord fingerprint --db FILE, then: veld login "
                        "--coord %s",
                        address, shown, pinned, address);
    return doubt != NULL;
}
