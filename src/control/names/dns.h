/*
 * The DNS stub: answers A, AAAA and PTR for the machines of this daemon under
 * "veld", and refuses every other name (never NXDOMAIN for names that are not
 * ours), over UDP and TCP with EDNS, on a loopback address of its own.
 * Wire format by ldns.
 *
 * Invariant: an answer is made only from the table; no query is forwarded.
 * Control thread, on the default GLib main context.
 */
#ifndef VELD_CONTROL_NAMES_DNS_H
#define VELD_CONTROL_NAMES_DNS_H

#include "base/addr.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_DNS_DOMAIN      "veld"
#define VELD_DNS_MESSAGE_MAX 4096
#define VELD_DNS_TCP_MAX     32 /* connections at once; each is closed after 5 s of silence */

struct veld_dns_record {
    const char *name; /* one label, e.g. "machine-b"; borrowed for the call */
    struct veld_ip ip;
};

/*
 * The names: immutable once made. Of a `network` (one label; NULL: none) each
 * record has two, "machine-b.veld" and "machine-b.mynet.veld"; its address leads to the first.
 */
struct veld_dns_table;
struct veld_dns_table *veld_dns_table_new(const char *network,
                                          const struct veld_dns_record *records, size_t n);
void veld_dns_table_free(struct veld_dns_table *t);

enum veld_dns_transport { VELD_DNS_UDP, VELD_DNS_TCP };
/*
 * The answer to one query message. Pure. 0 and `out_len` bytes in `out`, or
 * VELD_E_FORMAT when no answer may be given (too short, itself a response).
 * UDP answers respect the client's EDNS size (512 without) and set TC.
 */
VELD_MUST_USE int veld_dns_answer(const struct veld_dns_table *t,
                                  enum veld_dns_transport transport, const uint8_t *query,
                                  size_t len, uint8_t out[VELD_DNS_MESSAGE_MAX],
                                  size_t *out_len);

struct veld_dns_server;
/* Bind the first free of 127.0.86.1 .. 127.0.86.16, port 53, and serve. Takes ownership of `t` on success. */
VELD_MUST_USE int veld_dns_server_start(struct veld_dns_server **out, struct veld_dns_table *t,
                                        struct veld_diag *diag);
struct veld_ip veld_dns_server_address(const struct veld_dns_server *s);
void veld_dns_server_set_table(struct veld_dns_server *s, struct veld_dns_table *t);
uint64_t veld_dns_server_queries(const struct veld_dns_server *s);
void veld_dns_server_stop(struct veld_dns_server *s); /* NULL is allowed */

#endif
