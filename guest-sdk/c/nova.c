/* Joins a handler's endpoints to the world nova:rpc/project. */
#include "nova.h"

#include <stdlib.h>
#include <string.h>

#include "project.h"
#include "nova_json.h"

static nova_exception raised;

void *nova_allocate(void *block, size_t size) {
    void *memory = realloc(block, size ? size : 1);
    if (memory == NULL) nova_panic("out of memory");
    return memory;
}

static project_string_t given(nova_json text) { return (project_string_t){(uint8_t *)text.text, text.length}; }

void nova_panic(const char *message) {
    project_string_t words = given(nova_words(message));
    nova_rpc_log_panicking(&words);
    __builtin_trap();
}

/* JSON that opens like this, or something else. */
static nova_json json(const char *text, char opens, const char *otherwise) {
    bool fine = text && text[strspn(text, " \t\r\n")] == opens;
    fine = fine && nova_is_text(text, strlen(text)) && nova_is_json(text, strlen(text));
    return fine ? nova_copy(text, strlen(text)) : nova_copy(otherwise, strlen(otherwise));
}

nova_result nova_raise_from(const char *module, const char *class_name, const char *message, const char *args,
                            const char *kwargs) {
    nova_json list = {0}, words = nova_words(message);
    nova_put_text(&list, "[");
    nova_put_string(&list, words.text, words.length);
    nova_put(&list, "]", 2);
    raised = (nova_exception){
        .module = nova_words(module ? module : "builtins"),
        .class_name = nova_words(class_name),
        .message = words,
        /* What is no JSON would cost the caller class and message as well. */
        .args = json(args, '[', list.text),
        .kwargs = json(kwargs, '{', "{}"),
    };
    return NOVA_FAILED;
}

const nova_exception *nova_raised(void) { return &raised; }

nova_result nova_raise_again(const nova_exception *exception) {
    raised = *exception;
    return NOVA_FAILED;
}

nova_result nova_raise(const char *class_name, const char *message) {
    return nova_raise_from("builtins", class_name, message, NULL, NULL);
}

nova_result nova_decline(void) {
    nova_rpc_request_info_decline();
    return nova_raise_from("oslo_messaging.rpc.dispatcher", "NoSuchMethod", "the handler declines the request", NULL, NULL);
}

void nova_log(nova_level level, const char *message) {
    project_string_t line = given(nova_words(message));
    nova_rpc_log_write((nova_rpc_log_level_t)level, &line);
}

void nova_context(nova_json *context) {
    nova_rpc_request_info_json_t text;
    nova_rpc_request_info_context(&text);
    *context = (nova_json){(char *)text.ptr, text.len, text.len};
}

bool nova_context_entry(const char *name, nova_json *entry) {
    project_string_t key;
    nova_rpc_request_info_json_t text;
    project_string_set(&key, name);
    if (!nova_rpc_request_info_context_entry(&key, &text)) return false;
    *entry = (nova_json){(char *)text.ptr, text.len, text.len};
    return true;
}

bool nova_reply_wanted(void) { return nova_rpc_request_info_reply_wanted(); }

uint64_t nova_time_left_ms(void) { return nova_rpc_request_info_time_left_ms(); }

static void set(project_string_t *field, const char *text) { project_string_dup(field, text); }

void exports_nova_rpc_handler_describe(exports_nova_rpc_handler_list_endpoint_t *ret) {
    size_t count = 0;
    while (nova_endpoints[count].version) count++;
    ret->len = count;
    ret->ptr = nova_allocate(NULL, count * sizeof *ret->ptr);
    for (size_t at = 0; at < count; at++) {
        const nova_endpoint *from = &nova_endpoints[at];
        exports_nova_rpc_handler_endpoint_t *to = &ret->ptr[at];
        size_t methods = 0;
        while (from->methods[methods].name) methods++;
        to->namespace_.is_some = from->name_space != NULL;
        if (from->name_space) set(&to->namespace_.val, from->name_space);
        set(&to->version, from->version);
        to->methods.len = methods;
        to->methods.ptr = nova_allocate(NULL, methods * sizeof *to->methods.ptr);
        for (size_t index = 0; index < methods; index++) set(&to->methods.ptr[index], from->methods[index].name);
    }
}

static exports_nova_rpc_handler_failure_t failure(void) {
    if (raised.class_name.text == NULL) nova_raise("RuntimeError", "the method failed without an exception");
    project_list_string_t traceback = {nova_allocate(NULL, raised.frames * sizeof *traceback.ptr), raised.frames};
    for (size_t at = 0; at < raised.frames; at++) traceback.ptr[at] = given(raised.traceback[at]);
    return (exports_nova_rpc_handler_failure_t){
        .class_ = given(raised.class_name),
        .module = given(raised.module),
        .message = given(raised.message),
        .args = given(raised.args),
        .kwargs = given(raised.kwargs),
        .traceback = traceback,
    };
}

static bool is_name(const project_string_t *given, const char *name) {
    return given->len == strlen(name) && memcmp(given->ptr, name, given->len) == 0;
}

bool exports_nova_rpc_handler_handle(exports_nova_rpc_handler_request_t *request, exports_nova_rpc_handler_json_t *ret,
                                     exports_nova_rpc_handler_failure_t *err) {
    const nova_method *method = nova_endpoints[request->endpoint].methods;
    while (method->name && !is_name(&request->method, method->name)) method++;
    if (!method->name) nova_panic("a method that is not there");
    raised = (nova_exception){0};
    nova_json arguments = {(char *)request->arguments.ptr, request->arguments.len, 0}, result = {0};
    if (!nova_check_names(&arguments, method->name, method->parameters) ||
        method->run(&arguments, &result) == NOVA_FAILED) {
        *err = failure();
        return false;
    }
    if (result.length == 0) nova_put_text(&result, "null");
    ret->ptr = (uint8_t *)result.text;
    ret->len = result.length;
    return true;
}
