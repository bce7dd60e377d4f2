/* Exceptions that are hard to tell a caller about. */
#include "odd.h"

#include <stdlib.h>
#include <string.h>

/* A text of so many bytes. */
static char *large(size_t size) {
    char *text = nova_allocate(NULL, size + 1);
    memset(text, 'x', size);
    text[size] = 0;
    return text;
}

nova_result fail_oddly(const nova_json *args, nova_json *result) {
    (void)result;
    char *how;
    size_t length;
    if (!nova_get_string(args, "how", &how, &length)) return NOVA_FAILED;
    if (!strcmp(how, "bytes")) return nova_raise("ValueError", "by\xFFtes \xED\xA0\x80 \xC3");
    if (!strcmp(how, "class")) return nova_raise_from("mo\xFF", "Cl\xFF", "words", NULL, NULL);
    if (!strcmp(how, "arguments")) return nova_raise_from("builtins", "ValueError", "words", "[1, ", "{]");
    if (!strcmp(how, "bytes in arguments")) return nova_raise_from("builtins", "ValueError", "words", "[\"\xFF\"]", NULL);
    if (!strcmp(how, "no list")) return nova_raise_from("builtins", "ValueError", "words", "{}", "[]");
    if (!strcmp(how, "nothing")) return nova_raise(NULL, NULL);
    if (!strcmp(how, "no class")) return nova_raise("", "words");
    if (!strcmp(how, "large")) return nova_raise("ValueError", large(1 << 20));
    if (!strcmp(how, "huge")) return nova_raise("ValueError", large(20 << 20));
    if (!strcmp(how, "unsaid")) return NOVA_FAILED;
    if (!strcmp(how, "logged")) {
        nova_log(NOVA_WARN, "by\xFFtes");
        return nova_raise("ValueError", "logged");
    }
    if (!strcmp(how, "panic")) nova_panic("by\xFFtes");
    if (!strcmp(how, "abort")) abort();
    return nova_raise("KeyError", how);
}
