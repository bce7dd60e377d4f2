/* What a manifest grants: HTTP. */
#include <string.h>

#include "granted.h"
#include "nova_http.h"

/* A string of an argument; NULL where there is none. */
static const char *text_of(const nova_json *args, const char *name, size_t *length) {
    char *text;
    return nova_has(args, name) && nova_get_string(args, name, &text, length) ? text : NULL;
}

/* Pairs of names and values. */
static const nova_header *headers_of(const nova_json *list) {
    nova_header *headers = NULL;
    size_t count = 0, length;
    nova_json pair = {0};
    for (bool more = true; more; count++) {
        headers = nova_allocate(headers, (count + 1) * sizeof *headers);
        headers[count] = (nova_header){0};
        more = nova_next(list, &pair);
        nova_json part = {0};
        char *texts[2] = {NULL, NULL};
        for (int at = 0; more && at < 2 && nova_next(&pair, &part); at++) nova_string(&part, &texts[at], &length);
        if (more) headers[count] = (nova_header){texts[0], texts[1]};
    }
    return headers;
}

static nova_result put_header(nova_json *result, const nova_http_response *answer, const char *name) {
    const char *value = nova_http_header(answer, name);
    return value ? nova_put_string(result, value, strlen(value)) : nova_put_text(result, "null");
}

nova_result fetch(const nova_json *args, nova_json *result) {
    size_t length, body = 0;
    double seconds;
    nova_json list;
    nova_http_response answer;
    const char *sent = text_of(args, "body", &body), *text;
    nova_http_request request = {
        .method = text_of(args, "verb", &length),
        .url = text_of(args, "url", &length),
        .body = {sent, body},
    };
    if (nova_has(args, "headers") && nova_get_json(args, "headers", &list)) request.headers = headers_of(&list);
    if (nova_has(args, "timeout") && nova_get_double(args, "timeout", &seconds)) request.timeout_ms = (uint64_t)(seconds * 1000);
    if (nova_http_send(&request, &answer) == NOVA_FAILED || nova_http_text(&answer, &text) == NOVA_FAILED) return NOVA_FAILED;
    nova_put_text(result, "{\"status\": ");
    nova_put_int(result, answer.status);
    nova_put_text(result, ", \"type\": ");
    put_header(result, &answer, "Content-Type");
    nova_put_text(result, ", \"none\": ");
    put_header(result, &answer, "x-none");
    nova_put_text(result, ", \"names\": [");
    for (const nova_header *header = answer.headers; header->name; header++) {
        nova_put_string(result, header->name, strlen(header->name));
        if (header[1].name) nova_put_text(result, ", ");
    }
    nova_put_text(result, "], \"text\": ");
    nova_put_string(result, text, answer.body.length);
    return nova_put_text(result, "}");
}

nova_result fetch_json(const nova_json *args, nova_json *result) {
    size_t length = 0, size = 0;
    const char *url = text_of(args, "url", &length), *body = text_of(args, "body", &size);
    nova_http_response answer;
    nova_json value;
    nova_result done = body ? nova_http_post(url, (nova_bytes){body, size}, &answer) : nova_http_get(url, &answer);
    if (done == NOVA_FAILED || nova_http_json(&answer, &value) == NOVA_FAILED) return NOVA_FAILED;
    nova_put_text(result, "[");
    nova_put_int(result, answer.status);
    nova_put_text(result, ", ");
    nova_put(result, value.text, value.length);
    return nova_put_text(result, "]");
}

nova_result fetch_kindly(const nova_json *args, nova_json *result) {
    size_t length = 0;
    nova_http_response answer;
    const nova_http_request request = {.url = text_of(args, "url", &length), .timeout_ms = 1000};
    if (nova_http_send(&request, &answer) == NOVA_DONE) return nova_put_int(result, answer.status);
    const nova_exception *raised = nova_raised();
    static const char *const kinds[] = {"PermissionError", "TimeoutError", "ConnectionError"};
    for (size_t at = 0; at < 3; at++) {
        if (strcmp(raised->class_name.text, kinds[at]) != 0) continue;
        nova_put_text(result, "[");
        nova_put_string(result, raised->class_name.text, raised->class_name.length);
        nova_put_text(result, ", ");
        nova_put_string(result, raised->message.text, raised->message.length);
        return nova_put_text(result, "]");
    }
    return NOVA_FAILED;
}
