/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * The environment of a node: clocks, timers, random numbers, tasks, workers.
 *
 * A node's core is a state machine that one thread at a time drives.  All
 * that is not a pure function of its inputs stands behind this table, so that
 * the same core runs on real threads and clocks, and in a simulation where
 * one seed decides everything.
 *
 * "In the core" below means: on the thread that is inside `poll` or `wait`.
 */
#ifndef WEIR_ENV_H
#define WEIR_ENV_H

#include <weir/alloc.h>
#include <weir/error.h>
#include <weir/log.h>

WEIR_BEGIN

/** "For ever", where a function takes nanoseconds to wait. */
#define WEIR_FOREVER INT64_MAX

/** Something to run in the core, once.  Owned by who posts it. */
struct weir_task {
    void (*run)(struct weir_task *task);
    struct weir_task *next; /* Private. */
};

/** Something to run in the core at a time.  Zero it before first use. */
struct weir_timer {
    void (*fire)(struct weir_timer *timer);
    uint64_t deadline;          /* Nanoseconds of `now`. */
    size_t slot;                /* Private: 0 when not running. */
    uint64_t order;             /* Private. */
    struct weir_timer *link[3]; /* Private. */
};

/** Something to compute outside of the core. */
struct weir_work {
    /* On a worker: touches only its own. */
    void (*work)(struct weir_work *work);
    void (*done)(struct weir_work *work); /* In the core, afterwards. */
    struct weir_task task;                /* Private. */
    struct weir_work *next;               /* Private. */
    void *env;                            /* Private. */
};

/** A flag that a blocking call waits for.  Zero it before use. */
struct weir_event {
    int set; /* Written by `signal`; atomic. */
};

struct weir_env;

/** Methods of an environment. */
struct weir_env_ops {
    size_t size; /* sizeof(struct weir_env_ops) at the implementation. */

    /* Monotonic nanoseconds; the clock counts suspended time.  Any thread. */
    uint64_t (*now)(struct weir_env *env);
    /* Milliseconds since 1970.  Any thread. */
    int64_t (*wall)(struct weir_env *env);
    /* Fill `data` with random bytes.  In the core. */
    void (*random)(struct weir_env *env, void *data, size_t len);

    /* Run `task` in the core, soon, in the order of the calls.  Any thread.
     * The task is the caller's again from the moment it runs. */
    void (*post)(struct weir_env *env, struct weir_task *task);
    /* Fire `timer` at `timer->deadline` or soon after; restarts it if it
     * runs already.  In the core. */
    void (*timer_start)(struct weir_env *env, struct weir_timer *timer);
    /* It will not fire any more; harmless when it is not running.  In the
     * core. */
    void (*timer_stop)(struct weir_env *env, struct weir_timer *timer);
    /* Run `work->work` on a worker and then `work->done` in the core. */
    void (*work)(struct weir_env *env, struct weir_work *work);

    /* Run whatever is due; wait for up to `timeout` nanoseconds if nothing
     * is.  Returns how many tasks and timers ran, or WEIR_EBUSY at once if
     * another thread drives, or if called from inside of the core. */
    int (*poll)(struct weir_env *env, int64_t timeout);
    /* Descriptor that is readable while something is due, or -1. */
    int (*poll_fd)(struct weir_env *env);
    /* Block until `event` is set, driving if no other thread does, for up to
     * `timeout` nanoseconds.  0, WEIR_ETIMEDOUT, or WEIR_EBUSY if called
     * from inside of the core (it would wait for itself). */
    int (*wait)(struct weir_env *env, struct weir_event *event,
                int64_t timeout);
    /* Set `event` and wake who waits for it.  Any thread. */
    void (*signal)(struct weir_env *env, struct weir_event *event);
    /* Stop the workers and free it.  Nobody drives, nothing is pending. */
    void (*close)(struct weir_env *env);
};

/** Base of every environment; first member of the implementation's struct. */
struct weir_env {
    const struct weir_env_ops *ops;
};

/** What every backend is given when it is opened; all outlive it. */
struct weir_host {
    const struct weir_alloc *alloc;
    const struct weir_log *log; /* May be NULL. */
    struct weir_env *env;
};

/**
 * The real environment: this process's clocks and threads.
 *
 * Threads it starts: `workers` workers, and one that drives if `driver` is
 * not 0.  They block all signals.
 *
 * @param out      The environment; close it with `ops->close`.
 * @param alloc    Allocator; must outlive it.
 * @param workers  Number of worker threads, 1 to 64.
 * @param driver   1: a thread of its own drives.  0: the host does.
 * @param err      What went wrong; may be NULL.
 * @return 0, WEIR_EINVAL, WEIR_ENOMEM, or WEIR_EAGAIN (no thread to be had).
 */
WEIR_API int weir_env_real(struct weir_env **out,
                           const struct weir_alloc *alloc, unsigned workers,
                           int driver, struct weir_error *err);

WEIR_END

#endif
