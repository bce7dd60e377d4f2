/* What a manifest grants: requests to others, configuration, state. */
#include "granted.h"

#include <stdio.h>
#include <string.h>

#include "nova_config.h"
#include "nova_keyvalue.h"
#include "nova_rpc.h"

/* Text of an argument; NULL where there is none. */
static const char *text_of(const nova_json *args, const char *name) {
    char *text;
    size_t length;
    return nova_has(args, name) && nova_get_string(args, name, &text, &length) ? text : NULL;
}

static uint64_t milliseconds(const nova_json *args, const char *name) {
    double seconds;
    return nova_has(args, name) && nova_get_double(args, name, &seconds) ? (uint64_t)(seconds * 1000) : 0;
}

static bool flag(const nova_json *args, const char *name) {
    bool value;
    return nova_has(args, name) && nova_get_bool(args, name, &value) && value;
}

static nova_target target_of(const nova_json *json) {
    return (nova_target){
        .topic = text_of(json, "topic"),
        .server = text_of(json, "server"),
        .name_space = text_of(json, "namespace"),
        .version = text_of(json, "version"),
        .timeout_ms = milliseconds(json, "timeout"),
        .monitor_ms = milliseconds(json, "monitor"),
    };
}

/* What three methods have in common. */
static bool request_of(const nova_json *args, nova_target *target, const char **method, nova_json *arguments) {
    nova_json given;
    *method = text_of(args, "name");
    if (!*method || !nova_get_json(args, "target", &given) || !nova_get_json(args, "arguments", arguments)) return false;
    *target = target_of(&given);
    return true;
}

nova_result ask(const nova_json *args, nova_json *result) {
    nova_target target;
    const char *method;
    nova_json arguments;
    if (!request_of(args, &target, &method, &arguments)) return NOVA_FAILED;
    return nova_call(&target, method, &arguments, result);
}

/* Writes a list of strings. */
static nova_result list(nova_json *result, const nova_json *const *texts, size_t count) {
    for (size_t at = 0; at < count; at++) {
        nova_put_text(result, at ? ", " : "[");
        nova_put_string(result, texts[at]->text, texts[at]->length);
    }
    return nova_put_text(result, "]");
}

nova_result ask_kindly(const nova_json *args, nova_json *result) {
    if (ask(args, result) == NOVA_DONE) return NOVA_DONE;
    const nova_exception *raised = nova_raised();
    if (strcmp(raised->class_name.text, "MessagingTimeout") == 0) {
        static const nova_json kind = {"timed out", 9, 0};
        return list(result, (const nova_json *[]){&kind, &raised->message}, 2);
    }
    if (raised->frames == 0) return NOVA_FAILED;
    static const nova_json kind = {"remote", 6, 0};
    return list(result, (const nova_json *[]){&kind, &raised->module, &raised->class_name, &raised->message}, 4);
}

nova_result ask_all(const nova_json *args, nova_json *result) {
    enum { MOST = 8 };
    nova_target targets[MOST];
    nova_json calls, call = {0}, arguments[MOST];
    nova_asked asked[MOST] = {0};
    const char *method = text_of(args, "name");
    size_t count = 0;
    if (!method || !nova_get_json(args, "calls", &calls)) return NOVA_FAILED;
    for (; count < MOST && nova_next(&calls, &call); count++) {
        nova_json part = {0};
        nova_next(&call, &part);
        targets[count] = target_of(&part);
        nova_next(&call, &part);
        arguments[count] = part;
        asked[count].target = &targets[count];
        asked[count].arguments = &arguments[count];
    }
    nova_call_many(method, asked, count);
    nova_put_text(result, "[");
    for (size_t at = 0; at < count; at++) {
        if (at) nova_put_text(result, ", ");
        const nova_json *text = asked[at].done == NOVA_DONE ? &asked[at].result : &asked[at].exception.class_name;
        if (asked[at].done == NOVA_DONE) {
            nova_put(result, text->text, text->length);
        } else {
            nova_put_string(result, text->text, text->length);
        }
    }
    return nova_put_text(result, "]");
}

nova_result tell(const nova_json *args, nova_json *result) {
    (void)result;
    nova_target target;
    const char *method;
    nova_json arguments;
    if (!request_of(args, &target, &method, &arguments)) return NOVA_FAILED;
    nova_result (*send)(const nova_target *, const char *, const nova_json *) = flag(args, "everybody") ? nova_fanout : nova_cast;
    if (send(&target, method, &arguments) == NOVA_FAILED) return NOVA_FAILED;
    return flag(args, "then_fail") ? nova_raise("ValueError", "told, and failed") : NOVA_DONE;
}

nova_result setting(const nova_json *args, nova_json *result) {
    const char *name = text_of(args, "name");
    if (!name) return NOVA_FAILED;
    const char *value = nova_config_get(name);
    nova_put_text(result, "[");
    if (value) {
        nova_put_string(result, value, strlen(value));
    } else {
        nova_put_text(result, "null");
    }
    nova_put_text(result, ", [");
    for (const nova_setting *each = nova_config_all(); each->name; each++) {
        nova_put_string(result, each->name, strlen(each->name));
        if (each[1].name) nova_put_text(result, ", ");
    }
    return nova_put_text(result, "]]");
}

static nova_result put_bool(nova_json *result, bool value) { return nova_put_text(result, value ? "true" : "false"); }

static nova_bytes bytes_of(const char *text) { return (nova_bytes){text, text ? strlen(text) : 0}; }

nova_result remember(const nova_json *args, nova_json *result) {
    const char *key = text_of(args, "key"), *value = text_of(args, "value");
    bool exists;
    if (!key || !value) return NOVA_FAILED;
    if (nova_keyvalue_set(key, bytes_of(value), milliseconds(args, "ttl")) == NOVA_FAILED) return NOVA_FAILED;
    if (flag(args, "then_fail")) return nova_raise("ValueError", "remembered, and failed");
    if (nova_keyvalue_exists(key, &exists) == NOVA_FAILED) return NOVA_FAILED;
    return put_bool(result, exists);
}

nova_result recall(const nova_json *args, nova_json *result) {
    const char *key = text_of(args, "key"), **keys;
    nova_bytes value;
    bool exists;
    size_t count;
    if (!key || nova_keyvalue_get(key, &value) == NOVA_FAILED || nova_keyvalue_exists(key, &exists) == NOVA_FAILED ||
        nova_keyvalue_keys(&keys, &count) == NOVA_FAILED)
        return NOVA_FAILED;
    nova_put_text(result, "[");
    if (value.text) {
        nova_put_string(result, value.text, value.length);
    } else {
        nova_put_text(result, "null");
    }
    nova_put_text(result, ", ");
    put_bool(result, exists);
    nova_put_text(result, ", [");
    for (size_t at = 0; at < count; at++) {
        if (at) nova_put_text(result, ", ");
        nova_put_string(result, keys[at], strlen(keys[at]));
    }
    return nova_put_text(result, "]]");
}

nova_result fill(const nova_json *args, nova_json *result) {
    (void)result;
    int64_t number;
    char key[8];
    if (!nova_get_int(args, "number", &number)) return NOVA_FAILED;
    for (int at = 0; at < (int)number; at++) {
        snprintf(key, sizeof key, "%05d", at);
        if (nova_keyvalue_set(key, bytes_of(""), 0) == NOVA_FAILED) return NOVA_FAILED;
    }
    return NOVA_DONE;
}

nova_result forget(const nova_json *args, nova_json *result) {
    (void)result;
    const char *key = text_of(args, "key");
    return key ? nova_keyvalue_delete(key) : NOVA_FAILED;
}

nova_result count(const nova_json *args, nova_json *result) {
    const char *key = text_of(args, "key");
    int64_t delta, sum;
    if (!key || !nova_get_int(args, "delta", &delta)) return NOVA_FAILED;
    return nova_keyvalue_increment(key, delta, &sum) == NOVA_DONE ? nova_put_int(result, sum) : NOVA_FAILED;
}

nova_result exchange(const nova_json *args, nova_json *result) {
    const char *key = text_of(args, "key");
    bool swapped;
    if (!key) return NOVA_FAILED;
    nova_bytes current = bytes_of(text_of(args, "current")), next = bytes_of(text_of(args, "next"));
    return nova_keyvalue_swap(key, current, next, &swapped) == NOVA_DONE ? put_bool(result, swapped) : NOVA_FAILED;
}
