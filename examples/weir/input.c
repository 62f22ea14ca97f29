/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define INPUT_CHUNK 65536u

/* Room for one more chunk behind `end`: 0 or -1. */
static int make_room(struct input *in)
{
    unsigned char *data;
    size_t capacity;

    if (in->begin > 0) {
        memmove(in->data, in->data + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->searched -= in->begin;
        in->begin = 0;
    }
    if (in->capacity - in->end >= INPUT_CHUNK)
        return 0;

    capacity = in->capacity * 2 + INPUT_CHUNK;
    data = realloc(in->data, capacity);
    if (data == NULL)
        return -1;
    in->data = data;
    in->capacity = capacity;
    return 0;
}

int input_fill(struct input *in)
{
    ssize_t got;

    if (make_room(in) != 0)
        return -1;
    do
        got = read(in->fd, in->data + in->end, in->capacity - in->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -1;
    in->eof = got == 0;
    in->end += (size_t)got;
    return 0;
}

int input_next(struct input *in, const unsigned char **data, size_t *len)
{
    unsigned char *hit = NULL;

    if (in->delimiter >= 0 && in->searched < in->end)
        hit = memchr(in->data + in->searched, in->delimiter,
                     in->end - in->searched);
    in->searched = in->end;

    *len = (hit != NULL ? (size_t)(hit - in->data) : in->end) - in->begin;
    if (*len > in->limit)
        return -1;
    if (hit == NULL && (!in->eof || *len == 0))
        return 0;

    *data = in->data + in->begin;
    in->begin = hit != NULL ? (size_t)(hit - in->data) + 1 : in->end;
    in->searched = in->begin;
    return 1;
}

void input_free(struct input *in)
{
    free(in->data);
    in->data = NULL;
}
