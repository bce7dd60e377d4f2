/* What differs between two instances, and what is alike in all of them: their memory is made when the component is built. */
#include "odd.h"

#include <stdlib.h>
#include <sys/random.h>

nova_result fresh(const nova_json *args, nova_json *result) {
    (void)args;
    uint32_t drawn;
    if (getentropy(&drawn, sizeof drawn) != 0) return nova_raise("RuntimeError", "no randomness");
    nova_put_text(result, "{\"getentropy\": ");
    nova_put_int(result, drawn);
    nova_put_text(result, ", \"rand\": ");
    nova_put_int(result, rand());
    return nova_put_text(result, "}");
}
