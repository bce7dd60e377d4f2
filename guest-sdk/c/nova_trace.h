/* The trace that the request is part of, in OpenTelemetry's words.
 *
 *     nova_trace_attribute_text("acme.flavor", "m1.small");
 *     nova_trace_event("hosts found", (nova_attribute[]){nova_int("acme.hosts", 17)}, 1);
 *
 * They add to the span in which the handler runs, which the host begins and ends. What exceeds the host's limits is left out,
 * and is never an error. Secrets and what only the caller may know do not belong into a trace.
 */
#ifndef NOVA_TRACE_H
#define NOVA_TRACE_H

#include "nova.h"

/* Adds an attribute to the span. A key that is there already has the new value. */
void nova_trace_attribute_text(const char *key, const char *value);
void nova_trace_attribute_int(const char *key, int64_t value);
void nova_trace_attribute_double(const char *key, double value);
void nova_trace_attribute_bool(const char *key, bool value);

/* An attribute of an event. */
typedef struct {
    const char *key;
    enum { NOVA_TEXT, NOVA_INT, NOVA_DOUBLE, NOVA_BOOL } kind;
    union {
        const char *text;
        int64_t integer;
        double number;
        bool truth;
    } value;
} nova_attribute;

static inline nova_attribute nova_text(const char *key, const char *value) {
    return (nova_attribute){.key = key, .kind = NOVA_TEXT, .value.text = value};
}
static inline nova_attribute nova_int(const char *key, int64_t value) {
    return (nova_attribute){.key = key, .kind = NOVA_INT, .value.integer = value};
}
static inline nova_attribute nova_double(const char *key, double value) {
    return (nova_attribute){.key = key, .kind = NOVA_DOUBLE, .value.number = value};
}
static inline nova_attribute nova_bool(const char *key, bool value) {
    return (nova_attribute){.key = key, .kind = NOVA_BOOL, .value.truth = value};
}

/* Adds an event to the span, with the time of now. */
void nova_trace_event(const char *name, const nova_attribute *attributes, size_t count);

/* Whether anybody sees what is added. Where not, it need not be computed. */
bool nova_trace_is_recording(void);

/* What ties the request to its trace, in hexadecimal digits with a zero behind them; the flags are W3C's: 1 is sampled. */
typedef struct {
    char trace_id[33], span_id[17];
    uint8_t trace_flags;
} nova_span_context;

/* False where the request is part of no trace. */
bool nova_trace_span_context(nova_span_context *context);

#endif
