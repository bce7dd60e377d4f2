/* State that outlives a request: keys with bytes, of this handler alone. The manifest says grants.keyvalue = true.
 *
 *     int64_t number;
 *     if (nova_keyvalue_increment("builds", 1, &number) == NOVA_FAILED) return NOVA_FAILED;
 *
 * What is set or deleted takes place when the handler has succeeded, and is seen by itself before; increment and swap
 * happen at once, whatever becomes of the handler. What the store refuses is a RuntimeError.
 */
#ifndef NOVA_KEYVALUE_H
#define NOVA_KEYVALUE_H

#include "nova.h"

/* The value of a key; none where there is none, or its time is over. */
nova_result nova_keyvalue_get(const char *key, nova_bytes *value);
nova_result nova_keyvalue_exists(const char *key, bool *exists);
/* Sets a value, for so many milliseconds where they are not 0. A key has 1 to 255 bytes. */
nova_result nova_keyvalue_set(const char *key, nova_bytes value, uint64_t ttl_ms);
/* Takes a value away, if there is one. */
nova_result nova_keyvalue_delete(const char *key);
/* All keys, in the order of their bytes, without what this request has set. */
nova_result nova_keyvalue_keys(const char ***keys, size_t *count);
/* Adds to a number, and returns the sum. No number is 0. */
nova_result nova_keyvalue_increment(const char *key, int64_t delta, int64_t *sum);
/* Puts one value in place of another, if that is the value there. Says whether it was. */
nova_result nova_keyvalue_swap(const char *key, nova_bytes current, nova_bytes next, bool *swapped);

#endif
