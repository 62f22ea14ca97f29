/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Any bytes as the objects of an object WAL: it is opened, recovered, started,
 * written to, and recovered again.  The input is a byte of flags, then
 * objects: epoch, slot, length (two bytes), bytes.
 *
 * Flags: 1: mend the checksum of each header; 2: mend what a header tells of
 * its place (cluster, node, epoch, slot, length) and the checksum of the slot
 * before; 4: mend the checksums of the records' headers, and 8: of their
 * payloads; so that what lies behind a right checksum is reached.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/wal_record.h"
#include "format/wal_slot.h"
#include "store/store.h"
#include "support/step_env.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <stdlib.h>
#include <string.h>

enum { EPOCHS = 4, SLOTS = 16, MOST = 64, LEN_MAX = 16384 };

static struct step_env env;
static struct weir_host host;
static struct wal_rig rig;
static uint32_t before[EPOCHS + 1][SLOTS + 1]; /* Checksum of this slot. */
static unsigned char object[LEN_MAX];

static void mend_records(unsigned char *p, size_t len, unsigned flags)
{
    for (size_t at = 0; at + WEIR__WAL_RECORD_HEADER <= len; at += 8) {
        unsigned char *r = p + at;
        uint32_t payload;

        if (memcmp(r, "WREC", 4) != 0)
            continue;
        payload = weir__get32(r + 40);
        if ((flags & 8) != 0 && payload <= len - at - WEIR__WAL_RECORD_HEADER)
            weir__put32(r + 44,
                        weir__crc32c(0, r + WEIR__WAL_RECORD_HEADER, payload));
        weir__put32(r + 92, weir__crc32c(0, r, 92));
    }
}

static void mend_header(unsigned flags, uint64_t epoch, uint64_t slot,
                        size_t len)
{
    unsigned char *p = object;
    uint32_t crc;

    if ((flags & 2) != 0) {
        memcpy(p, "WSLT\1\0", 6);
        memcpy(p + 16, rig.owner.cluster, 16);
        weir__put64(p + 32, epoch);
        weir__put64(p + 40, slot);
        weir__put64(p + 56, len - WEIR__SLOT_HEADER);
        weir__put32(p + 80, rig.owner.node_id);
        weir__put32(p + 84, slot > 0 ? before[epoch][slot - 1] : 0);
        weir__put64(p + 88,
                    weir__wal_object_id(rig.owner.cluster, rig.owner.node_id));
    }
    crc = weir__crc32c(0, p, 8);
    crc = weir__crc32c(crc, p + 12, WEIR__SLOT_HEADER - 12);
    weir__put32(p + 8, crc);
}

/* ---- The store ----------------------------------------------------------- */

static int over;

static void put_done(struct weir_store_req *req, int status)
{
    (void)req;
    (void)status;
    over = 1;
}

static void put(uint64_t epoch, uint64_t slot, size_t len)
{
    char key[WEIR__SLOT_KEY];
    struct weir_iov iov = {object, len};
    struct weir_store_req req = {.verb = WEIR_STORE_PUT,
                                 .key = key,
                                 .iov = &iov,
                                 .iov_count = 1,
                                 .done = put_done};

    weir__slot_key(key, rig.owner.node_id, epoch, slot);
    over = 0;
    rig.store->ops->submit(rig.store, &req);
    while (!over)
        host.env->ops->poll(host.env, 1000000000);
}

static void put_all(const uint8_t *data, size_t size)
{
    unsigned flags = size > 0 ? data[0] : 0;
    size_t at = 1;

    for (int n = 0; n < MOST && at + 4 <= size; n++) {
        uint64_t epoch = 1 + data[at] % EPOCHS;
        uint64_t slot = data[at + 1] % SLOTS;
        size_t len = weir__get16(data + at + 2);

        at += 4;
        if (len > size - at)
            len = size - at;
        if (len > LEN_MAX)
            len = LEN_MAX;
        memcpy(object, data + at, len);
        at += len;
        if ((flags & 4) != 0 && len > WEIR__SLOT_HEADER)
            mend_records(object + WEIR__SLOT_HEADER, len - WEIR__SLOT_HEADER,
                         flags);
        if ((flags & 3) != 0 && len >= WEIR__SLOT_HEADER)
            mend_header(flags, epoch, slot, len);
        if (len >= WEIR__SLOT_HEADER)
            before[epoch][slot] = weir__get32(object + 8);
        put(epoch, slot, len);
    }
}

static void store_gone(struct weir_task *task)
{
    (void)task;
    over = 1;
}

static void close_store(void)
{
    struct weir_task task = {.run = store_gone};

    over = 0;
    rig.store->ops->close(rig.store, &task);
    while (!over)
        host.env->ops->poll(host.env, 1000000000);
}

/* ---- The log ------------------------------------------------------------- */

static int recover(void)
{
    int rc = wal_rig_open(&rig, weir__wal_object_open, "object:");

    if (rc != 0)
        return rc;
    rc = wal_rig_recover(&rig);
    if (rc == 0)
        rc = wal_rig_start(&rig);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t seen;

    step_env_init(&env, 1);
    memset(before, 0, sizeof(before));
    host.alloc = weir_alloc_default();
    host.env = &env.env;
    wal_rig_init(&rig, &host);
    rig.any_bytes = 1;
    rig.max_group = 65536;
    rig.owner.epoch = EPOCHS; /* Opened under the next one. */
    if (weir__store_memory_open(&rig.store, &rig.host, "mem:", NULL, NULL) != 0)
        abort();
    put_all(data, size);
    if (recover() == 0) {
        /* Whatever was found is found again, with what is new behind it. */
        seen = rig.seen.count;
        rig.acked = 0;
        if (wal_rig_append(&rig, 100) == 0)
            seen++;
        wal_rig_close(&rig);
        if (recover() != 0 || rig.seen.count != seen)
            abort();
    }
    if (rig.wal != NULL)
        wal_rig_close(&rig);
    close_store();
    wal_rig_free(&rig);
    return 0;
}
