/* SPDX-License-Identifier: Apache-2.0 */
#include "support/store_kinds.h"

#include "store/store.h"
#include "support/test.h"

#include <stdio.h>

enum { MEMORY, DIRECTORY, KINDS };

int store_kind_first(void)
{
    return MEMORY;
}

int store_kind_end(void)
{
    return KINDS;
}

void store_kind_open(struct store_rig *rig, int kind)
{
    char uri[400];
    int rc;

    store_rig_init(rig);
    if (kind == MEMORY) {
        rc = store_rig_open(rig, weir__store_memory_open, "mem:", NULL);
    } else {
        snprintf(uri, sizeof(uri), "dir:%s/store", test_dir());
        rc = store_rig_open(rig, weir__store_dir_open, uri, NULL);
    }
    ck_assert_msg(rc == 0, "%s", rig->err.text);
}

void store_kind_close(struct store_rig *rig, int kind)
{
    (void)kind;
    store_rig_close(rig);
}
