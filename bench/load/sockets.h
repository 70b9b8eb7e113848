/*
 * UDP sockets of the load generator, with buffers as large as the machine grants.
 * Addresses are numeric IPv4 or IPv6. Errors end the program with a sentence.
 */
#ifndef VELD_BENCH_SOCKETS_H
#define VELD_BENCH_SOCKETS_H

/* A bound socket that receives; the caller closes it. */
int sockets_listen(const char *address, const char *port);

/* A connected socket, of a source port of its own; the caller closes it. */
int sockets_connect(const char *address, const char *port);

/* Prints "udp-load: WHAT[: the system's error]" and exits with 1. */
_Noreturn void sockets_die(const char *what, const char *detail, int error);

#endif
