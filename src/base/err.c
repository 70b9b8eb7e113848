#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *veld_strerror(int err)
{
    switch (err) {
    case VELD_OK: return "success";
#define X(name, num, text)                                                                     \
    case VELD_E_##name: return text;
        VELD_ERRORS(X)
#undef X
    default: return "unknown error";
    }
}

int veld_fail(struct veld_diag *diag, int err, const char *fmt, ...)
{
    if (diag) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(diag->text, sizeof diag->text, fmt, ap);
        va_end(ap);
    }
    return err;
}
