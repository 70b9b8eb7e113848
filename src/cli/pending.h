/*
 * Devices found on the LAN that wait to be trusted, as people read them.
 *
 * Main thread.
 */
#ifndef VELD_CLI_PENDING_H
#define VELD_CLI_PENDING_H

#include "base/err.h"

#include <jansson.h>
#include <stdio.h>

/* A table and what to do about it; nothing where `list` is empty or NULL. VELD_E_NOMEM. */
VELD_MUST_USE int veld_pending_print(const json_t *list, FILE *out);

#endif
