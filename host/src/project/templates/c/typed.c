/* Greets people: the functions of wit/greeter.wit. */
#include <stdlib.h>
#include <string.h>

#include "handler.h"

bool exports_acme_greeter_api_greet(handler_string_t *name, handler_string_t *ret, handler_string_t *err) {
    static const char hello[] = "hello, ";
    if (name->len == 0) {
        handler_string_dup(err, "nobody to greet");
        return false;
    }
    size_t length = sizeof hello - 1 + name->len;
    char *text = malloc(length);
    if (text == NULL) abort();
    memcpy(text, hello, sizeof hello - 1);
    memcpy(text + sizeof hello - 1, name->ptr, name->len);
    handler_string_dup_n(ret, text, length);
    return true;
}
