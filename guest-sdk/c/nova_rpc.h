/* Requests to other services: calls, which are answered, and casts, which are not.
 *
 *     nova_target scheduler = {.topic = "scheduler", .version = "4.5"};
 *     nova_json hosts;
 *     if (nova_call(&scheduler, "select_destinations", &arguments, &hosts) == NOVA_FAILED) return NOVA_FAILED;
 *
 * The manifest says who may be asked for what: grants.rpc = ["scheduler.select_destinations", "compute.build"]. The context
 * of the request that is being handled goes along. Casts are held back until the handler has succeeded, unless the manifest
 * says otherwise.
 *
 * Where a request fails, what the other side raised is the handler's exception already, with its class, arguments and
 * traceback: NOVA_FAILED passes it on. Other reasons are MessagingTimeout and MessageDeliveryFailure of
 * oslo_messaging.exceptions, PermissionError for what is not granted, RuntimeError for what is beyond a limit, and
 * ValueError for requests that make no sense. nova_raised tells which.
 */
#ifndef NOVA_RPC_H
#define NOVA_RPC_H

#include "nova.h"

/* Who is asked, and how patiently. */
typedef struct {
    const char *topic;
    const char *server;     /* NULL is any. */
    const char *name_space; /* NULL is the null namespace. */
    const char *version;    /* NULL is 1.0. */
    const char *broker;     /* By its name in the service's configuration; NULL is the service's own. */
    uint64_t timeout_ms;    /* How long a call may take; 0 is a minute. */
    uint64_t monitor_ms;    /* How long a call's server may be silent; 0 asks for no heartbeats. */
} nova_target;

/* Calls, and waits for the result, which is JSON. Arguments are a JSON object, or NULL. */
nova_result nova_call(const nova_target *target, const char *method, const nova_json *arguments, nova_json *result);

/* Casts: nobody waits for a result. While casts are held, it fails only for what is wrong with the request. */
nova_result nova_cast(const nova_target *target, const char *method, const nova_json *arguments);

/* Casts to every server of the topic. */
nova_result nova_fanout(const nova_target *target, const char *method, const nova_json *arguments);

/* One of many calls, and what became of it. */
typedef struct {
    const nova_target *target;
    const nova_json *arguments;
    nova_result done;
    nova_json result;
    nova_exception exception; /* For nova_raise_again. */
} nova_asked;

/* Calls all at once, and waits for all. */
void nova_call_many(const char *method, nova_asked *asked, size_t count);

#endif
