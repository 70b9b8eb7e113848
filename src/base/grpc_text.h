/*
 * What the gRPC library says of a connection that failed, in words for people:
 * "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:50051:
 * Failed to connect to remote host: Connection refused" is "the connection is refused".
 *
 * Pure; any thread.
 */
#ifndef VELD_BASE_GRPC_TEXT_H
#define VELD_BASE_GRPC_TEXT_H

/* Borrowed, for good. NULL: these are not the library's words, as far as is known. */
const char *veld_grpc_reason(const char *text);

#endif
