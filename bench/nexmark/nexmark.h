/*
 * Nexmark's events: people, auctions and bids of an auction house, as JSON text in the shape of nexmark/nexmark's Kafka
 * topic.
 *
 * Event n is a function of (seed, rate, n) alone, by integer arithmetic and IEEE double multiplication only: the same
 * on every machine, and any range can be made by itself. Of 50 events in a row the first is a person, the next 3 are
 * auctions, then come 46 bids. Event time starts at 2015-07-15 00:00:00 and advances by 1/rate seconds an event,
 * printed in milliseconds.
 *
 * Skew, with the usual ratios: half of the bids go to a hot auction (the first of the last hundred), three quarters
 * come from a hot bidder, three quarters of the auctions are of a hot seller; the rest spreads over the last 100
 * auctions and 1,000 people and 10 that do not exist yet. Prices are 100 times 10^(6u). Half of the channels are 4 hot
 * ones with a URL of their own; the others are 10,000 channels, most of whose URLs carry a channel_id.
 */
#ifndef KP_BENCH_NEXMARK_NEXMARK_H
#define KP_BENCH_NEXMARK_NEXMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kp_nexmark_kind { KP_NEXMARK_PERSON, KP_NEXMARK_AUCTION, KP_NEXMARK_BID, KP_NEXMARK_KINDS };

enum {
    KP_NEXMARK_RATE_DEFAULT = 100000, /* events per second of event time */
    KP_NEXMARK_EVENT_BYTES_MAX = 2048 /* room that an event's text needs; the longest has about 1,000 bytes */
};

struct kp_nexmark {
    uint64_t seed, rate;
    uint64_t event;      /* the next one */
    double prices[1025]; /* 100 × 10^(6i/1024) */
    int64_t second;      /* whose text is in second_text, since 1970; INT64_MIN: none */
    char second_text[19];
};

/* rate 0: the default. */
void kp_nexmark_init(struct kp_nexmark *nexmark, uint64_t seed, uint64_t rate);
/*
 * Writes the next event's JSON to out (KP_NEXMARK_EVENT_BYTES_MAX bytes of room) and returns its length. bare: the
 * object alone; else {"event_type":t,"person":…,"auction":…,"bid":…} with two of them null.
 */
size_t kp_nexmark_next(struct kp_nexmark *nexmark, bool bare, char *out, enum kp_nexmark_kind *ret_kind);
/* Event time of an event in milliseconds since 1970. */
int64_t kp_nexmark_time_ms(const struct kp_nexmark *nexmark, uint64_t event);

#endif
