/* The backend that does not encrypt is in no build but the benchmark's own. */
#include "crypto/aead.h"

#include <criterion/criterion.h>
#include <string.h>

Test(aead_null, cannot_be_asked_for)
{
    static const char *const names[] = {"null", "none", "off", "plain", "plaintext"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(names); i++) {
        const struct veld_aead_backend *b = NULL;
        cr_assert_eq(veld_aead_select(names[i], &b, NULL), VELD_E_UNSUPPORTED, "%s", names[i]);
        cr_assert_null(b);
    }
}

Test(aead_null, every_backend_there_is_encrypts)
{
    static const uint8_t key[32];
    for (const struct veld_aead_backend *const *p = veld_aead_backends(); *p; p++) {
        uint8_t data[64 + 16] = {0};
        struct veld_aead_job job = {
            .key = key, .data = data, .len = 64, .ad = key, .ad_len = 16};
        if (!(*p)->usable())
            continue;
        struct veld_aead_ctx *ctx = (*p)->new_ctx();
        (*p)->seal(ctx, &job, 1);
        static const uint8_t zero[64 + 16];
        cr_assert(memcmp(data, zero, 64) && memcmp(data + 64, zero, 16), "%s", (*p)->name);
        (*p)->free_ctx(ctx);
    }
}
