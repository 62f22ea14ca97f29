/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stddef.h>

int weir__store_watch(struct weir_store *store, struct weir_store_watch *watch)
{
    const struct weir_store_ops *ops = store->ops;

    watch->live = 0;
    if (ops->size <
            offsetof(struct weir_store_ops, unwatch) + sizeof(ops->unwatch) ||
        ops->watch == NULL || ops->unwatch == NULL)
        return WEIR_EUNSUPPORTED;
    return ops->watch(store, watch);
}

void weir__store_unwatch(struct weir_store *store,
                         struct weir_store_watch *watch)
{
    store->ops->unwatch(store, watch);
}
