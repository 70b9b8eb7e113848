/*
 * "HOST:PORT" of a server, as text: a name, an IPv4 address or an IPv6 address
 * in brackets, and a port. Names are not looked up here.
 *
 * Pure; any thread.
 */
#ifndef VELD_BASE_HOST_PORT_H
#define VELD_BASE_HOST_PORT_H

#include "base/err.h"

#include <stdint.h>

#define VELD_HOST_PORT_STRLEN 256 /* NUL included */

/*
 * `text` made the one form: names in lower case, "::1" in brackets, `port`
 * where it names none (0: then it must). VELD_E_FORMAT; `out` is then empty.
 */
VELD_MUST_USE int veld_host_port_parse(const char *text, uint16_t port,
                                       char out[VELD_HOST_PORT_STRLEN]);

#endif
