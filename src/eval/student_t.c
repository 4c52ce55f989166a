/*
 * student_t.c - the two-sided tail of Student's t, through the incomplete beta function.
 *
 * P(|T| >= t) with v degrees of freedom is I_x(v/2, 1/2), x = v / (v + t^2). I_x(a, b) is
 * x^a (1-x)^b / (a B(a, b)) times a continued fraction (DLMF 8.17.22) which converges fast for
 * x < (a+1) / (a+b+2); beyond, I_x(a, b) = 1 - I_{1-x}(b, a) is used. The fraction is evaluated by
 * Lentz's method as modified by Thompson and Barnett (1986).
 * Easy to get wrong: for small t, 1 - x loses its digits; it is taken as t^2 / (v + t^2).
 */
#include "eval_int.h"

#include <math.h>

enum { MAX_STEPS = 10000 };

/* Numerator d_n of the fraction 1 + d_1 / (1 + d_2 / (1 + ...)), n from 1. */
static double numerator(double a, double b, double x, int n)
{
    const int half = n / 2;
    const double m = half;
    if (n % 2 == 0) return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
}

static double away_from_zero(double value)
{
    const double tiny = 1e-300;
    return fabs(value) < tiny ? tiny : value;
}

static double beta_fraction(double a, double b, double x)
{
    double whole = 1.0, c = 1.0, d = 0.0;
    for (int n = 1; n <= MAX_STEPS; n++) {
        const double term = numerator(a, b, x, n);
        d = 1.0 / away_from_zero(1.0 + term * d);
        c = away_from_zero(1.0 + term / c);
        whole *= c * d;
        if (fabs(c * d - 1.0) < 1e-16) break;
    }
    return 1.0 / whole;
}

/* log(x), with y = 1 - x for where x is close to 1. */
static double log_of(double x, double y) { return x > 0.5 ? log1p(-y) : log(x); }

/* I_x(a, b) with y = 1 - x given separately. */
static double incomplete_beta(double a, double b, double x, double y)
{
    if (x <= 0.0) return 0.0;
    if (y <= 0.0) return 1.0;
    if (x > (a + 1.0) / (a + b + 2.0)) return 1.0 - incomplete_beta(b, a, y, x);
    int sign;
    const double log_beta = lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
    return exp(a * log_of(x, y) + b * log_of(y, x) - log_beta) / a * beta_fraction(a, b, x);
}

double ht_student_t_p(double t, double degrees)
{
    if (isnan(t) || !(degrees > 0.0)) return (double)NAN;
    if (isinf(t)) return 0.0;
    const double square = t * t;
    if (isinf(square)) return 0.0;
    return incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + square), square / (degrees + square));
}
