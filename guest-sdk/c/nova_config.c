/* The import nova:rpc/config. */
#include "nova_config.h"

#include "project.h"
#include "nova_json.h"

/* The host has read all values before: there is no error. */

static const char *text(project_string_t string) { return nova_copy(string.ptr, string.len).text; }

const char *nova_config_get(const char *name) {
    project_string_t key;
    project_option_string_t value;
    nova_rpc_config_error_t error;
    project_string_set(&key, name);
    return nova_rpc_config_get(&key, &value, &error) && value.is_some ? text(value.val) : NULL;
}

const nova_setting *nova_config_all(void) {
    project_list_tuple2_string_string_t all = {0};
    nova_rpc_config_error_t error;
    if (!nova_rpc_config_get_all(&all, &error)) all.len = 0;
    nova_setting *settings = nova_allocate(NULL, (all.len + 1) * sizeof *settings);
    for (size_t at = 0; at < all.len; at++) settings[at] = (nova_setting){text(all.ptr[at].f0), text(all.ptr[at].f1)};
    settings[all.len] = (nova_setting){0};
    return settings;
}
