/* SPDX-License-Identifier: Apache-2.0 */
/* The door to zlib. */
#define ZLIB_CONST
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "codec.h"

static int gzip_run(z_stream *z, struct codec_out *out)
{
    size_t room;
    int rc;

    for (;;) {
        rc = codec_grow(out);
        if (rc != CODEC_OK)
            return rc;
        room = out->room - out->len;
        z->next_out = out->data + out->len;
        z->avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        rc = inflate(z, Z_NO_FLUSH);
        out->len = (size_t)(z->next_out - out->data);
        if (rc == Z_STREAM_END)
            return z->avail_in == 0 ? CODEC_OK : CODEC_DAMAGED;
        if (rc == Z_MEM_ERROR)
            return CODEC_NO_MEMORY;
        /* Z_BUF_ERROR with room left: the input ends too early. */
        if (rc != Z_OK && !(rc == Z_BUF_ERROR && z->avail_out == 0))
            return CODEC_DAMAGED;
    }
}

int codec_gzip(const void *data, size_t len, struct codec_out *out)
{
    z_stream z;
    int rc;

    if (len > UINT_MAX)
        return CODEC_DAMAGED;
    memset(&z, 0, sizeof(z));
    z.next_in = data;
    z.avail_in = (uInt)len;
    /* 15 bits of window, and 32: gzip's and zlib's own header both. */
    if (inflateInit2(&z, 15 + 32) != Z_OK)
        return CODEC_NO_MEMORY;
    rc = gzip_run(&z, out);
    inflateEnd(&z);
    return rc;
}
