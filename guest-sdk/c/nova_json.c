/* Reads and writes JSON. What is read was found valid by the host. */
#include "nova_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at, *end;
} cursor;

static void space(cursor *c) {
    while (c->at < c->end && strchr(" \t\r\n", *c->at)) c->at++;
}

/* Past a string, whose first quote is here. */
static void skip_string(cursor *c) {
    for (c->at++; c->at < c->end && *c->at != '"'; c->at++) {
        if (*c->at == '\\') c->at++;
    }
    c->at++;
}

static void skip(cursor *c) {
    size_t depth = 0;
    do {
        space(c);
        if (c->at >= c->end) return;
        if (*c->at == '"') {
            skip_string(c);
        } else if (*c->at == '[' || *c->at == '{') {
            depth++;
            c->at++;
        } else if (*c->at == ']' || *c->at == '}') {
            depth--;
            c->at++;
        } else if (*c->at == ',' || *c->at == ':') {
            c->at++;
        } else {
            while (c->at < c->end && !strchr(" \t\r\n,:]}", *c->at)) c->at++;
        }
    } while (depth > 0);
}

/* The next member of an object, or false. */
static bool member(cursor *c, nova_json *name, nova_json *value) {
    space(c);
    if (c->at < c->end && (*c->at == '{' || *c->at == ',')) c->at++;
    space(c);
    if (c->at >= c->end || *c->at != '"') return false;
    const char *start = c->at;
    skip_string(c);
    *name = (nova_json){(char *)start, (size_t)(c->at - start), 0};
    space(c);
    c->at++;
    space(c);
    start = c->at;
    skip(c);
    *value = (nova_json){(char *)start, (size_t)(c->at - start), 0};
    return true;
}

static unsigned hex(const char *digits) {
    char copy[5] = {digits[0], digits[1], digits[2], digits[3], 0};
    return (unsigned)strtoul(copy, NULL, 16);
}

static size_t encode(char *to, unsigned code) {
    if (code < 0x80) return (to[0] = (char)code), 1;
    if (code < 0x800) return (to[0] = (char)(0xC0 | code >> 6)), (to[1] = (char)(0x80 | (code & 63))), 2;
    if (code < 0x10000) {
        to[0] = (char)(0xE0 | code >> 12), to[1] = (char)(0x80 | (code >> 6 & 63)), to[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    to[0] = (char)(0xF0 | code >> 18), to[1] = (char)(0x80 | (code >> 12 & 63));
    to[2] = (char)(0x80 | (code >> 6 & 63)), to[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* A string's content: never longer than its JSON. Half a surrogate pair becomes U+FFFD. */
static char *content(const nova_json *json, size_t *length) {
    char *text = nova_allocate(NULL, json->length + 1), *to = text;
    for (const char *at = json->text + 1, *end = json->text + json->length - 1; at < end; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        if (*at != 'u') {
            const char *plain = "\"\\/bfnrt", *found = strchr(plain, *at);
            *to++ = found ? "\"\\/\b\f\n\r\t"[found - plain] : *at;
            continue;
        }
        unsigned code = hex(at + 1);
        at += 4;
        if (code >= 0xD800 && code < 0xDC00 && at + 6 < end && at[1] == '\\' && at[2] == 'u') {
            unsigned low = hex(at + 3);
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                at += 6;
            }
        }
        if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
        to += encode(to, code);
    }
    *to = 0;
    *length = (size_t)(to - text);
    return text;
}

static bool is(const nova_json *name, const char *wanted, size_t length) {
    if (name->length == length + 2 && memcmp(name->text + 1, wanted, length) == 0) return true;
    if (!memchr(name->text, '\\', name->length)) return false;
    size_t given;
    char *plain = content(name, &given);
    bool same = given == length && memcmp(plain, wanted, length) == 0;
    free(plain);
    return same;
}

/* Of duplicate names the last wins. */
static bool find(const nova_json *arguments, const char *name, size_t length, nova_json *found) {
    cursor c = {arguments->text, arguments->text + arguments->length};
    nova_json key, value;
    bool any = false;
    while (member(&c, &key, &value)) {
        if (is(&key, name, length)) {
            *found = value;
            any = true;
        }
    }
    return any;
}

static bool wrong(const char *name, const char *wanted) {
    char words[200];
    snprintf(words, sizeof words, "argument '%.60s' must be %s", name, wanted);
    nova_raise("TypeError", words);
    return false;
}

bool nova_get_json(const nova_json *arguments, const char *name, nova_json *value) {
    return find(arguments, name, strlen(name), value) || wrong(name, "given");
}

bool nova_has(const nova_json *arguments, const char *name) {
    nova_json value;
    return find(arguments, name, strlen(name), &value);
}

static bool number(const nova_json *value) { return value->length > 0 && strchr("-0123456789", value->text[0]); }

bool nova_get_int(const nova_json *arguments, const char *name, int64_t *value) {
    nova_json json;
    if (!nova_get_json(arguments, name, &json)) return false;
    bool negative = json.length > 0 && json.text[0] == '-';
    uint64_t sum = 0, most = (uint64_t)INT64_MAX + negative;
    if (!number(&json)) return wrong(name, "an integer");
    for (size_t at = negative; at < json.length; at++) {
        char digit = json.text[at];
        if (digit < '0' || digit > '9' || sum > (most - (uint64_t)(digit - '0')) / 10) {
            return wrong(name, "an integer of 64 bits");
        }
        sum = sum * 10 + (uint64_t)(digit - '0');
    }
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

bool nova_get_double(const nova_json *arguments, const char *name, double *value) {
    nova_json json;
    if (!nova_get_json(arguments, name, &json)) return false;
    if (!number(&json)) return wrong(name, "a number");
    char *copy = nova_allocate(NULL, json.length + 1);
    memcpy(copy, json.text, json.length);
    copy[json.length] = 0;
    *value = strtod(copy, NULL);
    free(copy);
    return true;
}

bool nova_get_bool(const nova_json *arguments, const char *name, bool *value) {
    nova_json json;
    if (!nova_get_json(arguments, name, &json)) return false;
    *value = json.length == 4 && memcmp(json.text, "true", 4) == 0;
    return *value || (json.length == 5 && memcmp(json.text, "false", 5) == 0) || wrong(name, "a boolean");
}

bool nova_get_string(const nova_json *arguments, const char *name, char **value, size_t *length) {
    nova_json json;
    if (!nova_get_json(arguments, name, &json)) return false;
    return nova_string(&json, value, length) || wrong(name, "a string");
}

bool nova_string(const nova_json *json, char **value, size_t *length) {
    if (json->length < 2 || json->text[0] != '"') return false;
    *value = content(json, length);
    return true;
}

bool nova_next(const nova_json *list, nova_json *item) {
    cursor c = {item->text ? item->text + item->length : list->text, list->text + list->length};
    space(&c);
    if (c.at >= c.end || (*c.at != '[' && *c.at != ',')) return false;
    c.at++;
    space(&c);
    if (c.at >= c.end || *c.at == ']') return false;
    const char *start = c.at;
    skip(&c);
    *item = (nova_json){(char *)start, (size_t)(c.at - start), 0};
    return true;
}

nova_result nova_put(nova_json *result, const char *text, size_t length) {
    if (result->room - result->length < length) {
        result->room = (result->length + length) * 2;
        result->text = nova_allocate(result->text, result->room);
    }
    memcpy(result->text + result->length, text, length);
    result->length += length;
    return NOVA_DONE;
}

nova_json nova_copy(const void *text, size_t length) {
    nova_json copy = {nova_allocate(NULL, length + 1), length, length};
    memcpy(copy.text, text, length);
    copy.text[length] = 0;
    return copy;
}

nova_result nova_put_text(nova_json *result, const char *text) { return nova_put(result, text, strlen(text)); }

nova_result nova_put_int(nova_json *result, int64_t value) {
    char digits[24];
    return nova_put(result, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value));
}

/* The shortest digits that are read as the same number, as Python writes it. */
nova_result nova_put_double(nova_json *result, double value) {
    char digits[40];
    if (value != value) return nova_put_text(result, "null");
    if (value - value != 0) return nova_put_text(result, value > 0 ? "1e999" : "-1e999");
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    if (!strpbrk(digits, ".e")) strcat(digits, ".0");
    return nova_put_text(result, digits);
}

nova_result nova_put_string(nova_json *result, const char *value, size_t length) {
    nova_put(result, "\"", 1);
    for (size_t at = 0; at < length; at++) {
        unsigned char byte = (unsigned char)value[at];
        char escaped[8];
        if (byte == '"' || byte == '\\') {
            nova_put(result, "\\", 1);
            nova_put(result, value + at, 1);
        } else if (byte < 0x20) {
            nova_put(result, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", byte));
        } else {
            nova_put(result, value + at, 1);
        }
    }
    return nova_put(result, "\"", 1);
}

/* The next name of a list with spaces between; its length is without the '?'. */
static bool next_name(const char **at, const char **name, size_t *length, bool *optional) {
    while (**at == ' ') (*at)++;
    *name = *at;
    while (**at && **at != ' ') (*at)++;
    *length = (size_t)(*at - *name);
    *optional = *length > 0 && (*name)[*length - 1] == '?';
    *length -= *optional;
    return *length > 0;
}

bool nova_check_names(const nova_json *arguments, const char *method, const char *parameters) {
    cursor c = {arguments->text, arguments->text + arguments->length};
    nova_json key, value;
    const char *at, *name;
    size_t length;
    bool optional;
    char words[300];
    while (member(&c, &key, &value)) {
        bool known = false;
        for (at = parameters; next_name(&at, &name, &length, &optional);) known |= is(&key, name, length);
        if (known) continue;
        char *plain = content(&key, &length);
        snprintf(words, sizeof words, "%.100s() got an unexpected keyword argument '%.100s'", method, plain);
        nova_raise("TypeError", words);
        return false;
    }
    for (at = parameters; next_name(&at, &name, &length, &optional);) {
        if (optional || find(arguments, name, length, &value)) continue;
        snprintf(words, sizeof words, "%.100s() missing 1 required positional argument: '%.*s'", method,
                 (int)(length < 100 ? length : 100), name);
        nova_raise("TypeError", words);
        return false;
    }
    return true;
}
