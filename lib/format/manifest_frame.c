/* SPDX-License-Identifier: Apache-2.0 */
#include "format/manifest_record.h"

#include "base/crc32c.h"
#include "base/error.h"

#include <inttypes.h>

#define FRAME 24u

static uint32_t frame_crc(const unsigned char *data, size_t len)
{
    uint32_t crc = weir__crc32c(0, data, 8);

    return weir__crc32c(crc, data + 12, len - 12);
}

void weir__manifest_seal(unsigned char *data, size_t len)
{
    weir__put64(data + 16, len);
    weir__put32(data + 8, frame_crc(data, len));
}

int weir__manifest_check(const void *data, size_t len, uint32_t magic,
                         const char *what, uint64_t version,
                         struct weir_error *err)
{
    unsigned newest = magic == WEIR__COMMIT_MAGIC ? WEIR__COMMIT_VERSION
                                                  : WEIR__SNAPSHOT_VERSION;
    const unsigned char *at = data;
    unsigned format;

    if (len < FRAME)
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest %s %" PRIu64 ": %zu bytes, cut short", what,
                          version, len);
    if (weir__get32(at) != magic)
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest %s %" PRIu64 ": does not begin like one",
                          what, version);
    if (weir__get64(at + 16) != len)
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest %s %" PRIu64 ": %zu bytes of %" PRIu64,
                          what, version, len, weir__get64(at + 16));
    if (weir__get32(at + 8) != frame_crc(at, len))
        return weir__fail(err, WEIR_ECORRUPT,
                          "manifest %s %" PRIu64 ": checksum does not match",
                          what, version);
    format = weir__get16(at + 4);
    if (format == 0 || format > newest)
        return weir__fail(err, WEIR_EVERSION,
                          "manifest %s %" PRIu64
                          ": format %u, this library knows %u",
                          what, version, format, newest);
    return 0;
}
