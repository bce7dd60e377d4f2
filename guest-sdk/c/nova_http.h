/* HTTP requests, to hosts that the manifest grants: grants.http = ["https://api.example.org"].
 *
 *     nova_http_response answer;
 *     nova_json images;
 *     if (nova_http_get("https://glance.example.org/v2/images", &answer) == NOVA_FAILED) return NOVA_FAILED;
 *     if (nova_http_json(&answer, &images) == NOVA_FAILED) return NOVA_FAILED;
 *
 * A request happens at once, whatever becomes of the handler afterwards, and nothing is added to it: no credential, no
 * cookie. A redirect is a response like any other, and so is one whose status is an error.
 *
 * Where a request fails, the exception is set: PermissionError for what is not granted, TimeoutError, ConnectionError where
 * nobody is there, is trusted or speaks HTTP, RuntimeError for what is beyond a limit or not what was expected, and ValueError
 * for requests that make no sense.
 */
#ifndef NOVA_HTTP_H
#define NOVA_HTTP_H

#include "nova.h"

typedef struct {
    const char *name, *value;
} nova_header;

/* What is sent. */
typedef struct {
    const char *method;         /* In capital letters; NULL is GET. */
    const char *url;            /* https://HOST[:PORT][/PATH][?QUERY], or the same with http. */
    const nova_header *headers; /* The last has no name; NULL is none. */
    nova_bytes body;
    uint64_t timeout_ms; /* For each step: to connect, to wait, each piece of the body. 0 is as long as the handler has. */
} nova_http_request;

/* What came back, whatever its status. */
typedef struct {
    int status;
    const nova_header *headers; /* Names in small letters; the last has no name. */
    nova_bytes body;
} nova_http_response;

/* Sends a request, and waits for all of the response. */
nova_result nova_http_send(const nova_http_request *request, nova_http_response *response);
nova_result nova_http_get(const char *url, nova_http_response *response);
nova_result nova_http_post(const char *url, nova_bytes body, nova_http_response *response);

/* The first value of a header; NULL where there is none, or it is no text. */
const char *nova_http_header(const nova_http_response *response, const char *name);
/* The body as text. */
nova_result nova_http_text(const nova_http_response *response, const char **text);
/* The body as JSON, to be read like arguments. */
nova_result nova_http_json(const nova_http_response *response, nova_json *value);

#endif
