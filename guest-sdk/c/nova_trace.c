/* The import nova:rpc/trace. */
#include "nova_trace.h"

#include <string.h>

#include "project.h"
#include "nova_json.h"

/* Attributes of an event that are handed over: the host keeps less. */
enum { MANY = 128 };

static project_string_t given(const char *text) {
    nova_json words = nova_words(text);
    return (project_string_t){(uint8_t *)words.text, words.length};
}

static nova_rpc_trace_value_t lowered(const nova_attribute *attribute) {
    nova_rpc_trace_value_t value;
    switch (attribute->kind) {
    case NOVA_TEXT:
        value.tag = NOVA_RPC_TRACE_VALUE_TEXT;
        value.val.text = given(attribute->value.text);
        break;
    case NOVA_INT:
        value.tag = NOVA_RPC_TRACE_VALUE_INTEGER;
        value.val.integer = attribute->value.integer;
        break;
    case NOVA_DOUBLE:
        value.tag = NOVA_RPC_TRACE_VALUE_NUMBER;
        value.val.number = attribute->value.number;
        break;
    default:
        value.tag = NOVA_RPC_TRACE_VALUE_TRUTH;
        value.val.truth = attribute->value.truth;
    }
    return value;
}

static void set(nova_attribute attribute) {
    project_string_t key = given(attribute.key);
    nova_rpc_trace_value_t value = lowered(&attribute);
    nova_rpc_trace_set_attribute(&key, &value);
}

void nova_trace_attribute_text(const char *key, const char *value) { set(nova_text(key, value)); }

void nova_trace_attribute_int(const char *key, int64_t value) { set(nova_int(key, value)); }

void nova_trace_attribute_double(const char *key, double value) { set(nova_double(key, value)); }

void nova_trace_attribute_bool(const char *key, bool value) { set(nova_bool(key, value)); }

void nova_trace_event(const char *name, const nova_attribute *attributes, size_t count) {
    project_string_t words = given(name);
    nova_rpc_trace_attribute_t list[MANY];
    size_t length = count < MANY ? count : MANY;
    for (size_t at = 0; at < length; at++)
        list[at] = (nova_rpc_trace_attribute_t){given(attributes[at].key), lowered(&attributes[at])};
    nova_rpc_trace_list_attribute_t all = {list, length};
    nova_rpc_trace_add_event(&words, &all);
}

bool nova_trace_is_recording(void) { return nova_rpc_trace_is_recording(); }

static void take(char *into, size_t room, project_string_t from) {
    size_t length = from.len < room ? from.len : room - 1;
    memcpy(into, from.ptr, length);
    into[length] = 0;
}

bool nova_trace_span_context(nova_span_context *context) {
    nova_rpc_trace_span_context_t found;
    if (!nova_rpc_trace_get_span_context(&found)) return false;
    take(context->trace_id, sizeof context->trace_id, found.trace_id);
    take(context->span_id, sizeof context->span_id, found.span_id);
    context->trace_flags = found.trace_flags;
    return true;
}
