/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env_real.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, RANDOM_CHUNK = 256 };

/* CLOCK_BOOTTIME counts the time that the machine was suspended: a node that
 * slept must not believe that no time has passed. */
uint64_t weir__env_now(struct weir_env *env)
{
    struct timespec time;

    (void)env;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int64_t real_wall(struct weir_env *env)
{
    struct timespec time;

    (void)env;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Straight from the system: it is asked for rarely, and a generator of our
 * own would give the same numbers twice after a fork. */
static void real_random(struct weir_env *env, void *data, size_t len)
{
    unsigned char *at = data;
    ssize_t n;

    (void)env;
    while (len > 0) {
        n = getrandom(at, len < RANDOM_CHUNK ? len : RANDOM_CHUNK, 0);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

static void real_timer_start(struct weir_env *env, struct weir_timer *timer)
{
    weir__timers_start(&env_real(env)->core.timers, timer);
}

static void real_timer_stop(struct weir_env *env, struct weir_timer *timer)
{
    weir__timers_stop(&env_real(env)->core.timers, timer);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void stop_driver(struct weir_task *task)
{
    WEIR__CONTAINER(task, struct env_real, stop_task)->stop = 1;
}

static void real_close(struct weir_env *env)
{
    struct env_real *real = env_real(env);

    weir__env_workers_stop(real);
    if (real->has_thread) {
        real->stop_task.run = stop_driver;
        weir__env_post(env, &real->stop_task);
        pthread_join(real->thread, NULL);
    }
    close_fd(real->poll_fd);
    close_fd(real->timer_fd);
    close_fd(real->event_fd);
    pthread_mutex_destroy(&real->role.lock);
    weir__free(real->alloc, real);
}

static const struct weir_env_ops real_ops = {
    .size = sizeof(struct weir_env_ops),
    .now = weir__env_now,
    .wall = real_wall,
    .random = real_random,
    .post = weir__env_post,
    .timer_start = real_timer_start,
    .timer_stop = real_timer_stop,
    .work = weir__env_work,
    .poll = weir__env_poll,
    .poll_fd = weir__env_poll_fd,
    .wait = weir__env_wait,
    .signal = weir__env_signal,
    .close = real_close,
};

static int watch(struct env_real *real, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(real->poll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_fds(struct env_real *real, struct weir_error *err)
{
    real->event_fd = eventfd(0, EFD_CLOEXEC);
    if (real->event_fd < 0)
        return weir__fail_errno(err, errno, "eventfd");
    real->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (real->timer_fd < 0)
        return weir__fail_errno(err, errno, "timerfd of the boot clock");
    real->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (real->poll_fd < 0)
        return weir__fail_errno(err, errno, "epoll");
    if (watch(real, real->event_fd) != 0 || watch(real, real->timer_fd) != 0)
        return weir__fail_errno(err, errno, "epoll_ctl");
    return 0;
}

static int start_driver(struct env_real *real, struct weir_error *err)
{
    int rc;

    /* It has the role before it runs, so that nobody else gets it. */
    pthread_mutex_lock(&real->role.lock);
    rc = weir__env_thread(&real->thread, weir__env_drive, real);
    real->role.taken = rc == 0;
    real->role.driver = real->thread;
    real->has_thread = rc == 0;
    pthread_mutex_unlock(&real->role.lock);
    if (rc == 0)
        return 0;
    (void)weir__fail_errno(err, rc, "start the driver thread");
    if (err != NULL)
        err->code = WEIR_EAGAIN;
    return WEIR_EAGAIN;
}

int weir_env_real(struct weir_env **out, const struct weir_alloc *alloc,
                  unsigned workers, int driver, struct weir_error *err)
{
    struct env_real *real;
    int rc;

    *out = NULL;
    if (workers < 1 || workers > WORKERS_MAX)
        return weir__fail(err, WEIR_EINVAL,
                          "environment: expected 1 to %d workers, not %u",
                          WORKERS_MAX, workers);
    real = weir__calloc(alloc, 1, sizeof(*real));
    if (real == NULL)
        return weir__fail(err, WEIR_ENOMEM, "environment: out of memory");
    real->base.ops = &real_ops;
    real->alloc = alloc;
    real->event_fd = real->timer_fd = real->poll_fd = -1;
    pthread_mutex_init(&real->role.lock, NULL);
    weir__list_init(&real->role.waiters);

    rc = weir__env_workers_start(real, workers, err);
    if (rc == 0)
        rc = open_fds(real, err);
    if (rc == 0 && driver)
        rc = start_driver(real, err);
    if (rc != 0) {
        real_close(&real->base);
        return rc;
    }
    *out = &real->base;
    return 0;
}
