/* Greets people. */
#include "nova.h"

static nova_result greet(const nova_json *arguments, nova_json *result) {
    char *name;
    size_t length;
    nova_json text = {0};
    if (!nova_get_string(arguments, "name", &name, &length)) return NOVA_FAILED;
    if (length == 0) return nova_raise("ValueError", "nobody to greet");
    nova_put_text(&text, "hello, ");
    nova_put(&text, name, length);
    return nova_put_string(result, text.text, text.length);
}

static const nova_method methods[] = {{"greet", greet, "name"}, {0}};

const nova_endpoint nova_endpoints[] = {{NULL, "1.0", methods}, {0}};
