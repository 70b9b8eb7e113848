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
 * Does one of the CAs (PEM) vouch for the first certificate of `chain` (PEM, with what else the
 * server showed), as a server's, now, and for that host (RFC 6125: in the alternative names)?
 * NULL when so; else why not: a static string.
 */
const char *veld_certificate_doubt(const char *chain, const char *ca,
                                   const struct veld_rpc_address *host);

#endif
