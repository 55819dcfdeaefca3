/* The `kappa` command: finds the verb and hands over. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cli/verbs.h"
#include "serve/kafka/kafka.h"

static const struct kp_verb *const verbs[] = {&kp_verb_server, &kp_verb_run,    &kp_verb_sql,
                                              &kp_verb_log,    &kp_verb_backup, &kp_verb_restore};

static void print_overview(FILE *out)
{
    fputs(
        "kappa: an event log, one SQL engine over it, and its answers served live\n\nusage: kappa VERB [ARGUMENTS]\n\n",
        out);
    for (size_t i = 0; i < KP_COUNT(verbs); i++)
        fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("  help     this, `kappa help VERB`, `kappa help config`, or `kappa help kafka`\n\n`kappa --version` prints "
          "the version.\n",
          out);
}

static const struct kp_verb *find(const char *name)
{
    for (size_t i = 0; i < KP_COUNT(verbs); i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int help(int argc, char **argv)
{
    if (argc == 0 || strcmp(argv[0], "help") == 0) {
        print_overview(stdout);
        return KP_EXIT_OK;
    }
    if (strcmp(argv[0], "config") == 0) {
        if (argc > 1 && strcmp(argv[1], "--markdown") == 0)
            kp_config_print_markdown(stdout);
        else
            kp_config_print_flags(stdout, ~0u);
        return KP_EXIT_OK;
    }
    if (strcmp(argv[0], "kafka") == 0) {
        struct kp_buf page = {0};
        kp_kafka_document(&page);
        fwrite(page.data, 1, page.len, stdout);
        kp_buf_finish(&page);
        return KP_EXIT_OK;
    }
    const struct kp_verb *verb = find(argv[0]);
    if (!verb) {
        fprintf(stderr, "kappa: there is no verb \"%s\"\n\n", argv[0]);
        print_overview(stderr);
        return KP_EXIT_USAGE;
    }
    printf("usage: kappa %s %s\n\n%s.\n%s%s", verb->name, verb->usage, verb->summary, *verb->help ? "\n" : "",
           verb->help);
    if (verb->settings) {
        fputs("\nSettings (also KAPPA_… variables and a file, see `kappa help config`):\n", stdout);
        kp_config_print_flags(stdout, verb->settings);
    }
    return KP_EXIT_OK;
}

int kp_cli_fail(const struct kp_error *err)
{
    fprintf(stderr, "kappa: %s\n", err->message);
    if (*err->detail)
        fprintf(stderr, "detail: %s\n", err->detail);
    if (*err->hint)
        fprintf(stderr, "hint: %s\n", err->hint);
    return KP_EXIT_FAILED;
}

int kp_cli_printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return KP_EXIT_OK;
    fprintf(stderr, "kappa: the output could not be written: %s\n", strerror(errno));
    return KP_EXIT_FAILED;
}

int kp_cli_usage(const struct kp_verb *verb, const struct kp_error *err)
{
    kp_cli_fail(err);
    fprintf(stderr, "usage: kappa %s %s\n`kappa help %s` says more.\n", verb->name, verb->usage, verb->name);
    return KP_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return KP_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        puts("kappa " KAPPA_VERSION);
        return KP_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(argc - 2, argv + 2);
    const struct kp_verb *verb = find(argv[1]);
    if (!verb)
        return help(1, argv + 1);
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(1, argv + 1);
    return verb->run(argc - 2, argv + 2);
}
