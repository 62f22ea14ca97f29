/* SPDX-License-Identifier: Apache-2.0 */
#include "response.h"

#include <stdlib.h>

#include "broker.h"
#include "bytes.h"

/* Pieces that need no memory of their own: most responses have one. */
#define FEW 16u

void response_begin(struct request *request)
{
    const struct request_header *header = &request->header;
    struct wire_out *out = &request->out;

    out_i32(out, 0);
    out_i32(out, header->correlation);
    out->flexible = header->version >= header->api->flexible;
    /* A client that does not know the versions yet could not tell whether
     * tags follow: so ApiVersions never has them here. */
    if (header->api->handle != handle_api_versions)
        out_tags(out);
}

static uv_buf_t piece(const void *data, size_t len)
{
    /* libuv's type is for reading too; it does not write here. */
    union {
        const void *in;
        char *out;
    } address = {data};

    return uv_buf_init(address.out, (unsigned)len);
}

/* Own bytes and splices, in order. */
static unsigned gather(const struct wire_out *out, uv_buf_t *bufs)
{
    const struct wire_splice *splice;
    unsigned count = 0;
    size_t at = 0, i;

    for (i = 0; i < out->splice_count; i++) {
        splice = &out->splices[i];
        if (splice->at > at)
            bufs[count++] = piece(out->data + at, splice->at - at);
        at = splice->at;
        if (splice->len > 0)
            bufs[count++] = piece(splice->data, splice->len);
    }
    if (out->len > at)
        bufs[count++] = piece(out->data + at, out->len - at);
    return count;
}

/* Leave out `sent` bytes; returns how many pieces are done with. */
static unsigned skip(uv_buf_t *bufs, unsigned count, size_t sent)
{
    unsigned i = 0;

    while (i < count && sent >= bufs[i].len)
        sent -= bufs[i++].len;
    if (i < count) {
        bufs[i].base += sent;
        bufs[i].len -= sent;
    }
    return i;
}

int response_send(uv_write_t *write, uv_stream_t *stream,
                  struct request *request, uv_write_cb written)
{
    struct wire_out *out = &request->out;
    uv_buf_t few[FEW], *bufs = few;
    size_t total = out->len + out->spliced;
    unsigned count, done;
    int rc;

    if (out->bad || total > INT32_MAX)
        return UV_ENOMEM;
    store_be32(out->data, (uint32_t)(total - 4));
    if (out->splice_count * 2 + 1 > FEW) {
        bufs = malloc((out->splice_count * 2 + 1) * sizeof(*bufs));
        if (bufs == NULL)
            return UV_ENOMEM;
    }
    count = gather(out, bufs);
    rc = uv_try_write(stream, bufs, count);
    if (rc < 0 && rc != UV_EAGAIN)
        goto done;
    done = skip(bufs, count, rc < 0 ? 0 : (size_t)rc);
    rc = 0;
    if (done == count)
        goto done;
    /* libuv keeps a copy of the pieces, not of the bytes. */
    rc = uv_write(write, stream, bufs + done, count - done, written);
    if (rc == 0) {
        rc = 1;
        /* Until now nobody has paid for what is not the caller's. */
        budget_force(&request->broker->memory, out->room);
        request->charged += out->room;
    }
done:
    if (bufs != few)
        free(bufs);
    return rc;
}
