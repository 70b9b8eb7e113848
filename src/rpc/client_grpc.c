#include "rpc/client_grpc.h"

#include "base/bytes.h"
#include "base/log.h"
#include "rpc/text.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHUTDOWN_MS 2000

struct veld_grpc veld_grpc;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define X(name) {#name, offsetof(struct veld_grpc, name)},
    VELD_GRPC_FUNCTIONS(X)
#undef X
};

/* Its logs are for who looks into it: what a user has to know, the client says itself. */
static void on_log(gpr_log_func_args *line)
{
    char text[VELD_RPC_TEXT_MAX + 1];
    veld_rpc_text_clean(text, line->message, strlen(line->message));
    /* It is about to end the process. */
    bool is_last = strncmp(text, "assertion failed", 16) == 0;
    veld_log(is_last ? VELD_LOG_ERROR : VELD_LOG_DEBUG, "gRPC: %s", text);
}

static int fill(void *library, struct veld_grpc *table, struct veld_diag *diag)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(functions); i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f)
            return veld_fail(
                diag, VELD_E_UNSUPPORTED,
                "the installed " VELD_GRPC_SONAME
                " has no %s: this build of veld was made for another version of it",
                functions[i].name);
        memcpy((char *)table + functions[i].offset, &f, sizeof f);
    }
    return 0;
}

static int load(struct veld_diag *diag)
{
    /* Never closed again: its threads and its thread-local data would outlive it. */
    void *library = dlopen(VELD_GRPC_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "a coord server is talked to by gRPC, which cannot be loaded: %.300s; "
                         "install it with: apt install libgrpc29",
                         dlerror());
    struct veld_grpc table;
    int rc = fill(library, &table, diag);
    if (rc < 0)
        return rc;
    /*
     * Names are looked up as everywhere on the machine (nsswitch), on a thread that
     * gRPC has for it, rather than by its own resolver, which knows DNS alone. It can
     * only be told by the environment; a user's word stands. glibc keeps the array
     * that others may be reading meanwhile.
     */
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    table.gpr_set_log_function(on_log);
    veld_grpc = table;
    return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;
static unsigned users;
static bool is_shared; /* with somebody else in this process (a test's server) */

int veld_grpc_load(struct veld_diag *diag)
{
    pthread_mutex_lock(&lock);
    int rc = loaded ? 0 : load(diag);
    loaded = rc == 0;
    pthread_mutex_unlock(&lock);
    return rc;
}

void veld_grpc_begin(void)
{
    pthread_mutex_lock(&lock);
    if (users++ == 0)
        is_shared = veld_grpc.grpc_is_initialized();
    pthread_mutex_unlock(&lock);
    veld_grpc.grpc_init();
}

/*
 * gRPC shuts down when its last object is gone, and a connection that was being made may
 * hold one a moment longer. A process that exits meanwhile takes OpenSSL from under it.
 */
void veld_grpc_end(void)
{
    veld_grpc.grpc_shutdown_blocking();
    pthread_mutex_lock(&lock);
    users--;
    for (unsigned ms = 0; users == 0 && !is_shared && ms < SHUTDOWN_MS; ms++) {
        pthread_mutex_unlock(&lock);
        if (!veld_grpc.grpc_is_initialized())
            return;
        usleep(1000);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
}
