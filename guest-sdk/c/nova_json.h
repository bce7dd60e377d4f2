/* Between nova.c and nova_json.c. */
#ifndef NOVA_JSON_H
#define NOVA_JSON_H

#include "nova.h"

/* Whether the arguments are those that a method has; sets the caller's TypeError where they are not. */
bool nova_check_names(const nova_json *arguments, const char *method, const char *parameters);

/* A copy with a zero behind it. */
nova_json nova_copy(const void *text, size_t length);

#endif
