#include "base/memory.h"

#include <malloc.h>
#include <stddef.h>

/* jemalloc's, when the daemon is linked with it (option jemalloc). */
__attribute__((weak)) int mallctl(const char *name, void *old, size_t *old_len, void *value,
                                  size_t len);

void veld_memory_give_back(void)
{
    if (mallctl)
        (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* of all arenas */
    else
        malloc_trim(0);
}
