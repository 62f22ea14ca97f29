/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit carries of those before it.  With many nodes at work each has
 * to know all that the others have committed before it can commit itself; so
 * it reads one record in 16. */
#include "manifest/manifest_inside.h"

#include "base/alloc.h"

#include <string.h>

static void drop(struct weir__manifest *m, uint64_t version)
{
    size_t i = version % WEIR__MANIFEST_CARRY;

    weir__free(m->host->alloc, m->carry.kept[i].data);
    m->carry.kept[i].data = NULL;
    m->carry.kept[i].version = version;
}

void weir__carry_keep(struct weir__manifest *m, const unsigned char *data,
                      size_t len, uint64_t version)
{
    size_t i = version % WEIR__MANIFEST_CARRY;
    unsigned char *copy = NULL;

    drop(m, version);
    if (len <= WEIR__MANIFEST_CARRY_BYTES / 4)
        copy = weir__malloc(m->host->alloc, len);
    if (copy == NULL)
        return;
    memcpy(copy, data, len);
    weir__record_strip(copy, len);
    m->carry.kept[i].data = copy;
    m->carry.kept[i].len = len;
}

/* The first of those before `version` that there is room for. */
static uint64_t first_of(const struct weir__manifest *m, uint64_t version,
                         size_t room)
{
    uint64_t first = version;

    while (first > 1 && version - first < WEIR__MANIFEST_CARRY) {
        size_t i = (first - 1) % WEIR__MANIFEST_CARRY;

        if (m->carry.kept[i].data == NULL ||
            m->carry.kept[i].version != first - 1 ||
            m->carry.kept[i].len > room)
            break;
        room -= m->carry.kept[i].len;
        first--;
    }
    return first;
}

uint32_t weir__carry_write(struct weir__manifest *m, struct weir__writer *w,
                           uint64_t version)
{
    size_t own = w->len;
    uint64_t at;

    if (own > WEIR__RECORD_MAX - WEIR__MANIFEST_CARRY_BYTES ||
        weir__state_others(m->state, m->node_id, 0) == 0)
        return 0;
    for (at = first_of(m, version, WEIR__MANIFEST_CARRY_BYTES); at < version;
         at++) {
        size_t i = at % WEIR__MANIFEST_CARRY;

        weir__write_bytes(w, m->carry.kept[i].data, m->carry.kept[i].len);
    }
    if (w->bad) { /* It goes without. */
        w->bad = false;
        w->len = own;
    }
    return (uint32_t)(w->len - own);
}

void weir__carry_free(struct weir__manifest *m)
{
    for (uint64_t i = 0; i < WEIR__MANIFEST_CARRY; i++)
        drop(m, i);
}
