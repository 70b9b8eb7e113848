#include "cli/coord/connect.h"

#include "base/clock.h"
#include "base/file.h"
#include "trust/membership.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL     1
#define CA_MAX       (4u << 20)                   /* bytes of a file of CAs */
#define SKEW_TOLD_NS (5 * (int64_t)VELD_NS_PER_S) /* less is not worth a word */

int veld_ca_read(const char *path, char **pem, struct veld_diag *diag)
{
    size_t len;
    *pem = malloc(CA_MAX + 1);
    if (!*pem)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    int rc = veld_file_read(path, *pem, CA_MAX + 1, &len);
    if (rc == 0 && strlen(*pem) == len && strstr(*pem, "-----BEGIN CERTIFICATE-----"))
        return 0;
    if (rc == 0)
        rc = veld_fail(diag, VELD_E_FORMAT,
                       "%s holds no certificate in PEM form; name the file of the CA that "
                       "signed the coord server's certificate",
                       path);
    else
        rc = veld_fail(diag, rc, "cannot read the CA file %s: %s", path,
                       rc == VELD_E_RANGE ? "it is too long" : strerror(errno));
    free(*pem);
    *pem = NULL;
    return rc;
}

int veld_connect_probe(const char *address, const char *ca_path, uint8_t certificate[32],
                       struct veld_diag *diag)
{
    char *ca = NULL, *pem = NULL;
    int rc = ca_path ? veld_ca_read(ca_path, &ca, diag) : 0;
    if (rc == 0)
        rc = VELD_ASKING(
            veld_rpc_probe(address, ca, VELD_CONNECT_PROBE_MS, certificate, &pem, diag));
    free(pem);
    free(ca);
    return rc;
}

int veld_connect(struct veld_rpc_client **out, const struct veld_profile_coord *coord,
                 struct veld_diag *diag)
{
    struct veld_rpc_server server = {.address = coord->address};
    char *ca = NULL;
    *out = NULL;
    memcpy(server.certificate, coord->certificate, sizeof server.certificate);
    int rc = coord->ca_path ? veld_ca_read(coord->ca_path, &ca, diag) : 0;
    server.ca = ca;
    if (rc == 0)
        rc = veld_rpc_open(out, &server, diag);
    free(ca);
    return rc;
}

/* A clock that is wrong makes signatures useless; the sentence says whose differs, and by how much. */
static void tell_skew(const char *address, int64_t ahead_ns)
{
    int64_t size = ahead_ns < 0 ? -ahead_ns : ahead_ns;
    if (size < SKEW_TOLD_NS)
        return;
    bool too_much = size > VELD_CLOCK_SKEW_S * (int64_t)VELD_NS_PER_S;
    fprintf(stderr, "veld: the clock of %s is %" PRId64 " s %s this machine's%s\n", address,
            size / (int64_t)VELD_NS_PER_S, ahead_ns > 0 ? "ahead of" : "behind",
            too_much ? ": it will refuse what this machine signs; set both clocks right" : "");
}

int veld_connect_hello(struct veld_rpc_client *c, struct veld_coord_hello *hello,
                       struct veld_diag *diag)
{
    int rc = VELD_ASKING(veld_coord_hello(c, hello, diag));
    if (rc < 0)
        return rc;
    if (hello->protocol != PROTOCOL)
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "the coord server %s (version %s) speaks protocol %" PRIu32
                         ", this veld %d; update the older of the two",
                         veld_rpc_address(c), hello->version, hello->protocol, PROTOCOL);
    tell_skew(veld_rpc_address(c), hello->clock_ahead_ns);
    return 0;
}
