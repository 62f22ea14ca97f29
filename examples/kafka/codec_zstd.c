/* SPDX-License-Identifier: Apache-2.0 */
/* The door to Zstandard. */
#include <zstd.h>

#include "codec.h"

/* 8 MiB: what a frame may ask for as its window. */
#define WINDOW_LOG_MAX 23

static int zstd_run(ZSTD_DCtx *ctx, ZSTD_inBuffer *in, struct codec_out *out)
{
    ZSTD_outBuffer to;
    size_t before, hint;
    int rc;

    for (;;) {
        rc = codec_grow(out);
        if (rc != CODEC_OK)
            return rc;
        to = (ZSTD_outBuffer){out->data, out->room, out->len};
        before = in->pos;
        hint = ZSTD_decompressStream(ctx, &to, in);
        if (ZSTD_isError(hint))
            return CODEC_DAMAGED;
        if (hint == 0) {
            out->len = to.pos;
            return in->pos == in->size ? CODEC_OK : CODEC_DAMAGED;
        }
        if (in->pos == before && to.pos == out->len)
            return CODEC_DAMAGED; /* Cut off. */
        out->len = to.pos;
    }
}

int codec_zstd(const void *data, size_t len, struct codec_out *out)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    ZSTD_inBuffer in = {data, len, 0};
    int rc;

    if (ctx == NULL)
        return CODEC_NO_MEMORY;
    ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    rc = zstd_run(ctx, &in, out);
    ZSTD_freeDCtx(ctx);
    return rc;
}
