/*
 * The requests of machines that wait to be let in, each proved and with its
 * code; of one machine the newest.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_REQUESTS_H
#define VELD_CLI_COORD_REQUESTS_H

#include "trust/join_request.h"

struct veld_waiting_request {
    struct veld_join_request request;
    char code[VELD_JOIN_CODE_STRLEN];
};

struct veld_requests {
    struct veld_waiting_request *list; /* owned */
    size_t n;
    size_t refused; /* that did not prove, or are another network's */
};

/* From `n` encoded Signed requests, as a server lists them. VELD_E_NOMEM. */
VELD_MUST_USE int veld_requests_read(struct veld_requests *out, const struct veld_blob *blobs,
                                     size_t n, const uint8_t network_id[32]);
void veld_requests_clear(struct veld_requests *r);
/*
 * The one whose code is typed; borrowed. VELD_E_NOENT, also for a name, whose code is told;
 * VELD_E_STATE when there are several: somebody has searched for a key that has the code of
 * another's.
 */
VELD_MUST_USE int veld_requests_find(const struct veld_requests *r, const char *typed,
                                     const struct veld_waiting_request **out,
                                     struct veld_diag *diag);

#endif
