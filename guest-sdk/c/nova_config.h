/* What the manifest gives the handler, in its section `config`, as text. Values may be secrets: never log them, and never put
 * them into an exception. */
#ifndef NOVA_CONFIG_H
#define NOVA_CONFIG_H

#include "nova.h"

/* One value, with a zero behind it; NULL where the manifest has no such name. */
const char *nova_config_get(const char *name);

typedef struct {
    const char *name, *value;
} nova_setting;

/* All of them; the last has no name. */
const nova_setting *nova_config_all(void);

#endif
