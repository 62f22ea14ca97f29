/* SPDX-License-Identifier: Apache-2.0 */
/* The records of groups that are known to be whole, for logs of the host's
 * own. */
#include "base/error.h"
#include "wal/walk.h"

#include <inttypes.h>

static int refuse(struct weir_wal_recover *req, uint64_t position,
                  const char *what)
{
    return weir__fail(req->err, WEIR_ECORRUPT,
                      "write-ahead log: position %" PRIu64 ": %s", position,
                      what);
}

static int give(struct weir__wal_walk *walk,
                const struct weir__wal_window *window,
                struct weir_wal_recover *req)
{
    struct weir_wal_record record;
    int rc = 0;

    while (rc == 0) {
        switch (weir__wal_walk_step(walk, window, &record, NULL)) {
        case WEIR__WALK_RECORD:
            rc = req->record(req, &record);
            break;
        case WEIR__WALK_END:
            return 0;
        case WEIR__WALK_CORRUPT:
            return refuse(req, walk->tail, "what follows here is damaged");
        case WEIR__WALK_MORE:
        case WEIR__WALK_SEEK:
            return refuse(req, walk->at, "a record is cut short");
        }
    }
    return rc;
}

int weir_wal_give_groups(const struct weir_wal *wal,
                         struct weir_wal_recover *req, struct weir_buf *groups,
                         size_t skip, uint64_t position)
{
    size_t len = skip < groups->len ? groups->len - skip : 0;
    uint64_t end = position + len;
    struct weir__wal_window window = {.buf = groups,
                                      .data = groups->data + skip,
                                      .position = position,
                                      .len = len};
    /* All of it lies before the present epoch, and is durable. */
    struct weir__wal_walk walk = {.name = wal->ops->name,
                                  .wal_id = wal->id,
                                  .epoch = UINT64_MAX,
                                  .epoch_start = UINT64_MAX,
                                  .durable_end = end,
                                  .limit = end,
                                  .block = wal->align,
                                  .max_group = UINT32_MAX,
                                  .at = position,
                                  .tail = position};

    if (end % wal->align != 0)
        return refuse(req, end, "not the end of a group");
    return give(&walk, &window, req);
}
