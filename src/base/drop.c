#include "base/drop.h"

static const struct {
    const char *name, *text;
} drops[VELD_DROP_COUNT] = {
#define X(id, name, text) {name, text},
    VELD_DROPS(X)
#undef X
};

const char *veld_drop_name(enum veld_drop reason)
{
    return drops[reason].name;
}

const char *veld_drop_text(enum veld_drop reason)
{
    return drops[reason].text;
}
