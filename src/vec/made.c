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

static struct {
    struct kp_once once;
    struct kp_mutex mutex; /* of additions */
    _Atomic uint32_t count;
    struct kp_made *chunks[CHUNKS_MAX];
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

static bool same(const struct kp_made *a, const char *name, const char *const *names, const struct kp_type *types,
                 uint32_t count)
{
    if (strcmp(a->info.name, name_of(name)) != 0 || a->count != count || !a->types != !types ||
        (a->info.oid == RECORD_OID) != !name)
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
        if (count)
            memcpy(copy, types, count * sizeof *copy);
        to->types = copy;
        to->info = (struct kp_type_info){id, own, own, oid, -1, 16, name ? 'C' : 'P', false, true};
    } else {
        to->info = (struct kp_type_info){id, own, own, oid, 4, 4, 'E', false, false};
    }
    to->array_info = (struct kp_type_info){
        kp_type_array_of(id), joined("", own, "[]"), joined("_", own, ""), array_oid, -1, 16, 'A', false, true};
}

enum kp_type_id kp_made_intern(const char *name, const char *const *names, const struct kp_type *types, uint32_t count)
{
    kp_once_run(&made.once, start);
    kp_mutex_lock(&made.mutex);
    uint32_t known = atomic_load(&made.count), index = 0;
    while (index < known && !same(at(index), name, names, types, count))
        index++;
    if (index == known) {
        KP_ASSERT(known < (uint32_t)CHUNKS_MAX * CHUNK_TYPES);
        if (index % CHUNK_TYPES == 0)
            made.chunks[index / CHUNK_TYPES] = kp_calloc(CHUNK_TYPES, sizeof(struct kp_made));
        define(at(index), index, name, names, types, count);
        atomic_store(&made.count, known + 1);
    }
    enum kp_type_id id = at(index)->info.id;
    kp_mutex_unlock(&made.mutex);
    return id;
}

const struct kp_made *kp_made_of(enum kp_type_id id)
{
    uint32_t index = ((uint32_t)id - KP_MADE_BASE) / 4;
    KP_ASSERT(id >= KP_MADE_BASE && index < atomic_load(&made.count));
    return at(index);
}

enum kp_type_id kp_made_by_oid(uint32_t oid)
{
    uint32_t count = atomic_load(&made.count);
    for (uint32_t i = 0; i < count; i++)
        if (at(i)->info.oid == oid)
            return at(i)->info.id;
        else if (at(i)->array_info.oid == oid)
            return at(i)->array_info.id;
    return KP_TYPE_NONE;
}

bool kp_enum_find(enum kp_type_id id, struct kp_str label, int32_t *ret_number)
{
    const struct kp_made *type = kp_made_of(id);
    for (uint32_t i = 0; i < type->count; i++)
        if (kp_str_equal(kp_str(type->names[i]), label)) {
            *ret_number = (int32_t)i;
            return true;
        }
    return false;
}

const char *kp_enum_label(enum kp_type_id id, int32_t number)
{
    const struct kp_made *type = kp_made_of(id);
    return number >= 0 && (uint32_t)number < type->count ? type->names[number] : "";
}
