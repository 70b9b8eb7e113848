/*
 * Who makes a call: its signature, its time and its nonce; and how often
 * somebody may call at all.
 *
 * Order: veld_auth_admit before anything is looked at, veld_auth_prove before anything
 * is believed. Each fails the call with a sentence. Thread: the server's loop.
 */
#ifndef VELD_COORD_SERVICE_AUTH_H
#define VELD_COORD_SERVICE_AUTH_H

#include "coord/service/call.h"

/* By the address it came from. */
void veld_auth_admit(struct veld_coord_call *c);
/* Fills in `caller`. */
void veld_auth_prove(struct veld_coord_call *c);

#endif
