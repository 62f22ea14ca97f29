/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The objects of the scripted S3 server.  Under the server's lock.
 */
#ifndef TESTS_SUPPORT_S3_OBJECTS_H
#define TESTS_SUPPORT_S3_OBJECTS_H

#include <stddef.h>

struct s3_object {
    char *key;
    unsigned char *data;
    size_t len;
    char id[64];        /* x-amz-meta-weir-put, or "". */
    char sum[16];       /* x-amz-meta-weir-crc32c, or "". */
    char algorithm[16]; /* Of an upload: its checksum's, or "". */
    char checksum[64];  /* Of a part: as it came, or "". */
};

/** Sorted by key.  Zero it before use. */
struct s3_objects {
    struct s3_object *at;
    size_t count;
};

/** The object, or NULL. */
struct s3_object *s3_objects_find(struct s3_objects *all, const char *key);
/** Create or replace; copies. */
void s3_objects_put(struct s3_objects *all, const char *key, const void *data,
                    size_t len);
void s3_objects_remove(struct s3_objects *all, const char *key);
/** The answer to a LIST; the caller frees it. */
char *s3_objects_list(const struct s3_objects *all, const char *prefix,
                      const char *after, size_t limit);
void s3_objects_free(struct s3_objects *all);

#endif
