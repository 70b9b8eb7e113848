#include "base/clock.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(log, limit_lets_five_pass_then_says_how_many_it_left_out)
{
    struct veld_log_limit limit = {0};
    uint64_t t = 1000 * VELD_NS_PER_S;
    uint32_t left_out;
    for (int i = 0; i < 5; i++)
        cr_assert(veld_log_allow(&limit, t, &left_out));
    for (int i = 0; i < 7; i++)
        cr_assert_not(veld_log_allow(&limit, t + VELD_NS_PER_S, &left_out));
    cr_assert(veld_log_allow(&limit, t + 10 * VELD_NS_PER_S, &left_out));
    cr_assert_eq(left_out, 7);
}

Test(log, level_names)
{
    enum veld_log_level level;
    cr_assert_eq(veld_log_level_parse("debug", &level), 0);
    cr_assert_eq(level, VELD_LOG_DEBUG);
    cr_assert_eq(veld_log_level_parse("verbose", &level), VELD_E_FORMAT);
}

static char taken[64];
static enum veld_log_level taken_level;
static void take(enum veld_log_level level, const char *text)
{
    taken_level = level;
    snprintf(taken, sizeof taken, "%s", text);
}

Test(log, a_sink_gets_the_lines_that_pass_the_level)
{
    veld_log_set_sink(take);
    veld_debug("not at this level");
    cr_assert_str_empty(taken);
    veld_warn("%d left", 3);
    cr_assert_str_eq(taken, "3 left");
    cr_assert_eq(taken_level, VELD_LOG_WARN);
    cr_assert(veld_log_is_on(VELD_LOG_INFO));
    cr_assert_not(veld_log_is_on(VELD_LOG_DEBUG));
}
