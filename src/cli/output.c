#include "cli/output.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

bool kp_output_format_parse(const char *name, enum kp_output_format *ret_format)
{
    if (strcasecmp(name, "table") == 0)
        *ret_format = KP_OUTPUT_TABLE;
    else if (strcasecmp(name, "csv") == 0)
        *ret_format = KP_OUTPUT_CSV;
    else if (strcasecmp(name, "ndjson") == 0 || strcasecmp(name, "json") == 0)
        *ret_format = KP_OUTPUT_NDJSON;
    else
        return false;
    return true;
}

static bool right_aligned(const struct kp_column *col)
{
    return kp_type_info(col->type.id)->category == 'N';
}

/* ---- CSV ---- */

static void print_csv_cell(FILE *file, struct kp_str cell)
{
    bool quote = cell.ptr && cell.len == 0;
    for (size_t i = 0; i < cell.len && !quote; i++)
        quote = strchr(",\"\r\n", cell.ptr[i]) != NULL;
    if (!quote) {
        fwrite(cell.ptr ? cell.ptr : "", 1, cell.len, file);
        return;
    }
    fputc('"', file);
    for (size_t i = 0; i < cell.len; i++) {
        if (cell.ptr[i] == '"')
            fputc('"', file);
        fputc(cell.ptr[i], file);
    }
    fputc('"', file);
}

static void print_csv(const struct kp_output *output, const struct kp_str *cells)
{
    for (uint32_t c = 0; c < output->col_count; c++) {
        if (c)
            fputc(',', output->file);
        print_csv_cell(output->file, cells[c]);
    }
    fputc('\n', output->file);
}

/* ---- JSON lines ---- */

/* A cell of text as JSON: small integers and finite floats bare, booleans, JSON itself; else a string. */
static void append_json_cell(struct kp_buf *buf, const struct kp_column *col, struct kp_str cell)
{
    long long number;
    if (!cell.ptr) {
        kp_buf_append_text(buf, "null");
        return;
    }
    switch (col->type.id) {
    case KP_BOOL:
        kp_buf_append_text(buf, cell.len && cell.ptr[0] == 't' ? "true" : "false");
        return;
    case KP_INT2:
    case KP_INT4:
    case KP_INT8:
    case KP_OID:
        number = strtoll(cell.ptr, NULL, 10);
        if (number > -(1LL << 53) && number < 1LL << 53) {
            kp_buf_append_str(buf, cell);
            return;
        }
        break;
    case KP_FLOAT4:
    case KP_FLOAT8:
        if (cell.len && (cell.ptr[cell.len - 1] >= '0' && cell.ptr[cell.len - 1] <= '9')) {
            kp_buf_append_str(buf, cell);
            return;
        }
        break;
    case KP_JSON:
    case KP_JSONB:
        kp_buf_append_str(buf, cell);
        return;
    default:
        break;
    }
    kp_buf_append_json_string(buf, cell);
}

static void print_json(const struct kp_output *output, const struct kp_str *cells)
{
    struct kp_buf buf = {0};
    for (uint32_t c = 0; c < output->col_count; c++) {
        kp_buf_append_byte(&buf, c ? ',' : '{');
        kp_buf_append_json_string(&buf, kp_str(output->cols[c].name));
        kp_buf_append_byte(&buf, ':');
        append_json_cell(&buf, &output->cols[c], cells[c]);
    }
    kp_buf_append_text(&buf, output->col_count ? "}\n" : "{}\n");
    fwrite(buf.data, 1, buf.len, output->file);
    kp_buf_finish(&buf);
}

/* ---- tables ---- */

static size_t width_of(struct kp_str cell)
{
    return cell.len ? kp_utf8_length(cell.ptr, cell.len) : 0;
}

static void pad(FILE *file, size_t count)
{
    while (count--)
        fputc(' ', file);
}

static void print_cells(const struct kp_output *output, const struct kp_str *cells, const size_t *widths, bool header)
{
    for (uint32_t c = 0; c < output->col_count; c++) {
        size_t room = widths[c] - width_of(cells[c]);
        size_t before = header ? room / 2 : right_aligned(&output->cols[c]) ? room : 0;
        bool last = c + 1 == output->col_count;
        fputs(c ? "| " : " ", output->file);
        pad(output->file, before);
        fwrite(cells[c].ptr ? cells[c].ptr : "", 1, cells[c].len, output->file);
        if (!last || header)
            pad(output->file, room - before + 1);
    }
    fputc('\n', output->file);
}

static void print_table(const struct kp_output *output)
{
    size_t *widths = kp_calloc(output->col_count + 1, sizeof *widths);
    struct kp_str *names = kp_calloc(output->col_count + 1, sizeof *names);
    for (uint32_t c = 0; c < output->col_count; c++) {
        names[c] = kp_str(output->cols[c].name);
        widths[c] = width_of(names[c]);
        for (size_t r = 0; r < output->rows; r++)
            widths[c] = KP_MAX(widths[c], width_of(output->cells[r * output->col_count + c]));
    }
    print_cells(output, names, widths, true);
    for (uint32_t c = 0; c < output->col_count; c++) {
        fputs(c ? "+-" : "-", output->file);
        for (size_t i = 0; i < widths[c] + 1; i++)
            fputc('-', output->file);
    }
    fputc('\n', output->file);
    for (size_t r = 0; r < output->rows; r++)
        print_cells(output, output->cells + r * output->col_count, widths, false);
    fprintf(output->file, "(%llu row%s)\n", (unsigned long long)output->rows, output->rows == 1 ? "" : "s");
    kp_free(widths);
    kp_free(names);
}

static void keep_row(struct kp_output *output, const struct kp_str *cells)
{
    if (output->count + output->col_count > output->cap) {
        output->cap = KP_MAX(2 * output->cap, (size_t)output->col_count * 64);
        output->cells = kp_realloc(output->cells, output->cap * sizeof *output->cells);
    }
    for (uint32_t c = 0; c < output->col_count; c++)
        output->cells[output->count++] = (struct kp_str){
            cells[c].ptr ? kp_arena_strndup(&output->arena, cells[c].ptr, cells[c].len) : NULL, cells[c].len};
}

/* ---- all ---- */

void kp_output_begin(struct kp_output *output, enum kp_output_format format, FILE *file, const struct kp_column *cols,
                     uint32_t col_count, const struct kp_zone *zone)
{
    *output = (struct kp_output){.format = format, .file = file, .zone = zone, .col_count = col_count};
    output->cols = kp_calloc(col_count + 1, sizeof *output->cols);
    for (uint32_t c = 0; c < col_count; c++) {
        output->cols[c] = cols[c];
        output->cols[c].name = kp_arena_strdup(&output->arena, cols[c].name);
    }
    if (format != KP_OUTPUT_CSV)
        return;
    for (uint32_t c = 0; c < col_count; c++) {
        if (c)
            fputc(',', file);
        print_csv_cell(file, kp_str(output->cols[c].name));
    }
    fputc('\n', file);
}

void kp_output_row(struct kp_output *output, const struct kp_str *cells)
{
    output->rows++;
    switch (output->format) {
    case KP_OUTPUT_TABLE:
        keep_row(output, cells);
        break;
    case KP_OUTPUT_CSV:
        print_csv(output, cells);
        break;
    case KP_OUTPUT_NDJSON:
        print_json(output, cells);
        break;
    }
}

void kp_output_batch(struct kp_output *output, const struct kp_batch *batch)
{
    struct kp_buf text = {0};
    struct kp_str *cells = kp_calloc(output->col_count + 1, sizeof *cells);
    size_t *ends = kp_calloc(output->col_count + 1, sizeof *ends);
    for (uint32_t row = 0; row < batch->rows; row++) {
        text.len = 0;
        for (uint32_t c = 0; c < output->col_count; c++) {
            if (!kp_vec_is_null(&batch->vecs[c], row))
                kp_value_print(batch->vecs[c].type, kp_vec_at(&batch->vecs[c], row), output->zone, &text);
            ends[c] = text.len;
        }
        kp_buf_reserve(&text, 1);
        for (uint32_t c = 0; c < output->col_count; c++) {
            size_t start = c ? ends[c - 1] : 0;
            bool null = kp_vec_is_null(&batch->vecs[c], row);
            cells[c] = (struct kp_str){null ? NULL : (const char *)text.data + start, null ? 0 : ends[c] - start};
        }
        for (int64_t n = batch->weights ? batch->weights[row] : 1; n > 0; n--)
            kp_output_row(output, cells);
    }
    kp_free(cells);
    kp_free(ends);
    kp_buf_finish(&text);
}

void kp_output_end(struct kp_output *output)
{
    if (output->format == KP_OUTPUT_TABLE)
        print_table(output);
    kp_free(output->cols);
    kp_free(output->cells);
    kp_arena_finish(&output->arena);
    fflush(output->file);
}

enum kp_code kp_output_cursor(struct kp_session *session, const struct kp_prepared *prepared, struct kp_cursor *cursor,
                              enum kp_output_format format, struct kp_error *err)
{
    const struct kp_column *cols;
    uint32_t count;
    if (!kp_prepared_columns(prepared, &cols, &count))
        return KP_OK;
    struct kp_output output;
    kp_output_begin(&output, format, stdout, cols, count, kp_session_zone(session));
    bool done = false;
    enum kp_code code = KP_OK;
    while (code == KP_OK && !done) {
        struct kp_batch *batch;
        code = kp_cursor_next(cursor, 0, -1, &batch, &done, err);
        if (code == KP_OK && batch)
            kp_output_batch(&output, batch);
        if (kp_prepared_is_subscribe(prepared))
            fflush(stdout);
    }
    kp_output_end(&output);
    return code;
}
