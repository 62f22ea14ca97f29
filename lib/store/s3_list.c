/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to a LIST (ListObjectsV2 with encoding-type=url). */
#include "store/s3.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "http/xml.h"
#include "store/store_request.h"

#include <string.h>
#include <time.h>

enum { KEY_ROOM = 1025 /* S3's longest key, and a zero. */ };

struct reading {
    struct weir__s3_list *list;
    const struct weir__s3_place *place;
    const char *prefix;
    char key[KEY_ROOM]; /* Of the entry that is being read. */
    bool has_key;
    bool has_size;
    uint64_t size;
    int64_t modified;
    bool truncated;
    bool complete; /* The root element has ended. */
};

/* false: too long, or a zero byte, or no two digits behind a '%'. */
static bool decode(char to[KEY_ROOM], const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        char c = *text;

        if (n + 1 >= KEY_ROOM)
            return false;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            int high = weir__hex_digit(text[1]);
            int low = high < 0 ? -1 : weir__hex_digit(text[2]);

            if (low < 0 || high * 16 + low == 0)
                return false;
            c = (char)(high * 16 + low);
            text += 2;
        }
        to[n++] = c;
    }
    to[n] = '\0';
    return n > 0;
}

static bool parse_size(const char *text, uint64_t *out)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (unsigned)(*text - '0'), &n))
            return false;
    *out = n;
    return *text == '\0';
}

int64_t weir__s3_time(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0;

    if (end == NULL)
        return 0;
    if (end[0] == '.' && end[1] >= '0' && end[1] <= '9' && end[2] >= '0' &&
        end[2] <= '9' && end[3] >= '0' && end[3] <= '9')
        ms = (end[1] - '0') * 100 + (end[2] - '0') * 10 + (end[3] - '0');
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static int set_last(struct weir__s3_list *list, const char *key)
{
    char *copy = weir__strdup(list->alloc, key);

    if (copy == NULL)
        return WEIR_ENOMEM;
    weir__free(list->alloc, list->last);
    list->last = copy;
    return 0;
}

static int add_entry(struct reading *r)
{
    struct weir__s3_list *list = r->list;
    size_t own = strlen(r->place->prefix);
    char *key;

    if (strncmp(r->key, r->place->prefix, own) != 0 ||
        strncmp(r->key + own, r->prefix, strlen(r->prefix)) != 0 ||
        !weir__store_key_valid(r->key + own))
        return 0;
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 16 : list->room * 2;
        struct weir_store_entry *entries =
            weir__resize(list->alloc, list->entries, room, sizeof(*entries));

        if (entries == NULL)
            return WEIR_ENOMEM;
        list->entries = entries;
        list->room = room;
    }
    key = weir__strdup(list->alloc, r->key + own);
    if (key == NULL)
        return WEIR_ENOMEM;
    list->entries[list->count++] = (struct weir_store_entry){
        .key = key, .size = r->size, .modified = r->modified};
    return 0;
}

static int end_entry(struct reading *r)
{
    int rc;

    if (!r->has_key || !r->has_size)
        return WEIR_EFORMAT;
    /* Sorted, or the paging would not end. */
    if (r->list->last != NULL && strcmp(r->key, r->list->last) <= 0)
        return WEIR_EFORMAT;
    rc = set_last(r->list, r->key);
    if (rc == 0)
        rc = add_entry(r);
    r->has_key = false;
    r->has_size = false;
    r->modified = 0;
    return rc;
}

static int on_element(void *ctx, const char *path, const char *text)
{
    static const char root[] = "ListBucketResult";
    struct reading *r = ctx;

    if (strncmp(path, root, sizeof(root) - 1) != 0)
        return 0;
    path += sizeof(root) - 1;
    if (strcmp(path, "") == 0)
        r->complete = true;
    else if (strcmp(path, "/Contents") == 0)
        return end_entry(r);
    else if (strcmp(path, "/IsTruncated") == 0)
        r->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, "/Contents/Size") == 0)
        r->has_size = parse_size(text, &r->size);
    else if (strcmp(path, "/Contents/LastModified") == 0)
        r->modified = weir__s3_time(text);
    else if (strcmp(path, "/Contents/Key") == 0)
        r->has_key = decode(r->key, text);
    return 0;
}

int weir__s3_list_read(struct weir__s3_list *list,
                       const struct weir__s3_place *place, const char *prefix,
                       const void *body, size_t len, struct weir_error *err)
{
    struct reading r = {.list = list, .place = place, .prefix = prefix};
    struct weir_error cause = {0};
    int rc = weir__xml_parse(list->alloc, body, len, on_element, &r, &cause);

    if (rc == WEIR_ENOMEM)
        return weir__fail(err, rc, "out of memory");
    if (rc != 0)
        return weir__fail(
            err, WEIR_EFORMAT, "the list cannot be read: %s",
            cause.text[0] != '\0'
                ? cause.text
                : "an entry without key or size, or out of order");
    if (!r.complete)
        return weir__fail(err, WEIR_EFORMAT,
                          "the answer is no list of objects");
    list->more = r.truncated;
    if (r.truncated && list->last == NULL)
        return weir__fail(err, WEIR_EFORMAT,
                          "the list is empty, and said to go on");
    return 0;
}

void weir__s3_list_free(struct weir__s3_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        /* The keys are ours; only the entry's reader may not write. */
        weir__free(list->alloc, (void *)(uintptr_t)list->entries[i].key);
    }
    weir__free(list->alloc, list->entries);
    weir__free(list->alloc, list->last);
    *list = (struct weir__s3_list){.alloc = list->alloc};
}
