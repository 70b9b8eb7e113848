/*
 * What ends by itself: memberships, requests to join, tokens' uses, and networks
 * that nobody has been a member of for long. Looked for every VELD_CHORES_S.
 *
 * Thread: the server's loop; a commit follows.
 */
#ifndef VELD_COORD_SERVICE_CHORES_H
#define VELD_COORD_SERVICE_CHORES_H

#include "coord/service/impl.h"

void veld_chores_do(struct veld_service *s);

#endif
