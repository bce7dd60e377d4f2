/* The calculator that every language has, typed, in C: the functions of wit/calculator.wit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calculator.h"

/* Ends the request as HandlerTrapped, with these words. */
static _Noreturn void fail(calculator_string_t *words) {
    nova_rpc_log_panicking(words);
    __builtin_trap();
}

static void *allocated(size_t size) {
    void *memory = malloc(size ? size : 1);
    calculator_string_t words;
    calculator_string_set(&words, "out of memory");
    if (memory == NULL) fail(&words);
    return memory;
}

bool exports_acme_calculator_api_add(int64_t a, int64_t b, int64_t *ret, exports_acme_calculator_api_problem_t *err) {
    if (!__builtin_add_overflow(a, b, ret)) return true;
    err->tag = EXPORTS_ACME_CALCULATOR_API_PROBLEM_OVERFLOW_ERROR;
    calculator_string_dup(&err->val.overflow_error, "integer overflow");
    return false;
}

bool exports_acme_calculator_api_divide(double a, double b, double *ret, exports_acme_calculator_api_problem_t *err) {
    *ret = a / b;
    if (b != 0) return true;
    err->tag = EXPORTS_ACME_CALCULATOR_API_PROBLEM_ZERO_DIVISION_ERROR;
    calculator_string_dup(&err->val.zero_division_error, "division by zero");
    return false;
}

void exports_acme_calculator_api_echo(exports_acme_calculator_api_json_value_t *value,
                                      exports_acme_calculator_api_json_value_t *ret) {
    *ret = *value;
}

void exports_acme_calculator_api_concat(calculator_list_string_t *texts, calculator_string_t *maybe_separator,
                                        calculator_string_t *ret) {
    size_t between = maybe_separator ? maybe_separator->len : 0, length = 0;
    for (size_t at = 0; at < texts->len; at++) length += texts->ptr[at].len + (at ? between : 0);
    uint8_t *to = ret->ptr = allocated(length);
    ret->len = length;
    for (size_t at = 0; at < texts->len; at++) {
        if (at && between) to = (uint8_t *)memcpy(to, maybe_separator->ptr, between) + between;
        to = (uint8_t *)memcpy(to, texts->ptr[at].ptr, texts->ptr[at].len) + texts->ptr[at].len;
    }
}

void exports_acme_calculator_api_blob(uint32_t size, calculator_string_t *ret) {
    ret->ptr = memset(allocated(size), 'x', size);
    ret->len = size;
}

bool exports_acme_calculator_api_not_found(calculator_string_t *instance_id,
                                           exports_acme_calculator_api_problem_t *err) {
    char message[200];
    snprintf(message, sizeof message, "Instance %.*s could not be found.", (int)(instance_id->len < 100 ? instance_id->len : 100),
             (char *)instance_id->ptr);
    err->tag = EXPORTS_ACME_CALCULATOR_API_PROBLEM_INSTANCE_NOT_FOUND;
    calculator_string_dup(&err->val.instance_not_found.message, message);
    err->val.instance_not_found.instance_id = *instance_id;
    err->val.instance_not_found.code = 404;
    return false;
}

void exports_acme_calculator_api_context(exports_acme_calculator_api_json_value_t *ret) {
    nova_rpc_request_info_context(&ret->json_text);
}

void exports_acme_calculator_api_log(calculator_string_t *message) {
    nova_rpc_log_write(NOVA_RPC_LOG_LEVEL_INFO, message);
    printf("printed %.*s\n", (int)message->len, (char *)message->ptr);
    fflush(stdout);
}

void exports_acme_calculator_api_panic(calculator_string_t *message) { fail(message); }

void exports_acme_calculator_api_loop_forever(void) {
    for (volatile int turns = 0;; turns++) {
    }
}

uint64_t exports_acme_calculator_api_allocate(uint32_t mib) {
    size_t size = (size_t)mib << 20;
    volatile char *block = allocated(size);
    for (size_t at = 0; at < size; at += 1 << 16) block[at] = 1;
    return size;
}

void exports_acme_calculator_api_object_action(calculator_string_t *objmethod, calculator_string_t *ret) {
    bool is_save = objmethod->len == 4 && memcmp(objmethod->ptr, "save", 4) == 0;
    if (!is_save) nova_rpc_request_info_decline();
    calculator_string_dup(ret, is_save ? "saved" : "");
}

uint64_t exports_acme_calculator_api_calls(void) {
    static uint64_t count;
    return ++count;
}

static void set(const char *key, nova_rpc_trace_value_t value) {
    calculator_string_t string;
    calculator_string_set(&string, key);
    nova_rpc_trace_set_attribute(&string, &value);
}

bool exports_acme_calculator_api_mark(calculator_string_t *step) {
    nova_rpc_trace_value_t text = {.tag = NOVA_RPC_TRACE_VALUE_TEXT, .val.text = *step};
    nova_rpc_trace_value_t count = {.tag = NOVA_RPC_TRACE_VALUE_INTEGER, .val.integer = 3};
    set("calc.step", text);
    set("calc.count", count);
    set("calc.share", (nova_rpc_trace_value_t){.tag = NOVA_RPC_TRACE_VALUE_NUMBER, .val.number = 0.5});
    set("calc.done", (nova_rpc_trace_value_t){.tag = NOVA_RPC_TRACE_VALUE_TRUTH, .val.truth = true});
    nova_rpc_trace_attribute_t attributes[] = {{.value = count}, {.value = text}};
    calculator_string_set(&attributes[0].key, "calc.count");
    calculator_string_set(&attributes[1].key, "calc.step");
    nova_rpc_trace_list_attribute_t all = {attributes, 2};
    calculator_string_t name;
    calculator_string_set(&name, "step done");
    nova_rpc_trace_add_event(&name, &all);
    return nova_rpc_trace_is_recording();
}
