/* The import nova:rpc/client. */
#include "nova_rpc.h"

#include "project.h"
#include "nova_json.h"

#define EXCEPTIONS "oslo_messaging.exceptions"

static project_string_t lent(const char *text) {
    project_string_t string;
    project_string_set(&string, text);
    return string;
}

static project_option_string_t optional(const char *text) {
    project_option_string_t option = {.is_some = text != NULL};
    if (text) option.val = lent(text);
    return option;
}

static nova_rpc_client_request_t request_of(const nova_target *target, const char *method, const nova_json *arguments) {
    nova_rpc_client_request_t request = {
        .target = {.broker = optional(target->broker),
                   .topic = lent(target->topic ? target->topic : ""),
                   .server = optional(target->server),
                   .namespace_ = optional(target->name_space),
                   .version = optional(target->version)},
        .method = lent(method),
        .arguments = lent("{}"),
        .timeout_ms = {.is_some = target->timeout_ms != 0, .val = target->timeout_ms},
        .monitor_ms = {.is_some = target->monitor_ms != 0, .val = target->monitor_ms},
    };
    if (arguments) request.arguments = (nova_rpc_client_json_t){(uint8_t *)arguments->text, arguments->length};
    return request;
}

static nova_json taken(project_string_t string) { return nova_copy(string.ptr, string.len); }

static nova_exception remote(const nova_rpc_client_failure_t *failure) {
    nova_exception exception = {
        .module = taken(failure->module),
        .class_name = taken(failure->class_),
        .message = taken(failure->message),
        .args = taken(failure->args),
        .kwargs = taken(failure->kwargs),
        .frames = failure->traceback.len,
    };
    exception.traceback = nova_allocate(NULL, exception.frames * sizeof *exception.traceback);
    for (size_t at = 0; at < exception.frames; at++) exception.traceback[at] = taken(failure->traceback.ptr[at]);
    return exception;
}

/* All cases but the first are a string. */
static nova_result failed(const nova_rpc_client_error_t *error) {
    if (error->tag == NOVA_RPC_CLIENT_ERROR_REMOTE) {
        nova_exception exception = remote(&error->val.remote);
        return nova_raise_again(&exception);
    }
    const char *message = taken(error->val.invalid).text;
    switch (error->tag) {
    case NOVA_RPC_CLIENT_ERROR_TIMED_OUT:
        return nova_raise_from(EXCEPTIONS, "MessagingTimeout", message, NULL, NULL);
    case NOVA_RPC_CLIENT_ERROR_UNAVAILABLE:
        return nova_raise_from(EXCEPTIONS, "MessageDeliveryFailure", message, NULL, NULL);
    case NOVA_RPC_CLIENT_ERROR_DENIED:
        return nova_raise("PermissionError", message);
    case NOVA_RPC_CLIENT_ERROR_LIMITED:
        return nova_raise("RuntimeError", message);
    default:
        return nova_raise("ValueError", message);
    }
}

nova_result nova_call(const nova_target *target, const char *method, const nova_json *arguments, nova_json *result) {
    nova_rpc_client_request_t request = request_of(target, method, arguments);
    nova_rpc_client_json_t text;
    nova_rpc_client_error_t error;
    if (!nova_rpc_client_call(&request, &text, &error)) return failed(&error);
    *result = taken(text);
    return NOVA_DONE;
}

nova_result nova_cast(const nova_target *target, const char *method, const nova_json *arguments) {
    nova_rpc_client_request_t request = request_of(target, method, arguments);
    nova_rpc_client_error_t error;
    return nova_rpc_client_cast(&request, &error) ? NOVA_DONE : failed(&error);
}

nova_result nova_fanout(const nova_target *target, const char *method, const nova_json *arguments) {
    nova_rpc_client_request_t request = request_of(target, method, arguments);
    nova_rpc_client_error_t error;
    return nova_rpc_client_fanout(&request, &error) ? NOVA_DONE : failed(&error);
}

void nova_call_many(const char *method, nova_asked *asked, size_t count) {
    nova_rpc_client_list_request_t requests = {nova_allocate(NULL, count * sizeof *requests.ptr), count};
    for (size_t at = 0; at < count; at++) requests.ptr[at] = request_of(asked[at].target, method, asked[at].arguments);
    nova_rpc_client_list_result_json_error_t results;
    nova_rpc_client_call_many(&requests, &results);
    for (size_t at = 0; at < count; at++) {
        nova_rpc_client_result_json_error_t *one = &results.ptr[at];
        if (one->is_err) {
            asked[at].done = failed(&one->val.err);
            asked[at].exception = *nova_raised();
        } else {
            asked[at].done = NOVA_DONE;
            asked[at].result = taken(one->val.ok);
        }
    }
}
