/* Handlers for Nova Host in C.
 *
 *     static nova_result divide(const nova_json *args, nova_json *result) {
 *         double a, b;
 *         if (!nova_get_double(args, "a", &a) || !nova_get_double(args, "b", &b)) return NOVA_FAILED;
 *         if (b == 0) return nova_raise("ZeroDivisionError", "division by zero");
 *         return nova_put_double(result, a / b);
 *     }
 *     static const nova_method methods[] = {{"divide", divide, "a b"}, {0}};
 *     const nova_endpoint nova_endpoints[] = {{NULL, "1.3", methods}, {0}};
 *
 * A method reads its arguments by name and writes JSON. What it reads wrongly is a TypeError already. Memory is never given
 * back: an instance lives for one request.
 *
 * nova_rpc.h, nova_config.h, nova_keyvalue.h and nova_http.h are what a manifest gives and grants.
 */
#ifndef NOVA_H
#define NOVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { NOVA_DONE, NOVA_FAILED } nova_result;

/* JSON text: arguments to read, or a result to write. */
typedef struct {
    char *text;
    size_t length, room;
} nova_json;

/* Any bytes, with a zero behind those that were read; `text` is NULL where there is no value. */
typedef struct {
    const char *text;
    size_t length;
} nova_bytes;

typedef struct {
    const char *name;
    nova_result (*run)(const nova_json *arguments, nova_json *result);
    /* The arguments' names with spaces between; one that may be left out ends in '?'. */
    const char *parameters;
} nova_method;

typedef struct {
    const char *name_space; /* NULL is the null namespace. */
    const char *version;
    const nova_method *methods; /* The last has no name. */
} nova_endpoint;

/* What the handler serves; the last has no version. To be defined by the handler. */
extern const nova_endpoint nova_endpoints[];

/* Arguments. Each is false, and the caller's TypeError set, where the argument is of another type. */
bool nova_has(const nova_json *arguments, const char *name);
bool nova_get_int(const nova_json *arguments, const char *name, int64_t *value);
bool nova_get_double(const nova_json *arguments, const char *name, double *value);
bool nova_get_bool(const nova_json *arguments, const char *name, bool *value);
/* The string without its escapes, UTF-8, with a zero behind it that does not count. */
bool nova_get_string(const nova_json *arguments, const char *name, char **value, size_t *length);
/* The same of a string that was found already; false where it is none. */
bool nova_string(const nova_json *json, char **value, size_t *length);
/* The JSON of any value, to the letter. */
bool nova_get_json(const nova_json *arguments, const char *name, nova_json *value);
/* The next element of a list: starts with an empty `item`, false at the end. */
bool nova_next(const nova_json *list, nova_json *item);

/* Results. Several in a row write the pieces of a list or an object; nova_put writes anything. */
nova_result nova_put(nova_json *result, const char *text, size_t length);
nova_result nova_put_text(nova_json *result, const char *text);
nova_result nova_put_int(nova_json *result, int64_t value);
nova_result nova_put_double(nova_json *result, double value);
nova_result nova_put_string(nova_json *result, const char *value, size_t length);

/* Exceptions. */
nova_result nova_raise(const char *class_name, const char *message);
/* Of any module; `args` is a JSON array or NULL for the message alone, `kwargs` a JSON object or NULL. */
nova_result nova_raise_from(const char *module, const char *class_name, const char *message, const char *args,
                            const char *kwargs);
/* An exception. Texts have a zero behind them; `args` and `kwargs` are JSON. */
typedef struct {
    nova_json module, class_name, message, args, kwargs;
    nova_json *traceback; /* Outermost first. */
    size_t frames;
} nova_exception;
/* The exception that was set last, which is the caller's if the method returns NOVA_FAILED. */
const nova_exception *nova_raised(void);
/* Sets one that was kept. */
nova_result nova_raise_again(const nova_exception *exception);
/* Leaves the request to others, as if there were no such handler: `return nova_decline();`. It cannot be taken back. */
nova_result nova_decline(void);
/* Ends the request as HandlerTrapped, with these words. */
_Noreturn void nova_panic(const char *message);

/* The service's log. */
typedef enum { NOVA_TRACE, NOVA_DEBUG, NOVA_INFO, NOVA_WARN, NOVA_ERROR } nova_level;
void nova_log(nova_level level, const char *message);

/* The request. The context often holds a live token: never log it. */
void nova_context(nova_json *context);
bool nova_context_entry(const char *name, nova_json *entry);
bool nova_reply_wanted(void);
uint64_t nova_time_left_ms(void);

/* As malloc and realloc, and end the request where there is no memory. */
void *nova_allocate(void *block, size_t size);

#endif
