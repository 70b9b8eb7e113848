#include "load/sockets.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_BYTES (8 << 20)

_Noreturn void sockets_die(const char *what, const char *detail, int error)
{
    fprintf(stderr, "udp-load: %s%s%s%s%s\n", what, detail ? " " : "", detail ? detail : "",
            error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

static void grow(int fd, int forced, int granted)
{
    int bytes = BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0)
        (void)setsockopt(fd, SOL_SOCKET, granted, &bytes, sizeof bytes);
}

static int open_socket(const char *address, const char *port,
                       int (*attach)(int, const struct sockaddr *, socklen_t))
{
    const struct addrinfo want = {.ai_socktype = SOCK_DGRAM,
                                  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    int rc = getaddrinfo(address, port, &want, &found);
    if (rc != 0)
        sockets_die("not a numeric address and port:", address, 0);
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || attach(fd, found->ai_addr, found->ai_addrlen) < 0)
        sockets_die("cannot use", address, errno);
    freeaddrinfo(found);
    grow(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    grow(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    return fd;
}

int sockets_listen(const char *address, const char *port)
{
    return open_socket(address, port, bind);
}

int sockets_connect(const char *address, const char *port)
{
    return open_socket(address, port, connect);
}
