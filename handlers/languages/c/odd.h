/* Methods that nobody should have to write: exceptions that are hard to tell a caller about, and what is fresh. */
#ifndef ODD_H
#define ODD_H

#include "nova.h"

nova_result fail_oddly(const nova_json *args, nova_json *result);
nova_result fresh(const nova_json *args, nova_json *result);

#endif
