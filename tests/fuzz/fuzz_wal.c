/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Any bytes as a write-ahead log: it is opened, recovered, started, written
 * to, and recovered again.  The input is a byte of flags, the beginnings of
 * both header blocks, and the ring.
 *
 * Flags: 1, 2: mend the checksum of header block A, B; 4: mend those of the
 * records' headers, and 8: of their payloads, so that what lies behind a
 * right checksum is reached.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/wal_record.h"
#include "format/wal_super.h"
#include "support/mem_disk.h"
#include "support/step_env.h"
#include "support/wal_rig.h"
#include "wal/wal.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define HEAD 112u /* Bytes of a header block that are in use. */
#define RING_MAX (16 * BLOCK)

static struct step_env env;
static struct weir_host host;
static struct mem_image image;

static void open_disk(struct weir_wal_open *req)
{
    weir__wal_file_open_disk(req, mem_disk_open(&image, req->host), "fuzz");
}

static void mend_head(unsigned char *block)
{
    memcpy(block, "WEIR-WAL\1\0\0\0\0\x10\0\0", 16);
    weir__put32(block + 4092, weir__crc32c(0, block, 4092));
}

static void mend_records(unsigned char *ring, size_t len, unsigned flags)
{
    for (size_t at = 0; at + WEIR__WAL_RECORD_HEADER <= len; at += 8) {
        unsigned char *p = ring + at;
        uint32_t payload;

        if (memcmp(p, "WREC", 4) != 0)
            continue;
        payload = weir__get32(p + 40);
        if ((flags & 8) != 0 && payload <= len - at - WEIR__WAL_RECORD_HEADER)
            weir__put32(p + 44,
                        weir__crc32c(0, p + WEIR__WAL_RECORD_HEADER, payload));
        weir__put32(p + 92, weir__crc32c(0, p, 92));
    }
}

/* Lay the input out as a disk. */
static void make_image(const uint8_t *data, size_t size)
{
    unsigned flags = size > 0 ? data[0] : 0;
    size_t ring;

    data += size > 0;
    size -= size > 0;
    ring = size > (size_t)2 * HEAD ? size - 2 * HEAD : 0;
    if (ring > RING_MAX)
        ring = RING_MAX;
    memset(&image, 0, sizeof(image));
    image.size = 2 * BLOCK + (ring + BLOCK - 1) / BLOCK * BLOCK;
    image.data = calloc(1, image.size);
    for (size_t i = 0; i < 2 && size >= (i + 1) * HEAD; i++) {
        memcpy(image.data + i * BLOCK, data + i * HEAD, HEAD);
        if ((flags >> i & 1) != 0)
            mend_head(image.data + i * BLOCK);
    }
    if (ring > 0)
        memcpy(image.data + (size_t)2 * BLOCK, data + 2 * HEAD, ring);
    if ((flags & 4) != 0)
        mend_records(image.data + (size_t)2 * BLOCK, ring, flags);
}

/* Take the log as the one whose it is. */
static void own(struct wal_rig *rig)
{
    struct weir__wal_super super;

    for (size_t i = 0; i < 2; i++) {
        if (weir__wal_super_decode(&super, image.data + i * BLOCK) != 0)
            continue;
        memcpy(rig->owner.cluster, super.cluster, 16);
        rig->owner.node_id = super.node_id;
        if (rig->owner.epoch < super.epoch && super.epoch < UINT64_MAX - 9)
            rig->owner.epoch = super.epoch;
    }
}

static int recover(struct wal_rig *rig)
{
    int rc = wal_rig_open(rig, open_disk, "fuzz:");

    if (rc != 0)
        return rc;
    rc = wal_rig_recover(rig);
    if (rc == 0)
        rc = wal_rig_start(rig);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wal_rig rig;
    size_t seen;

    step_env_init(&env, 1);
    host.alloc = weir_alloc_default();
    host.env = &env.env;
    make_image(data, size);
    wal_rig_init(&rig, &host);
    rig.any_bytes = 1;
    rig.max_group = 4 * BLOCK;
    own(&rig);
    if (recover(&rig) == 0) {
        /* Whatever was found is found again, with what is new behind it. */
        seen = rig.seen.count;
        rig.acked = 0;
        if (wal_rig_append(&rig, 100) == 0)
            seen++;
        wal_rig_close(&rig);
        if (recover(&rig) != 0 || rig.seen.count != seen)
            abort();
    }
    if (rig.wal != NULL)
        wal_rig_close(&rig);
    wal_rig_free(&rig);
    mem_image_free(&image);
    return 0;
}
