/*
 * A flood of initiations from false addresses, as fast as one core can send, to
 * see what it costs whoever gets it. In a network namespace of one's own: it
 * forges addresses out of 198.18.0.0/15 (RFC 2544, for benchmarks).
 *
 *   bench-flood ADDRESS PORT PUBKEY SECONDS good|bad [PER_S]
 *
 * good: mac1 is right, as anybody can make it who knows PUBKEY; bad: it is not.
 * At most PER_S a second. Prints "ready", then how many were sent. Needs CAP_NET_RAW.
 */
#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/cookie.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH   64
#define HEADERS 28 /* IPv4 and UDP */
#define SIZE    (HEADERS + VELD_INITIATION_SIZE)
#define FROM    0xc6120000u
#define MANY    20000u

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void make_packet(uint8_t p[SIZE], const struct sockaddr_in *to, const uint8_t pub[32],
                        bool good)
{
    struct veld_cookie_jar jar;
    uint8_t *udp = p + 20, *message = p + HEADERS;
    memcpy(p, (uint8_t[]){0x45, 0, 0, SIZE, 0, 0, 0, 0, 64, IPPROTO_UDP}, 10);
    memcpy(p + 16, &to->sin_addr, 4);
    memcpy(udp + 2, &to->sin_port, 2);
    veld_store_be16(udp + 4, 8 + VELD_INITIATION_SIZE); /* no checksum: IPv4 allows it */
    veld_random(message, VELD_INITIATION_SIZE);
    veld_header_write(message, &(struct veld_header){.type = VELD_INITIATION, .index = 1});
    veld_cookie_jar_init(&jar, pub);
    veld_cookie_sign(&jar, message, VELD_INITIATION_SIZE, 1);
    if (!good)
        message[VELD_INITIATION_SIZE - 2 * VELD_MAC_SIZE] ^= 1;
}

static unsigned long flood(int fd, struct sockaddr_in *to, const uint8_t packet[SIZE],
                           double seconds, double per_s)
{
    static uint8_t packets[BATCH][SIZE];
    struct iovec iov[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    for (unsigned i = 0; i < BATCH; i++) {
        memcpy(packets[i], packet, SIZE);
        iov[i] = (struct iovec){packets[i], SIZE};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = to, .msg_namelen = sizeof *to, .msg_iov = &iov[i], .msg_iovlen = 1};
    }
    unsigned long sent = 0, tried = 0;
    uint64_t start = veld_clock_mono_ns(), now = start;
    for (; now < start + (uint64_t)(seconds * 1e9); now = veld_clock_mono_ns()) {
        if (per_s > 0 && (double)tried > per_s * (double)(now - start) / 1e9) {
            usleep(100);
            continue;
        }
        for (unsigned i = 0; i < BATCH; i++, tried++) {
            uint32_t n = (uint32_t)(tried % MANY);
            veld_store_be32(packets[i] + 12, FROM + n);
            veld_store_be16(packets[i] + 20, (uint16_t)(1024 + n % 50000));
        }
        int n = sendmmsg(fd, messages, BATCH, 0);
        sent += n > 0 ? (unsigned long)n : 0;
    }
    return sent;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    uint8_t pub[32], packet[SIZE] = {0};
    if (argc < 6 || argc > 7 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 ||
        veld_crypto_init() < 0 || veld_pubkey_parse(argv[3], pub) < 0) {
        fprintf(stderr, "usage: bench-flood ADDRESS PORT PUBKEY SECONDS good|bad [PER_S]\n");
        return 2;
    }
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (fd < 0)
        die("raw socket");
    make_packet(packet, &to, pub, strcmp(argv[5], "good") == 0);
    printf("ready\n");
    fflush(stdout);
    printf("%lu\n", flood(fd, &to, packet, atof(argv[4]), argc == 7 ? atof(argv[6]) : 0));
    return 0;
}
