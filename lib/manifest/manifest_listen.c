/* SPDX-License-Identifier: Apache-2.0 */
/* What the log tells of other nodes' commits.  It is a hint: it only makes
 * this node read the log, and what is read counts. */
#include "manifest/manifest_inside.h"

#include "base/list.h"
#include "base/sometimes.h"

#include <stddef.h>

/* A version that is not there is looked for once: see follow_end. */
static void changed(struct weir_mlog_watch *watch, uint64_t version)
{
    struct weir__manifest *m =
        WEIR__CONTAINER(watch, struct weir__manifest, watch);

    WEIR__SOMETIMES_IF(version == 0, "the log does not know what is new");
    if (version == 0)
        version = UINT64_MAX;
    if (version > m->told)
        m->told = version;
    if (weir__manifest_told(m))
        weir__manifest_kick(m);
}

bool weir__manifest_told(const struct weir__manifest *m)
{
    return m->told > weir__state_version(m->state);
}

void weir__manifest_listen(struct weir__manifest *m)
{
    const struct weir_mlog_ops *ops = m->log->ops;

    if (m->listening || m->closed != NULL ||
        ops->size <
            offsetof(struct weir_mlog_ops, watch) + sizeof(ops->watch) ||
        ops->watch == NULL)
        return;
    m->watch.changed = changed;
    m->listening = ops->watch(m->log, &m->watch) != WEIR_ENOMEM;
}

bool weir__manifest_hears(const struct weir__manifest *m)
{
    return m->watch.live != 0 && m->head_known &&
           weir__manifest_now(m) - m->head_at <= WEIR__MANIFEST_HEARD;
}
