/* kappa-nexmark: writes Nexmark events as NDJSON, one line per event or three files of bare objects. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bench/nexmark/nexmark.h"
#include "os/os.h"

enum { BUFFER_BYTES = 1 << 20 };

static const char usage[] =
    "usage: kappa-nexmark [--events N] [--rate R] [--seed S] [--first E] [--split DIR]\n"
    "\n"
    "Writes N Nexmark events (default 1000000) as NDJSON to standard output: of 50 events 1 person,\n"
    "3 auctions and 46 bids, one line each with event_type, person, auction and bid, two of them null.\n"
    "\n"
    "  --events N   how many events\n"
    "  --rate R     events per second of event time, which begins at 2015-07-15 (default 100000)\n"
    "  --seed S     other numbers, other events; the same numbers, the same events (default 1)\n"
    "  --first E    begin with event E (default 0)\n"
    "  --split DIR  write the bare objects to DIR/person.ndjson, DIR/auction.ndjson and DIR/bid.ndjson\n"
    "  --help       this text\n";

struct output {
    FILE *file;
    const char *name;
    char *buffer;
    size_t len;
};

static bool output_flush(struct output *output)
{
    if (fwrite(output->buffer, 1, output->len, output->file) != output->len || fflush(output->file) != 0) {
        if (errno != EPIPE)
            fprintf(stderr, "kappa-nexmark: writing %s: %s\n", output->name, strerror(errno));
        return false;
    }
    output->len = 0;
    return true;
}

static bool output_room(struct output *output)
{
    return output->len + KP_NEXMARK_EVENT_BYTES_MAX <= BUFFER_BYTES || output_flush(output);
}

static bool write_lines(struct kp_nexmark *nexmark, uint64_t events)
{
    struct output output = {stdout, "standard output", kp_alloc(BUFFER_BYTES), 0};
    enum kp_nexmark_kind kind;
    bool ok = true;
    for (uint64_t i = 0; ok && i < events; i++) {
        output.len += kp_nexmark_next(nexmark, false, output.buffer + output.len, &kind);
        output.buffer[output.len++] = '\n';
        ok = output_room(&output);
    }
    ok = ok && output_flush(&output);
    kp_free(output.buffer);
    return ok;
}

static bool write_split(struct kp_nexmark *nexmark, uint64_t events, const char *dir)
{
    static const char *const names[KP_NEXMARK_KINDS] = {"person.ndjson", "auction.ndjson", "bid.ndjson"};
    struct output outputs[KP_NEXMARK_KINDS] = {0};
    struct kp_error err;
    struct kp_os *os = kp_os_real();
    struct kp_arena arena = {0};
    bool ok = os->mkdir(os->ctx, dir, &err) == KP_OK;
    if (!ok)
        fprintf(stderr, "kappa-nexmark: %s\n", err.message);
    for (int i = 0; ok && i < KP_NEXMARK_KINDS; i++) {
        outputs[i].name = kp_arena_printf(&arena, "%s/%s", dir, names[i]);
        outputs[i].buffer = kp_alloc(BUFFER_BYTES);
        outputs[i].file = fopen(outputs[i].name, "wb");
        ok = outputs[i].file != NULL;
        if (!ok)
            fprintf(stderr, "kappa-nexmark: %s: %s\n", outputs[i].name, strerror(errno));
    }
    char *line = kp_alloc(KP_NEXMARK_EVENT_BYTES_MAX);
    for (uint64_t i = 0; ok && i < events; i++) {
        enum kp_nexmark_kind kind;
        size_t len = kp_nexmark_next(nexmark, true, line, &kind);
        line[len++] = '\n';
        memcpy(outputs[kind].buffer + outputs[kind].len, line, len);
        outputs[kind].len += len;
        ok = output_room(&outputs[kind]);
    }
    for (int i = 0; i < KP_NEXMARK_KINDS; i++) {
        if (outputs[i].file) {
            ok = ok && output_flush(&outputs[i]);
            fclose(outputs[i].file);
        }
        kp_free(outputs[i].buffer);
    }
    kp_free(line);
    kp_arena_finish(&arena);
    return ok;
}

static bool parse_count(const char *option, const char *text, uint64_t *ret_value)
{
    char *end;
    errno = 0;
    uint64_t value = text ? strtoumax(text, &end, 10) : 0;
    if (!text || text[0] < '0' || text[0] > '9' || *end || errno || value > (uint64_t)1 << 53) {
        fprintf(stderr, "kappa-nexmark: %s needs a number from 0 to 2^53%s%s\n", option, text ? ", not " : "",
                text ? text : "");
        return false;
    }
    *ret_value = value;
    return true;
}

int main(int argc, char **argv)
{
    uint64_t events = 1000000, rate = KP_NEXMARK_RATE_DEFAULT, seed = 1, first = 0;
    const char *split = NULL;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        uint64_t *number = strcmp(option, "--events") == 0  ? &events
                           : strcmp(option, "--rate") == 0  ? &rate
                           : strcmp(option, "--seed") == 0  ? &seed
                           : strcmp(option, "--first") == 0 ? &first
                                                            : NULL;
        if (strcmp(option, "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (number) {
            if (!parse_count(option, value, number))
                return 2;
        } else if (strcmp(option, "--split") == 0 && value) {
            split = value;
        } else {
            fprintf(stderr, "kappa-nexmark: unknown option %s\n%s", option, usage);
            return 2;
        }
        i++;
    }
    if (rate == 0) {
        fputs("kappa-nexmark: --rate must be at least 1\n", stderr);
        return 2;
    }
    struct kp_nexmark *nexmark = kp_alloc(sizeof *nexmark);
    kp_nexmark_init(nexmark, seed, rate);
    nexmark->event = first;
    bool ok = split ? write_split(nexmark, events, split) : write_lines(nexmark, events);
    kp_free(nexmark);
    return ok ? 0 : 1;
}
