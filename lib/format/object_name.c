/* SPDX-License-Identifier: Apache-2.0 */
#include "format/object_name.h"

#include <stddef.h>
#include <string.h>

static const char log_prefix[] = "manifest/log/";
static const char snap_prefix[] = "manifest/snap/";

static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);

    memcpy(at, text, len);
    return at + len;
}

/* The `digits` lowest hexadecimal digits of `value`. */
static char *put_hex(char *at, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--)
        *at++ = "0123456789abcdef"[value >> (i - 1) * 4 & 15];
    return at;
}

/* Read exactly `digits` lowercase hexadecimal digits; NULL: others. */
static const char *get_hex(const char *at, uint64_t *value, unsigned digits)
{
    *value = 0;
    for (unsigned i = 0; i < digits; i++, at++) {
        if (*at >= '0' && *at <= '9')
            *value = *value << 4 | (uint64_t)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            *value = *value << 4 | (uint64_t)(*at - 'a' + 10);
        else
            return NULL;
    }
    return at;
}

/* Neighbouring ids must spread: the high byte of a multiplication by the
 * golden ratio.  Part of the format: never to be changed. */
static uint64_t key_hash(uint64_t object_id)
{
    return object_id * UINT64_C(0x9e3779b97f4a7c15) >> 56;
}

void weir__object_key(char to[WEIR__KEY_SIZE], uint64_t object_id)
{
    char *at = put_text(to, "data/");

    at = put_hex(at, key_hash(object_id), 2);
    at = put_text(at, "/0000-");
    at = put_hex(at, object_id, 16);
    *at = 0;
}

void weir__manifest_log_key(char to[WEIR__KEY_SIZE], uint64_t version)
{
    *put_hex(put_text(to, log_prefix), version, 16) = 0;
}

void weir__manifest_snap_key(char to[WEIR__KEY_SIZE], uint64_t version)
{
    *put_hex(put_text(to, snap_prefix), version, 16) = 0;
}

int weir__manifest_key_version(const char *key, uint64_t *version)
{
    uint64_t value;

    if (strncmp(key, log_prefix, sizeof(log_prefix) - 1) == 0)
        key += sizeof(log_prefix) - 1;
    else if (strncmp(key, snap_prefix, sizeof(snap_prefix) - 1) == 0)
        key += sizeof(snap_prefix) - 1;
    else
        return -1;
    key = get_hex(key, &value, 16);
    if (key == NULL || *key != 0)
        return -1;
    *version = value;
    return 0;
}

int weir__object_key_id(const char *key, uint64_t *object_id)
{
    uint64_t hash;
    uint64_t id;

    if (strncmp(key, "data/", 5) != 0)
        return -1;
    key = get_hex(key + 5, &hash, 2);
    if (key == NULL || strncmp(key, "/0000-", 6) != 0)
        return -1;
    key = get_hex(key + 6, &id, 16);
    if (key == NULL || *key != 0 || hash != key_hash(id))
        return -1;
    *object_id = id;
    return 0;
}
