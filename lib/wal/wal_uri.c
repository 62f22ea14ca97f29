/* SPDX-License-Identifier: Apache-2.0 */
/* The URIs of the write-ahead logs, read before anything is opened. */
#include "wal/wal_uri.h"

#include "base/error.h"
#include "wal/wal.h"
#include "wal/wal_object.h"

#include <string.h>

#define MEMORY_SIZE (UINT64_C(1) << 40)
#define MEMORY_MIN (UINT64_C(64) << 10)
#define FILE_SIZE (UINT64_C(256) << 20)
#define FILE_MIN (UINT64_C(1) << 20)
#define OBJECT_DEPTH 4u
#define OBJECT_FLUSH (UINT64_C(12) << 20)
#define OBJECT_LINGER_NS UINT64_C(150000000)

int weir__wal_memory_uri(const struct weir_alloc *alloc, const char *text,
                         uint64_t *size, struct weir_error *err)
{
    static const char *const known[] = {"size", NULL};
    struct weir__uri uri;
    int rc = weir__uri_parse(&uri, alloc, text, err);

    if (rc != 0)
        return rc;
    *size = MEMORY_SIZE;
    rc = weir__uri_check(&uri, known, err);
    if (rc == 0)
        rc = weir__uri_size(&uri, "size", size, err);
    if (rc == 0 && (*size < MEMORY_MIN || *size > INT64_MAX / 4))
        rc = weir__fail(err, WEIR_EINVAL, "wal: size: expected 64KiB or more");
    weir__uri_free(&uri);
    return rc;
}

static int read_file(struct weir__file_wish *wish, struct weir_error *err)
{
    static const char *const known[] = {"size", "salvage", "create", NULL};
    const struct weir__uri *uri = &wish->uri;
    int rc = weir__uri_check(uri, known, err);

    if (rc == 0)
        rc = weir__uri_size(uri, "size", &wish->size, err);
    if (rc == 0)
        rc = weir__uri_bool(uri, "salvage", &wish->salvage, err);
    if (rc == 0)
        rc = weir__uri_bool(uri, "create", &wish->create, err);
    if (rc != 0)
        return rc;
    if (uri->path[0] == '\0' ||
        (uri->authority != NULL && uri->authority[0] != '\0'))
        return weir__fail(err, WEIR_EINVAL,
                          "wal: expected file:/path?size=256MiB");
    if (wish->size < FILE_MIN || wish->size > INT64_MAX / 4)
        return weir__fail(err, WEIR_EINVAL, "wal: size: expected 1MiB or more");
    return 0;
}

int weir__wal_file_uri(const struct weir_alloc *alloc, const char *text,
                       struct weir__file_wish *wish, struct weir_error *err)
{
    int rc = weir__uri_parse(&wish->uri, alloc, text, err);

    if (rc != 0)
        return rc;
    wish->size = FILE_SIZE;
    wish->salvage = 0;
    wish->create = 1;
    rc = read_file(wish, err);
    if (rc != 0)
        weir__uri_free(&wish->uri);
    return rc;
}

int weir__wal_object_uri(const struct weir_alloc *alloc, const char *text,
                         struct weir__object_wish *wish, struct weir_error *err)
{
    static const char *const known[] = {"flush", "inflight", "linger", "puts",
                                        NULL};
    struct weir__uri uri;
    int rc = weir__uri_parse(&uri, alloc, text, err);

    if (rc != 0)
        return rc;
    *wish = (struct weir__object_wish){OBJECT_FLUSH, OBJECT_DEPTH,
                                       OBJECT_LINGER_NS, 0};
    rc = weir__uri_check(&uri, known, err);
    if (rc == 0)
        rc = weir__uri_size(&uri, "flush", &wish->flush, err);
    if (rc == 0)
        rc = weir__uri_number(&uri, "inflight", 1, WEIR__OBJECT_DEPTH_MAX,
                              &wish->depth, err);
    if (rc == 0)
        rc = weir__uri_duration(&uri, "linger", &wish->linger, err);
    if (rc == 0)
        rc = weir__uri_number(&uri, "puts", 1, 1000000000, &wish->puts, err);
    if (rc == 0 && (wish->flush < (64 << 10) || wish->flush > (14 << 20)))
        rc =
            weir__fail(err, WEIR_EINVAL, "wal: flush: expected 64KiB to 14MiB");
    weir__uri_free(&uri);
    return rc;
}

int weir__wal_memory_check(const struct weir_alloc *alloc, const char *uri,
                           struct weir_error *err)
{
    uint64_t size;

    return weir__wal_memory_uri(alloc, uri, &size, err);
}

int weir__wal_file_check(const struct weir_alloc *alloc, const char *uri,
                         struct weir_error *err)
{
    struct weir__file_wish wish;
    int rc = weir__wal_file_uri(alloc, uri, &wish, err);

    if (rc == 0)
        weir__uri_free(&wish.uri);
    return rc;
}

int weir__wal_object_check(const struct weir_alloc *alloc, const char *uri,
                           struct weir_error *err)
{
    struct weir__object_wish wish;

    return weir__wal_object_uri(alloc, uri, &wish, err);
}
