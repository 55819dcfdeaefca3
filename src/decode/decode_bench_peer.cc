/*
 * The peer of the decoding benchmark: simdjson's On Demand API as its documentation shows it, one document after the
 * other with one parser. Strings are taken without unescaping (they have no escapes) and timestamps by position, so
 * that what is measured is parsing. Nothing that is not asked for is checked.
 */
#include <cstdlib>
#include <cstring>

#include "decode/decode_bench.h"

#include <simdjson.h>

using namespace simdjson;

static kp_bench_text text_of(ondemand::value value)
{
    std::string_view token = value.raw_json_token();
    return {token.data() + 1, token.size() - 2};
}

static int64_t time_of(ondemand::value value)
{
    std::string_view token = value.raw_json_token();
    const char *p = token.data() + 1;
    static char last_day[10];
    static int64_t last_us;
    if (memcmp(p, last_day, 10) != 0) {
        int year = (p[0] - '0') * 1000 + (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
        int month = (p[5] - '0') * 10 + (p[6] - '0'), day = (p[8] - '0') * 10 + (p[9] - '0');
        int y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
        last_us = int64_t(y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 730425) * 86400000000;
        memcpy(last_day, p, 10);
    }
    int64_t seconds = ((p[11] - '0') * 10 + (p[12] - '0')) * 3600 + ((p[14] - '0') * 10 + (p[15] - '0')) * 60 +
                      (p[17] - '0') * 10 + (p[18] - '0');
    return last_us + seconds * 1000000 + ((p[20] - '0') * 100 + (p[21] - '0') * 10 + (p[22] - '0')) * 1000;
}

void kp_bench_simdjson_bid(const char *text, size_t len, const struct kp_bench_columns *columns, size_t row)
{
    static ondemand::parser parser;
    ondemand::document document;
    ondemand::object object;
    if (parser.iterate(text, len, len + SIMDJSON_PADDING).get(document) || document.get_object().get(object))
        abort();
    for (auto item : object) {
        ondemand::field field;
        if (std::move(item).get(field))
            abort();
        ondemand::raw_json_string key = field.key();
        error_code error = SUCCESS;
        if (key == "auction")
            error = field.value().get_int64().get(columns->auction[row]);
        else if (key == "bidder")
            error = field.value().get_int64().get(columns->bidder[row]);
        else if (key == "price")
            error = field.value().get_int64().get(columns->price[row]);
        else if (key == "channel")
            columns->channel[row] = text_of(field.value());
        else if (key == "url")
            columns->url[row] = text_of(field.value());
        else if (key == "dateTime")
            columns->date_time[row] = time_of(field.value());
        else if (key == "extra")
            columns->extra[row] = text_of(field.value());
        if (error)
            abort();
    }
}
