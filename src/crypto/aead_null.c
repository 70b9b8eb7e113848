#include "crypto/aead_backends.h"

#include "base/log.h"

#include <string.h>

/*
 * Nothing, in the place of a cipher: datagrams go out as they are, and whatever comes
 * in is taken. With it a benchmark tells what the rest of the way costs. Only in
 * builds with the option bench_null_aead; never in the list of backends, so neither
 * "auto" nor a test comes upon it: it must be asked for by name.
 */
static char no_state;

static bool null_usable(void)
{
    return true;
}

static struct veld_aead_ctx *null_new_ctx(void)
{
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

static const struct veld_aead_backend null_backend = {
    .name = "null",
    .usable = null_usable,
    .new_ctx = null_new_ctx,
    .free_ctx = null_free_ctx,
    .seal = null_seal,
    .open = null_open,
};

bool veld_aead_select_null(const char *name, const struct veld_aead_backend **out)
{
    if (strcmp(name, "null") != 0)
        return false;
    veld_warn("*** NOTHING IS ENCRYPTED: aead = \"null\" sends everybody's traffic as it is "
              "and takes in any that comes. It is for benchmarks on one machine. ***");
    *out = &null_backend;
    return true;
}
