#include "dataplane/rcu.h"

#include "base/bytes.h"

#include <pthread.h>
#include <stddef.h>

/*
 * ThreadSanitizer learns of a grace period through one address: whoever lets go
 * of what is shared releases it, reclaiming acquires it.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char grace;
#define LETS_GO()        __tsan_release(&grace)
#define RECLAIM_BEGINS() __tsan_acquire(&grace)
#else
#define LETS_GO()
#define RECLAIM_BEGINS()
#endif

void veld_rcu_reader_begin(void)
{
    urcu_qsbr_register_thread();
}

void veld_rcu_reader_end(void)
{
    LETS_GO();
    urcu_qsbr_unregister_thread();
}

void veld_rcu_offline(void)
{
    LETS_GO();
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

/* What was retired and is not reclaimed yet. (rcu_barrier would wait too, but allocates.) */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_reclaimed = PTHREAD_COND_INITIALIZER;
static size_t pending;

static void run(struct rcu_head *head)
{
    struct veld_rcu *r = VELD_CONTAINER_OF(head, struct veld_rcu, head);
    RECLAIM_BEGINS();
    r->reclaim(r);
    pthread_mutex_lock(&lock);
    if (--pending == 0)
        pthread_cond_broadcast(&all_reclaimed);
    pthread_mutex_unlock(&lock);
}

void veld_rcu_retire(struct veld_rcu *r, void (*reclaim)(struct veld_rcu *))
{
    r->reclaim = reclaim;
    pthread_mutex_lock(&lock);
    pending++;
    pthread_mutex_unlock(&lock);
    LETS_GO(); /* what the updater wrote before */
    urcu_qsbr_thread_online();
    urcu_qsbr_call_rcu(&r->head, run);
    urcu_qsbr_thread_offline();
}

void veld_rcu_barrier(void)
{
    pthread_mutex_lock(&lock);
    while (pending > 0)
        pthread_cond_wait(&all_reclaimed, &lock);
    pthread_mutex_unlock(&lock);
}
