/* SPDX-License-Identifier: Apache-2.0 */
/* The door to snappy.  Java clients frame it ("xerial": a header, then blocks
 * with a length each), librdkafka and others send one raw block. */
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "codec.h"

#define XERIAL_HEADER 16u /* Magic, version, oldest compatible version. */

/* Room for `need` bytes behind `out->len`. */
static int snappy_reserve(struct codec_out *out, size_t need)
{
    unsigned char *data;

    if (need > out->limit - out->len)
        return CODEC_TOO_BIG;
    if (need <= out->room - out->len)
        return CODEC_OK;
    data = realloc(out->data, out->len + need);
    if (data == NULL)
        return CODEC_NO_MEMORY;
    out->data = data;
    out->room = out->len + need;
    return CODEC_OK;
}

static int snappy_block(const void *data, size_t len, struct codec_out *out)
{
    size_t need = 0;
    int rc;

    if (snappy_uncompressed_length(data, len, &need) != SNAPPY_OK)
        return CODEC_DAMAGED;
    /* The format cannot do better than 64 bytes from a 3-byte copy: what
     * claims more is lying, and gets no memory. */
    if (need / 32 > len)
        return CODEC_DAMAGED;
    rc = snappy_reserve(out, need);
    if (rc != CODEC_OK || need == 0)
        return rc;
    if (snappy_uncompress(data, len, (char *)out->data + out->len, &need) !=
        SNAPPY_OK)
        return CODEC_DAMAGED;
    out->len += need;
    return CODEC_OK;
}

int codec_snappy(const void *data, size_t len, struct codec_out *out)
{
    static const unsigned char magic[8] = {0x82, 'S', 'N', 'A',
                                           'P',  'P', 'Y', 0};
    const unsigned char *at = data;
    uint32_t block;
    int rc;

    if (len < XERIAL_HEADER || memcmp(at, magic, sizeof(magic)) != 0)
        return snappy_block(data, len, out);
    at += XERIAL_HEADER;
    len -= XERIAL_HEADER;
    while (len > 0) {
        if (len < 4)
            return CODEC_DAMAGED;
        block = load_be32(at);
        at += 4;
        len -= 4;
        if (block > len)
            return CODEC_DAMAGED;
        rc = snappy_block(at, block, out);
        if (rc != CODEC_OK)
            return rc;
        at += block;
        len -= block;
    }
    return CODEC_OK;
}
