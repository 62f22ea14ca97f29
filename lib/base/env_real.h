/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the real environment: shared by the env_*.c files only.
 *
 * One thread at a time has the role of the driver.  Tasks reach it through a
 * lock-free list that any thread pushes to; the event descriptor is written
 * only if the driver (or a foreign event loop) sleeps, so that posting under
 * load costs no system call.
 */
#ifndef WEIR_BASE_ENV_REAL_H
#define WEIR_BASE_ENV_REAL_H

#include "base/list.h"
#include "base/timers.h"

#include <pthread.h>

/** What any thread may touch to give the driver something to do. */
struct env_inbox {
    struct weir_task *newest; /* Atomic: the newest task, linked to older. */
    int armed; /* Atomic, 1: who sets it back to 0 writes `event_fd`. */
};

/** What only the driver touches. */
struct env_core {
    struct weir__timers timers;
    struct weir_task *tasks; /* Oldest first, taken from the inbox. */
    uint64_t alarm;          /* What `timer_fd` is set to; 0: nothing. */
    int asleep;              /* 1: `armed` was set and not taken back yet. */
};

/** Who drives, and who waits: guarded by `lock`. */
struct env_role {
    pthread_mutex_t lock;
    struct weir__list waiters; /* Of struct env_waiter. */
    int waiting;               /* Atomic: how many waiters there are. */
    int taken;                 /* 1: `driver` drives. */
    pthread_t driver;
    int watched; /* 1: somebody has asked for the descriptor. */
};

/** The pool: guarded by `lock`. */
struct env_workers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct weir_work *first;
    struct weir_work **end;
    int stop;
    unsigned count; /* Threads that run. */
    pthread_t *threads;
};

struct env_real {
    struct weir_env base;
    const struct weir_alloc *alloc;
    struct env_inbox inbox;
    struct env_core core;
    struct env_role role;
    struct env_workers workers;
    int event_fd;
    int timer_fd;
    int poll_fd;    /* An epoll of both. */
    int has_thread; /* 1: `thread` drives. */
    int stop;       /* In the core: `thread` ends. */
    struct weir_task stop_task;
    pthread_t thread;
};

static inline struct env_real *env_real(struct weir_env *env)
{
    return (struct env_real *)(void *)env;
}

/* env_real.c */
uint64_t weir__env_now(struct weir_env *env);

/* env_turn.c: in the core, but for `post` and `wake`. */
void weir__env_post(struct weir_env *env, struct weir_task *task);
/** End the driver's sleep, if it sleeps. */
void weir__env_wake(struct env_real *real);
/** Nobody drives from now on, or the driver sleeps: let the descriptors
 * become readable when a task comes, is there already, or a timer is due. */
void weir__env_arm(struct env_real *real);
/** Run what is due, in a few rounds, until `event` is set; sleep before if
 * nothing is, until `deadline` (0: not at all).  Returns what ran. */
int weir__env_turn(struct env_real *real, struct weir_event *event,
                   uint64_t deadline);

/* env_wait.c */
int weir__env_poll(struct weir_env *env, int64_t timeout);
int weir__env_poll_fd(struct weir_env *env);
int weir__env_wait(struct weir_env *env, struct weir_event *event,
                   int64_t timeout);
void weir__env_signal(struct weir_env *env, struct weir_event *event);
/** Drive until `stop`: the body of the library's own driver; `arg` is its
 * struct env_real. */
void *weir__env_drive(void *arg);

/* env_workers.c */
int weir__env_workers_start(struct env_real *real, unsigned count,
                            struct weir_error *err);
void weir__env_workers_stop(struct env_real *real);
void weir__env_work(struct weir_env *env, struct weir_work *work);
/** A thread that blocks all signals: 0 or an errno. */
int weir__env_thread(pthread_t *thread, void *(*body)(void *), void *arg);

#endif
