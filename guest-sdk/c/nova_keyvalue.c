/* The import nova:rpc/keyvalue. */
#include "nova_keyvalue.h"

#include "project.h"
#include "nova_json.h"

static nova_bytes taken(const uint8_t *bytes, size_t length) {
    nova_json copy = nova_copy(bytes, length);
    return (nova_bytes){copy.text, copy.length};
}

static nova_result done(bool fine, const nova_rpc_keyvalue_error_t *error) {
    if (fine) return NOVA_DONE;
    switch (error->tag) {
    case NOVA_RPC_KEYVALUE_ERROR_NO_SUCH_STORE:
        return nova_raise("RuntimeError", "there is no store: it is not granted, or there is no request");
    case NOVA_RPC_KEYVALUE_ERROR_ACCESS_DENIED:
        return nova_raise("RuntimeError", "access denied");
    default:
        return nova_raise("RuntimeError", taken(error->val.other.ptr, error->val.other.len).text);
    }
}

/* A key as the bindings take it. */
static project_string_t *key_of(const char *key) {
    project_string_t *string = nova_allocate(NULL, sizeof *string);
    project_string_set(string, key);
    return string;
}

/* A value as the bindings take it. */
static project_list_u8_t list_of(nova_bytes value) { return (project_list_u8_t){(uint8_t *)value.text, value.length}; }

nova_result nova_keyvalue_get(const char *key, nova_bytes *value) {
    project_option_list_u8_t found;
    nova_rpc_keyvalue_error_t error;
    if (!nova_rpc_keyvalue_get(key_of(key), &found, &error)) return done(false, &error);
    *value = found.is_some ? taken(found.val.ptr, found.val.len) : (nova_bytes){0};
    return NOVA_DONE;
}

nova_result nova_keyvalue_exists(const char *key, bool *exists) {
    nova_rpc_keyvalue_error_t error;
    return done(nova_rpc_keyvalue_exists(key_of(key), exists, &error), &error);
}

nova_result nova_keyvalue_set(const char *key, nova_bytes value, uint64_t ttl_ms) {
    nova_rpc_keyvalue_error_t error;
    project_list_u8_t bytes = list_of(value);
    return done(nova_rpc_keyvalue_set(key_of(key), &bytes, ttl_ms ? &ttl_ms : NULL, &error), &error);
}

nova_result nova_keyvalue_delete(const char *key) {
    nova_rpc_keyvalue_error_t error;
    return done(nova_rpc_keyvalue_delete(key_of(key), &error), &error);
}

nova_result nova_keyvalue_keys(const char ***keys, size_t *count) {
    nova_rpc_keyvalue_key_response_t page;
    nova_rpc_keyvalue_error_t error;
    project_string_t cursor;
    *keys = NULL, *count = 0;
    for (bool more = false;; more = true) {
        if (!nova_rpc_keyvalue_list_keys(more ? &cursor : NULL, &page, &error)) return done(false, &error);
        *keys = nova_allocate(*keys, (*count + page.keys.len) * sizeof **keys);
        for (size_t at = 0; at < page.keys.len; at++)
            (*keys)[(*count)++] = taken(page.keys.ptr[at].ptr, page.keys.ptr[at].len).text;
        if (!page.cursor.is_some) return NOVA_DONE;
        cursor = page.cursor.val;
    }
}

nova_result nova_keyvalue_increment(const char *key, int64_t delta, int64_t *sum) {
    nova_rpc_keyvalue_error_t error;
    return done(nova_rpc_keyvalue_increment(key_of(key), delta, sum, &error), &error);
}

nova_result nova_keyvalue_swap(const char *key, nova_bytes current, nova_bytes next, bool *swapped) {
    nova_rpc_keyvalue_error_t error;
    project_list_u8_t before = list_of(current), after = list_of(next);
    return done(nova_rpc_keyvalue_swap(key_of(key), current.text ? &before : NULL, next.text ? &after : NULL, swapped, &error),
                &error);
}
