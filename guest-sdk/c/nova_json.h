/* Between nova.c and nova_json.c. */
#ifndef NOVA_JSON_H
#define NOVA_JSON_H

#include "nova.h"

/* Whether the arguments are those that a method has; sets the caller's TypeError where they are not. */
bool nova_check_names(const nova_json *arguments, const char *method, const char *parameters);

#endif
