#include "control/reach/circuit_numbers.h"

#include "crypto/primitives.h"
#include "dataplane/dataplane.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct veld_circuit_numbers *numbers;

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    numbers = veld_circuit_numbers_new();
}

static void cleanup(void)
{
    veld_circuit_numbers_free(numbers);
}

TestSuite(circuit_numbers, .init = setup, .fini = cleanup, .timeout = 20);

static uint32_t take(void)
{
    uint32_t number = 0;
    cr_assert_eq(veld_circuit_numbers_take(numbers, &number), 0);
    return number;
}

Test(circuit_numbers, each_has_a_slot_of_its_own_until_there_are_none)
{
    static bool seen[VELD_CIRCUITS_MAX];
    for (unsigned i = 0; i < VELD_CIRCUITS_MAX; i++) {
        uint32_t number = take();
        cr_assert_neq(number, 0);
        cr_assert_not(seen[number % VELD_CIRCUITS_MAX]);
        seen[number % VELD_CIRCUITS_MAX] = true;
    }
    uint32_t number = 7;
    cr_assert_eq(veld_circuit_numbers_take(numbers, &number), VELD_E_FULL);
    cr_assert_eq(number, 7, "unchanged");
    cr_assert_eq(veld_circuit_numbers_taken(numbers), VELD_CIRCUITS_MAX);
}

Test(circuit_numbers, the_slot_that_was_free_for_longest_is_next)
{
    uint32_t first = take(), second = take();
    veld_circuit_numbers_give(numbers, second);
    veld_circuit_numbers_give(numbers, first);
    for (unsigned i = 2; i < VELD_CIRCUITS_MAX; i++)
        take();
    cr_assert_eq(take() % VELD_CIRCUITS_MAX, second % VELD_CIRCUITS_MAX);
    cr_assert_eq(take() % VELD_CIRCUITS_MAX, first % VELD_CIRCUITS_MAX);
    cr_assert_eq(veld_circuit_numbers_taken(numbers), VELD_CIRCUITS_MAX);
}

/* All but one are taken, so that each time it is the same slot. */
Test(circuit_numbers, what_is_above_the_slot_is_random)
{
    uint32_t same = UINT32_MAX, different = 0;
    for (unsigned i = 1; i < VELD_CIRCUITS_MAX; i++)
        take();
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t number = take();
        cr_assert_geq(number, VELD_CIRCUITS_MAX, "so that none is 0");
        same &= number;
        different |= number;
        veld_circuit_numbers_give(numbers, number);
    }
    cr_assert_eq(different / VELD_CIRCUITS_MAX, UINT32_MAX / VELD_CIRCUITS_MAX);
    cr_assert_eq(same / VELD_CIRCUITS_MAX, 0);
}

Test(circuit_numbers, what_is_not_taken_cannot_be_given, .signal = SIGABRT)
{
    uint32_t number = take();
    veld_circuit_numbers_give(numbers, number);
    veld_circuit_numbers_give(numbers, number);
}
