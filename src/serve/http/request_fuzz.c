/* Fuzzes what looks at a client's bytes: requests cut at any place, parameters, records and keys cut from JSON. */
#include <string.h>

#include "serve/http/http_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look(struct http_conn *http)
{
    struct kp_str name, value, text, body = {(const char *)http->body.data, http->body.len};
    for (size_t i = 0; i < 10 && kp_http_param_at(http, i, &name, &value); i++)
        KP_ASSERT(name.ptr[name.len] == 0 && value.ptr[value.len] == 0);
    (void)kp_http_content_type_is(http, "application/json");
    (void)kp_http_accepts(http, "text/csv");
    if (kp_http_json_member(body, KP_STR("a"), &value))
        (void)kp_http_json_text(value, &http->arena, &text);
    bool end = false;
    for (size_t at = 0, before = SIZE_MAX; !end && at != before;) {
        before = at;
        if (kp_http_json_next(body, &at, false, &value, &end, NULL) != KP_OK)
            break;
        KP_ASSERT(end || (value.len && value.ptr >= body.ptr && value.ptr + value.len <= body.ptr + body.len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    struct kp_http door = {.loopback = data[0] & 1};
    struct http_conn http = {0};
    struct kp_conn conn = {.door = &kp_door_http, .ctx = &door, .state = &http};
    size_t step = data[1] ? data[1] : len;
    kp_http_request_init(&http);
    for (size_t at = 2; at < len && !http.refusal; at += step) {
        kp_buf_append(&conn.in, data + at, KP_MIN(step, len - at));
        while (!http.refusal && kp_http_request_read(&conn)) {
            if (!http.refusal) {
                look(&http);
                kp_http_request_reset(&http);
            }
        }
    }
    kp_http_request_finish(&http);
    kp_buf_finish(&conn.in);
    kp_buf_finish(&conn.out);
    return 0;
}
