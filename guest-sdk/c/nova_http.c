/* The import wasi:http. */
#include "nova_http.h"

#include <string.h>
#include <strings.h>

#include "nova_json.h"
#include "project.h"

/* Bytes that are read at once, and that are written: WASI's bound. */
enum { READ = 65536, WRITE = 4096 };

static nova_result invalid(const char *what) {
    nova_json words = {0};
    nova_put_text(&words, what);
    nova_put(&words, " cannot be sent", sizeof " cannot be sent");
    return nova_raise("ValueError", words.text);
}

static const char *text_of(project_string_t string) { return nova_copy(string.ptr, string.len).text; }

static project_string_t lent(const char *text, size_t length) { return (project_string_t){(uint8_t *)text, length}; }

/* The names of the error codes, in their order. */
static const char *const words[] = {
    "dns-timeout", "dns-error", "destination-not-found", "destination-unavailable", "destination-ip-prohibited",
    "destination-ip-unroutable", "connection-refused", "connection-terminated", "connection-timeout",
    "connection-read-timeout", "connection-write-timeout", "connection-limit-reached", "tls-protocol-error",
    "tls-certificate-error", "tls-alert-received", "http-request-denied", "http-request-length-required",
    "http-request-body-size", "http-request-method-invalid", "http-request-uri-invalid", "http-request-uri-too-long",
    "http-request-header-section-size", "http-request-header-size", "http-request-trailer-section-size",
    "http-request-trailer-size", "http-response-incomplete", "http-response-header-section-size",
    "http-response-header-size", "http-response-body-size", "http-response-trailer-section-size",
    "http-response-trailer-size", "http-response-transfer-coding", "http-response-content-coding",
    "http-response-timeout", "http-upgrade-failed", "http-protocol-error", "loop-detected", "configuration-error",
    "internal-error",
};

static nova_result failed(const wasi_http_types_error_code_t *code) {
    switch (code->tag) {
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED:
        return nova_raise("PermissionError", "it is not granted (grants.http in the manifest)");
    case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED:
        return nova_raise("PermissionError", "the name leads to an address that is not everybody's");
    case WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_WRITE_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT:
        return nova_raise("TimeoutError", words[code->tag]);
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_BODY_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_BODY_SIZE:
        return nova_raise("RuntimeError", "more than the handler may send or get (limits.http_bytes)");
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_METHOD_INVALID:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_INVALID:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_TOO_LONG:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_HEADER_SECTION_SIZE:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_TRAILER_SECTION_SIZE:
        return nova_raise("ValueError", words[code->tag]);
    case WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR:
        if (code->val.internal_error.is_some) return nova_raise("RuntimeError", text_of(code->val.internal_error.val));
        return nova_raise("ConnectionError", "internal-error");
    default:
        return nova_raise("ConnectionError", words[code->tag]);
    }
}

static nova_result stream_failed(const wasi_io_streams_stream_error_t *error) {
    wasi_http_types_error_code_t code;
    project_string_t text;
    if (error->tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return nova_raise("ConnectionError", "the stream is closed");
    wasi_io_error_borrow_error_t cause = wasi_io_error_borrow_error(error->val.last_operation_failed);
    if (wasi_http_types_http_error_code(cause, &code)) {
        failed(&code);
    } else {
        wasi_io_error_method_error_to_debug_string(cause, &text);
        nova_raise("ConnectionError", text_of(text));
    }
    wasi_io_error_error_drop_own(error->val.last_operation_failed);
    return NOVA_FAILED;
}

static bool fields_of(const nova_header *headers, wasi_http_types_own_fields_t *fields) {
    size_t count = 0;
    while (headers && headers[count].name) count++;
    wasi_http_types_tuple2_field_key_field_value_t *entries = nova_allocate(NULL, count * sizeof *entries);
    for (size_t at = 0; at < count; at++) {
        entries[at].f0 = lent(headers[at].name, strlen(headers[at].name));
        entries[at].f1 = (wasi_http_types_field_value_t){(uint8_t *)headers[at].value, strlen(headers[at].value)};
    }
    wasi_http_types_list_tuple2_field_key_field_value_t list = {entries, count};
    wasi_http_types_header_error_t error;
    return wasi_http_types_static_fields_from_list(&list, fields, &error);
}

static nova_result prepare(const nova_http_request *request, wasi_http_types_own_outgoing_request_t *outgoing) {
    const char *url = request->url ? request->url : "", *authority = strstr(url, "://");
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_HTTP};
    wasi_http_types_own_fields_t fields;
    if (!authority) return invalid("the URL");
    size_t before = (size_t)(authority - url);
    if (before == 5 && memcmp(url, "https", 5) == 0) {
        scheme.tag = WASI_HTTP_TYPES_SCHEME_HTTPS;
    } else if (before != 4 || memcmp(url, "http", 4) != 0) {
        return invalid("the URL's scheme");
    }
    authority += 3;
    const char *path = authority + strcspn(authority, "/?#");
    project_string_t host = lent(authority, (size_t)(path - authority)), target = lent(path, strcspn(path, "#"));
    if (!fields_of(request->headers, &fields)) return invalid("the headers");
    *outgoing = wasi_http_types_constructor_outgoing_request(fields);
    wasi_http_types_borrow_outgoing_request_t borrowed = wasi_http_types_borrow_outgoing_request(*outgoing);
    const char *verb = request->method ? request->method : "GET";
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_OTHER, .val.other = lent(verb, strlen(verb))};
    const char *wrong = NULL;
    if (!wasi_http_types_method_outgoing_request_set_method(borrowed, &method)) wrong = "the method";
    if (!wasi_http_types_method_outgoing_request_set_scheme(borrowed, &scheme)) wrong = "the URL's scheme";
    if (!wasi_http_types_method_outgoing_request_set_authority(borrowed, &host)) wrong = "the URL's host";
    if (!wasi_http_types_method_outgoing_request_set_path_with_query(borrowed, target.len ? &target : NULL))
        wrong = "the URL's path";
    if (!wrong) return NOVA_DONE;
    wasi_http_types_outgoing_request_drop_own(*outgoing);
    return invalid(wrong);
}

static wasi_http_types_own_request_options_t options_of(uint64_t timeout_ms) {
    wasi_http_types_own_request_options_t options = wasi_http_types_constructor_request_options();
    if (timeout_ms) {
        uint64_t nanoseconds = timeout_ms > UINT64_MAX / 1000000 ? UINT64_MAX : timeout_ms * 1000000;
        wasi_http_types_borrow_request_options_t borrowed = wasi_http_types_borrow_request_options(options);
        wasi_http_types_method_request_options_set_connect_timeout(borrowed, &nanoseconds);
        wasi_http_types_method_request_options_set_first_byte_timeout(borrowed, &nanoseconds);
        wasi_http_types_method_request_options_set_between_bytes_timeout(borrowed, &nanoseconds);
    }
    return options;
}

static nova_result fill(wasi_http_types_own_outgoing_body_t body, nova_bytes bytes) {
    wasi_http_types_error_code_t code;
    if (bytes.length) {
        wasi_http_types_own_output_stream_t stream;
        wasi_io_streams_stream_error_t error;
        if (!wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream))
            return invalid("the body");
        size_t at = 0;
        while (at < bytes.length) {
            size_t length = bytes.length - at < WRITE ? bytes.length - at : WRITE;
            project_list_u8_t piece = {(uint8_t *)bytes.text + at, length};
            if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream),
                                                                               &piece, &error))
                break;
            at += length;
        }
        wasi_io_streams_output_stream_drop_own(stream);
        if (at < bytes.length) {
            wasi_http_types_outgoing_body_drop_own(body);
            return stream_failed(&error);
        }
    }
    return wasi_http_types_static_outgoing_body_finish(body, NULL, &code) ? NOVA_DONE : failed(&code);
}

static const nova_header *headers_of(wasi_http_types_borrow_incoming_response_t incoming) {
    wasi_http_types_own_headers_t fields = wasi_http_types_method_incoming_response_headers(incoming);
    wasi_http_types_list_tuple2_field_key_field_value_t entries;
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(fields), &entries);
    wasi_http_types_fields_drop_own(fields);
    nova_header *headers = nova_allocate(NULL, (entries.len + 1) * sizeof *headers);
    for (size_t at = 0; at < entries.len; at++) {
        wasi_http_types_field_value_t value = entries.ptr[at].f1;
        headers[at] = (nova_header){text_of(entries.ptr[at].f0), nova_copy(value.ptr, value.len).text};
    }
    headers[entries.len] = (nova_header){0};
    return headers;
}

static nova_result receive(wasi_http_types_own_incoming_response_t owned, nova_http_response *response) {
    wasi_http_types_borrow_incoming_response_t incoming = wasi_http_types_borrow_incoming_response(owned);
    wasi_http_types_own_incoming_body_t body;
    wasi_http_types_own_input_stream_t stream;
    wasi_io_streams_stream_error_t error;
    project_list_u8_t piece;
    nova_json all = {0};
    response->status = wasi_http_types_method_incoming_response_status(incoming);
    response->headers = headers_of(incoming);
    if (!wasi_http_types_method_incoming_response_consume(incoming, &body) ||
        !wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream))
        return nova_raise("ConnectionError", "the response has no body");
    wasi_io_streams_borrow_input_stream_t borrowed = wasi_io_streams_borrow_input_stream(stream);
    while (wasi_io_streams_method_input_stream_blocking_read(borrowed, READ, &piece, &error)) {
        nova_put(&all, (const char *)piece.ptr, piece.len);
        project_list_u8_free(&piece);
    }
    wasi_io_streams_input_stream_drop_own(stream);
    wasi_http_types_incoming_body_drop_own(body);
    wasi_http_types_incoming_response_drop_own(owned);
    if (error.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return stream_failed(&error);
    size_t length = all.length;
    nova_put(&all, "", 1);
    response->body = (nova_bytes){all.text, length};
    return NOVA_DONE;
}

static nova_result await(wasi_http_types_own_future_incoming_response_t future, nova_http_response *response) {
    wasi_http_types_result_result_own_incoming_response_error_code_void_t result;
    wasi_http_types_borrow_future_incoming_response_t awaited = wasi_http_types_borrow_future_incoming_response(future);
    wasi_io_poll_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(awaited);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
    wasi_io_poll_pollable_drop_own(ready);
    if (!wasi_http_types_method_future_incoming_response_get(awaited, &result) || result.is_err)
        return nova_raise("ConnectionError", "there is no response");
    if (result.val.ok.is_err) return failed(&result.val.ok.val.err);
    return receive(result.val.ok.val.ok, response);
}

nova_result nova_http_send(const nova_http_request *request, nova_http_response *response) {
    wasi_http_types_own_outgoing_request_t outgoing;
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_error_code_t code;
    if (prepare(request, &outgoing) == NOVA_FAILED) return NOVA_FAILED;
    wasi_http_types_own_request_options_t options = options_of(request->timeout_ms);
    if (!wasi_http_types_method_outgoing_request_body(wasi_http_types_borrow_outgoing_request(outgoing), &body))
        return invalid("the body");
    if (!wasi_http_outgoing_handler_handle(outgoing, &options, &future, &code)) {
        wasi_http_types_outgoing_body_drop_own(body);
        return failed(&code);
    }
    nova_result done = fill(body, request->body);
    if (done == NOVA_DONE) done = await(future, response);
    wasi_http_types_future_incoming_response_drop_own(future);
    return done;
}

nova_result nova_http_get(const char *url, nova_http_response *response) {
    return nova_http_send(&(nova_http_request){.url = url}, response);
}

nova_result nova_http_post(const char *url, nova_bytes body, nova_http_response *response) {
    return nova_http_send(&(nova_http_request){.method = "POST", .url = url, .body = body}, response);
}

const char *nova_http_header(const nova_http_response *response, const char *name) {
    const nova_header *header = response->headers;
    while (header->name && strcasecmp(header->name, name) != 0) header++;
    return header->name && nova_is_text(header->value, strlen(header->value)) ? header->value : NULL;
}

nova_result nova_http_text(const nova_http_response *response, const char **text) {
    if (!nova_is_text(response->body.text, response->body.length)) return nova_raise("RuntimeError", "the body is not text");
    *text = response->body.text;
    return NOVA_DONE;
}

nova_result nova_http_json(const nova_http_response *response, nova_json *value) {
    const char *text;
    if (nova_http_text(response, &text) == NOVA_FAILED) return NOVA_FAILED;
    /* Without the value, which may be a secret. */
    if (!nova_is_json(text, response->body.length))
        return nova_raise("RuntimeError", "the body is not what was expected: it is no JSON");
    *value = nova_copy(text, response->body.length);
    return NOVA_DONE;
}
