/* Between the files of the SDK. */
#ifndef NOVA_JSON_H
#define NOVA_JSON_H

#include "nova.h"

/* Whether the arguments are those that a method has; sets the caller's TypeError where they are not. */
bool nova_check_names(const nova_json *arguments, const char *method, const char *parameters);

/* A copy with a zero behind it. */
nova_json nova_copy(const void *text, size_t length);

/* A copy as the host takes it, with a zero behind it: each byte that is no UTF-8 becomes U+FFFD, and NULL is empty. The rest of
 * what is longer than 2 MiB is cut: all of an exception has to fit into limits.result, which is 16 MiB by default. */
nova_json nova_words(const char *text);

/* Whether bytes are text: UTF-8. */
bool nova_is_text(const char *text, size_t length);

/* Whether text is JSON. */
bool nova_is_json(const char *text, size_t length);

#endif
