/* What the decoding benchmark shares with its C++ half. */
#ifndef KP_DECODE_DECODE_BENCH_H
#define KP_DECODE_DECODE_BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kp_bench_text {
    const char *ptr;
    size_t len;
};

/* The columns of a bid as simdjson's side fills them. */
struct kp_bench_columns {
    int64_t *auction, *bidder, *price, *date_time;
    struct kp_bench_text *channel, *url, *extra;
};

/* Parses one bid into a row; text has 64 readable bytes behind it. Aborts on an error. */
void kp_bench_simdjson_bid(const char *text, size_t len, const struct kp_bench_columns *columns, size_t row);

#ifdef __cplusplus
}
#endif

#endif
