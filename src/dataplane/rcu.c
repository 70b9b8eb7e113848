#include "dataplane/rcu.h"

#include <stddef.h>

/*
 * ThreadSanitizer learns of a grace period through one address: readers release
 * it when they let go, reclaiming acquires it.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char grace;
#define READER_LETS_GO()  __tsan_release(&grace)
#define RECLAIM_BEGINS()  __tsan_acquire(&grace)
#define RECLAIM_HAS_RUN() __tsan_release(&grace)
#define BARRIER_PASSED()  __tsan_acquire(&grace)
#else
#define READER_LETS_GO()
#define RECLAIM_BEGINS()
#define RECLAIM_HAS_RUN()
#define BARRIER_PASSED()
#endif

void veld_rcu_reader_begin(void)
{
    urcu_qsbr_register_thread();
}

void veld_rcu_reader_end(void)
{
    READER_LETS_GO();
    urcu_qsbr_unregister_thread();
}

void veld_rcu_offline(void)
{
    READER_LETS_GO();
    urcu_qsbr_thread_offline();
}

void veld_rcu_online(void)
{
    urcu_qsbr_thread_online();
}

/* The updater is registered, as liburcu asks of callers of call_rcu, but stays offline. */
static _Thread_local unsigned updaters;

void veld_rcu_updater_begin(void)
{
    if (updaters++ > 0)
        return;
    urcu_qsbr_register_thread();
    urcu_qsbr_thread_offline();
}

void veld_rcu_updater_end(void)
{
    if (--updaters > 0)
        return;
    urcu_qsbr_thread_online();
    urcu_qsbr_unregister_thread();
}

static void run(struct rcu_head *head)
{
    struct veld_rcu *r = caa_container_of(head, struct veld_rcu, head);
    RECLAIM_BEGINS();
    r->reclaim(r);
    RECLAIM_HAS_RUN();
}

void veld_rcu_retire(struct veld_rcu *r, void (*reclaim)(struct veld_rcu *))
{
    r->reclaim = reclaim;
    READER_LETS_GO(); /* what the updater wrote before */
    urcu_qsbr_thread_online();
    urcu_qsbr_call_rcu(&r->head, run);
    urcu_qsbr_thread_offline();
}

void veld_rcu_barrier(void)
{
    urcu_qsbr_thread_online();
    urcu_qsbr_barrier();
    urcu_qsbr_thread_offline();
    BARRIER_PASSED();
}
