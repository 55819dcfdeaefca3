/* The rules are in db/lost.h. */
#include "db/lost.h"

#include "base/mem.h"
#include "log/record_batch.h"

/* ---- kappa's own ---- */

static bool is_number(struct kp_str text, size_t *ret_len)
{
    size_t i = text.len > 0 && text.ptr[0] == '-' ? 1 : 0, from = i;
    while (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9')
        i++;
    *ret_len = i;
    return i > from;
}

static struct kp_str behind(struct kp_str text, size_t len)
{
    return (struct kp_str){text.ptr + len, text.len - len};
}

static bool is_numbers(struct kp_str text)
{
    size_t len;
    while (is_number(text, &len)) {
        if (len == text.len)
            return true;
        if (text.ptr[len] != ' ')
            return false;
        text = behind(text, len + 1);
    }
    return false;
}

static bool begins(struct kp_str text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

/* Has it the form of what kappa writes into a topic of its own? The catalog (db/catalog_log.c); ticks (db/tick.c);
 * marks of sinks (db/sink.c) and decisions (db/expiry.h): numbers; bases (db/base.h). */
static bool is_own(const struct kp_record *record)
{
    size_t len;
    if (kp_str_equal(record->key, KP_STR("statement")))
        return true;
    if (kp_str_equal(record->key, KP_STR("tick")))
        return !record->value.ptr;
    if (!record->key.ptr || !is_numbers(record->key) || !record->value.ptr)
        return false;
    return begins(record->value, "_count") || (is_number(record->value, &len) && record->value.len > len &&
                                               is_number(behind(record->value, len + 1), &len));
}

/* The first record that is left tells: all of a topic are of one form. */
static enum kp_code check_own(struct kp_db *db, const struct kp_topic_info *topic, bool *ret_own, struct kp_error *err)
{
    struct kp_partition_info partition;
    struct kp_record_reader reader;
    struct kp_record record;
    struct kp_arena arena = {0};
    struct kp_buf batch = {0};
    *ret_own = false;
    if (topic->partitions > 1)
        return KP_OK;
    KP_TRY(kp_log_partition(db->log, topic->id, 0, &partition, err));
    if (partition.start_offset == partition.end_offset)
        return KP_OK;
    enum kp_code code = kp_log_fetch(db->log, topic->id, 0, partition.start_offset, 1, &batch, err);
    if (code == KP_OK && batch.len)
        code = kp_record_reader_init(&reader, batch.data, batch.len, &arena, err);
    if (code == KP_OK && batch.len && kp_record_reader_next(&reader, &record, err))
        *ret_own = is_own(&record);
    kp_arena_finish(&arena);
    kp_buf_finish(&batch);
    return code;
}

static enum kp_code refuse(const struct kp_topic_info *topic, struct kp_error *err)
{
    kp_fail(err, KP_CORRUPT, NULL, "what made topic %u has rotted, and its name with it", topic->id);
    kp_error_detail(err, "Its records are in topic \"%s\"; it may be one of kappa's own.", topic->name);
    return kp_error_hint(err,
                         "Restore the log from a backup. `kappa log export %s` reads them, and other topics are "
                         "read by their names; `kappa log verify` shows what is damaged.",
                         topic->name);
}

static enum kp_code check_topic(struct kp_db *db, const struct kp_topic_info *topic, bool all_named,
                                struct kp_error *err)
{
    struct kp_error unread;
    bool own = false;
    if (!all_named || check_own(db, topic, &own, &unread) != KP_OK || own)
        return refuse(topic, err);
    if (db->options.notice) {
        struct kp_error text;
        (void)kp_fail(&text, KP_CORRUPT, NULL,
                      "what made topic %u has rotted, and its name with it: its records are in \"%s\"", topic->id,
                      topic->name);
        db->options.notice(db->options.arg, 'E', text.message);
    }
    return KP_OK;
}

enum kp_code kp_lost_check(struct kp_db *db, struct kp_error *err)
{
    struct kp_topic_info *topics, own;
    size_t count;
    enum kp_code code = KP_OK;
    /* these are made before all others, when an instance is made */
    bool all_named = kp_log_topic_find(db->log, "__kappa_catalog", &own, NULL) == KP_OK &&
                     kp_log_topic_find(db->log, "__kappa_sinks", &own, NULL) == KP_OK;
    kp_log_topics(db->log, &topics, &count);
    for (size_t i = 0; code == KP_OK && i < count; i++)
        if (topics[i].nameless)
            code = check_topic(db, &topics[i], all_named, err);
    kp_free(topics);
    return code;
}

/* ---- those of sources and tables ---- */

static enum kp_code tell(const char *topic, const struct kp_topic_info *lost, struct kp_error *err)
{
    kp_fail(err, KP_CORRUPT, NULL, "there is no topic \"%s\", and what made a topic has rotted", topic);
    kp_error_detail(err, "Its records may be those of topic \"%s\".", lost->name);
    return kp_error_hint(err,
                         "If they are, a source made anew WITH (topic = '%s') reads them; a backup has the topic by "
                         "its name. CREATE TOPIC makes an empty one.",
                         lost->name);
}

enum kp_code kp_lost_check_name(struct kp_db *db, const char *topic, struct kp_error *err)
{
    struct kp_topic_info info, *topics;
    size_t count, i = 0;
    if (!topic || kp_log_topic_find(db->log, topic, &info, NULL) == KP_OK)
        return KP_OK;
    kp_log_topics(db->log, &topics, &count);
    while (i < count && !topics[i].nameless)
        i++;
    enum kp_code code = i < count ? tell(topic, &topics[i], err) : KP_OK;
    kp_free(topics);
    return code;
}
