/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"

#include <stdlib.h>

#define FIRST_ROOM 16384u

int codec_grow(struct codec_out *out)
{
    size_t room = out->room == 0 ? FIRST_ROOM : out->room * 2;
    unsigned char *data;

    if (out->len < out->room)
        return CODEC_OK;
    if (room > out->limit)
        room = out->limit;
    if (room <= out->len)
        return CODEC_TOO_BIG;
    data = realloc(out->data, room);
    if (data == NULL)
        return CODEC_NO_MEMORY;
    out->data = data;
    out->room = room;
    return CODEC_OK;
}

int codec_decompress(int codec, const void *data, size_t len,
                     struct codec_out *out)
{
    switch (codec) {
    case CODEC_GZIP:
        return codec_gzip(data, len, out);
    case CODEC_SNAPPY:
        return codec_snappy(data, len, out);
    case CODEC_LZ4:
        return codec_lz4(data, len, out);
    case CODEC_ZSTD:
        return codec_zstd(data, len, out);
    default:
        return CODEC_DAMAGED;
    }
}
