/*
 * COPY IN: a push parser for text and CSV; binary has its own (db/copy_binary.h).
 *
 * Two passes over each row. The first finds where the row ends, carrying its state (escaped, in quotes) from piece to
 * piece, so that bytes are looked at once however they are cut. The second splits the row into fields; fields without
 * escapes point into the row, others into `scratch`.
 *
 * Invariants:
 *   1. `pending` holds the beginning of a row that has not ended, and `scanned` bytes of it have been seen by the first
 * pass.
 *   2. The kind of line end is fixed by the first one; the others are errors outside quotes, as in PostgreSQL.
 *   3. Rows given out are valid UTF-8 without NUL, escapes included.
 */
#include "db/copy.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "db/copy_binary.h"

enum line_end { LINE_END_UNKNOWN, LINE_END_NL, LINE_END_CR, LINE_END_CRNL };

struct kp_copy_reader {
    struct kp_copy_options options;
    char *null;
    const char *relation;
    const struct kp_column *cols;
    uint32_t col_count;
    kp_copy_row each;
    void *arg;

    struct kp_buf pending;
    size_t scanned;
    bool escaped, quoted;
    enum line_end line_end;
    bool ended;         /* \. was seen: the rest is ignored */
    bool header_passed; /* or there is none */
    uint64_t line;      /* of the row being read */
    uint64_t lines;     /* line ends inside it: quoted or escaped ones */

    struct kp_str *fields; /* col_count */
    struct kp_buf scratch;
    struct kp_copy_binary binary;
};

struct kp_copy_reader *kp_copy_reader_create(const struct kp_copy_options *options, const char *relation,
                                             const struct kp_column *cols, uint32_t col_count, kp_copy_row each,
                                             void *arg)
{
    struct kp_copy_reader *reader = kp_calloc(1, sizeof *reader);
    reader->options = *options;
    reader->null = kp_strdup(options->null);
    reader->options.null = reader->null;
    reader->relation = relation;
    reader->cols = cols;
    reader->col_count = col_count;
    reader->each = each;
    reader->arg = arg;
    reader->header_passed = !options->header;
    reader->line = 1;
    reader->fields = kp_calloc(col_count ? col_count : 1, sizeof *reader->fields);
    return reader;
}

void kp_copy_reader_destroy(struct kp_copy_reader *reader)
{
    if (!reader)
        return;
    kp_buf_finish(&reader->pending);
    kp_buf_finish(&reader->scratch);
    kp_copy_binary_finish(&reader->binary);
    kp_free(reader->fields);
    kp_free(reader->null);
    kp_free(reader);
}

/* Says where in the input an error arose, unless it has a detail of its own. */
static enum kp_code at_line(const struct kp_copy_reader *reader, struct kp_error *err, enum kp_code code)
{
    if (err && !err->detail[0])
        (void)kp_error_detail(err, "COPY %s, line %llu", reader->relation, (unsigned long long)reader->line);
    return code;
}

static enum kp_code bad_format(const struct kp_copy_reader *reader, struct kp_error *err, const char *message)
{
    return at_line(reader, err, kp_fail(err, KP_INVALID, "22P04", "%s", message));
}

static enum kp_code check_text(const struct kp_copy_reader *reader, struct kp_str text, struct kp_error *err)
{
    size_t good = kp_utf8_valid_prefix(text.ptr, text.len);
    const char *nul = memchr(text.ptr, 0, good);
    if (nul)
        good = (size_t)(nul - text.ptr);
    if (good == text.len)
        return KP_OK;
    return at_line(reader, err,
                   kp_fail(err, KP_INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                           (uint8_t)text.ptr[good]));
}

/* ---- fields of the text form ---- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes the escape behind the backslash before *at and moves *at behind it. */
static uint8_t text_escape(const char **at, const char *end)
{
    uint8_t c = (uint8_t) * (*at)++;
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    case 'x': {
        int value = *at < end ? hex_digit((uint8_t) * *at) : -1;
        if (value < 0)
            return c;
        int low = ++*at < end ? hex_digit((uint8_t) * *at) : -1;
        if (low >= 0) {
            value = value * 16 + low;
            ++*at;
        }
        return (uint8_t)value;
    }
    default:
        break;
    }
    if (c < '0' || c > '7')
        return c;
    unsigned value = c - '0';
    for (int i = 0; i < 2 && *at < end && **at >= '0' && **at <= '7'; i++)
        value = value * 8 + (unsigned)(*(*at)++ - '0');
    return (uint8_t)value;
}

/* Splits a row with escapes. Fields go into scratch, which has room for the row: so it does not move. */
static uint32_t split_text_escaped(struct kp_copy_reader *reader, struct kp_str row)
{
    const char *at = row.ptr, *end = row.ptr + row.len, *start = at;
    size_t field = reader->scratch.len;
    for (uint32_t count = 0;;) {
        if (at == end || *at == reader->options.delimiter) {
            if (count < reader->col_count) {
                bool null = kp_str_equal((struct kp_str){start, (size_t)(at - start)}, kp_str(reader->null));
                reader->fields[count] = (struct kp_str){null ? NULL : (const char *)reader->scratch.data + field,
                                                        null ? 0 : reader->scratch.len - field};
            }
            count++;
            if (at == end)
                return count;
            start = ++at;
            field = reader->scratch.len;
        } else if (*at == '\\' && at + 1 < end) {
            at++;
            kp_buf_append_byte(&reader->scratch, text_escape(&at, end));
        } else {
            kp_buf_append_byte(&reader->scratch, (uint8_t)*at++);
        }
    }
}

static uint32_t split_text_plain(struct kp_copy_reader *reader, struct kp_str row)
{
    const char *at = row.ptr, *end = row.ptr + row.len;
    for (uint32_t count = 0;;) {
        const char *stop = memchr(at, reader->options.delimiter, (size_t)(end - at));
        struct kp_str field = {at, (size_t)((stop ? stop : end) - at)};
        if (count < reader->col_count)
            reader->fields[count] = kp_str_equal(field, kp_str(reader->null)) ? (struct kp_str){NULL, 0} : field;
        count++;
        if (!stop)
            return count;
        at = stop + 1;
    }
}

/* ---- fields of CSV ---- */

static uint32_t split_csv(struct kp_copy_reader *reader, struct kp_str row)
{
    const char *at = row.ptr, *end = row.ptr + row.len;
    char quote = reader->options.quote, escape = reader->options.escape;
    size_t field = reader->scratch.len;
    bool saw_quote = false, inside = false;
    for (uint32_t count = 0;;) {
        if (at == end || (!inside && *at == reader->options.delimiter)) {
            struct kp_str value = {(const char *)reader->scratch.data + field, reader->scratch.len - field};
            if (count < reader->col_count)
                reader->fields[count] =
                    !saw_quote && kp_str_equal(value, kp_str(reader->null)) ? (struct kp_str){NULL, 0} : value;
            count++;
            if (at == end)
                return count;
            at++;
            field = reader->scratch.len;
            saw_quote = false;
        } else if (inside && *at == escape && at + 1 < end && (at[1] == escape || at[1] == quote)) {
            kp_buf_append_byte(&reader->scratch, (uint8_t)at[1]);
            at += 2;
        } else if (*at == quote) {
            inside = !inside;
            saw_quote = true;
            at++;
        } else {
            kp_buf_append_byte(&reader->scratch, (uint8_t)*at++);
        }
    }
}

/* ---- rows ---- */

/* The row's fields, into reader->fields as many as there are columns; *ret_count of them are there. */
static enum kp_code split(struct kp_copy_reader *reader, struct kp_str row, uint32_t *ret_count, struct kp_error *err)
{
    KP_TRY(check_text(reader, row, err));
    reader->scratch.len = 0;
    kp_buf_reserve(&reader->scratch, row.len + 1); /* fields point into it: it must not move, nor be NULL */
    bool csv = reader->options.format == KP_COPY_CSV, escapes = row.len && memchr(row.ptr, '\\', row.len);
    if (csv)
        *ret_count = split_csv(reader, row);
    else
        *ret_count = escapes ? split_text_escaped(reader, row) : split_text_plain(reader, row);
    return !csv && escapes
               ? check_text(reader, (struct kp_str){(const char *)reader->scratch.data, reader->scratch.len}, err)
               : KP_OK;
}

/* HEADER MATCH: the names must be the columns', in their order. */
static enum kp_code match_header(struct kp_copy_reader *reader, struct kp_str row, struct kp_error *err)
{
    uint32_t count;
    KP_TRY(split(reader, row, &count, err));
    if (count != reader->col_count)
        return at_line(reader, err,
                       kp_fail(err, KP_INVALID, "22P04", "wrong number of fields in header line: got %u, expected %u",
                               count, reader->col_count));
    for (uint32_t i = 0; i < count; i++) {
        struct kp_str name = reader->fields[i];
        if (!name.ptr)
            return at_line(reader, err,
                           kp_fail(err, KP_INVALID, "22P04",
                                   "column name mismatch in header line field %u: got null value (\"%s\"), expected "
                                   "\"%s\"",
                                   i + 1, reader->null, reader->cols[i].name));
        if (!kp_str_equal(name, kp_str(reader->cols[i].name)))
            return at_line(reader, err,
                           kp_fail(err, KP_INVALID, "22P04",
                                   "column name mismatch in header line field %u: got \"%.*s\", expected \"%s\"", i + 1,
                                   (int)KP_MIN(name.len, (size_t)200), name.ptr, reader->cols[i].name));
    }
    return KP_OK;
}

static enum kp_code take_fields(struct kp_copy_reader *reader, struct kp_str row, struct kp_error *err)
{
    uint32_t count;
    KP_TRY(split(reader, row, &count, err));
    if (count < reader->col_count)
        return at_line(reader, err,
                       kp_fail(err, KP_INVALID, "22P04", "missing data for column \"%s\"", reader->cols[count].name));
    if (count > reader->col_count)
        return bad_format(reader, err, "extra data after last expected column");
    enum kp_code code = reader->each(reader->arg, reader->fields, count, reader->line, err);
    return code == KP_OK ? KP_OK : at_line(reader, err, code);
}

static enum kp_code take_row(struct kp_copy_reader *reader, struct kp_str row, struct kp_error *err)
{
    if (!reader->header_passed) {
        reader->header_passed = true;
        if (reader->options.header == KP_COPY_HEADER_MATCH)
            KP_TRY(match_header(reader, row, err));
    } else if (kp_str_equal(row, KP_STR("\\."))) {
        reader->ended = true;
    } else {
        KP_TRY(take_fields(reader, row, err));
    }
    reader->line += 1 + reader->lines;
    reader->lines = 0;
    return KP_OK;
}

/*
 * A line end byte outside quotes and escapes at text[i]. *ret_bytes: how long the line end is; 0: the next byte must be
 * seen first.
 */
static enum kp_code match_line_end(struct kp_copy_reader *reader, struct kp_str text, size_t i, bool last,
                                   size_t *ret_bytes, struct kp_error *err)
{
    bool csv = reader->options.format == KP_COPY_CSV, newline = text.ptr[i] == '\n';
    bool followed = !newline && i + 1 < text.len && text.ptr[i + 1] == '\n';
    if (!newline && i + 1 == text.len && !last && reader->line_end != LINE_END_CR) {
        *ret_bytes = 0;
        return KP_OK;
    }
    enum line_end found = newline ? LINE_END_NL : followed ? LINE_END_CRNL : LINE_END_CR;
    if (found == LINE_END_CRNL && reader->line_end == LINE_END_CR)
        found = LINE_END_CR;
    if (reader->line_end == LINE_END_UNKNOWN)
        reader->line_end = found;
    if (found != reader->line_end) {
        (void)bad_format(reader, err,
                         csv ? (newline ? "unquoted newline found in data" : "unquoted carriage return found in data")
                             : (newline ? "literal newline found in data" : "literal carriage return found in data"));
        if (csv)
            return kp_error_hint(err, "Use quoted CSV field to represent %s.", newline ? "newline" : "carriage return");
        return kp_error_hint(err, "Use \"%s\" to represent %s.", newline ? "\\n" : "\\r",
                             newline ? "newline" : "carriage return");
    }
    *ret_bytes = found == LINE_END_CRNL ? 2 : 1;
    return KP_OK;
}

/* Moves the first pass over one byte; true if it may end the row. */
static inline bool scan_byte(struct kp_copy_reader *reader, bool csv, char c)
{
    if (csv) {
        char escape = reader->options.escape == reader->options.quote ? '\0' : reader->options.escape;
        if (reader->quoted && escape && c == escape)
            reader->escaped = !reader->escaped;
        if (c == reader->options.quote && !reader->escaped)
            reader->quoted = !reader->quoted;
        if (!escape || c != escape)
            reader->escaped = false;
        if (c == '\n' && reader->quoted)
            reader->lines++;
        return (c == '\n' || c == '\r') && !reader->quoted;
    }
    if (reader->escaped) {
        reader->escaped = false;
        reader->lines += c == '\n';
        return false;
    }
    reader->escaped = c == '\\';
    return c == '\n' || c == '\r';
}

/* Gives out every whole row of text, of which `scanned` bytes were seen before; returns how much was used. */
static enum kp_code take_rows(struct kp_copy_reader *reader, struct kp_str text, bool last, size_t *ret_used,
                              struct kp_error *err)
{
    bool csv = reader->options.format == KP_COPY_CSV;
    size_t start = 0, i = reader->scanned;
    while (i < text.len && !reader->ended) {
        if (!scan_byte(reader, csv, text.ptr[i])) {
            i++;
            continue;
        }
        size_t end_bytes;
        KP_TRY(match_line_end(reader, text, i, last, &end_bytes, err));
        if (!end_bytes)
            break;
        KP_TRY(take_row(reader, (struct kp_str){text.ptr + start, i - start}, err));
        i += end_bytes;
        start = i;
    }
    *ret_used = reader->ended ? text.len : start;
    reader->scanned = reader->ended ? 0 : i - start;
    return KP_OK;
}

enum kp_code kp_copy_reader_feed(struct kp_copy_reader *reader, struct kp_str bytes, struct kp_error *err)
{
    if (reader->ended || !bytes.len)
        return KP_OK;
    if (reader->options.format == KP_COPY_BINARY) {
        enum kp_code code = kp_copy_binary_feed(&reader->binary, bytes, reader->col_count, reader->fields, reader->each,
                                                reader->arg, err);
        reader->line = reader->binary.rows;
        return code == KP_OK ? KP_OK : at_line(reader, err, code);
    }
    size_t used;
    if (reader->pending.len) {
        kp_buf_append_str(&reader->pending, bytes);
        struct kp_str all = {(const char *)reader->pending.data, reader->pending.len};
        KP_TRY(take_rows(reader, all, false, &used, err));
        kp_buf_consume(&reader->pending, used);
    } else {
        KP_TRY(take_rows(reader, bytes, false, &used, err));
        kp_buf_append(&reader->pending, bytes.ptr + used, bytes.len - used);
    }
    if (reader->pending.len > KP_RECORD_BATCH_BYTES_MAX) {
        (void)at_line(reader, err, kp_copy_row_too_long(err));
        return reader->quoted ? kp_error_hint(err, "Is a closing quote missing?") : KP_LIMIT;
    }
    return KP_OK;
}

enum kp_code kp_copy_reader_end(struct kp_copy_reader *reader, struct kp_error *err)
{
    size_t used;
    if (reader->options.format == KP_COPY_BINARY) {
        enum kp_code code = kp_copy_binary_end(&reader->binary, err);
        return code == KP_OK ? KP_OK : at_line(reader, err, code);
    }
    struct kp_str all = {(const char *)reader->pending.data, reader->pending.len};
    KP_TRY(take_rows(reader, all, true, &used, err));
    if (reader->quoted)
        return bad_format(reader, err, "unterminated CSV quoted field");
    if (used < all.len)
        KP_TRY(take_row(reader, (struct kp_str){all.ptr + used, all.len - used}, err));
    reader->pending.len = 0;
    reader->scanned = 0;
    return KP_OK;
}
