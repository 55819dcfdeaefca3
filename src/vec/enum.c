/* Declared enums: an array that only grows, in chunks that never move, so that reading needs no lock. */
#include "vec/enum.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "os/thread.h"

enum { CHUNK_ENUMS = 256, CHUNKS_MAX = 4096, OID_FIRST = 1000000000, OIDS = 1000000000 };

static struct {
    struct kp_once once;
    struct kp_mutex mutex; /* of additions */
    _Atomic uint32_t count;
    struct kp_enum *chunks[CHUNKS_MAX];
} enums = {.once = KP_ONCE_INIT};

static void start(void)
{
    kp_mutex_init(&enums.mutex);
}

static struct kp_enum *at(uint32_t index)
{
    return &enums.chunks[index / CHUNK_ENUMS][index % CHUNK_ENUMS];
}

static bool same(const struct kp_enum *a, const char *name, const char *const *labels, uint32_t label_count)
{
    if (strcmp(a->info.name, name) != 0 || a->label_count != label_count)
        return false;
    for (uint32_t i = 0; i < label_count; i++)
        if (strcmp(a->labels[i], labels[i]) != 0)
            return false;
    return true;
}

/* The same for the same declaration, in every process: even, the array's is one more. */
static uint32_t oid_of(const char *name, const char *const *labels, uint32_t label_count)
{
    uint64_t hash = kp_hash_bytes(name, strlen(name));
    for (uint32_t i = 0; i < label_count; i++)
        hash = kp_hash_combine(hash, kp_hash_bytes(labels[i], strlen(labels[i])));
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

static void define(struct kp_enum *to, uint32_t index, const char *name, const char *const *labels,
                   uint32_t label_count)
{
    enum kp_type_id id = (enum kp_type_id)(KP_ENUM_BASE + 2 * index);
    uint32_t oid = oid_of(name, labels, label_count);
    const char *own = kp_strdup(name);
    to->labels = kp_calloc(label_count + 1, sizeof *to->labels);
    for (uint32_t i = 0; i < label_count; i++)
        to->labels[i] = kp_strdup(labels[i]);
    to->label_count = label_count;
    to->info = (struct kp_type_info){id, own, own, oid, 4, 4, 'E', false, false};
    to->array_info = (struct kp_type_info){
        kp_type_array_of(id), joined("", name, "[]"), joined("_", name, ""), oid + 1, -1, 16, 'A', false, true};
}

enum kp_type_id kp_enum_intern(const char *name, const char *const *labels, uint32_t label_count)
{
    kp_once_run(&enums.once, start);
    kp_mutex_lock(&enums.mutex);
    uint32_t count = atomic_load(&enums.count), index = 0;
    while (index < count && !same(at(index), name, labels, label_count))
        index++;
    if (index == count) {
        KP_ASSERT(count < (uint32_t)CHUNKS_MAX * CHUNK_ENUMS);
        if (index % CHUNK_ENUMS == 0)
            enums.chunks[index / CHUNK_ENUMS] = kp_calloc(CHUNK_ENUMS, sizeof(struct kp_enum));
        define(at(index), index, name, labels, label_count);
        atomic_store(&enums.count, count + 1);
    }
    kp_mutex_unlock(&enums.mutex);
    return (enum kp_type_id)(KP_ENUM_BASE + 2 * index);
}

const struct kp_enum *kp_enum_of(enum kp_type_id id)
{
    uint32_t index = ((uint32_t)id - KP_ENUM_BASE) / 2;
    KP_ASSERT(id >= KP_ENUM_BASE && index < atomic_load(&enums.count));
    return at(index);
}

enum kp_type_id kp_enum_by_oid(uint32_t oid)
{
    uint32_t count = atomic_load(&enums.count);
    for (uint32_t i = 0; i < count; i++)
        if (at(i)->info.oid == (oid & ~1u))
            return oid & 1 ? at(i)->array_info.id : at(i)->info.id;
    return KP_TYPE_NONE;
}

bool kp_enum_find(enum kp_type_id id, struct kp_str label, int32_t *ret_number)
{
    const struct kp_enum *type = kp_enum_of(id);
    for (uint32_t i = 0; i < type->label_count; i++)
        if (kp_str_equal(kp_str(type->labels[i]), label)) {
            *ret_number = (int32_t)i;
            return true;
        }
    return false;
}

const char *kp_enum_label(enum kp_type_id id, int32_t number)
{
    const struct kp_enum *type = kp_enum_of(id);
    return number >= 0 && (uint32_t)number < type->label_count ? type->labels[number] : "";
}
