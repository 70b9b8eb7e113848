/*
 * Batches of AEAD jobs through every backend, compared with libsodium. Six bytes of
 * input are the shape of a job: length, length of the additional data, alignment,
 * key, damage. The contents follow from the input by a generator: what backends
 * could disagree about is how they lay out blocks, not what is in them.
 */
#include "../support/aead_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_aead_shape shapes[VELD_AEAD_BATCH_MAX];
    struct test_random r = {size};
    char why[128];
    size_t n = 0, bytes = 0;
    if (veld_crypto_init() < 0)
        return 0;
    for (; size >= 6 && n < VELD_AEAD_BATCH_MAX && bytes < 64 * 1024; data += 6, size -= 6) {
        struct test_aead_shape *s = &shapes[n++];
        *s = (struct test_aead_shape){.len = (uint16_t)(data[0] | data[1] << 8),
                                      .ad_len = data[2],
                                      .align = data[3] % 64,
                                      .key = data[4],
                                      .damage = data[5]};
        r.state = r.state * 31 + s->len;
        bytes += s->len;
    }
    if (!test_aead_compare(shapes, n, &r, why)) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return 0;
}
