/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP thread: takes what the core submits, runs it through a multi
 * handle of libcurl, and posts what has ended back to the core.
 *
 * The core takes no locks: requests go to the thread over a list that is
 * pushed to and taken as a whole with one atomic operation each. */
#include "http/http.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "http/transfer.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

enum { IDLE_MS = 3600 * 1000 };

struct weir__http {
    /* Constant. */
    struct weir_host host;
    char *ca_file;
    char *cert_file;
    char *key_file;
    unsigned connections;
    CURLM *multi;
    pthread_t thread;

    /* Between the threads; atomic. */
    struct weir__http_req *submitted; /* The newest first. */
    int closing;
    int cancels; /* 1: look for requests that were canceled. */

    /* The core's. */
    struct weir_task joined;
    struct weir_task *closed;

    /* The HTTP thread's. */
    struct weir__transfer *transfers; /* `connections` of them. */
    unsigned active;
    struct weir__http_req *waiting; /* The oldest first. */
    struct weir__http_req **waiting_end;
};

/* libcurl's own state is of the whole process, and initialising it was not
 * always safe from several threads.  This is the library's one variable that
 * is not constant, and it is of the process for the same reason. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void run_done(struct weir_task *task)
{
    struct weir__http_req *req =
        WEIR__CONTAINER(task, struct weir__http_req, task);

    if (req->status != 0)
        weir__fail_status(req->err, req->status);
    req->done(req, req->status);
}

/* In the core: wakes the HTTP thread, which may have paused for it. */
static void run_part(struct weir_task *task)
{
    struct weir__http_req *req =
        WEIR__CONTAINER(task, struct weir__http_req, part_task);
    struct weir_buf *buf = req->part_buf;

    req->part(req, buf->data, buf->len);
    weir_buf_unref(buf);
    __atomic_store_n(&req->part_busy, 0, __ATOMIC_RELEASE);
    curl_multi_wakeup(req->http->multi);
}

/* The request has its status. */
static void finish(struct weir__http *http, struct weir__http_req *req)
{
    req->task.run = run_done;
    http->host.env->ops->post(http->host.env, &req->task);
}

/* It was never given to libcurl. */
static void refuse(struct weir__http *http, struct weir__http_req *req,
                   int status)
{
    req->status = status;
    finish(http, req);
}

static void take_submitted(struct weir__http *http)
{
    struct weir__http_req *newest =
        __atomic_exchange_n(&http->submitted, NULL, __ATOMIC_ACQ_REL);
    struct weir__http_req *oldest = NULL;

    while (newest != NULL) {
        struct weir__http_req *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    *http->waiting_end = oldest;
    while (*http->waiting_end != NULL)
        http->waiting_end = &(*http->waiting_end)->next;
}

static struct weir__http_req *pop_waiting(struct weir__http *http)
{
    struct weir__http_req *req = http->waiting;

    http->waiting = req->next;
    if (http->waiting == NULL)
        http->waiting_end = &http->waiting;
    return req;
}

/* An idle transfer, with a handle; NULL when memory is out. */
static struct weir__transfer *idle_transfer(struct weir__http *http)
{
    for (unsigned i = 0; i < http->connections; i++) {
        struct weir__transfer *t = &http->transfers[i];

        if (t->req != NULL)
            continue;
        if (t->easy == NULL)
            t->easy = curl_easy_init();
        t->alloc = http->host.alloc;
        t->env = http->host.env;
        t->ca_file = http->ca_file;
        t->cert_file = http->cert_file;
        t->key_file = http->key_file;
        return t->easy != NULL ? t : NULL;
    }
    return NULL;
}

static void start(struct weir__http *http, struct weir__http_req *req)
{
    struct weir_env *env = http->host.env;
    uint64_t now = env->ops->now(env);
    uint64_t left = req->deadline == 0 ? INT64_MAX : req->deadline - now;
    struct weir__transfer *t;

    if (req->deadline != 0 && now >= req->deadline) {
        weir__fail(req->err, WEIR_ETIMEDOUT,
                   "the deadline was over before a connection was free");
        refuse(http, req, WEIR_ETIMEDOUT);
        return;
    }
    t = idle_transfer(http);
    if (t == NULL) {
        refuse(http, req, WEIR_ENOMEM);
        return;
    }
    if (weir__transfer_begin(t, req, left) != 0) {
        finish(http, req);
        return;
    }
    if (curl_multi_add_handle(http->multi, t->easy) != CURLM_OK) {
        weir__transfer_abort(t, WEIR_ENOMEM);
        finish(http, req);
        return;
    }
    http->active++;
}

/* Those whose time is over while all connections are busy. */
static void expire_waiting(struct weir__http *http)
{
    struct weir_env *env = http->host.env;
    uint64_t now = env->ops->now(env);
    struct weir__http_req **at = &http->waiting;

    while (*at != NULL) {
        struct weir__http_req *req = *at;

        if (req->deadline == 0 || now < req->deadline) {
            at = &req->next;
            continue;
        }
        *at = req->next;
        weir__fail(req->err, WEIR_ETIMEDOUT,
                   "the deadline was over before a connection was free");
        refuse(http, req, WEIR_ETIMEDOUT);
    }
    http->waiting_end = at;
}

static void finish_ended(struct weir__http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct weir__transfer *t = NULL;
        struct weir__http_req *req;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        req = t->req;
        weir__transfer_end(t, code);
        curl_multi_remove_handle(http->multi, t->easy);
        http->active--;
        finish(http, req);
    }
}

static void cancel_transfer(struct weir__http *http, struct weir__transfer *t)
{
    struct weir__http_req *req = t->req;

    weir__transfer_abort(t, WEIR_ECANCELED);
    curl_multi_remove_handle(http->multi, t->easy);
    http->active--;
    finish(http, req);
}

static void cancel_all(struct weir__http *http)
{
    while (http->waiting != NULL)
        refuse(http, pop_waiting(http), WEIR_ECANCELED);
    for (unsigned i = 0; i < http->connections; i++)
        if (http->transfers[i].req != NULL)
            cancel_transfer(http, &http->transfers[i]);
}

static bool is_canceled(const struct weir__http_req *req)
{
    return __atomic_load_n(&req->canceled, __ATOMIC_ACQUIRE) != 0;
}

/* Those that nobody wants any more. */
static void cancel_some(struct weir__http *http)
{
    struct weir__http_req **at = &http->waiting;

    if (__atomic_exchange_n(&http->cancels, 0, __ATOMIC_ACQ_REL) == 0)
        return;
    while (*at != NULL) {
        struct weir__http_req *req = *at;

        if (!is_canceled(req)) {
            at = &req->next;
            continue;
        }
        *at = req->next;
        refuse(http, req, WEIR_ECANCELED);
    }
    http->waiting_end = at;
    for (unsigned i = 0; i < http->connections; i++)
        if (http->transfers[i].req != NULL &&
            is_canceled(http->transfers[i].req))
            cancel_transfer(http, &http->transfers[i]);
}

static void resume_paused(struct weir__http *http)
{
    for (unsigned i = 0; i < http->connections; i++)
        if (http->transfers[i].req != NULL)
            weir__transfer_resume(&http->transfers[i]);
}

/* Milliseconds until a waiting request's deadline. */
static int poll_timeout(const struct weir__http *http)
{
    struct weir_env *env = http->host.env;
    uint64_t now = env->ops->now(env);
    uint64_t ms = IDLE_MS;

    for (const struct weir__http_req *req = http->waiting; req != NULL;
         req = req->next) {
        uint64_t left = req->deadline > now ? req->deadline - now : 0;

        if (req->deadline != 0 && left / 1000000 + 1 < ms)
            ms = left / 1000000 + 1;
    }
    return (int)ms;
}

static void *run(void *ctx)
{
    struct weir__http *http = ctx;
    int running;

    while (!__atomic_load_n(&http->closing, __ATOMIC_ACQUIRE)) {
        take_submitted(http);
        cancel_some(http);
        resume_paused(http);
        expire_waiting(http);
        while (http->waiting != NULL && http->active < http->connections)
            start(http, pop_waiting(http));
        curl_multi_perform(http->multi, &running);
        finish_ended(http);
        if (http->waiting == NULL || http->active == http->connections)
            curl_multi_poll(http->multi, NULL, 0, poll_timeout(http), NULL);
    }
    take_submitted(http);
    cancel_all(http);
    http->host.env->ops->post(http->host.env, &http->joined);
    return NULL;
}

static void free_all(struct weir__http *http)
{
    for (unsigned i = 0; i < http->connections && http->transfers != NULL; i++)
        if (http->transfers[i].easy != NULL)
            curl_easy_cleanup(http->transfers[i].easy);
    if (http->multi != NULL)
        curl_multi_cleanup(http->multi);
    weir__free(http->host.alloc, http->transfers);
    weir__free(http->host.alloc, http->ca_file);
    weir__free(http->host.alloc, http->cert_file);
    weir__free(http->host.alloc, http->key_file);
    weir__free(http->host.alloc, http);
}

/* In the core: the thread is at its end. */
static void join(struct weir_task *task)
{
    struct weir__http *http = WEIR__CONTAINER(task, struct weir__http, joined);
    struct weir_env *env = http->host.env;
    struct weir_task *closed = http->closed;

    pthread_join(http->thread, NULL);
    free_all(http);
    env->ops->post(env, closed);
}

/* The host's signals are the host's threads' matter. */
static int start_thread(struct weir__http *http)
{
    sigset_t all;
    sigset_t before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&http->thread, NULL, run, http);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(http->thread, "weir-http");
    return rc;
}

/* false: out of memory. */
static bool copy_text(struct weir__http *http, char **to, const char *text)
{
    if (text == NULL)
        return true;
    *to = weir__strdup(http->host.alloc, text);
    return *to != NULL;
}

static int prepare(struct weir__http *http,
                   const struct weir__http_config *config)
{
    const struct weir_alloc *alloc = config->host->alloc;

    http->waiting_end = &http->waiting;
    http->connections = config->connections;
    http->joined.run = join;
    http->transfers =
        weir__calloc(alloc, config->connections, sizeof(*http->transfers));
    if (http->transfers == NULL ||
        !copy_text(http, &http->ca_file, config->ca_file) ||
        !copy_text(http, &http->cert_file, config->cert_file) ||
        !copy_text(http, &http->key_file, config->key_file))
        return WEIR_ENOMEM;
    pthread_once(&curl_once, init_curl);
    http->multi = curl_multi_init();
    if (http->multi == NULL)
        return WEIR_ENOMEM;
    /* Idle connections that are kept: no more than may be busy. */
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
                      (long)config->connections);
    return 0;
}

int weir__http_open(struct weir__http **out,
                    const struct weir__http_config *config,
                    struct weir_error *err)
{
    struct weir__http *http;
    int rc;

    *out = NULL;
    http = weir__calloc(config->host->alloc, 1, sizeof(*http));
    if (http == NULL)
        return weir__fail(err, WEIR_ENOMEM, "start HTTP: out of memory");
    http->host = *config->host;
    rc = prepare(http, config);
    if (rc != 0) {
        weir__fail(err, rc, "start HTTP: out of memory");
        goto fail;
    }
    rc = start_thread(http);
    if (rc != 0) {
        rc = weir__fail_errno(err, rc, "start the HTTP thread");
        goto fail;
    }
    *out = http;
    return 0;

fail:
    free_all(http);
    return rc;
}

void weir__http_submit(struct weir__http *http, struct weir__http_req *req)
{
    struct weir__http_req *head =
        __atomic_load_n(&http->submitted, __ATOMIC_RELAXED);

    req->answer = (struct weir__http_answer){.content_length = -1};
    req->body = NULL;
    req->sent = 0;
    req->tls = WEIR__HTTP_TLS_FITS;
    req->canceled = 0;
    req->http = http;
    req->part_task.run = run_part;
    req->part_busy = 0;
    do {
        req->next = head;
    } while (!__atomic_compare_exchange_n(&http->submitted, &head, req, false,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (head == NULL)
        curl_multi_wakeup(http->multi);
}

void weir__http_cancel(struct weir__http *http, struct weir__http_req *req)
{
    __atomic_store_n(&req->canceled, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&http->cancels, 1, __ATOMIC_RELEASE);
    curl_multi_wakeup(http->multi);
}

void weir__http_close(struct weir__http *http, struct weir_task *closed)
{
    http->closed = closed;
    __atomic_store_n(&http->closing, 1, __ATOMIC_RELEASE);
    curl_multi_wakeup(http->multi);
}
