/* The generator of nexmark.h. A benchmark or test in another folder that needs it includes this file. */
#include "bench/nexmark/nexmark.h"

#include <string.h>

enum {
    PERSONS = 1,
    AUCTIONS = 3,
    CYCLE = 50, /* persons, auctions and 46 bids */
    FIRST_ID = 1000,
    FIRST_CATEGORY = 10,
    CATEGORIES = 5,
    HOT_BATCH = 100, /* a hot auction, seller or bidder is one of each batch of so many */
    LEAD = 10,       /* people and auctions that may be named before they exist */
    IN_FLIGHT = 100, /* auctions */
    ACTIVE = 1000,   /* people */
    CHANNELS = 10000,
    PERSON_BYTES = 200, /* average sizes that extra fills up to, counting numbers and times as 8 bytes */
    AUCTION_BYTES = 500,
    BID_BYTES = 100,
    PRICE_STEPS = 1024
};
static const int64_t base_ms = 1436918400000; /* 2015-07-15 */

/* ---- randomness: SplitMix64, started anew for each event ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return mix(*state);
}

/* 0 to n - 1, n below 2^32. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
    return (next_random(state) >> 32) * n >> 32;
}

/* ---- text ---- */

static inline char *put(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}
#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

static char *put_number(char *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    return put(out, digits + at, sizeof digits - at);
}

static char *put_digits(char *out, unsigned value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + digits;
}

/* Exactly len lower-case letters; may write up to 7 bytes behind them. */
static char *put_letters(char *out, uint64_t *random, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t bits = next_random(random);
        for (int k = 0; k < 8; k++)
            out[i + (size_t)k] = (char)('a' + ((bits >> (8 * k) & 0xff) * 26 >> 8));
    }
    return out + len;
}

/* 3 to len_max - 1 letters, about one in 13 a `gap`; spaces at the ends are cut. */
static char *put_words(char *out, uint64_t *random, size_t len_max, char gap)
{
    size_t len = 3 + random_below(random, len_max - 3);
    uint64_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        if (i % 4 == 0)
            bits = next_random(random);
        unsigned sixteen = (unsigned)(bits >> (16 * (i % 4))) & 0xffff;
        out[i] = sixteen % 13 == 0 ? gap : (char)('a' + (sixteen / 13) % 26);
    }
    if (gap == ' ') {
        while (len && out[len - 1] == ' ')
            len--;
        size_t cut = 0;
        while (cut < len && out[cut] == ' ')
            cut++;
        len -= cut;
        memmove(out, out + cut, len);
    }
    return out + len;
}

/* ,"extra":"…" so that the event has on average `average` bytes, 20 % more or less. */
static char *put_extra(char *out, uint64_t *random, size_t size, size_t average)
{
    out = PUT(out, ",\"extra\":\"");
    if (size < average) {
        size_t wanted = average - size, delta = (wanted * 2 + 5) / 10;
        out = put_letters(out, random, wanted - delta + (delta ? random_below(random, 2 * delta) : 0));
    }
    return PUT(out, "\"");
}

static void civil_from_days(int64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    uint64_t z = (uint64_t)(days + 719468); /* since 0000-03-01; event times are after 1970 */
    uint64_t era = z / 146097, day_of_era = z % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = (unsigned)(year_of_era + era * 400 + (*ret_month <= 2));
}

static char *put_seconds(char *out, int64_t second)
{
    unsigned year, month, day, of_day = (unsigned)(second % 86400);
    civil_from_days(second / 86400, &year, &month, &day);
    out = PUT(put_digits(out, year, 4), "-");
    out = PUT(put_digits(out, month, 2), "-");
    out = PUT(put_digits(out, day, 2), " ");
    out = PUT(put_digits(out, of_day / 3600, 2), ":");
    out = PUT(put_digits(out, of_day / 60 % 60, 2), ":");
    return put_digits(out, of_day % 60, 2);
}

/* "2015-07-15 00:00:00.000", quotes included. */
static char *put_time(struct kp_nexmark *nexmark, char *out, int64_t ms)
{
    if (ms / 1000 != nexmark->second) {
        nexmark->second = ms / 1000;
        put_seconds(nexmark->second_text, nexmark->second);
    }
    out = PUT(out, "\"");
    out = put(out, nexmark->second_text, sizeof nexmark->second_text);
    out = PUT(out, ".");
    return PUT(put_digits(out, (unsigned)(ms % 1000), 3), "\"");
}

/* ---- ids and prices ---- */

/* The last person that exists when an event is made, and the last auction, from 0; -1: none yet. */
static int64_t last_person(uint64_t event)
{
    return (int64_t)(event / CYCLE * PERSONS);
}
static int64_t last_auction(uint64_t event)
{
    int64_t cycle = (int64_t)(event / CYCLE), offset = (int64_t)(event % CYCLE);
    if (offset < PERSONS)
        return cycle * AUCTIONS - 1;
    offset -= PERSONS;
    return cycle * AUCTIONS + (offset < AUCTIONS ? offset : AUCTIONS - 1);
}

static uint64_t random_person(uint64_t *random, uint64_t event)
{
    uint64_t people = (uint64_t)last_person(event) + 1, active = people < ACTIVE ? people : ACTIVE;
    return people - active + random_below(random, active + LEAD);
}
static uint64_t random_auction(uint64_t *random, uint64_t event)
{
    int64_t last = last_auction(event), first = last > IN_FLIGHT ? last - IN_FLIGHT : 0;
    return (uint64_t)first + random_below(random, (uint64_t)(last - first + 1 + LEAD));
}

static uint64_t random_price(const struct kp_nexmark *nexmark, uint64_t *random)
{
    uint64_t bits = next_random(random);
    unsigned step = (unsigned)(bits >> 54);
    double within = (double)(bits >> 22 & 0xffffffff) / 4294967296.0;
    double low = nexmark->prices[step], high = nexmark->prices[step + 1];
    return (uint64_t)(low + (high - low) * within + 0.5);
}

/* ---- events ---- */

struct word {
    const char *text;
    size_t len;
};
#define WORD(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
#define COUNT(words) (sizeof(words) / sizeof((words)[0]))

static const struct word first_names[] = {WORD("Peter"), WORD("Paul"),   WORD("Luke"),  WORD("John"),
                                          WORD("Saul"),  WORD("Vicky"),  WORD("Kate"),  WORD("Julie"),
                                          WORD("Sarah"), WORD("Deiter"), WORD("Walter")};
static const struct word last_names[] = {WORD("Shultz"), WORD("Abrams"),  WORD("Spencer"),
                                         WORD("White"),  WORD("Bartels"), WORD("Walton"),
                                         WORD("Smith"),  WORD("Jones"),   WORD("Noris")};
static const struct word cities[] = {WORD("Phoenix"),  WORD("Los Angeles"), WORD("San Francisco"), WORD("Boise"),
                                     WORD("Portland"), WORD("Bend"),        WORD("Redmond"),       WORD("Seattle"),
                                     WORD("Kent"),     WORD("Cheyenne")};
static const struct word states[] = {WORD("AZ"), WORD("CA"), WORD("ID"), WORD("OR"), WORD("WA"), WORD("WY")};
static const struct word hot_channels[] = {WORD("Google"), WORD("Facebook"), WORD("Baidu"), WORD("Apple")};

static char *put_word(char *out, uint64_t *random, const struct word *words, size_t count)
{
    const struct word *word = &words[random_below(random, count)];
    return put(out, word->text, word->len);
}

static char *put_person(struct kp_nexmark *nexmark, char *out, uint64_t *random, uint64_t event)
{
    out = PUT(out, "{\"id\":");
    out = put_number(out, (uint64_t)last_person(event) + FIRST_ID);
    out = PUT(out, ",\"name\":\"");
    char *start = out;
    out = PUT(put_word(out, random, first_names, COUNT(first_names)), " ");
    out = PUT(put_word(out, random, last_names, COUNT(last_names)), "\",\"emailAddress\":\"");
    out = PUT(put_words(out, random, 7, ' '), "@");
    out = PUT(put_words(out, random, 5, ' '), ".com\",\"creditCard\":\"");
    for (int i = 0; i < 4; i++) {
        if (i)
            out = PUT(out, " ");
        out = put_digits(out, (unsigned)random_below(random, 10000), 4);
    }
    out = PUT(out, "\",\"city\":\"");
    out = PUT(put_word(out, random, cities, COUNT(cities)), "\",\"state\":\"");
    out = put_word(out, random, states, COUNT(states));
    /* What lies between the values in the text just written. */
    size_t names = sizeof "\",\"emailAddress\":\"\",\"creditCard\":\"\",\"city\":\"\",\"state\":\"" - 1;
    size_t size = 8 + (size_t)(out - start) - names;
    out = put_time(nexmark, PUT(out, "\",\"dateTime\":"), kp_nexmark_time_ms(nexmark, event));
    return PUT(put_extra(out, random, size, PERSON_BYTES), "}");
}

static char *put_auction(struct kp_nexmark *nexmark, char *out, uint64_t *random, uint64_t event)
{
    int64_t ms = kp_nexmark_time_ms(nexmark, event);
    uint64_t seller = random_below(random, 4) > 0 ? (uint64_t)last_person(event) / HOT_BATCH * HOT_BATCH
                                                  : random_person(random, event);
    uint64_t category = FIRST_CATEGORY + random_below(random, CATEGORIES);
    uint64_t initial_bid = random_price(nexmark, random);
    uint64_t reserve = initial_bid + random_price(nexmark, random);
    /* An auction lasts until about as many were opened after it as are in flight. */
    int64_t horizon_ms = kp_nexmark_time_ms(nexmark, event + IN_FLIGHT * CYCLE / AUCTIONS) - ms;
    int64_t expires_ms = ms + 1 + (int64_t)random_below(random, horizon_ms > 0 ? (uint64_t)horizon_ms * 2 : 1);
    out = put_number(PUT(out, "{\"id\":"), (uint64_t)last_auction(event) + FIRST_ID);
    char *item = out = PUT(out, ",\"itemName\":\"");
    out = put_words(out, random, 20, ' ');
    size_t size = 48 + (size_t)(out - item);
    char *description = out = PUT(out, "\",\"description\":\"");
    out = put_words(out, random, 100, ' ');
    size += (size_t)(out - description);
    out = put_number(PUT(out, "\",\"initialBid\":"), initial_bid);
    out = put_number(PUT(out, ",\"reserve\":"), reserve);
    out = put_time(nexmark, PUT(out, ",\"dateTime\":"), ms);
    out = put_time(nexmark, PUT(out, ",\"expires\":"), expires_ms);
    out = put_number(PUT(out, ",\"seller\":"), seller + FIRST_ID);
    out = put_number(PUT(out, ",\"category\":"), category);
    return PUT(put_extra(out, random, size, AUCTION_BYTES), "}");
}

/* A URL that belongs to its channel: the same every time. */
static char *put_url(char *out, uint64_t seed, uint64_t channel)
{
    uint64_t random = mix(seed ^ mix(channel + 0x6368616e6e656cu));
    out = PUT(out, "https://www.nexmark.com/");
    for (int i = 0; i < 3; i++)
        out = PUT(put_words(out, &random, 5, '_'), "/");
    return PUT(out, "item.htm?query=1");
}

static char *put_channel(const struct kp_nexmark *nexmark, char *out, uint64_t *random)
{
    if (random_below(random, 2) > 0) {
        uint64_t hot = random_below(random, COUNT(hot_channels));
        out = put(out, hot_channels[hot].text, hot_channels[hot].len);
        return put_url(PUT(out, "\",\"url\":\""), nexmark->seed, CHANNELS + hot);
    }
    uint64_t channel = random_below(random, CHANNELS);
    out = put_number(PUT(out, "channel-"), channel);
    out = put_url(PUT(out, "\",\"url\":\""), nexmark->seed, channel);
    if (channel % 10 > 0)
        out = put_number(PUT(out, "&channel_id="), mix(channel) >> 33);
    return out;
}

static char *put_bid(struct kp_nexmark *nexmark, char *out, uint64_t *random, uint64_t event)
{
    uint64_t auction = random_below(random, 2) > 0 ? (uint64_t)last_auction(event) / HOT_BATCH * HOT_BATCH
                                                   : random_auction(random, event);
    /* The second of its batch, so that hot bidders and hot sellers are not the same people. */
    uint64_t bidder = random_below(random, 4) > 0 ? (uint64_t)last_person(event) / HOT_BATCH * HOT_BATCH + 1
                                                  : random_person(random, event);
    out = put_number(PUT(out, "{\"auction\":"), auction + FIRST_ID);
    out = put_number(PUT(out, ",\"bidder\":"), bidder + FIRST_ID);
    out = put_number(PUT(out, ",\"price\":"), random_price(nexmark, random));
    out = put_channel(nexmark, PUT(out, ",\"channel\":\""), random);
    out = put_time(nexmark, PUT(out, "\",\"dateTime\":"), kp_nexmark_time_ms(nexmark, event));
    return PUT(put_extra(out, random, 32, BID_BYTES), "}");
}

/* ---- the interface ---- */

void kp_nexmark_init(struct kp_nexmark *nexmark, uint64_t seed, uint64_t rate)
{
    *nexmark = (struct kp_nexmark){.seed = seed, .rate = rate ? rate : KP_NEXMARK_RATE_DEFAULT, .second = INT64_MIN};
    const double ratio = 1.0135831333340657; /* 10^(6/1024); multiplied up, so that no library decides the last bit */
    nexmark->prices[0] = 100;
    for (int i = 0; i < PRICE_STEPS; i++)
        nexmark->prices[i + 1] = nexmark->prices[i] * ratio;
}

int64_t kp_nexmark_time_ms(const struct kp_nexmark *nexmark, uint64_t event)
{
    return base_ms + (int64_t)(event / nexmark->rate * 1000 + event % nexmark->rate * 1000 / nexmark->rate);
}

size_t kp_nexmark_next(struct kp_nexmark *nexmark, bool bare, char *out, enum kp_nexmark_kind *ret_kind)
{
    uint64_t event = nexmark->event++, offset = event % CYCLE;
    uint64_t random = mix(nexmark->seed * 0x9e3779b97f4a7c15u + event);
    char *at = out;
    if (offset < PERSONS) {
        *ret_kind = KP_NEXMARK_PERSON;
        at = bare ? at : PUT(at, "{\"event_type\":0,\"person\":");
        at = put_person(nexmark, at, &random, event);
        at = bare ? at : PUT(at, ",\"auction\":null,\"bid\":null}");
    } else if (offset < PERSONS + AUCTIONS) {
        *ret_kind = KP_NEXMARK_AUCTION;
        at = bare ? at : PUT(at, "{\"event_type\":1,\"person\":null,\"auction\":");
        at = put_auction(nexmark, at, &random, event);
        at = bare ? at : PUT(at, ",\"bid\":null}");
    } else {
        *ret_kind = KP_NEXMARK_BID;
        at = bare ? at : PUT(at, "{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":");
        at = put_bid(nexmark, at, &random, event);
        at = bare ? at : PUT(at, "}");
    }
    return (size_t)(at - out);
}
