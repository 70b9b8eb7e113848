#include "dataplane/event_queue.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SIZE VELD_EVENT_QUEUE_SIZE

static struct veld_event_queue q;

static void setup(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(veld_event_queue_init(&q, SIZE, fd), 0);
}

static void teardown(void)
{
    close(q.fd);
    veld_event_queue_free(&q);
}

TestSuite(event_queue, .init = setup, .fini = teardown);

static bool push(enum veld_dataplane_event_type type, uint32_t number)
{
    struct veld_dataplane_event ev = {.type = type, .local_index = number, .len = 4};
    memcpy(ev.bytes, &number, 4);
    return veld_event_queue_push(&q, &ev);
}

static bool signalled(void)
{
    return poll(&(struct pollfd){.fd = q.fd, .events = POLLIN}, 1, 0) == 1;
}

Test(event_queue, gives_back_in_order)
{
    struct veld_dataplane_event ev;
    cr_assert_not(veld_event_queue_pop(&q, &ev));
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 700; i++)
            cr_assert(push(VELD_DP_MESSAGE, i));
        for (uint32_t i = 0; i < 700; i++) {
            cr_assert(veld_event_queue_pop(&q, &ev));
            cr_assert_eq(ev.local_index, i);
            cr_assert_eq(ev.type, VELD_DP_MESSAGE);
            cr_assert_eq(ev.len, 4);
            cr_assert_arr_eq(ev.bytes, &i, 4);
        }
        cr_assert_not(veld_event_queue_pop(&q, &ev));
    }
}

/* Of a message longer than an event's room the beginning is kept, and nothing is overrun. */
Test(event_queue, long_messages_are_cut)
{
    struct {
        struct veld_dataplane_event ev;
        uint8_t guard[16];
    } in, out;
    memset(&in, 0x11, sizeof in);
    memset(&out, 0x22, sizeof out);
    in.ev.type = VELD_DP_MESSAGE;
    in.ev.len = 9000;
    cr_assert(push(VELD_DP_MESSAGE, 1));
    cr_assert(veld_event_queue_push(&q, &in.ev));
    cr_assert(push(VELD_DP_MESSAGE, 2));
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(veld_event_queue_pop(&q, &out.ev));
        cr_assert_eq(out.ev.len, i == 1 ? 9000 : 4);
        cr_assert_eq(out.guard[0], 0x22);
    }
    cr_assert_eq(out.ev.local_index, 2);
}

Test(event_queue, full_refuses)
{
    for (uint32_t i = 0; i < SIZE; i++)
        cr_assert(push(VELD_DP_CONFIRMED, i));
    cr_assert_not(push(VELD_DP_CONFIRMED, 0));
    struct veld_dataplane_event ev;
    cr_assert(veld_event_queue_pop(&q, &ev));
    cr_assert_eq(ev.local_index, 0);
    cr_assert(push(VELD_DP_CONFIRMED, 0));
    cr_assert_not(push(VELD_DP_CONFIRMED, 0));
}

/* Initiations of the unproved leave room for those whose senders are where they say, and answers. */
Test(event_queue, the_unproved_leave_room_for_the_proved)
{
    struct veld_dataplane_event initiation = {.type = VELD_DP_HANDSHAKE, .len = 4},
                                proved = {.type = VELD_DP_HANDSHAKE, .proved = true, .len = 4},
                                answer = {.type = VELD_DP_HANDSHAKE, .len = 4}, ev;
    initiation.bytes[0] = proved.bytes[0] = VELD_INITIATION;
    answer.bytes[0] = VELD_RESPONSE;
    for (uint32_t i = 0; i < SIZE / 2; i++)
        cr_assert(veld_event_queue_push(&q, &initiation));
    cr_assert_not(veld_event_queue_push(&q, &initiation));
    for (uint32_t i = 0; i < SIZE / 4; i++) {
        cr_assert(veld_event_queue_push(&q, &proved));
        cr_assert(veld_event_queue_push(&q, &answer));
    }
    cr_assert_not(veld_event_queue_push(&q, &proved));
    cr_assert_not(veld_event_queue_push(&q, &answer));
    cr_assert(veld_event_queue_pop(&q, &ev));
    cr_assert_not(ev.proved);
    cr_assert_not(veld_event_queue_push(&q, &initiation), "not into the others' half");
}

/* A peer that does nothing but ping must not keep the others' sessions from being noticed. */
Test(event_queue, messages_leave_room_for_others)
{
    for (uint32_t i = 0; i < SIZE / 4 * 3; i++)
        cr_assert(push(VELD_DP_MESSAGE, i));
    cr_assert_not(push(VELD_DP_MESSAGE, 0));
    for (uint32_t i = SIZE / 4 * 3; i < SIZE; i++)
        cr_assert(push(VELD_DP_CONFIRMED, i));
    cr_assert_not(push(VELD_DP_CONFIRMED, 0));
}

Test(event_queue, load_is_told_past_an_eighth)
{
    for (uint32_t i = 0; i < SIZE / 8; i++)
        cr_assert(push(VELD_DP_HANDSHAKE, i));
    cr_assert_not(veld_event_queue_loaded(&q));
    cr_assert(push(VELD_DP_HANDSHAKE, 0));
    cr_assert(veld_event_queue_loaded(&q));
    struct veld_dataplane_event ev;
    cr_assert(veld_event_queue_pop(&q, &ev));
    cr_assert_not(veld_event_queue_loaded(&q));
}

Test(event_queue, wakes_only_when_it_stops_being_empty)
{
    eventfd_t count;
    cr_assert_not(signalled());
    cr_assert(push(VELD_DP_MESSAGE, 1));
    cr_assert(push(VELD_DP_MESSAGE, 2));
    cr_assert_eq(eventfd_read(q.fd, &count), 0);
    cr_assert_eq(count, 1);
    struct veld_dataplane_event ev;
    cr_assert(veld_event_queue_pop(&q, &ev));
    cr_assert(push(VELD_DP_MESSAGE, 3));
    cr_assert_not(signalled());
    while (veld_event_queue_pop(&q, &ev))
        ;
    cr_assert(push(VELD_DP_MESSAGE, 4));
    cr_assert(signalled());
}
