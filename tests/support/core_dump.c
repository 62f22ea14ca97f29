/* SPDX-License-Identifier: Apache-2.0 */
#include "support/core_dump.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MASK = 0xa5, CHUNK = 1 << 20, RANGES = 4096, LINE = 512 };
/* Sanitizers leave out terabytes of their own. */
#define LEFT_MAX (64ul << 20)

struct range {
    unsigned long begin;
    unsigned long end;
    bool readable;
    bool left; /* Out of core dumps. */
};

void core_secret_new(struct core_secret *secret)
{
    static unsigned long long state;

    if (state == 0)
        state = test_seed() | 1;
    secret->len = 40;
    for (size_t i = 0; i < secret->len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        secret->masked[i] =
            (unsigned char)(('a' + (state >> 33) % 26) ^ (unsigned)MASK);
    }
}

void core_secret_tell(const struct core_secret *secret, char to[65])
{
    for (size_t i = 0; i < secret->len; i++)
        to[i] = (char)(secret->masked[i] ^ (unsigned)MASK);
    to[secret->len] = '\0';
}

/* The kernel's list of this process's memory. */
static size_t read_ranges(struct range *ranges)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[LINE];
    size_t n = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        char *at;
        unsigned long begin = strtoul(line, &at, 16);

        if (*at == '-' && at > line) {
            ck_assert_uint_lt(n, RANGES);
            ranges[n] = (struct range){.begin = begin};
            ranges[n].end = strtoul(at + 1, &at, 16);
            ranges[n++].readable = at[1] == 'r';
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            ranges[n - 1].left = strstr(line, " dd") != NULL;
        }
    }
    fclose(file);
    return n;
}

static bool is_at(const unsigned char *at, const struct core_secret *secret)
{
    size_t i = 0;

    while (i < secret->len && (at[i] ^ (unsigned)MASK) == secret->masked[i])
        i++;
    return i == secret->len;
}

static int count_in(const unsigned char *data, size_t len,
                    const struct core_secret *secret)
{
    const unsigned char *end = data + len;
    const unsigned char *at = data;
    int count = 0;

    while ((size_t)(end - at) >= secret->len) {
        at = memchr(at, secret->masked[0] ^ MASK,
                    (size_t)(end - at) - secret->len + 1);
        if (at == NULL)
            break;
        count += is_at(at, secret);
        at++;
    }
    return count;
}

/* By the kernel, which tells of what cannot be read. */
static int count_in_range(int fd, const struct range *range,
                          unsigned char *chunk,
                          const struct core_secret *secret)
{
    size_t overlap = secret->len - 1;
    int count = 0;

    for (unsigned long at = range->begin; at < range->end;
         at += CHUNK - overlap) {
        size_t len = range->end - at < CHUNK ? range->end - at : CHUNK;
        ssize_t n = pread(fd, chunk, len, (off_t)at);

        if (n > 0)
            count += count_in(chunk, (size_t)n, secret);
    }
    return count;
}

struct core_found core_find(const struct core_secret *secret)
{
    static struct range ranges[RANGES];
    struct core_found found = {0, 0};
    /* What was read must not be found itself: a range of its own. */
    unsigned char *chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    size_t n = read_ranges(ranges);

    ck_assert_ptr_ne(chunk, MAP_FAILED);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < n; i++) {
        unsigned long size = ranges[i].end - ranges[i].begin;
        int count = 0;

        if (!ranges[i].readable || (ranges[i].left && size > LEFT_MAX))
            continue;
        if ((unsigned long)chunk == ranges[i].begin)
            continue;
        count = count_in_range(fd, &ranges[i], chunk, secret);
        if (ranges[i].left)
            found.left += count;
        else
            found.dumped += count;
    }
    close(fd);
    munmap(chunk, CHUNK);
    return found;
}
