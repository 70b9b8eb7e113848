/*
 * What stands between the sockets and Avahi: a main loop for it (an AvahiPoll), whose UDP sockets
 * seem to have nothing to read while the next message is none that may go on (message.h), or one
 * more than VELD_LAN_MESSAGES_PER_S. Such a message is thrown away.
 *
 * Part of veld-mdns; its one thread.
 */
#ifndef VELD_CONTROL_LAN_GATE_H
#define VELD_CONTROL_LAN_GATE_H

#include <avahi-common/watch.h>

#define VELD_LAN_MESSAGES_PER_S 100 /* of each socket */

/* Before `inner`, which outlives it. One a process; nobody frees it. */
const AvahiPoll *veld_lan_gate(const AvahiPoll *inner);

#endif
