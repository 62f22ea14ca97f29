/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/env_real.h"
#include "base/error.h"

#include <signal.h>

int weir__env_thread(pthread_t *thread, void *(*body)(void *), void *arg)
{
    sigset_t all;
    sigset_t old;
    int rc;

    /* A thread inherits the mask: the host's signals stay the host's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(thread, NULL, body, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static void work_done(struct weir_task *task)
{
    struct weir_work *work = WEIR__CONTAINER(task, struct weir_work, task);

    work->done(work);
}

/* The next work, or NULL when the pool stops. */
static struct weir_work *next_work(struct env_workers *pool)
{
    struct weir_work *work = NULL;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stop && pool->first == NULL)
        pthread_cond_wait(&pool->more, &pool->lock);
    if (!pool->stop) {
        work = pool->first;
        pool->first = work->next;
        if (pool->first == NULL)
            pool->end = &pool->first;
    }
    pthread_mutex_unlock(&pool->lock);
    return work;
}

static void *worker(void *arg)
{
    struct env_real *real = arg;
    struct weir_work *work;

    while ((work = next_work(&real->workers)) != NULL) {
        work->work(work);
        work->task.run = work_done;
        weir__env_post(&real->base, &work->task);
    }
    return NULL;
}

void weir__env_work(struct weir_env *env, struct weir_work *work)
{
    struct env_workers *pool = &env_real(env)->workers;

    work->next = NULL;
    pthread_mutex_lock(&pool->lock);
    *pool->end = work;
    pool->end = &work->next;
    pthread_cond_signal(&pool->more);
    pthread_mutex_unlock(&pool->lock);
}

int weir__env_workers_start(struct env_real *real, unsigned count,
                            struct weir_error *err)
{
    struct env_workers *pool = &real->workers;
    int rc;

    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    pool->end = &pool->first;
    pool->threads = weir__calloc(real->alloc, count, sizeof(*pool->threads));
    if (pool->threads == NULL)
        return weir__fail(err, WEIR_ENOMEM, "worker threads: out of memory");
    while (pool->count < count) {
        rc = weir__env_thread(&pool->threads[pool->count], worker, real);
        if (rc != 0) {
            (void)weir__fail_errno(err, rc, "start worker thread %u",
                                   pool->count + 1);
            if (err != NULL)
                err->code = WEIR_EAGAIN;
            return WEIR_EAGAIN;
        }
        pool->count++;
    }
    return 0;
}

void weir__env_workers_stop(struct env_real *real)
{
    struct env_workers *pool = &real->workers;

    pthread_mutex_lock(&pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    while (pool->count > 0)
        pthread_join(pool->threads[--pool->count], NULL);
    weir__free(real->alloc, pool->threads);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
}
