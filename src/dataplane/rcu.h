/*
 * Read-copy-update between the control thread, which alone changes the tables,
 * and the workers, which read them without locks (liburcu, QSBR flavour).
 *
 * Invariant: what was retired is reclaimed only after every worker has passed a
 * quiescent state, so a worker may use a pointer it loaded until the next one.
 *
 * Pointers are published and loaded with C11 release and acquire; this is the
 * only include of liburcu, and the place where ThreadSanitizer, which cannot
 * see into it, is told of the grace period.
 *
 * Order of calls: a worker: reader_begin, then offline/online around every wait
 * and quiescent once a turn otherwise, reader_end. The control thread:
 * updater_begin, retire*, barrier, updater_end; begin and end nest.
 */
#ifndef VELD_DATAPLANE_RCU_H
#define VELD_DATAPLANE_RCU_H

#include <urcu/urcu-qsbr.h>

/* Embedded in whatever is retired. */
struct veld_rcu {
    struct rcu_head head;
    void (*reclaim)(struct veld_rcu *self);
};

/* Worker threads. Online from begin on. */
void veld_rcu_reader_begin(void);
void veld_rcu_reader_end(void);
void veld_rcu_offline(void);
void veld_rcu_online(void);

/* Control thread. */
void veld_rcu_updater_begin(void);
void veld_rcu_updater_end(void);
/* Call `reclaim(r)`, on a thread of liburcu's, once no worker can hold it any more. */
void veld_rcu_retire(struct veld_rcu *r, void (*reclaim)(struct veld_rcu *));
/* Wait until everything retired so far has been reclaimed. */
void veld_rcu_barrier(void);

#endif
