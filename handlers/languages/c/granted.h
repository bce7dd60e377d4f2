/* Methods that use what a manifest grants. */
#ifndef GRANTED_H
#define GRANTED_H

#include "nova.h"

nova_result ask(const nova_json *args, nova_json *result);
nova_result ask_kindly(const nova_json *args, nova_json *result);
nova_result ask_all(const nova_json *args, nova_json *result);
nova_result tell(const nova_json *args, nova_json *result);
nova_result setting(const nova_json *args, nova_json *result);
nova_result remember(const nova_json *args, nova_json *result);
nova_result recall(const nova_json *args, nova_json *result);
nova_result fill(const nova_json *args, nova_json *result);
nova_result forget(const nova_json *args, nova_json *result);
nova_result count(const nova_json *args, nova_json *result);
nova_result exchange(const nova_json *args, nova_json *result);
nova_result fetch(const nova_json *args, nova_json *result);
nova_result fetch_json(const nova_json *args, nova_json *result);
nova_result fetch_kindly(const nova_json *args, nova_json *result);

#endif
