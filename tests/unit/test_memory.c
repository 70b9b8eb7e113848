#include "base/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__
#define UNDER_SANITIZER
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER
#endif
#endif

#define BLOCKS 4096
#define SIZE   (16u * 1024)

static size_t resident(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%*u %zu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Small blocks under one that stays: the allocator keeps them until it is asked. */
Test(memory, what_was_freed_goes_back)
{
#ifdef UNDER_SANITIZER
    cr_skip_test("AddressSanitizer is the allocator, and keeps what is freed");
#endif
    static char *block[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        block[i] = malloc(SIZE);
        cr_assert_not_null(block[i]);
        memset(block[i], 1, SIZE);
    }
    for (size_t i = 0; i + 1 < BLOCKS; i++)
        free(block[i]);
    size_t before = resident();
    veld_memory_give_back();
    cr_assert_leq(resident() + (size_t)BLOCKS * SIZE / 2, before);
    free(block[BLOCKS - 1]);
}
