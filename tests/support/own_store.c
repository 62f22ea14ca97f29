/* SPDX-License-Identifier: Apache-2.0 */
#include "support/own.h"

int own_store_main(void);

#define main own_store_main
#include "custom_store.c" /* NOLINT: a program, as it is. */

weir_store_open_fn *const own_store_open = open_shared;

void own_bucket_clear(own_bucket *bucket)
{
    while (*bucket != NULL)
        erase(bucket, (*bucket)->key);
}
