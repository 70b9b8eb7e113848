/* Threads that share one call site's allowance: within a window, five lines pass in all. */
#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>

#define THREADS 4
#define CALLS   10000

static struct veld_log_limit limit;
static _Atomic unsigned passed;

static void *speak(void *arg)
{
    uint32_t left_out;
    for (int i = 0; i < CALLS; i++)
        if (veld_log_allow(&limit, VELD_NS_PER_S, &left_out))
            passed++;
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    uint32_t left_out;
    /* Open the window first: at its edge the limit promises less. */
    passed += veld_log_allow(&limit, VELD_NS_PER_S, &left_out);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, speak, NULL))
            return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    bool last = veld_log_allow(&limit, 20 * VELD_NS_PER_S, &left_out);
    printf("passed %u, left out %u\n", passed, left_out);
    return passed == 5 && last && left_out == THREADS * CALLS + 1 - 5 ? 0 : 1;
}
