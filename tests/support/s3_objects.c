/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_objects.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t find(const struct s3_objects *all, const char *key)
{
    size_t i = 0;

    while (i < all->count && strcmp(all->at[i].key, key) < 0)
        i++;
    return i;
}

struct s3_object *s3_objects_find(struct s3_objects *all, const char *key)
{
    size_t i = find(all, key);

    if (i == all->count || strcmp(all->at[i].key, key) != 0)
        return NULL;
    return &all->at[i];
}

void s3_objects_put(struct s3_objects *all, const char *key, const void *data,
                    size_t len)
{
    struct s3_object *old = s3_objects_find(all, key);
    size_t i = find(all, key);

    if (old == NULL) {
        all->at = realloc(all->at, (all->count + 1) * sizeof(all->at[0]));
        memmove(&all->at[i + 1], &all->at[i],
                (all->count - i) * sizeof(all->at[0]));
        all->count++;
        all->at[i] = (struct s3_object){.key = strdup(key)};
        old = &all->at[i];
    }
    free(old->data);
    old->data = malloc(len + 1);
    old->len = len;
    old->id[0] = '\0';
    old->sum[0] = '\0';
    old->algorithm[0] = '\0';
    old->checksum[0] = '\0';
    if (len > 0)
        memcpy(old->data, data, len);
}

void s3_objects_remove(struct s3_objects *all, const char *key)
{
    struct s3_object *old = s3_objects_find(all, key);

    if (old == NULL)
        return;
    free(old->key);
    free(old->data);
    all->count--;
    memmove(old, old + 1,
            (all->count - (size_t)(old - all->at)) * sizeof(*old));
}

static void print_encoded(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (isalnum(c) || strchr("-._/*", c) != NULL)
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

char *s3_objects_list(const struct s3_objects *all, const char *prefix,
                      const char *after, size_t limit)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    size_t shown = 0;
    int more = 0;

    fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<ListBucketResult "
                 "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < all->count && !more; i++) {
        const struct s3_object *object = &all->at[i];

        if (strncmp(object->key, prefix, strlen(prefix)) != 0 ||
            strcmp(object->key, after) <= 0)
            continue;
        if (shown++ == limit) {
            more = 1;
            break;
        }
        fprintf(out, "<Contents><Key>");
        print_encoded(out, object->key);
        fprintf(out,
                "</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
                "<ETag>&quot;x&quot;</ETag><Size>%zu</Size>"
                "<Owner><ID>o</ID></Owner></Contents>",
                object->len);
    }
    fprintf(out, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
            more ? "true" : "false");
    fclose(out);
    return text;
}

void s3_objects_free(struct s3_objects *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->at[i].key);
        free(all->at[i].data);
    }
    free(all->at);
    *all = (struct s3_objects){0};
}
