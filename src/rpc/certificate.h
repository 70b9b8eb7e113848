/*
 * Certificates as the client sees them: which one it is, whose name it bears.
 *
 * Any thread.
 */
#ifndef VELD_RPC_CERTIFICATE_H
#define VELD_RPC_CERTIFICATE_H

#include "rpc/address.h"
#include "rpc/client.h"

/* The first certificate of a PEM text: SHA-256 of its DER. VELD_E_FORMAT. */
VELD_MUST_USE int veld_certificate_of_pem(const char *pem, uint8_t certificate[32]);
/*
 * Does the first certificate of a PEM text bear the host's name (RFC 6125: in its
 * subject's alternative names, an address as an address)? VELD_E_AUTH when not.
 */
VELD_MUST_USE int veld_certificate_names(const char *pem, const struct veld_rpc_address *host);

#endif
