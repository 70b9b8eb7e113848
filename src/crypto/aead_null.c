#include "crypto/aead_backends.h"

#include "base/log.h"

#include <stdatomic.h>
#include <string.h>

/*
 * Nothing, in the place of a cipher: datagrams go out as they are, and whatever comes
 * in is taken. With it a benchmark tells what the rest of the way costs. Only in
 * builds with the option bench_null_aead, and only for who asks for it by name.
 */
static char no_state;

static bool null_usable(void)
{
    return true;
}

static struct veld_aead_ctx *null_new_ctx(void)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&told))
        veld_warn("*** NOTHING IS ENCRYPTED: aead = \"null\" sends everybody's traffic as it "
                  "is and takes in any that comes. It is for benchmarks on one machine. ***");
    return (struct veld_aead_ctx *)&no_state;
}

static void null_free_ctx(struct veld_aead_ctx *ctx)
{
}

static void null_seal(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        memset(jobs[i].data + jobs[i].len, 0, 16);
}

static void null_open(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        jobs[i].ok = true;
}

const struct veld_aead_backend veld_aead_null = {
    .name = "null",
    .usable = null_usable,
    .new_ctx = null_new_ctx,
    .free_ctx = null_free_ctx,
    .seal = null_seal,
    .open = null_open,
};
