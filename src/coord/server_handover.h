/*
 * Handing gRPC a connection that was accepted outside of it.
 *
 * The C core has this for its C++ side only: a server port named "external:NAME"
 * leaves, in a channel argument of that name, an object that takes descriptors.
 * Its class is not in an installed header; its layout is (grpc 1.51,
 * src/core/lib/iomgr/tcp_server.h: TcpServerFdHandler). tests/coord shows at
 * each run that it works with the library that is there.
 */
#ifndef VELD_COORD_SERVER_HANDOVER_H
#define VELD_COORD_SERVER_HANDOVER_H

#ifdef __cplusplus
extern "C" {
#endif

#define VELD_HANDOVER_PORT "external:veld"

/*
 * `handler` is what the argument came to hold. Takes over `fd`: connected,
 * non-blocking. Any thread, between the server's start and its shutdown.
 */
void veld_handover(void *handler, int fd);

#ifdef __cplusplus
}
#endif

#endif
