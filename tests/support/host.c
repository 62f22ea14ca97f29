/* SPDX-License-Identifier: Apache-2.0 */
#include "support/host.h"

#include "support/test.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_alloc *self(void *ctx)
{
    return ctx;
}

static long add(long *number, long n)
{
    return __atomic_add_fetch(number, n, __ATOMIC_RELAXED);
}

static bool fails(struct test_alloc *alloc)
{
    long call = add(&alloc->calls, 1);
    long at = __atomic_load_n(&alloc->fail_at, __ATOMIC_RELAXED);

    return at != 0 &&
           (call == at ||
            (call > at && (alloc->fail_on == 1 || call - at < alloc->fail_on)));
}

/* What was there before would be found, too. */
static void *count_in(struct test_alloc *alloc, void *ptr)
{
    if (ptr != NULL && alloc->secret != NULL)
        memset(ptr, 0xaa, malloc_usable_size(ptr));
    if (ptr != NULL) {
        add(&alloc->blocks, 1);
        add(&alloc->bytes, (long)malloc_usable_size(ptr));
    }
    return ptr;
}

static void count_out(struct test_alloc *alloc, void *ptr)
{
    if (alloc->secret != NULL && memmem(ptr, malloc_usable_size(ptr),
                                        alloc->secret, strlen(alloc->secret)))
        add(&alloc->unwiped, 1);
    add(&alloc->blocks, -1);
    add(&alloc->bytes, -(long)malloc_usable_size(ptr));
}

static void *count_malloc(void *ctx, size_t size)
{
    return fails(self(ctx)) ? NULL : count_in(self(ctx), malloc(size));
}

static void *count_aligned(void *ctx, size_t align, size_t size)
{
    if (fails(self(ctx)))
        return NULL;
    return count_in(self(ctx), aligned_alloc(align, size));
}

static void count_free(void *ctx, void *ptr)
{
    if (ptr != NULL)
        count_out(self(ctx), ptr);
    free(ptr);
}

/* Moved by hand, to look at what is left behind. */
static void *count_moved(void *ctx, void *ptr, size_t size)
{
    size_t old = malloc_usable_size(ptr);
    void *moved = count_malloc(ctx, size);

    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, old < size ? old : size);
    count_free(ctx, ptr);
    return moved;
}

static void *count_realloc(void *ctx, void *ptr, size_t size)
{
    void *moved;
    long old;

    if (ptr == NULL)
        return count_malloc(ctx, size);
    if (self(ctx)->secret != NULL)
        return count_moved(ctx, ptr, size);
    if (fails(self(ctx)))
        return NULL;
    old = (long)malloc_usable_size(ptr);
    moved = realloc(ptr, size);
    if (moved != NULL)
        add(&self(ctx)->bytes, (long)malloc_usable_size(moved) - old);
    return moved;
}

void test_alloc_init(struct test_alloc *alloc)
{
    *alloc = (struct test_alloc){
        .alloc =
            {
                .size = sizeof(struct weir_alloc),
                .malloc = count_malloc,
                .realloc = count_realloc,
                .aligned = count_aligned,
                .free = count_free,
                .ctx = alloc,
            },
    };
}

void test_alloc_fail(struct test_alloc *alloc, long n, int from_then_on)
{
    alloc->fail_on = from_then_on;
    __atomic_store_n(&alloc->fail_at, alloc->calls + n, __ATOMIC_RELAXED);
}

void test_alloc_check(struct test_alloc *alloc)
{
    if (alloc->blocks != 0 || alloc->bytes != 0)
        ck_abort_msg("%ld blocks of %ld bytes were not given back",
                     alloc->blocks, alloc->bytes);
    if (alloc->unwiped != 0)
        ck_abort_msg("%ld blocks were given back with a secret in them",
                     alloc->unwiped);
}

static void print_line(void *ctx, enum weir_log_level level, const char *text)
{
    (void)ctx;
    if (getenv("WEIR_TEST_LOG") != NULL) {
        printf("log %d: %s\n", (int)level, text);
        fflush(stdout);
    }
}

void test_host_init(struct test_host *host)
{
    struct weir_error err = {0};

    test_alloc_init(&host->alloc);
    host->log =
        (struct weir_log){.size = sizeof(struct weir_log), .write = print_line};
    host->host.alloc = &host->alloc.alloc;
    host->host.log = &host->log;
    if (weir_env_real(&host->host.env, host->host.alloc, 2, 0, &err) != 0)
        ck_abort_msg("weir_env_real: %s", err.text);
}

void test_host_close(struct test_host *host)
{
    test_host_settle(host);
    host->host.env->ops->close(host->host.env);
    test_alloc_check(&host->alloc);
}

void test_host_run(struct test_host *host, const int *flag)
{
    struct weir_env *env = host->host.env;
    uint64_t end = env->ops->now(env) + 60u * 1000000000u;

    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0) {
        if (env->ops->now(env) > end)
            ck_abort_msg("nothing came within a minute");
        env->ops->poll(env, 1000000000);
    }
}

void test_host_settle(struct test_host *host)
{
    while (host->host.env->ops->poll(host->host.env, 0) > 0)
        ;
}
