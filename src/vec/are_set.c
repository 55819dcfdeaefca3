/*
 * Sets of characters as ranges, and the classes of a pattern: characters that none of its sets tells apart are one
 * letter of the automata's alphabet.
 */
#include "base/hash.h"
#include "vec/are_internal.h"

#include <stdlib.h>

void kp_are_set_finish(struct are_set *set)
{
    kp_free(set->ranges);
    *set = (struct are_set){0};
}

void kp_are_set_add(struct are_set *set, uint32_t first, uint32_t last)
{
    if (set->count == set->cap) {
        set->cap = set->cap ? 2 * set->cap : 4;
        set->ranges = kp_realloc(set->ranges, set->cap * sizeof *set->ranges);
    }
    set->ranges[set->count++] = (struct kp_char_range){first, last};
}

void kp_are_set_add_character(struct are_set *set, uint32_t c, bool fold)
{
    uint32_t lower = fold ? kp_unicode_lower(c) : c, upper = fold ? kp_unicode_upper(c) : c;
    kp_are_set_add(set, lower, lower);
    if (upper != lower)
        kp_are_set_add(set, upper, upper);
}

bool kp_are_set_add_range(struct are_set *set, uint32_t first, uint32_t last, bool fold)
{
    kp_are_set_add(set, first, last);
    size_t room = KP_MIN(KP_MAX((size_t)(last - first) + 1, (size_t)100), (size_t)ARE_FOLD_CASES_MAX);
    for (uint32_t c = first; fold && c <= last && c < 0x110000; c++) {
        uint32_t cases[2] = {kp_unicode_lower(c), kp_unicode_upper(c)};
        for (unsigned i = 0; i < 2; i++) {
            if (cases[i] >= first && cases[i] <= last)
                continue;
            if (room-- == 0)
                return false;
            kp_are_set_add(set, cases[i], cases[i]);
        }
    }
    return true;
}

static void add_kind(struct are_set *set, enum kp_char_kind kind)
{
    size_t count;
    const struct kp_char_range *ranges = kp_unicode_members(kind, &count);
    for (size_t i = 0; i < count; i++)
        kp_are_set_add(set, ranges[i].first, ranges[i].last);
}

static void add_alpha(struct are_set *set)
{
    kp_are_set_add(set, 'A', 'Z');
    kp_are_set_add(set, 'a', 'z');
    add_kind(set, KP_CHAR_ALNUM);
}

static void add_punct(struct are_set *set)
{
    kp_are_set_add(set, '!', '/');
    kp_are_set_add(set, ':', '@');
    kp_are_set_add(set, '[', '`');
    kp_are_set_add(set, '{', '~');
    add_kind(set, KP_CHAR_PUNCT);
}

void kp_are_set_add_class(struct are_set *set, enum are_class class, bool fold)
{
    if (fold && (class == ARE_LOWER || class == ARE_UPPER))
        class = ARE_ALPHA;
    if (class == ARE_ALNUM || class == ARE_ALPHA || class == ARE_WORD || class == ARE_GRAPH)
        add_alpha(set);
    if (class == ARE_ALNUM || class == ARE_WORD || class == ARE_GRAPH || class == ARE_DIGIT || class == ARE_XDIGIT)
        kp_are_set_add(set, '0', '9');
    if (class == ARE_PUNCT || class == ARE_GRAPH)
        add_punct(set);
    if (class == ARE_WORD) {
        kp_are_set_add(set, '_', '_');
    } else if (class == ARE_ASCII) {
        kp_are_set_add(set, 0, 0x7f);
    } else if (class == ARE_BLANK) {
        kp_are_set_add(set, '\t', '\t');
        kp_are_set_add(set, ' ', ' ');
    } else if (class == ARE_CNTRL) {
        kp_are_set_add(set, 0, 0x1f);
        kp_are_set_add(set, 0x7f, 0x9f);
    } else if (class == ARE_XDIGIT) {
        kp_are_set_add(set, 'a', 'f');
        kp_are_set_add(set, 'A', 'F');
    } else if (class == ARE_SPACE) {
        kp_are_set_add(set, '\t', '\r');
        kp_are_set_add(set, ' ', ' ');
        add_kind(set, KP_CHAR_SPACE);
    } else if (class == ARE_PRINT) {
        kp_are_set_add(set, ' ', '~');
        add_kind(set, KP_CHAR_PRINT);
    } else if (class == ARE_LOWER) {
        kp_are_set_add(set, 'a', 'z');
        add_kind(set, KP_CHAR_LOWER);
    } else if (class == ARE_UPPER) {
        kp_are_set_add(set, 'A', 'Z');
        add_kind(set, KP_CHAR_UPPER);
    }
}

static int compare_ranges(const void *a, const void *b)
{
    const struct kp_char_range *left = a, *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

void kp_are_set_close(struct are_set *set)
{
    size_t kept = 0;
    if (set->count > 1)
        qsort(set->ranges, set->count, sizeof *set->ranges, compare_ranges);
    for (size_t i = 0; i < set->count; i++) {
        struct kp_char_range range = set->ranges[i];
        if (kept && range.first <= set->ranges[kept - 1].last + 1)
            set->ranges[kept - 1].last = KP_MAX(set->ranges[kept - 1].last, range.last);
        else
            set->ranges[kept++] = range;
    }
    set->count = kept;
}

void kp_are_set_complement(struct are_set *set)
{
    struct are_set rest = {0};
    uint32_t next = 0;
    kp_are_set_close(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].first > next)
            kp_are_set_add(&rest, next, set->ranges[i].first - 1);
        next = set->ranges[i].last + 1;
    }
    if (next <= ARE_CHARACTER_MAX)
        kp_are_set_add(&rest, next, ARE_CHARACTER_MAX);
    kp_are_set_finish(set);
    *set = rest;
}

/* ---- classes ---- */

static int compare_places(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Where a range of some set begins, or its rest behind it: in order, from 0, each once. */
static uint32_t *list_places(const struct are_set *sets, size_t set_count, size_t *ret_count)
{
    size_t count = 1, kept = 0;
    for (size_t s = 0; s < set_count; s++)
        count += 2 * sets[s].count;
    uint32_t *places = kp_alloc(count * sizeof *places);
    count = 0;
    places[count++] = 0;
    for (size_t s = 0; s < set_count; s++)
        for (size_t i = 0; i < sets[s].count; i++) {
            places[count++] = sets[s].ranges[i].first;
            places[count++] = sets[s].ranges[i].last + 1;
        }
    qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || places[i] != places[kept - 1])
            places[kept++] = places[i];
    *ret_count = kept;
    return places;
}

/* Classes while they are found: each is the bits of the sets that its characters are in. */
struct finder {
    uint64_t *bits; /* of class i from i * words */
    size_t words;
    uint32_t *slots; /* class + 1 by hash, 0: free */
    size_t slot_count;
    uint16_t count;
};

static uint16_t find_class(struct finder *finder, const uint64_t *bits)
{
    size_t slot = kp_hash_bytes(bits, finder->words * sizeof *bits) % finder->slot_count;
    for (; finder->slots[slot]; slot = (slot + 1) % finder->slot_count)
        if (memcmp(finder->bits + (finder->slots[slot] - 1) * finder->words, bits, finder->words * sizeof *bits) == 0)
            return (uint16_t)(finder->slots[slot] - 1);
    memcpy(finder->bits + finder->count * finder->words, bits, finder->words * sizeof *bits);
    finder->slots[slot] = ++finder->count;
    return (uint16_t)(finder->count - 1);
}

/* The class of the characters from each place on, in classes->ranges. */
static void number_places(struct are_classes *classes, struct finder *finder, const struct are_set *sets,
                          size_t set_count, const uint32_t *places, size_t place_count)
{
    uint64_t *bits = kp_calloc(finder->words, sizeof *bits);
    size_t *at = kp_calloc(set_count + 1, sizeof *at); /* the first range of each set that ends behind the place */
    for (size_t i = 0; i < place_count; i++) {
        for (size_t s = 0; s < set_count; s++) {
            const struct are_set *set = &sets[s];
            while (at[s] < set->count && set->ranges[at[s]].last < places[i])
                at[s]++;
            uint64_t bit = UINT64_C(1) << (s % 64);
            bool in = at[s] < set->count && set->ranges[at[s]].first <= places[i];
            bits[s / 64] = in ? bits[s / 64] | bit : bits[s / 64] & ~bit;
        }
        classes->ranges[i] = (struct kp_char_range){places[i], find_class(finder, bits)};
    }
    kp_free(at);
    kp_free(bits);
}

static void mark_members(struct are_classes *classes, const struct finder *finder, size_t set_count)
{
    classes->count = finder->count;
    classes->member = kp_calloc(set_count * classes->count + 1, 1);
    for (size_t s = 0; s < set_count; s++)
        for (size_t c = 0; c < classes->count; c++)
            classes->member[s * classes->count + c] = (finder->bits[c * finder->words + s / 64] >> (s % 64)) & 1;
}

void kp_are_classes_init(struct are_classes *classes, const struct are_set *sets, size_t set_count, bool lines,
                         bool words)
{
    /* Two sets more: what lines and words are made of. */
    struct are_set *all = kp_alloc((set_count + 2) * sizeof *all), line = {0}, word = {0};
    if (set_count)
        memcpy(all, sets, set_count * sizeof *all);
    if (lines)
        kp_are_set_add(&line, '\n', '\n');
    if (words)
        kp_are_set_add_class(&word, ARE_WORD, false);
    kp_are_set_close(&word);
    all[set_count] = line;
    all[set_count + 1] = word;
    size_t place_count;
    uint32_t *places = list_places(all, set_count + 2, &place_count);
    struct finder finder = {.words = (set_count + 2 + 63) / 64, .slot_count = 2 * place_count + 1};
    finder.bits = kp_alloc(place_count * finder.words * sizeof *finder.bits);
    finder.slots = kp_calloc(finder.slot_count, sizeof *finder.slots);
    classes->ranges = kp_alloc(place_count * sizeof *classes->ranges);
    classes->range_count = place_count;
    number_places(classes, &finder, all, set_count + 2, places, place_count);
    mark_members(classes, &finder, set_count + 2);
    classes->traits = kp_calloc(classes->count, 1);
    for (size_t c = 0; c < classes->count; c++)
        classes->traits[c] =
            (uint8_t)((classes->member[set_count * classes->count + c] ? ARE_LINE_END : 0) |
                      (classes->member[(set_count + 1) * classes->count + c] ? ARE_WORD_CHARACTER : 0));
    for (uint32_t c = 0; c < 128; c++)
        classes->ascii[c] = kp_are_class_beyond_ascii(classes, c);
    kp_free(places);
    kp_free(finder.bits);
    kp_free(finder.slots);
    kp_are_set_finish(&line);
    kp_are_set_finish(&word);
    kp_free(all);
}

void kp_are_classes_finish(struct are_classes *classes)
{
    kp_free(classes->ranges);
    kp_free(classes->member);
    kp_free(classes->traits);
}

uint16_t kp_are_class_beyond_ascii(const struct are_classes *classes, uint32_t c)
{
    size_t low = 0, high = classes->range_count; /* the last range that begins at c or before */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (classes->ranges[middle].first <= c)
            low = middle;
        else
            high = middle;
    }
    return (uint16_t)classes->ranges[low].last;
}
