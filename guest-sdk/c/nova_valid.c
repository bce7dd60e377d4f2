/* Whether bytes are text, and whether text is JSON: what nova_json.c reads must be. */
#include <string.h>

#include "nova_json.h"

/* Levels of lists and objects: Python's own bound is about the same. */
enum { DEEPEST = 500 };

/* Bytes of words. */
enum { MOST_WORDS = 2 << 20 };

/* How many bytes the letter here has, without surrogates and without more bytes than it takes; 0 where it is none. */
static size_t letter(const unsigned char *at, const unsigned char *end) {
    size_t more = *at < 0x80 ? 0 : *at >= 0xC2 && *at < 0xE0 ? 1 : *at >= 0xE0 && *at < 0xF0 ? 2 : *at >= 0xF0 && *at < 0xF5 ? 3 : 4;
    if (more == 4 || (size_t)(end - at) <= more) return 0;
    if ((*at == 0xE0 && at[1] < 0xA0) || (*at == 0xED && at[1] > 0x9F)) return 0;
    if ((*at == 0xF0 && at[1] < 0x90) || (*at == 0xF4 && at[1] > 0x8F)) return 0;
    for (size_t index = 1; index <= more; index++) {
        if ((at[index] & 0xC0) != 0x80) return 0;
    }
    return more + 1;
}

bool nova_is_text(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        size_t bytes = letter(at, end);
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

nova_json nova_words(const char *text) {
    size_t length = text ? strlen(text) : 0;
    if (nova_is_text(text, length) && length <= MOST_WORDS) return nova_copy(text, length);
    nova_json words = {0};
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end && words.length < MOST_WORDS) {
        size_t bytes = letter(at, end);
        if (bytes) {
            nova_put(&words, (const char *)at, bytes);
        } else {
            nova_put_text(&words, "\xEF\xBF\xBD");
        }
        at += bytes ? bytes : 1;
    }
    nova_put(&words, "", 1);
    words.length--;
    return words;
}

typedef struct {
    const char *at, *end;
} cursor;

static char here(const cursor *c) { return c->at < c->end ? *c->at : 0; }

static bool take(cursor *c, char letter) { return here(c) == letter && letter ? (c->at++, true) : false; }

static void space(cursor *c) {
    while (here(c) && strchr(" \t\r\n", here(c))) c->at++;
}

static bool digits(cursor *c) {
    const char *start = c->at;
    while (here(c) >= '0' && here(c) <= '9') c->at++;
    return c->at > start;
}

static bool number(cursor *c) {
    take(c, '-');
    if (!take(c, '0') && !digits(c)) return false;
    if (take(c, '.') && !digits(c)) return false;
    if (!take(c, 'e') && !take(c, 'E')) return true;
    if (!take(c, '+')) take(c, '-');
    return digits(c);
}

static bool string(cursor *c) {
    if (!take(c, '"')) return false;
    while (c->at < c->end && (unsigned char)*c->at >= 0x20) {
        if (take(c, '"')) return true;
        if (!take(c, '\\')) {
            c->at++;
        } else if (take(c, 'u')) {
            for (int digit = 0; digit < 4; digit++, c->at++) {
                if (!here(c) || !strchr("0123456789abcdefABCDEF", here(c))) return false;
            }
        } else if (!here(c) || !strchr("\"\\/bfnrt", *c->at++)) {
            return false;
        }
    }
    return false;
}

static bool word(cursor *c, const char *expected) {
    while (*expected && take(c, *expected)) expected++;
    return !*expected;
}

static bool value(cursor *c, int depth);

static bool several(cursor *c, char last, bool named, int depth) {
    space(c);
    if (take(c, last)) return true;
    for (;;) {
        if (named) {
            space(c);
            if (!string(c)) return false;
            space(c);
            if (!take(c, ':')) return false;
        }
        if (!value(c, depth)) return false;
        if (take(c, last)) return true;
        if (!take(c, ',')) return false;
    }
}

static bool value(cursor *c, int depth) {
    bool fine = false;
    space(c);
    switch (here(c)) {
    case '{':
        fine = depth < DEEPEST && take(c, '{') && several(c, '}', true, depth + 1);
        break;
    case '[':
        fine = depth < DEEPEST && take(c, '[') && several(c, ']', false, depth + 1);
        break;
    case '"':
        fine = string(c);
        break;
    case 't':
        fine = word(c, "true");
        break;
    case 'f':
        fine = word(c, "false");
        break;
    case 'n':
        fine = word(c, "null");
        break;
    default:
        fine = number(c);
    }
    space(c);
    return fine;
}

bool nova_is_json(const char *text, size_t length) {
    cursor c = {text, text + length};
    return value(&c, 0) && c.at == c.end;
}
