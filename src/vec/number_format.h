/*
 * Templates of to_char and to_number of numbers: 'FM9,990.00', 'S999', 'RN' read into their parts.
 *
 * Keywords come in upper or lower case: 9 and 0 (a digit), . D (the point), , G (between thousands), S PL MI SG PR
 * (signs), L (a blank for the currency), V (times ten for each 9 behind it), TH th, RN rn, EEEE, FM. Text in double
 * quotes and whatever else there is stands for itself.
 */
#ifndef KP_VEC_NUMBER_FORMAT_H
#define KP_VEC_NUMBER_FORMAT_H

#include "vec/func.h"

struct kp_number_part {
    enum {
        KP_PART_TEXT,
        KP_PART_9,
        KP_PART_0,
        KP_PART_POINT,
        KP_PART_COMMA,
        KP_PART_L,
        KP_PART_MI,
        KP_PART_PL,
        KP_PART_SG,
        KP_PART_RN,
        KP_PART_TH,
        KP_PART_OTHER /* what only changes the others: FM, S, PR, V, EEEE */
    } kind;
    bool lower;         /* written in lower case */
    struct kp_str text; /* of TEXT: one character */
};

struct kp_number_format {
    struct kp_number_part *parts;
    uint32_t count;
    int before, after, times; /* digits before and behind the point; V's */
    int digits_before_sign;   /* S */
    int zero_from, zero_to;   /* the digits, counted from 1, that are zeros rather than blank; zero_from 0: none */
    enum { KP_SIGN_NONE, KP_SIGN_BEFORE, KP_SIGN_BEHIND } sign; /* S */
    bool fill;                                                  /* FM */
    bool point, brackets, minus, plus, roman, exponent, multiplies;
};

/* False: the template is wrong, noted as the row's failure. */
bool kp_number_format_read(struct kp_call *call, uint32_t row, struct kp_str text, struct kp_number_format *ret_format);

#endif
