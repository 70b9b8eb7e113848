/* Workers that share a lane: no counter is given twice, no datagram commits twice. */
#include "crypto/primitives.h"
#include "dataplane/session.h"

#include <stdio.h>

#define THREADS  4
#define RESERVES 204800
#define BURST    512
#define COUNTERS 40000

static struct veld_session *session;
static _Atomic uint8_t given[THREADS * RESERVES * 8], committed[COUNTERS];

static void *work(void *unused)
{
    struct veld_lane *lane = &session->lanes[0];
    uint64_t first[BURST];
    for (unsigned i = 0; i < RESERVES; i += BURST) {
        /* Close together, so that threads meet. */
        for (unsigned k = 0; k < BURST; k++)
            if (!veld_session_reserve(lane, 1 + k % 8, &first[k]))
                return (void *)1;
        for (unsigned k = 0; k < BURST; k++)
            for (unsigned n = 1 + k % 8; n > 0;)
                given[first[k] + --n]++;
    }
    for (uint64_t i = 0; i < COUNTERS; i++) {
        pthread_spin_lock(&lane->lock);
        if (veld_replay_check(&lane->window, i))
            committed[i] += veld_replay_commit(&lane->window, i);
        pthread_spin_unlock(&lane->lock);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    if (veld_crypto_init() < 0)
        return 1;
    session = veld_session_new(&(struct veld_session_params){.lanes = 1}, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        if (!session || pthread_create(&threads[i], NULL, work, NULL))
            return 1;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    unsigned wrong = 0;
    for (uint64_t i = 0; i < session->lanes[0].next; i++)
        wrong += given[i] != 1;
    /* A thread that fell behind the window finds its counters too old: never twice is the promise. */
    for (unsigned i = 0; i < COUNTERS; i++)
        wrong += committed[i] > 1;
    printf("%u counters given or committed wrongly\n", wrong);
    veld_session_free(session);
    return wrong ? 1 : 0;
}
