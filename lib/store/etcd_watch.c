/* SPDX-License-Identifier: Apache-2.0 */
#include "store/etcd_watch.h"

#include "base/error.h"
#include "base/log.h"
#include "http/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* After so long without a word it is begun anew: etcd says at least that all is
 * well every ten minutes, by default. */
#define SILENCE_NS UINT64_C(1500000000000)
#define FIRST_DELAY_NS UINT64_C(100000000)
#define MOST_DELAY_NS UINT64_C(60000000000)
/* Memory that is kept between lines. */
#define TEXT_KEPT (64u << 10)

static void begin(struct weir__etcd_watch *w);

static uint64_t now(const struct weir__etcd_watch *w)
{
    return w->line->host.env->ops->now(w->line->host.env);
}

static void arm(struct weir__etcd_watch *w, uint64_t deadline)
{
    struct weir_env *env = w->line->host.env;

    w->timer.deadline = deadline;
    env->ops->timer_start(env, &w->timer);
}

static void disarm(struct weir__etcd_watch *w)
{
    struct weir_env *env = w->line->host.env;

    env->ops->timer_stop(env, &w->timer);
}

static void free_parts(struct weir__etcd_watch *w)
{
    weir__writer_free(&w->body);
    weir__writer_free(&w->text);
    weir__etcd_token_leave(w->line, &w->token);
}

/* ---- Telling ------------------------------------------------------------- */

/* May end the watch. */
static void tell(struct weir__etcd_watch *w, const char *key, int live)
{
    if (w->user == NULL)
        return;
    w->user->live = live;
    w->user->changed(w->user, key);
}

/* ---- Again --------------------------------------------------------------- */

static void idle(struct weir__etcd_watch *w)
{
    free_parts(w);
    w->state = WEIR__ETCD_IDLE;
    w->ended(w);
}

/* It ended, `w->error` says why: the next member may do better. */
static void again(struct weir__etcd_watch *w)
{
    struct weir__etcd_line *line = w->line;
    bool was_live = w->user != NULL && w->user->live != 0;

    if (w->user == NULL || line->closing) {
        idle(w);
        return;
    }
    free_parts(w);
    weir__log(line->host.log, was_live ? WEIR_LOG_INFO : WEIR_LOG_DEBUG,
              "watch %s: %.180s; again", line->endpoints[w->endpoint],
              w->error.text);
    if (was_live && now(w) - w->since >= MOST_DELAY_NS)
        w->tries = 0;
    w->endpoint = (w->endpoint + 1) % line->endpoint_count;
    w->tries++;
    w->state = WEIR__ETCD_WAITS;
    /* One round of the members without a wait. */
    arm(w, now(w) + (w->tries < line->endpoint_count
                         ? 0
                         : weir__retry_delay(&w->retry, w->tries)));
    if (was_live)
        tell(w, NULL, 0);
}

/* End the request that is under way; `w->error` says why. */
static void breaks(struct weir__etcd_watch *w)
{
    disarm(w);
    w->state = WEIR__ETCD_BREAKS;
    weir__http_cancel(w->line->http, &w->http);
}

/* ---- Lines --------------------------------------------------------------- */

/* A member that knows nothing of the token, or has forgotten it, says no more
 * than that this user may not watch. */
static void canceled(struct weir__etcd_watch *w,
                     const struct weir__etcd_news *news)
{
    if (news->login)
        weir__etcd_forget(w->line, w->token);
    weir__fail(&w->error, WEIR_EUNAVAILABLE, "it was ended: %s", news->reason);
    breaks(w);
}

static void have_news(struct weir__etcd_watch *w,
                      const struct weir__etcd_news *news)
{
    size_t len = strlen(w->prefix);

    if (news->canceled) {
        canceled(w, news);
        return;
    }
    if (news->revision > w->told)
        w->told = news->revision;
    if (w->told >= w->known)
        w->known = 0;
    if (news->created && w->state == WEIR__ETCD_ASKS) {
        w->state = WEIR__ETCD_LIVE;
        arm(w, w->heard + SILENCE_NS);
        tell(w, NULL, 1);
    } else if (strncmp(news->key, w->prefix, len) == 0) {
        tell(w, news->key + len, 1);
    }
}

static void read_line(struct weir__etcd_watch *w)
{
    struct weir__etcd_news news;
    struct weir__json *root = NULL;
    struct weir_error cause = {0};
    int rc = weir__json_parse(&root, w->text.data, w->text.len, &cause);

    if (rc == 0)
        rc = weir__etcd_read_news(&news, root);
    weir__json_free(root);
    w->text.len = 0;
    if (w->text.capacity > TEXT_KEPT)
        weir__writer_free(&w->text);
    if (rc == 0) {
        have_news(w, &news);
        return;
    }
    weir__fail(&w->error, WEIR_EIO, "a line cannot be read: %.100s",
               cause.code != 0 ? cause.text : "it is none of a watch");
    breaks(w);
}

static bool takes(const struct weir__etcd_watch *w)
{
    return w->user != NULL &&
           (w->state == WEIR__ETCD_ASKS || w->state == WEIR__ETCD_LIVE);
}

/* Bytes of a line, all of which end before `len` if it has an end. */
static void take(struct weir__etcd_watch *w, const char *data, size_t len)
{
    if (len > WEIR__ETCD_LINE - w->text.len) {
        weir__fail(&w->error, WEIR_ETOOBIG, "a line of over %u bytes",
                   WEIR__ETCD_LINE);
        breaks(w);
        return;
    }
    weir__write_bytes(&w->text, data, len);
    if (!w->text.bad)
        return;
    weir__fail(&w->error, WEIR_ENOMEM, "out of memory");
    breaks(w);
}

static void came(struct weir__http_req *http, const void *data, size_t len)
{
    struct weir__etcd_watch *w = http->ctx;
    const char *at = data;

    w->heard = now(w);
    while (takes(w) && len > 0) {
        const char *end = memchr(at, '\n', len);
        size_t n = end != NULL ? (size_t)(end - at) : len;

        take(w, at, n);
        n += end != NULL;
        at += n;
        len -= n;
        if (end != NULL && takes(w) && w->text.len > 0)
            read_line(w);
    }
}

/* ---- The request --------------------------------------------------------- */

static void explain(struct weir__etcd_watch *w, int status,
                    const struct weir_buf *body)
{
    int http = w->http.answer.status;
    int login = 0;

    if (status == 0 && http != 200) {
        weir__etcd_failure(http, body != NULL ? body->data : NULL,
                           body != NULL ? body->len : 0, 0, &login, "watch",
                           &w->error);
        if (login)
            weir__etcd_forget(w->line, w->token);
    } else if (status == 0) {
        weir__fail(&w->error, WEIR_EUNAVAILABLE, "it came to its end");
    }
}

static void done(struct weir__http_req *http, int status)
{
    struct weir__etcd_watch *w = http->ctx;
    struct weir_buf *body = http->body;

    http->body = NULL;
    if (w->state != WEIR__ETCD_BREAKS)
        explain(w, status, body);
    weir_buf_unref(body);
    disarm(w);
    again(w);
}

static int write_request(struct weir__etcd_watch *w)
{
    char from[2 * WEIR_STORE_KEY_MAX];
    char end[2 * WEIR_STORE_KEY_MAX];
    const struct weir_alloc *alloc = w->line->host.alloc;

    weir__writer_init(&w->body, alloc);
    weir__writer_init(&w->text, alloc);
    snprintf(from, sizeof(from), "%s%s", w->prefix, w->user->prefix);
    weir__etcd_end(end, sizeof(end), from);
    weir__etcd_write_watch(&w->body, from, end);
    w->token = weir__etcd_token_use(w->line);
    return w->body.bad ? weir__fail(&w->error, WEIR_ENOMEM, "out of memory")
                       : 0;
}

static void ask(struct weir__etcd_watch *w)
{
    if (write_request(w) != 0) {
        again(w);
        return;
    }
    snprintf(w->url, sizeof(w->url), "%s/v3/watch",
             w->line->endpoints[w->endpoint]);
    w->headers[0] = "Content-Type: application/json";
    w->headers[1] = w->token != NULL ? w->token->header : NULL;
    w->iov = (struct weir_iov){w->body.data, w->body.len};
    w->http = (struct weir__http_req){
        .method = "POST",
        .url = w->url,
        .headers = w->headers,
        .iov = &w->iov,
        .iov_count = 1,
        .body_size = w->body.len,
        .part = came,
        .done = done,
        .ctx = w,
        .err = &w->error,
    };
    w->since = now(w);
    w->heard = w->since;
    w->told = 0;
    w->known = 0;
    w->state = WEIR__ETCD_ASKS;
    arm(w, w->since + w->line->attempt_timeout);
    weir__http_submit(w->line->http, &w->http);
}

static void logged_in(struct weir__etcd_call *call, int status,
                      const struct weir__json *answer)
{
    struct weir__etcd_watch *w =
        WEIR__CONTAINER(call, struct weir__etcd_watch, login);

    (void)answer;
    if (status != 0 || w->user == NULL || w->line->closing)
        again(w);
    else
        ask(w);
}

static void log_in(struct weir__etcd_watch *w)
{
    weir__etcd_call_init(&w->login, w->line, &w->error,
                         now(w) + w->line->attempt_timeout);
    snprintf(w->login.what, sizeof(w->login.what), "log in");
    w->login.only_login = true;
    w->login.done = logged_in;
    w->state = WEIR__ETCD_LOGS_IN;
    weir__etcd_call_start(&w->login);
}

static void begin(struct weir__etcd_watch *w)
{
    w->error = (struct weir_error){0};
    if (w->line->user != NULL && w->line->token == NULL)
        log_in(w);
    else
        ask(w);
}

/* It lives, but does it tell? */
static void look(struct weir__etcd_watch *w)
{
    uint64_t silent = w->heard + SILENCE_NS;

    if (w->known != 0 && now(w) >= w->late) {
        weir__fail(&w->error, WEIR_ETIMEDOUT,
                   "it has not told of revision %" PRId64, w->known);
        breaks(w);
    } else if (now(w) >= silent) {
        weir__fail(&w->error, WEIR_ETIMEDOUT, "silent for too long");
        breaks(w);
    } else {
        arm(w, w->known != 0 && w->late < silent ? w->late : silent);
    }
}

static void fire(struct weir_timer *timer)
{
    struct weir__etcd_watch *w =
        WEIR__CONTAINER(timer, struct weir__etcd_watch, timer);

    if (w->state == WEIR__ETCD_WAITS) {
        begin(w);
    } else if (w->state == WEIR__ETCD_LIVE) {
        look(w);
    } else if (w->state == WEIR__ETCD_ASKS) {
        weir__fail(&w->error, WEIR_ETIMEDOUT, "no answer in time");
        breaks(w);
    }
}

/* ---- The watch ----------------------------------------------------------- */

int weir__etcd_watch_begin(struct weir__etcd_watch *w,
                           struct weir_store_watch *user)
{
    if (w->user != NULL || w->state != WEIR__ETCD_IDLE || w->line->closing)
        return WEIR_EUNSUPPORTED;
    weir__writer_init(&w->body, w->line->host.alloc);
    weir__writer_init(&w->text, w->line->host.alloc);
    w->user = user;
    w->tries = 0;
    w->endpoint = w->line->present;
    w->timer.fire = fire;
    w->retry = (struct weir__retry){.env = w->line->host.env,
                                    .first_delay = FIRST_DELAY_NS,
                                    .most_delay = MOST_DELAY_NS,
                                    .most = 1};
    weir__retry_init(&w->retry);
    w->state = WEIR__ETCD_WAITS;
    arm(w, now(w));
    return 0;
}

void weir__etcd_watch_end(struct weir__etcd_watch *w)
{
    w->user = NULL;
    if (w->state == WEIR__ETCD_ASKS || w->state == WEIR__ETCD_LIVE)
        breaks(w);
    if (w->state != WEIR__ETCD_WAITS)
        return;
    disarm(w);
    w->state = WEIR__ETCD_IDLE;
}

bool weir__etcd_watch_busy(const struct weir__etcd_watch *w)
{
    return w->state != WEIR__ETCD_IDLE;
}

void weir__etcd_watch_known(struct weir__etcd_watch *w, const char *key,
                            int64_t revision)
{
    if (w->state != WEIR__ETCD_LIVE || w->known != 0 || revision <= w->told ||
        strncmp(key, w->user->prefix, strlen(w->user->prefix)) != 0)
        return;
    w->known = revision;
    w->late = now(w) + w->line->attempt_timeout;
    look(w);
}
