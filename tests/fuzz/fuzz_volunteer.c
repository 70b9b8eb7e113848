/* What a relay's members may do to it, in any order (support/volunteer_play.h). */
#include "../support/volunteer_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play(data, size);
    return 0;
}
