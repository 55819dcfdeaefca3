/*
 * A fuzz target without libFuzzer: every file of its corpus, then mutations of them from a fixed seed, with the
 * sanitizers of the build. With
 * KAPPA_FUZZ_CRASH=FILE each mutation is kept there before it runs: after a crash, the one that did it.
 *
 *   test_NAME_fuzz                the corpus CORPUS, and KAPPA_TEST_SCALE times MUTATIONS mutations
 *   test_NAME_fuzz FILE…          these files alone
 *   test_NAME_fuzz --seeds DIR    writes the target's own seeds, if it makes some
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MUTATIONS = 3000, SECONDS_MAX = 6, FILES_MAX = 2000, GROWTH_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void kp_fuzz_write_seeds(const char *dir) __attribute__((weak));
unsigned kp_fuzz_mutations(void) __attribute__((weak)); /* of a target that is slow: at scale 1 */

struct input {
    uint8_t *bytes;
    size_t len;
};

static struct input inputs[FILES_MAX];
static size_t input_count;
static uint64_t state = 1;

static uint64_t below(uint64_t limit)
{
    uint64_t x = state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % limit;
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || input_count == FILES_MAX) {
        perror(path);
        exit(2);
    }
    fseek(file, 0, SEEK_END);
    long len = ftell(file);
    rewind(file);
    struct input *input = &inputs[input_count++];
    input->len = len > 0 ? (size_t)len : 0;
    input->bytes = malloc(input->len + 1);
    if (fread(input->bytes, 1, input->len, file) != input->len)
        exit(2);
    fclose(file);
}

static void load_folder(const char *folder)
{
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            load(path);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

static void flip_some(struct input *input)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
    for (uint64_t n = 1 + below(6); n > 0 && input->len; n--) {
        uint8_t *at = &input->bytes[below(input->len)];
        switch (below(3)) {
        case 0:
            *at ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            *at = edges[below(sizeof edges)];
            break;
        default:
            *at = (uint8_t)(*at + below(32) - 16);
        }
    }
}

/* A copy of one input: changed, cut, lengthened, or with a piece of another. The caller frees it. */
static struct input mutate(void)
{
    const struct input *from = &inputs[below(input_count)], *other = &inputs[below(input_count)];
    struct input to = {malloc(from->len + GROWTH_MAX), from->len};
    memcpy(to.bytes, from->bytes, from->len);
    uint64_t kind = below(8);
    if (kind == 0) {
        to.len = below(to.len + 1);
    } else if (kind == 1) {
        for (uint64_t n = below(GROWTH_MAX); n > 0; n--)
            to.bytes[to.len++] = (uint8_t)below(256);
    } else if (kind == 2 && to.len && other->len) {
        size_t at = below(to.len), take = below(other->len), len = 1 + below(other->len - take);
        len = len < to.len - at ? len : to.len - at;
        memcpy(to.bytes + at, other->bytes + take, len);
    }
    if (kind > 1 || below(2))
        flip_some(&to);
    uint8_t *exact = malloc(to.len ? to.len : 1); /* so that a byte too far is seen */
    memcpy(exact, to.bytes, to.len);
    free(to.bytes);
    to.bytes = exact;
    return to;
}

static void keep(const char *path, const struct input *input)
{
    FILE *file = fopen(path, "wb");
    if (file) {
        fwrite(input->bytes, 1, input->len, file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        if (kp_fuzz_write_seeds)
            kp_fuzz_write_seeds(argv[2]);
        return 0;
    }
    for (int i = 1; i < argc; i++)
        load(argv[i]);
    if (argc == 1)
        load_folder(CORPUS);
    for (size_t i = 0; i < input_count; i++)
        LLVMFuzzerTestOneInput(inputs[i].bytes, inputs[i].len);
    uint64_t count = kp_fuzz_mutations ? kp_fuzz_mutations() : MUTATIONS;
    const char *scale = getenv("KAPPA_TEST_SCALE"), *crash = argc == 1 ? getenv("KAPPA_FUZZ_CRASH") : NULL;
    uint64_t mutations = argc > 1 || !input_count ? 0 : count * (scale ? strtoull(scale, NULL, 10) : 1), done = 0;
    time_t until = time(NULL) + SECONDS_MAX * (scale ? atoi(scale) : 1);
    for (; done < mutations && time(NULL) < until; done++) {
        struct input input = mutate();
        if (crash)
            keep(crash, &input);
        LLVMFuzzerTestOneInput(input.bytes, input.len);
        free(input.bytes);
    }
    printf("%zu files, %llu mutations\n", input_count, (unsigned long long)done);
    for (size_t i = 0; i < input_count; i++)
        free(inputs[i].bytes);
    if (!input_count)
        fprintf(stderr, "no corpus: %s is empty; `%s --seeds` or tests/fuzz/make-corpus makes one\n", CORPUS, argv[0]);
    return input_count ? 0 : 1;
}
