/* The calculator that every language has, in C: what a handler can do, and do wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "granted.h"
#include "nova.h"
#include "nova_trace.h"
#include "odd.h"

static nova_result add(const nova_json *args, nova_json *result) {
    int64_t a, b, sum;
    if (!nova_get_int(args, "a", &a) || !nova_get_int(args, "b", &b)) return NOVA_FAILED;
    if (__builtin_add_overflow(a, b, &sum)) return nova_raise("OverflowError", "integer overflow");
    return nova_put_int(result, sum);
}

static nova_result divide(const nova_json *args, nova_json *result) {
    double a, b;
    if (!nova_get_double(args, "a", &a) || !nova_get_double(args, "b", &b)) return NOVA_FAILED;
    if (b == 0) return nova_raise("ZeroDivisionError", "division by zero");
    return nova_put_double(result, a / b);
}

static nova_result echo(const nova_json *args, nova_json *result) {
    nova_json value;
    if (!nova_get_json(args, "value", &value)) return NOVA_FAILED;
    return nova_put(result, value.text, value.length);
}

static nova_result concat(const nova_json *args, nova_json *result) {
    nova_json texts, item = {0}, joined = {0};
    char *separator = "", *text;
    size_t between = 0, length;
    if (!nova_get_json(args, "texts", &texts)) return NOVA_FAILED;
    if (nova_has(args, "separator") && !nova_get_string(args, "separator", &separator, &between)) return NOVA_FAILED;
    for (bool first = true; nova_next(&texts, &item); first = false) {
        if (!nova_string(&item, &text, &length)) return nova_raise("TypeError", "argument 'texts' must be a list of strings");
        if (!first) nova_put(&joined, separator, between);
        nova_put(&joined, text, length);
    }
    return nova_put_string(result, joined.text, joined.length);
}

static nova_result blob(const nova_json *args, nova_json *result) {
    int64_t size;
    if (!nova_get_int(args, "size", &size)) return NOVA_FAILED;
    char *text = nova_allocate(NULL, (size_t)size);
    memset(text, 'x', (size_t)size);
    return nova_put_string(result, text, (size_t)size);
}

static nova_result not_found(const nova_json *args, nova_json *result) {
    (void)result;
    char *instance, message[200];
    size_t length;
    nova_json kwargs = {0};
    if (!nova_get_string(args, "instance_id", &instance, &length)) return NOVA_FAILED;
    snprintf(message, sizeof message, "Instance %.100s could not be found.", instance);
    nova_put_text(&kwargs, "{\"code\": 404, \"instance_id\": ");
    nova_put_string(&kwargs, instance, length);
    nova_put(&kwargs, "}", 2);
    return nova_raise_from("nova.exception", "InstanceNotFound", message, NULL, kwargs.text);
}

static nova_result context(const nova_json *args, nova_json *result) {
    (void)args;
    nova_context(result);
    return NOVA_DONE;
}

static nova_result log_line(const nova_json *args, nova_json *result) {
    (void)result;
    char *message;
    size_t length;
    if (!nova_get_string(args, "message", &message, &length)) return NOVA_FAILED;
    nova_log(NOVA_INFO, message);
    printf("printed %s\n", message);
    fflush(stdout);
    return NOVA_DONE;
}

static nova_result panic(const nova_json *args, nova_json *result) {
    (void)result;
    char *message;
    size_t length;
    if (!nova_get_string(args, "message", &message, &length)) return NOVA_FAILED;
    nova_panic(message);
}

static nova_result loop_forever(const nova_json *args, nova_json *result) {
    (void)args, (void)result;
    for (volatile int turns = 0;; turns++) {
    }
}

static nova_result allocate(const nova_json *args, nova_json *result) {
    int64_t mib;
    if (!nova_get_int(args, "mib", &mib)) return NOVA_FAILED;
    size_t size = (size_t)mib << 20;
    volatile char *block = nova_allocate(NULL, size);
    for (size_t at = 0; at < size; at += 1 << 16) block[at] = 1;
    return nova_put_int(result, (int64_t)size);
}

static nova_result calls(const nova_json *args, nova_json *result) {
    static int64_t count;
    (void)args;
    return nova_put_int(result, ++count);
}

static nova_result object_action(const nova_json *args, nova_json *result) {
    char *method;
    size_t length;
    if (!nova_get_string(args, "objmethod", &method, &length)) return NOVA_FAILED;
    if (strcmp(method, "save") != 0) return nova_decline();
    return nova_put_string(result, "saved", 5);
}

static nova_result mark(const nova_json *args, nova_json *result) {
    char *step;
    size_t length;
    if (!nova_get_string(args, "step", &step, &length)) return NOVA_FAILED;
    nova_trace_attribute_text("calc.step", step);
    nova_trace_attribute_int("calc.count", 3);
    nova_trace_attribute_double("calc.share", 0.5);
    nova_trace_attribute_bool("calc.done", true);
    nova_trace_event("step done", (nova_attribute[]){nova_int("calc.count", 3), nova_text("calc.step", step)}, 2);
    return nova_put_text(result, nova_trace_is_recording() ? "true" : "false");
}

static const nova_method methods[] = {
    {"add", add, "a b"},
    {"divide", divide, "a b"},
    {"echo", echo, "value"},
    {"concat", concat, "texts separator?"},
    {"blob", blob, "size"},
    {"not_found", not_found, "instance_id"},
    {"context", context, ""},
    {"log", log_line, "message"},
    {"panic", panic, "message"},
    {"loop_forever", loop_forever, ""},
    {"allocate", allocate, "mib"},
    {"calls", calls, ""},
    {"object_action", object_action, "objmethod"},
    {"mark", mark, "step"},
    {"fail_oddly", fail_oddly, "how"},
    {"fresh", fresh, ""},
    {"ask", ask, "target name arguments"},
    {"ask_kindly", ask_kindly, "target name arguments"},
    {"ask_all", ask_all, "name calls"},
    {"tell", tell, "target name arguments everybody? then_fail?"},
    {"setting", setting, "name"},
    {"remember", remember, "key value ttl? then_fail?"},
    {"recall", recall, "key"},
    {"fill", fill, "number"},
    {"forget", forget, "key"},
    {"count", count, "key delta"},
    {"exchange", exchange, "key current? next?"},
    {"fetch", fetch, "verb url headers? body? timeout?"},
    {"fetch_json", fetch_json, "url body?"},
    {"fetch_kindly", fetch_kindly, "url"},
    {0},
};

const nova_endpoint nova_endpoints[] = {{NULL, "1.3", methods}, {0}};
