/* SPDX-License-Identifier: Apache-2.0 */
#include "format/wal_super.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/wal_record.h"
#include <weir/error.h>

#define CRC_AT (WEIR__WAL_SUPER_SIZE - 4u)
#define FLAG_CLOSED 1u

static const unsigned char magic[8] = {'W', 'E', 'I', 'R', '-', 'W', 'A', 'L'};

void weir__wal_super_encode(unsigned char *to,
                            const struct weir__wal_super *super)
{
    memset(to, 0, WEIR__WAL_SUPER_SIZE);
    memcpy(to, magic, sizeof(magic));
    weir__put32(to + 8, WEIR__WAL_SUPER_VERSION);
    weir__put32(to + 12, super->block);
    weir__put64(to + 16, super->generation);
    weir__put64(to + 24, super->wal_id);
    memcpy(to + 32, super->cluster, 16);
    weir__put32(to + 48, super->node_id);
    weir__put32(to + 52, super->max_group);
    weir__put64(to + 56, super->capacity);
    weir__put64(to + 64, super->epoch);
    weir__put64(to + 72, super->epoch_start);
    weir__put64(to + 80, super->trim);
    weir__put64(to + 88, super->durable_end);
    weir__put64(to + 96, super->zeroed);
    weir__put32(to + 104, super->closed ? FLAG_CLOSED : 0);
    weir__put32(to + CRC_AT, weir__crc32c(0, to, CRC_AT));
}

/* Whoever can write a checksum can write nonsense under it. */
static bool makes_sense(const struct weir__wal_super *s)
{
    if (s->block < WEIR__WAL_BLOCK_MIN || s->block > WEIR__WAL_BLOCK_MAX ||
        (s->block & (s->block - 1)) != 0)
        return false;
    if (s->capacity == 0 || s->capacity % s->block != 0 ||
        s->capacity > (uint64_t)INT64_MAX / 2)
        return false;
    if (s->durable_end > (uint64_t)INT64_MAX / 2 ||
        s->durable_end % s->block != 0 || s->epoch_start % s->block != 0 ||
        s->trim % WEIR__WAL_RECORD_ALIGN != 0)
        return false;
    return s->trim <= s->durable_end && s->epoch_start <= s->durable_end &&
           s->durable_end - (s->trim - s->trim % s->block) <= s->capacity;
}

int weir__wal_super_decode(struct weir__wal_super *out,
                           const unsigned char *data)
{
    if (memcmp(data, magic, sizeof(magic)) != 0)
        return WEIR_EFORMAT;
    if (weir__get32(data + CRC_AT) != weir__crc32c(0, data, CRC_AT))
        return WEIR_ECORRUPT;
    if (weir__get32(data + 8) > WEIR__WAL_SUPER_VERSION)
        return WEIR_EVERSION;
    if (weir__get32(data + 8) != WEIR__WAL_SUPER_VERSION)
        return WEIR_ECORRUPT;

    out->block = weir__get32(data + 12);
    out->generation = weir__get64(data + 16);
    out->wal_id = weir__get64(data + 24);
    memcpy(out->cluster, data + 32, 16);
    out->node_id = weir__get32(data + 48);
    out->max_group = weir__get32(data + 52);
    out->capacity = weir__get64(data + 56);
    out->epoch = weir__get64(data + 64);
    out->epoch_start = weir__get64(data + 72);
    out->trim = weir__get64(data + 80);
    out->durable_end = weir__get64(data + 88);
    out->zeroed = weir__get64(data + 96);
    out->closed = (weir__get32(data + 104) & FLAG_CLOSED) != 0;
    return makes_sense(out) ? 0 : WEIR_ECORRUPT;
}
