/* SPDX-License-Identifier: Apache-2.0 */
/* The door to LZ4, in frames. */
#include <lz4frame.h>

#include "codec.h"

static int lz4_run(LZ4F_dctx *ctx, const unsigned char *at, size_t len,
                   struct codec_out *out)
{
    size_t hint = 1, room, taken;
    int rc;

    while (hint != 0) {
        rc = codec_grow(out);
        if (rc != CODEC_OK)
            return rc;
        room = out->room - out->len;
        taken = len;
        hint =
            LZ4F_decompress(ctx, out->data + out->len, &room, at, &taken, NULL);
        if (LZ4F_isError(hint))
            return CODEC_DAMAGED;
        out->len += room;
        at += taken;
        len -= taken;
        if (hint != 0 && room == 0 && taken == 0)
            return CODEC_DAMAGED; /* Cut off. */
    }
    return len == 0 ? CODEC_OK : CODEC_DAMAGED;
}

int codec_lz4(const void *data, size_t len, struct codec_out *out)
{
    LZ4F_dctx *ctx = NULL;
    int rc;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
        return CODEC_NO_MEMORY;
    rc = lz4_run(ctx, data, len, out);
    LZ4F_freeDecompressionContext(ctx);
    return rc;
}
