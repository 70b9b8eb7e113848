#include "dataplane/tun.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef IFF_TUN_EXCL
#define IFF_TUN_EXCL 0x8000
#endif

/* Best first. */
static const struct {
    unsigned flags;
    const char *words;
    unsigned udp_segments_max;
} offloads[] = {
    {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
     "csum tso4 tso6 uso4 uso6", 64},
    {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, "csum tso4 tso6", 0},
    {TUN_F_CSUM, "csum", 0},
    {0, "none", 0},
};

static int device_error(struct veld_diag *diag)
{
    if (errno == ENOENT || errno == ENODEV)
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "/dev/net/tun is missing; load the module with `modprobe tun`, or in "
                         "a container pass `--device /dev/net/tun`");
    if (errno == EACCES || errno == EPERM)
        return veld_fail(diag, VELD_E_PERM,
                         "not allowed to open /dev/net/tun; run as root or with CAP_NET_ADMIN");
    return veld_fail(diag, VELD_E_IO, "cannot open /dev/net/tun: %s", strerror(errno));
}

static int interface_error(const char *name, struct veld_diag *diag)
{
    switch (errno) {
    case EPERM:
        return veld_fail(diag, VELD_E_PERM,
                         "not allowed to create the interface %s; run as root or with "
                         "CAP_NET_ADMIN",
                         name);
    case EBUSY:
    case EEXIST:
        return veld_fail(diag, VELD_E_EXIST,
                         "the interface %s exists already; stop the program that made it, "
                         "remove it with `ip link delete %s`, or configure another name",
                         name, name);
    case EINVAL:
        return veld_fail(diag, VELD_E_INVAL,
                         "the kernel refuses to create a TUN interface named \"%s\"; is the "
                         "name valid, and not that of another kind of interface?",
                         name);
    default:
        return veld_fail(diag, VELD_E_IO, "cannot create the interface %s: %s", name,
                         strerror(errno));
    }
}

/* Attach one more queue; the first creates the interface and settles its name. */
static int open_queue(struct veld_tun *t, const char *name, struct veld_diag *diag)
{
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return device_error(diag);
    t->fds[t->n++] = fd;
    bool first = t->n == 1;
    struct ifreq ifr = {0};
    memcpy(ifr.ifr_name, first ? name : t->name, strlen(first ? name : t->name));
    int flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
    ifr.ifr_flags = (short)(first ? flags | IFF_TUN_EXCL : flags);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        return interface_error(first ? name : t->name, diag);
    int size = sizeof(struct virtio_net_hdr);
    if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
        return veld_fail(diag, VELD_E_UNSUPPORTED, "the TUN driver refuses virtio headers: %s",
                         strerror(errno));
    memcpy(t->name, ifr.ifr_name, sizeof t->name);
    return 0;
}

static void set_offload(struct veld_tun *t)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(offloads); i++) {
        t->offload = offloads[i].words;
        t->udp_segments_max = offloads[i].udp_segments_max;
        if (ioctl(t->fds[0], TUNSETOFFLOAD, offloads[i].flags) == 0)
            return;
    }
}

int veld_tun_open(struct veld_tun *t, const char *name, unsigned queues, struct veld_diag *diag)
{
    *t = (struct veld_tun){0};
    if (strlen(name) == 0 || strlen(name) >= IF_NAMESIZE)
        return veld_fail(diag, VELD_E_INVAL,
                         "\"%s\" is no interface name: 1 to %d characters are", name,
                         IF_NAMESIZE - 1);
    int rc = 0;
    while (rc == 0 && t->n < queues)
        rc = open_queue(t, name, diag);
    if (rc == 0) {
        t->ifindex = if_nametoindex(t->name);
        if (t->ifindex == 0)
            rc =
                veld_fail(diag, VELD_E_IO, "the interface %s vanished as it was made", t->name);
    }
    if (rc < 0) {
        veld_tun_close(t);
        return rc;
    }
    set_offload(t);
    return 0;
}

void veld_tun_close(struct veld_tun *t)
{
    for (unsigned i = 0; i < t->n; i++)
        close(t->fds[i]);
    t->n = 0;
}
