/* Made types: an array that only grows, in chunks that never move, so that reading needs no lock. */
#include "vec/made.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "os/thread.h"

enum {
    CHUNK_TYPES = 256,
    CHUNKS_MAX = 4096,
    OID_FIRST = 1000000000,
    OIDS = 1000000000,
    RECORD_OID = 2249,
    RECORD_ARRAY_OID = 2287
};

/* What ALTER TYPE has replaced: somebody may read it still. */
struct retired {
    const void *what;
    struct retired *before;
};

static struct {
    struct kp_once once;
    struct kp_mutex mutex; /* of additions */
    _Atomic uint32_t count;
    struct kp_made *chunks[CHUNKS_MAX];
    struct retired *retired;
} made = {.once = KP_ONCE_INIT};

static void start(void)
{
    kp_mutex_init(&made.mutex);
}

static struct kp_made *at(uint32_t index)
{
    return &made.chunks[index / CHUNK_TYPES][index % CHUNK_TYPES];
}

static const char *name_of(const char *name)
{
    return name ? name : "record";
}

static bool same(const struct kp_made *a, const void *owner, const char *name, const char *const *names,
                 const struct kp_type *types, uint32_t count)
{
    if (a->altered || a->owner != owner || strcmp(a->info.name, name_of(name)) != 0 || a->count != count ||
        !a->types != !types || (a->info.oid == RECORD_OID) != !name)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(a->names[i], names[i]) != 0 || (types && !kp_type_equal(a->types[i], types[i])))
            return false;
    return true;
}

/* The same for the same declaration, in every process: even, the array's is one more. */
static uint32_t oid_of(const char *name, const char *const *names, const struct kp_type *types, uint32_t count)
{
    if (!name)
        return RECORD_OID;
    uint64_t hash = kp_hash_bytes(name, strlen(name));
    for (uint32_t i = 0; i < count; i++) {
        hash = kp_hash_combine(hash, kp_hash_bytes(names[i], strlen(names[i])));
        if (types)
            hash = kp_hash_combine(
                hash, kp_hash_u64((uint64_t)kp_type_info(types[i].id)->oid << 32 | (uint32_t)types[i].mod));
    }
    return OID_FIRST + (uint32_t)(hash % (OIDS / 2)) * 2;
}

static const char *joined(const char *before, const char *name, const char *behind)
{
    struct kp_buf text = {0};
    kp_buf_append_text(&text, before);
    kp_buf_append_text(&text, name);
    kp_buf_append_text(&text, behind);
    kp_buf_append_byte(&text, 0);
    return (const char *)text.data; /* for the life of the process */
}

static void define(struct kp_made *to, uint32_t index, const char *name, const char *const *names,
                   const struct kp_type *types, uint32_t count)
{
    enum kp_type_id id = (enum kp_type_id)(KP_MADE_BASE + 4 * index + (types ? 2 : 0));
    uint32_t oid = oid_of(name, names, types, count), array_oid = name ? oid + 1 : RECORD_ARRAY_OID;
    const char *own = kp_strdup(name_of(name));
    to->names = kp_calloc(count + 1, sizeof *to->names);
    for (uint32_t i = 0; i < count; i++)
        to->names[i] = kp_strdup(names[i]);
    to->count = count;
    if (types) {
        struct kp_type *copy = kp_calloc(count + 1, sizeof *copy);
        for (uint32_t i = 0; i < count; i++)
            copy[i] = (struct kp_type){.id = types[i].id, .mod = types[i].mod};
        to->types = copy;
        to->info = (struct kp_type_info){id, own, own, oid, -1, 16, name ? 'C' : 'P', false, true};
    } else {
        struct kp_enum_labels *labels = kp_calloc(1, sizeof *labels);
        *labels = (struct kp_enum_labels){
            .count = count, .names = to->names, .numbers = kp_calloc(count + 1, sizeof *labels->numbers)};
        for (uint32_t i = 0; i < count; i++)
            labels->numbers[i] = (int32_t)i * KP_ENUM_STEP;
        atomic_store(&to->labels, labels);
        to->info = (struct kp_type_info){id, own, own, oid, 4, 4, 'E', false, false};
    }
    to->array_info = (struct kp_type_info){
        kp_type_array_of(id), joined("", own, "[]"), joined("_", own, ""), array_oid, -1, 16, 'A', false, true};
}

static enum kp_type_id intern(const void *owner, const char *name, const char *const *names,
                              const struct kp_type *types, uint32_t count)
{
    kp_once_run(&made.once, start);
    kp_mutex_lock(&made.mutex);
    uint32_t known = atomic_load(&made.count), index = 0;
    while (index < known && !same(at(index), owner, name, names, types, count))
        index++;
    if (index == known) {
        KP_ASSERT(known < (uint32_t)CHUNKS_MAX * CHUNK_TYPES);
        if (index % CHUNK_TYPES == 0)
            made.chunks[index / CHUNK_TYPES] = kp_calloc(CHUNK_TYPES, sizeof(struct kp_made));
        define(at(index), index, name, names, types, count);
        at(index)->owner = owner;
        atomic_store(&made.count, known + 1);
    }
    enum kp_type_id id = at(index)->info.id;
    kp_mutex_unlock(&made.mutex);
    return id;
}

enum kp_type_id kp_made_intern(const char *name, const char *const *names, const struct kp_type *types, uint32_t count)
{
    return intern(NULL, name, names, types, count);
}

enum kp_type_id kp_enum_intern(const void *owner, const char *name, const char *const *names, uint32_t count)
{
    return intern(owner, name, names, NULL, count);
}

const struct kp_made *kp_made_of(enum kp_type_id id)
{
    uint32_t index = ((uint32_t)id - KP_MADE_BASE) / 4;
    KP_ASSERT(id >= KP_MADE_BASE && index < atomic_load(&made.count));
    return at(index);
}

enum kp_type_id kp_made_by_oid(uint32_t oid)
{
    for (uint32_t i = atomic_load(&made.count); i-- > 0;) /* the newest: others of the number were altered since */
        if (at(i)->info.oid == oid)
            return at(i)->info.id;
        else if (at(i)->array_info.oid == oid)
            return at(i)->array_info.id;
    return KP_TYPE_NONE;
}

/* ---- labels ---- */

const struct kp_enum_labels *kp_enum_labels(enum kp_type_id id)
{
    return atomic_load_explicit(&kp_made_of(id)->labels, memory_order_acquire);
}

bool kp_enum_find(enum kp_type_id id, struct kp_str label, int32_t *ret_number)
{
    const struct kp_enum_labels *labels = kp_enum_labels(id);
    for (uint32_t i = 0; i < labels->count; i++)
        if (kp_str_equal(kp_str(labels->names[i]), label)) {
            *ret_number = labels->numbers[i];
            return true;
        }
    return false;
}

bool kp_enum_find_former(enum kp_type_id id, struct kp_str label, int64_t position, int32_t *ret_number)
{
    const struct kp_enum_labels *labels = kp_enum_labels(id);
    bool found = false;
    for (uint32_t i = 0; i < labels->former_count && !(found && position >= 0); i++) {
        const struct kp_enum_former *former = &labels->formers[i];
        if (former->until <= position || !kp_str_equal(kp_str(former->name), label))
            continue;
        *ret_number = former->number;
        found = true;
    }
    return found;
}

const char *kp_enum_label(enum kp_type_id id, int32_t number)
{
    const struct kp_enum_labels *labels = kp_enum_labels(id);
    uint32_t low = (uint32_t)(number / KP_ENUM_STEP), high = labels->count;
    if (number >= 0 && low < high && labels->numbers[low] == number)
        return labels->names[low];
    for (low = 0; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (labels->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < labels->count && labels->numbers[low] == number ? labels->names[low] : "";
}

/* ---- ALTER TYPE ---- */

/* A copy with room for one more of each; what was there stays for whoever reads it. */
static struct kp_enum_labels *copy(const struct kp_enum_labels *from)
{
    struct kp_enum_labels *to = kp_calloc(1, sizeof *to);
    *to = *from;
    to->names = kp_calloc(from->count + 1, sizeof *to->names);
    to->numbers = kp_calloc(from->count + 1, sizeof *to->numbers);
    to->formers = kp_calloc(from->former_count + 1, sizeof *to->formers);
    for (uint32_t i = 0; i < from->count; i++) {
        to->names[i] = from->names[i];
        to->numbers[i] = from->numbers[i];
    }
    for (uint32_t i = 0; i < from->former_count; i++)
        to->formers[i] = from->formers[i];
    return to;
}

static void retire(const void *what)
{
    struct retired *retired = kp_alloc(sizeof *retired);
    kp_mutex_lock(&made.mutex);
    *retired = (struct retired){what, made.retired};
    made.retired = retired;
    kp_mutex_unlock(&made.mutex);
}

static struct kp_made *alter(enum kp_type_id id)
{
    struct kp_made *type = at(((uint32_t)id - KP_MADE_BASE) / 4);
    type->altered = true;
    return type;
}

static void replace_labels(enum kp_type_id id, const struct kp_enum_labels *labels)
{
    struct kp_made *type = alter(id);
    retire(atomic_load(&type->labels));
    atomic_store_explicit(&type->labels, labels, memory_order_release);
}

static void replace_name(const char **name, const char *by)
{
    retire(*name);
    __atomic_store_n(name, by, __ATOMIC_RELEASE);
}

static uint32_t place_of(const struct kp_enum_labels *labels, const char *label)
{
    uint32_t at = 0;
    while (at < labels->count && strcmp(labels->names[at], label) != 0)
        at++;
    return at;
}

/* Where a label would be and its number; false: there is none left. */
static bool room(const struct kp_enum_labels *labels, const char *neighbor, bool after, uint32_t *ret_place,
                 int32_t *ret_number)
{
    uint32_t place = neighbor ? place_of(labels, neighbor) + after : labels->count;
    int64_t low = place ? labels->numbers[place - 1] : INT32_MIN, number = 0;
    int64_t high = place < labels->count ? labels->numbers[place] : INT32_MAX;
    if (place && place < labels->count)
        number = low + (high - low) / 2;
    else if (place)
        number = low + KP_ENUM_STEP;
    else if (labels->count)
        number = high - KP_ENUM_STEP;
    *ret_place = place;
    *ret_number = (int32_t)number;
    return low < number && number < high;
}

bool kp_enum_has_room(enum kp_type_id id, const char *neighbor, bool after)
{
    uint32_t place;
    int32_t number;
    return room(kp_enum_labels(id), neighbor, after, &place, &number);
}

void kp_enum_add(enum kp_type_id id, const char *label, const char *neighbor, bool after)
{
    struct kp_enum_labels *labels = copy(kp_enum_labels(id));
    uint32_t place;
    int32_t number;
    KP_ASSERT(room(labels, neighbor, after, &place, &number));
    for (uint32_t i = labels->count++; i > place; i--) {
        labels->names[i] = labels->names[i - 1];
        labels->numbers[i] = labels->numbers[i - 1];
    }
    labels->names[place] = kp_strdup(label);
    labels->numbers[place] = number;
    replace_labels(id, labels);
}

void kp_enum_rename(enum kp_type_id id, const char *from, const char *to, int64_t position)
{
    struct kp_enum_labels *labels = copy(kp_enum_labels(id));
    uint32_t place = place_of(labels, from);
    KP_ASSERT(place < labels->count);
    labels->formers[labels->former_count++] =
        (struct kp_enum_former){labels->names[place], labels->numbers[place], position};
    labels->names[place] = kp_strdup(to);
    replace_labels(id, labels);
}

void kp_made_rename(enum kp_type_id id, const char *name)
{
    struct kp_made *type = alter(id);
    const char *own = kp_strdup(name), *array = joined("", own, "[]"), *internal = joined("_", own, "");
    replace_name(&type->info.name, own);
    replace_name(&type->info.short_name, own);
    replace_name(&type->array_info.name, array);
    replace_name(&type->array_info.short_name, internal);
}
