/* The config reader on any bytes: it loads, or says one sentence, and leaks nothing. */
#include "control/config/config.h"
#include "crypto/primitives.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct veld_config *c = NULL;
    struct veld_diag diag = {.text = ""};
    if (veld_crypto_init() < 0)
        abort();
    int rc = veld_config_parse("/nonexistent/c.toml", (const char *)data, size, &c, &diag);
    if (rc == 0 ? c == NULL || (c->n_addrs == 0 && !c->network[0])
                : c != NULL || strlen(diag.text) == 0)
        abort();
    veld_config_free(c);
    return 0;
}
