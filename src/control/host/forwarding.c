#include "base/file.h"
#include "base/log.h"
#include "control/host/netif.h"

struct family {
    uint8_t number; /* as in veld_ip */
    const char *name;
    const char *path;
    const char *note;
};

static const struct family families[] = {
    {4, "IPv4", "/proc/sys/net/ipv4/ip_forward", ""},
    {6, "IPv6", "/proc/sys/net/ipv6/conf/all/forwarding",
     "; a machine that forwards no longer listens to router advertisements: if it gets its own "
     "address or default route from them, set net.ipv6.conf.INTERFACE.accept_ra=2"},
};

static int enable(struct veld_journal *j, const struct family *f, struct veld_diag *diag)
{
    char text[16];
    size_t len;
    if (veld_file_read(f->path, text, sizeof text, &len) < 0)
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "cannot forward for the routes offered: no %s in this kernel (%s)",
                         f->name, f->path);
    if (text[0] != '0')
        return 0;
    int rc = veld_journal_edit(j, f->path, "1\n", 2, diag);
    if (rc == 0)
        veld_info(
            "%s forwarding is turned on for the routes offered (%s = 1), and off again at "
            "stop%s",
            f->name, f->path, f->note);
    return rc;
}

int veld_netif_enable_forwarding(struct veld_journal *j, const struct veld_prefix *routes,
                                 size_t count, struct veld_diag *diag)
{
    int rc = 0;
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        bool needed = false;
        for (size_t i = 0; i < count && !needed; i++)
            needed = routes[i].ip.family == families[f].number;
        if (needed && rc == 0)
            rc = enable(j, &families[f], diag);
    }
    return rc;
}
