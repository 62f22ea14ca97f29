/* SPDX-License-Identifier: Apache-2.0 */
#include "object/compress.h"
#include <limits.h>
#include <lz4.h>

size_t weir__compress_state_size(void)
{
    return (size_t)LZ4_sizeofState();
}

size_t weir__compress_limit(size_t raw_length)
{
    return raw_length - raw_length / 20;
}

size_t weir__compress(void *state, void *to, size_t room, const void *data,
                      size_t len)
{
    int n;

    if (len > LZ4_MAX_INPUT_SIZE || room > INT_MAX)
        return 0;
    n = LZ4_compress_fast_extState(state, data, to, (int)len, (int)room, 1);
    return n > 0 ? (size_t)n : 0;
}

bool weir__decompress(void *to, size_t raw_length, const void *data, size_t len)
{
    if (len > INT_MAX || raw_length > INT_MAX)
        return false;
    return LZ4_decompress_safe(data, to, (int)len, (int)raw_length) ==
           (int)raw_length;
}
