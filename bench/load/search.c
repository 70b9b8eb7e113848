#include "load/search.h"

#include <math.h>

#define RATE_MIN   500.0 /* below this there is no path to speak of */
#define RATE_MAX   20e6
#define LAST_TIMES 3.0 /* the last trial is so much longer */
#define LAST_STEP  0.9
#define LASTS_MAX  10
#define KEPT_UP    0.95 /* it sent at least this share of what was asked */
#define GAIN_MIN   1.05 /* by which a rate that is twice as high must deliver more */

struct search {
    const struct search_plan *plan;
    search_try *try;
    void *context;
    double spent;
    unsigned trials;
    bool given_up, sender_limited;
    double best; /* delivered, datagrams a second */
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
    return s->last.offered >= KEPT_UP * rate;
}

/*
 * Whether what was sent arrived. A sender that did not keep up is at its end once more is
 * asked of it and no more is delivered: until then it only had to be asked harder.
 */
static bool passes(struct search *s, double rate, double seconds)
{
    if (once(s, rate, seconds) && kept_up(s, rate)) {
        s->best = s->last.delivered;
        return true;
    }
    if (s->given_up || !once(s, rate, seconds))
        return false;
    if (!kept_up(s, rate) && s->last.delivered < GAIN_MIN * s->best)
        s->sender_limited = true;
    s->best = s->last.delivered > s->best ? s->last.delivered : s->best;
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
    bool limited = s.sender_limited;
    for (unsigned i = 0; low >= RATE_MIN && i < LASTS_MAX && !s.given_up;
         i++, low *= LAST_STEP) {
        if (passes(&s, low, LAST_TIMES * plan->seconds)) {
            result->rate = low;
            result->trial = s.last;
            break;
        }
    }
    result->trials = s.trials;
    result->sender_limited = limited && result->rate > 0;
    return !s.given_up;
}
