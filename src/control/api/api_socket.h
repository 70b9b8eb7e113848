/*
 * The local API's Unix socket: making it, who may use it, removing it.
 *
 * Invariant: the socket's file has mode 0660 from the moment it exists, and
 * only the file that was made here is ever removed, unless it is the leftover
 * of a dead daemon.
 *
 * Control thread.
 */
#ifndef VELD_CONTROL_API_API_SOCKET_H
#define VELD_CONTROL_API_API_SOCKET_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#define VELD_API_GROUP "veld" /* its members may use the socket, if there is such a group */

struct veld_api_socket {
    int fd; /* listening, non-blocking */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    dev_t dev; /* of the file, to know it again */
    ino_t ino;
    bool has_group;
    gid_t group;
};

/* VELD_E_EXIST when a live daemon listens there or the file is no socket; VELD_E_PERM, VELD_E_RANGE, VELD_E_IO. */
VELD_MUST_USE int veld_api_socket_open(struct veld_api_socket *s, const char *path,
                                       struct veld_diag *diag);
/* Removes the file. Closes `fd` unless it is -1 (given away). */
void veld_api_socket_close(struct veld_api_socket *s);

/* Whether the process at the other end of a connection is root, this user, or of the group. */
bool veld_api_socket_allows(const struct veld_api_socket *s, int connection);

#endif
