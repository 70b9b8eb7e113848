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
    bool by_ca;
    grpc_tls_certificate_verifier_external verifier;

    pthread_mutex_t lock;    /* for what follows */
    uint8_t certificate[32]; /* pinned; by CA: taken last */
    uint8_t shown[32];       /* the one that was refused */
    bool refused;
};

struct veld_rpc_pin *veld_rpc_pin_new(const struct veld_rpc_server *server,
                                      const struct veld_rpc_address *host)
{
    struct veld_rpc_pin *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    p->host = *host;
    p->by_ca = server->ca != NULL;
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
    free(p);
}

static void on_destruct(void *pin)
{
    veld_rpc_pin_unref(pin);
}

static bool is_right(const struct veld_rpc_pin *p, const char *pem, const uint8_t shown[32])
{
    return p->by_ca ? veld_certificate_names(pem, &p->host) == 0
                    : veld_equal(shown, p->certificate, 32);
}

/* gRPC asks before it sends the first byte of a call. */
static int on_verify(void *pin, grpc_tls_custom_verification_check_request *request,
                     grpc_tls_on_custom_verification_check_done_cb callback, void *callback_arg,
                     grpc_status_code *status, char **details)
{
    struct veld_rpc_pin *p = pin;
    const char *pem = request->peer_info.peer_cert;
    uint8_t shown[32] = {0};
    bool whole = pem && veld_certificate_of_pem(pem, shown) == 0;
    pthread_mutex_lock(&p->lock);
    bool right = whole && is_right(p, pem, shown);
    p->refused = !right;
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

static void use_ca(grpc_tls_credentials_options *options, const char *ca)
{
    grpc_tls_certificate_provider *roots =
        veld_grpc.grpc_tls_certificate_provider_static_data_create(ca, NULL);
    veld_grpc.grpc_tls_credentials_options_set_certificate_provider(options, roots);
    veld_grpc.grpc_tls_credentials_options_watch_root_certs(options);
    veld_grpc.grpc_tls_certificate_provider_release(roots);
}

grpc_channel_credentials *veld_rpc_pin_credentials(struct veld_rpc_pin *p, const char *ca)
{
    grpc_tls_credentials_options *options = veld_grpc.grpc_tls_credentials_options_create();
    if (ca)
        use_ca(options, ca);
    /* Without: any chain may be shown, on_verify compares. */
    veld_grpc.grpc_tls_credentials_options_set_verify_server_cert(options, ca != NULL);
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
    bool refused = p->refused;
    veld_certificate_format(p->shown, shown);
    veld_certificate_format(p->certificate, pinned);
    pthread_mutex_unlock(&p->lock);
    if (refused && p->by_ca)
        (void)veld_fail(diag, VELD_E_AUTH,
                        "the certificate that the server at %s shows (%s) is not for the host "
                        "%s: check the address, or who answers there",
                        address, shown, p->host.host);
    else if (refused)
        (void)veld_fail(diag, VELD_E_AUTH,
                        "the server at %s shows another certificate (%s) than the pinned one "
                        "(%s): either it was replaced, or somebody is in between; compare on "
                        "the server with: veld-coord fingerprint --db FILE, then: veld login "
                        "--coord %s",
                        address, shown, pinned, address);
    return refused;
}
