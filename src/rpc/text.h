/*
 * What a server says, made fit for a terminal and a log.
 *
 * Invariant: what comes out is valid UTF-8 of printable characters and single
 * spaces, at most VELD_RPC_TEXT_MAX bytes, whatever goes in: no control
 * characters, no escape sequences, nothing that turns the direction of writing
 * or takes no place.
 * Pure; any thread.
 */
#ifndef VELD_RPC_TEXT_H
#define VELD_RPC_TEXT_H

#include "rpc/client.h"

/* Returns the length; 0: nothing fit was said. NUL-terminated. */
size_t veld_rpc_text_clean(char out[VELD_RPC_TEXT_MAX + 1], const void *p, size_t len);

#endif
