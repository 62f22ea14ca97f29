/* SPDX-License-Identifier: Apache-2.0 */
#include "format/wal_slot.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC 0x544c5357u /* "WSLT" */
#define CRC_AT 8u

static uint32_t checksum(const unsigned char *data)
{
    uint32_t crc = weir__crc32c(0, data, CRC_AT);

    return weir__crc32c(crc, data + CRC_AT + 4, WEIR__SLOT_HEADER - CRC_AT - 4);
}

uint32_t weir__slot_encode(unsigned char to[WEIR__SLOT_HEADER],
                           const struct weir__slot *slot)
{
    uint32_t crc;

    memset(to, 0, WEIR__SLOT_HEADER);
    weir__put32(to, MAGIC);
    weir__put16(to + 4, WEIR__SLOT_VERSION);
    weir__put16(to + 6, (uint16_t)slot->kind);
    weir__put32(to + 12, slot->depth);
    memcpy(to + 16, slot->cluster, 16);
    weir__put64(to + 32, slot->epoch);
    weir__put64(to + 40, slot->slot);
    weir__put64(to + 48, slot->position);
    weir__put64(to + 56, slot->len);
    memcpy(to + 64, slot->nonce, 16);
    weir__put32(to + 80, slot->node_id);
    weir__put32(to + 84, slot->before);
    weir__put64(to + 88, slot->wal_id);
    crc = checksum(to);
    weir__put32(to + CRC_AT, crc);
    return crc;
}

int weir__slot_decode(struct weir__slot *out, const unsigned char *data,
                      size_t len, uint64_t size, uint32_t *crc)
{
    uint16_t kind;

    if (len < WEIR__SLOT_HEADER || weir__get32(data) != MAGIC ||
        weir__get32(data + CRC_AT) != checksum(data))
        return WEIR_ECORRUPT;
    if (weir__get16(data + 4) > WEIR__SLOT_VERSION)
        return WEIR_EVERSION;
    kind = weir__get16(data + 6);
    *crc = weir__get32(data + CRC_AT);
    out->depth = weir__get32(data + 12);
    memcpy(out->cluster, data + 16, 16);
    out->epoch = weir__get64(data + 32);
    out->slot = weir__get64(data + 40);
    out->position = weir__get64(data + 48);
    out->len = weir__get64(data + 56);
    memcpy(out->nonce, data + 64, 16);
    out->node_id = weir__get32(data + 80);
    out->before = weir__get32(data + 84);
    out->wal_id = weir__get64(data + 88);
    if (kind < WEIR__SLOT_HEAD || kind > WEIR__SLOT_FENCE ||
        size != WEIR__SLOT_HEADER + out->len)
        return WEIR_ECORRUPT;
    out->kind = (enum weir__slot_kind)kind;
    return 0;
}

void weir__slot_key(char to[WEIR__SLOT_KEY], uint32_t node_id, uint64_t epoch,
                    uint64_t slot)
{
    snprintf(to, WEIR__SLOT_KEY, "wal/%08" PRIx32 "/%016" PRIx64 "/%016" PRIx64,
             node_id, epoch, slot);
}

/* `digits` of lower-case hexadecimal and then `end`: what is behind, or NULL.
 */
static const char *read_hex(const char *text, int digits, char end,
                            uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, text++) {
        if (*text >= '0' && *text <= '9')
            *out = *out << 4 | (uint64_t)(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            *out = *out << 4 | (uint64_t)(*text - 'a' + 10);
        else
            return NULL;
    }
    return *text == end ? text + 1 : NULL;
}

bool weir__slot_key_read(const char *key, uint32_t *node_id, uint64_t *epoch,
                         uint64_t *slot)
{
    uint64_t id = 0;

    if (strncmp(key, "wal/", 4) != 0)
        return false;
    key = read_hex(key + 4, 8, '/', &id);
    *node_id = (uint32_t)id;
    if (key != NULL)
        key = read_hex(key, 16, '/', epoch);
    return key != NULL && read_hex(key, 16, '\0', slot) != NULL;
}
