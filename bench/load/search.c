#include "load/search.h"

#include <math.h>

#define RATE_MIN      500.0 /* below this there is no path to speak of */
#define RATE_MAX      20e6
#define LAST_TIMES    3.0 /* the last trial is so much longer */
#define LAST_STEP     0.95
#define LASTS_MAX     6
#define SENDER_IS_END 0.95 /* it sent less than this share of what was asked */

struct search {
    const struct search_plan *plan;
    search_try *try;
    void *context;
    double spent;
    unsigned trials;
    bool given_up, sender_limited;
    struct search_trial last;
};

static bool once(struct search *s, double rate, double seconds)
{
    if (!s->try(s->context, rate, seconds, &s->last)) {
        s->given_up = true;
        return false;
    }
    s->trials++;
    s->spent += seconds;
    return s->last.loss <= s->plan->loss;
}

/* Whether the sender sent what it was asked to. */
static bool kept_up(const struct search *s, double rate)
{
    return s->last.offered >= SENDER_IS_END * rate;
}

static bool passes(struct search *s, double rate, double seconds)
{
    if (once(s, rate, seconds) && kept_up(s, rate))
        return true;
    if (s->given_up || !once(s, rate, seconds))
        return false;
    if (!kept_up(s, rate))
        s->sender_limited = true;
    return true;
}

static bool time_is_left(const struct search *s)
{
    return !s->given_up && s->spent < s->plan->budget;
}

/* The bounds: *low passed (0: nothing did), *high failed. */
static void double_up(struct search *s, double *low, double *high)
{
    double rate = s->plan->start;
    *low = 0;
    *high = RATE_MAX;
    while (time_is_left(s) && !s->sender_limited && rate >= RATE_MIN && rate <= RATE_MAX) {
        if (passes(s, rate, s->plan->seconds)) {
            *low = rate;
            if (*high < RATE_MAX)
                return;
            rate *= 2;
        } else {
            *high = rate;
            if (*low > 0)
                return;
            rate /= 2;
        }
    }
}

bool search_run(const struct search_plan *plan, search_try *try, void *context,
                struct search_result *result)
{
    struct search s = {.plan = plan, .try = try, .context = context};
    double low, high;
    double_up(&s, &low, &high);
    while (low > 0 && time_is_left(&s) && !s.sender_limited &&
           high > low * (1 + plan->tolerance)) {
        double middle = sqrt(low * high);
        if (passes(&s, middle, plan->seconds))
            low = middle;
        else
            high = middle;
    }
    *result = (struct search_result){0};
    for (unsigned i = 0; low >= RATE_MIN && i < LASTS_MAX && !s.given_up;
         i++, low *= LAST_STEP) {
        if (passes(&s, low, LAST_TIMES * plan->seconds)) {
            result->rate = low;
            result->trial = s.last;
            break;
        }
    }
    result->trials = s.trials;
    result->sender_limited = s.sender_limited && result->rate > 0;
    return !s.given_up;
}
