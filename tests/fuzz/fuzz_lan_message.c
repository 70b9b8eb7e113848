/*
 * Any bytes as an mDNS message: nothing is read beyond them; what may go on is as long as its
 * records say, so that bytes after the last of them change nothing.
 */
#include "control/lan/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t longer[VELD_LAN_MESSAGE_MAX];
    if (!veld_lan_message_is_plain(data, size) || size == sizeof longer)
        return 0;
    memcpy(longer, data, size);
    longer[size] = 0xff;
    if (!veld_lan_message_is_plain(longer, size + 1))
        abort();
    return 0;
}
