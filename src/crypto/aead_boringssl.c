#include "crypto/aead_backends.h"

#include "crypto/primitives.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * BoringSSL as Debian packs it (android-libboringssl), one datagram at a time.
 *
 * Its names are OpenSSL's, which other libraries bring into the process: it is
 * never linked but loaded by its whole path, with RTLD_LOCAL so that nobody else
 * finds its symbols and RTLD_DEEPBIND so that it finds its own first. It is
 * never unloaded (threads may hold its destructors). Sanitizers refuse
 * RTLD_DEEPBIND; under them, and where the library is absent, this backend is
 * not usable.
 *
 * A forged datagram makes it allocate its error queue, once a thread.
 */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define UNDER_SANITIZER 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                     \
    __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

#if defined __x86_64__
#define MULTIARCH "x86_64-linux-gnu"
#elif defined __aarch64__
#define MULTIARCH "aarch64-linux-gnu"
#elif defined __arm__
#define MULTIARCH "arm-linux-gnueabihf"
#elif defined __i386__
#define MULTIARCH "i386-linux-gnu"
#endif

/* What is used of openssl/aead.h, whose names would clash with OpenSSL's headers. */
typedef struct evp_aead_ctx evp_aead_ctx;
static struct {
    const void *(*chacha20_poly1305)(void);
    int (*init)(evp_aead_ctx *, const void *aead, const uint8_t *key, size_t key_len,
                size_t tag_len, void *engine);
    void (*cleanup)(evp_aead_ctx *);
    int (*seal)(const evp_aead_ctx *, uint8_t *out, uint8_t *tag, size_t *tag_len,
                size_t max_tag_len, const uint8_t *nonce, size_t nonce_len, const uint8_t *in,
                size_t in_len, const uint8_t *extra, size_t extra_len, const uint8_t *ad,
                size_t ad_len);
    int (*open)(const evp_aead_ctx *, uint8_t *out, const uint8_t *nonce, size_t nonce_len,
                const uint8_t *in, size_t in_len, const uint8_t *tag, size_t tag_len,
                const uint8_t *ad, size_t ad_len);
} boring;
static bool loaded; /* written once, inside pthread_once */

/* Room for its EVP_AEAD_CTX, which has 584 bytes; initialising one allocates nothing. */
struct veld_aead_ctx {
    _Alignas(VELD_CACHE_LINE) uint8_t storage[1024];
};

#if defined MULTIARCH && !defined UNDER_SANITIZER
static void load(void)
{
    static const char path[] = "/usr/lib/" MULTIARCH "/android/libcrypto.so.0";
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND | RTLD_NODELETE);
    if (!lib)
        return;
    const struct {
        void *function; /* a pointer to the pointer, as POSIX has it for dlsym */
        const char *name;
    } symbols[] = {
        {&boring.chacha20_poly1305, "EVP_aead_chacha20_poly1305"},
        {&boring.init, "EVP_AEAD_CTX_init"},
        {&boring.cleanup, "EVP_AEAD_CTX_cleanup"},
        {&boring.seal, "EVP_AEAD_CTX_seal_scatter"},
        {&boring.open, "EVP_AEAD_CTX_open_gather"},
    };
    loaded = true;
    for (size_t i = 0; i < VELD_ARRAY_LEN(symbols); i++) {
        void *symbol = dlsym(lib, symbols[i].name);
        memcpy(symbols[i].function, &symbol, sizeof symbol);
        loaded = loaded && symbol;
    }
}
#else
static void load(void)
{
}
#endif

static bool boring_usable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return loaded;
}

static struct veld_aead_ctx *boring_new_ctx(void)
{
    return aligned_alloc(VELD_CACHE_LINE, sizeof(struct veld_aead_ctx));
}

static void boring_free_ctx(struct veld_aead_ctx *ctx)
{
    free(ctx);
}

/* Ready for `key`, which most often is the job's before as well. */
static evp_aead_ctx *keyed(struct veld_aead_ctx *ctx, const uint8_t **last, const uint8_t *key)
{
    evp_aead_ctx *aead = (void *)ctx->storage;
    if (key == *last)
        return aead;
    if (*last)
        boring.cleanup(aead);
    if (!boring.init(aead, boring.chacha20_poly1305(), key, 32, 16, NULL))
        abort(); /* its lengths are right: there is nothing else to refuse */
    *last = key;
    return aead;
}

static void forget(struct veld_aead_ctx *ctx, const uint8_t *last)
{
    if (!last)
        return;
    boring.cleanup((void *)ctx->storage);
    veld_wipe(ctx->storage, sizeof ctx->storage);
}

static void boring_seal(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    const uint8_t *last = NULL;
    for (size_t i = 0; i < n; i++) {
        struct veld_aead_job *j = &jobs[i];
        size_t tag_len;
        if (!boring.seal(keyed(ctx, &last, j->key), j->data, j->data + j->len, &tag_len, 16,
                         j->nonce, sizeof j->nonce, j->data, j->len, NULL, 0, j->ad,
                         j->ad_len) ||
            tag_len != 16)
            abort(); /* a datagram that was not sealed must never leave */
    }
    forget(ctx, last);
}

static void boring_open(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    const uint8_t *last = NULL;
    for (size_t i = 0; i < n; i++) {
        struct veld_aead_job *j = &jobs[i];
        j->ok = boring.open(keyed(ctx, &last, j->key), j->data, j->nonce, sizeof j->nonce,
                            j->data, j->len, j->data + j->len, 16, j->ad, j->ad_len) == 1;
    }
    forget(ctx, last);
}

const struct veld_aead_backend veld_aead_boringssl = {
    .name = "boringssl",
    .usable = boring_usable,
    .new_ctx = boring_new_ctx,
    .free_ctx = boring_free_ctx,
    .seal = boring_seal,
    .open = boring_open,
};
