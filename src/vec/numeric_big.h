/* Inside numeric_*.c only: BIG values as GMP integers. */
#ifndef KP_VEC_NUMERIC_BIG_H
#define KP_VEC_NUMERIC_BIG_H

#include <gmp.h>

#include "vec/numeric.h"

_Static_assert(sizeof(mp_limb_t) == sizeof(uint64_t), "GMP's limbs are ours");

/* Sets an initialized integer to the coefficient of a finite value. */
void kp_numeric_to_mpz(const struct kp_numeric *n, mpz_t ret_coef);
/* The canonical value coef × 10^-scale; a BIG's limbs go to the arena. Limits are not checked. */
struct kp_numeric kp_numeric_from_mpz(const mpz_t coef, uint16_t scale, struct kp_arena *arena);
void kp_numeric_mul_pow10(mpz_t n, unsigned long exponent);
/* Decimal digits of |n|; 1 for zero. */
size_t kp_numeric_mpz_digits(const mpz_t n);

/* Checks PostgreSQL's limits and makes the value canonical. */
KP_MUST enum kp_code kp_numeric_checked(const mpz_t coef, int64_t scale, struct kp_arena *arena,
                                        struct kp_numeric *ret_n, struct kp_error *err);
/* n becomes n / 10^digits, rounded. */
void kp_numeric_mpz_drop(mpz_t n, unsigned long digits, enum kp_numeric_rounding rounding);
/* PostgreSQL's weight: the base 10000 exponent of the first digit of that base, and that digit; 0, 0 for zero. */
void kp_numeric_weight(const struct kp_numeric *n, int64_t *ret_weight, int *ret_first_digit);

#endif
