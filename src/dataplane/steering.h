/*
 * Lane steering: which of the sockets on the listen port a datagram goes to.
 *
 * All datagrams of one peer come from one address and port, which the kernel
 * would hash to one socket, hence to one worker. The program here, classic BPF
 * on the SO_REUSEPORT group (Linux 4.5), sends data of lane L to socket
 * L mod n instead, relayed data by the lane that the relay's header repeats. It is a matter of speed alone: any worker may process any lane.
 *
 * All else, handshakes above all, stays where the kernel's hash of the addresses
 * puts it. So a flood of handshakes from many addresses is a share of work to
 * each worker and none starves by itself, each worker's event queue bounds its
 * share, and one initiator's datagrams meet in one place, in order.
 *
 * Kernel facts: sockets of a group are numbered in the order they were bound;
 * the program sees the UDP payload at offset 0; an answer that is no socket's
 * number leaves the choice to the hash; a load beyond the datagram's end ends
 * the program with 0 (net/core/sock_reuseport.c, net/core/filter.c).
 */
#ifndef VELD_DATAPLANE_STEERING_H
#define VELD_DATAPLANE_STEERING_H

#include "base/err.h"

/*
 * Steer the group of `n` (>= 1) bound sockets that `fd` is of; a group of one
 * needs nothing. VELD_E_UNSUPPORTED, which a caller may live with, when the
 * kernel refuses; errno says why. Control thread.
 */
VELD_MUST_USE int veld_steering_attach(int fd, unsigned n);

#endif
