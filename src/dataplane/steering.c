#include "dataplane/steering.h"

#include "base/bytes.h"
#include "wire/datagram.h"

#include <linux/filter.h>
#include <sys/socket.h>

#define TYPE_OFFSET 0
#define LANE_OFFSET 2
#define BY_HASH     UINT32_MAX /* no socket's number */

int veld_steering_attach(int fd, unsigned n)
{
    if (n == 1)
        return 0;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LANE_OFFSET, 0, 6),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TYPE_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VELD_DATA, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VELD_RELAYED, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, LANE_OFFSET),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
        BPF_STMT(BPF_RET | BPF_A, 0),
        BPF_STMT(BPF_RET | BPF_K, BY_HASH),
    };
    struct sock_fprog program = {.len = VELD_ARRAY_LEN(code), .filter = code};
    int rc = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
    return rc < 0 ? VELD_E_UNSUPPORTED : 0;
}
