/* SPDX-License-Identifier: Apache-2.0 */
/* A call is in one of these places: `line->waiting` (for its turn),
 * `line->idle` (for time to pass or for credentials), or under way with one
 * or two attempts.  It is over when its status is known; `done` comes when none
 * of its attempts is under way any more: the loser of a race of two GETs is
 * canceled.  So is the second one when the first has told how to sign anew: a
 * call waits for its turn only with none under way. */
#include "store/s3_call.h"

#include "base/error.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a large request may take on top, in nanoseconds for each byte: as long
 * as at 1 MiB/s. */
enum { NS_PER_BYTE = 1000 };

/* Nobody was there: it will hardly be there in a minute, and those who call
 * try again by themselves. */
enum { ATTEMPTS_TO_CONNECT = 4 };

static void next_call(struct weir__s3_line *line);
static void enqueue(struct weir__s3_call *call);

void weir__s3_line_init(struct weir__s3_line *line)
{
    weir__list_init(&line->waiting);
    weir__list_init(&line->idle);
    line->retry.env = line->host.env;
    weir__retry_init(&line->retry);
}

static bool is_flying(const struct weir__s3_call *call)
{
    return call->attempts[0].flying || call->attempts[1].flying;
}

static void cancel_attempts(struct weir__s3_call *call)
{
    for (int i = 0; i < 2; i++)
        if (call->attempts[i].flying)
            weir__http_cancel(call->line->http, &call->attempts[i].http);
}

static void end_call(struct weir__s3_call *call)
{
    if (is_flying(call))
        cancel_attempts(call);
    else
        call->done(call, call->status);
}

static void finish(struct weir__s3_call *call, int status,
                   const struct weir_error *cause)
{
    struct weir_env *env = call->line->host.env;

    env->ops->timer_stop(env, &call->timer);
    call->over = true;
    if (status != 0 && status != WEIR_ECONFLICT && call->ambiguous)
        status = WEIR_EUNKNOWN;
    call->status = status;
    if (status != 0 && call->err != NULL) {
        weir__error_copy(call->err, cause);
        call->err->code = status;
        if (call->made > 1) {
            size_t n = strlen(call->err->text);

            snprintf(call->err->text + n, sizeof(call->err->text) - n,
                     "; %u attempts", call->made);
        }
    }
    end_call(call);
}

static void fail(struct weir__s3_call *call, int status, const char *text)
{
    struct weir_error error = {0};

    weir__fail(&error, status, "%s: %s", call->what, text);
    finish(call, status, &error);
}

void weir__s3_line_close(struct weir__s3_line *line,
                         struct weir_task *keys_closed)
{
    struct weir__list *at;

    line->closing = true;
    weir__s3_keys_close(&line->keys, keys_closed);
    while ((at = weir__list_pop(&line->waiting)) != NULL ||
           (at = weir__list_pop(&line->idle)) != NULL)
        fail(WEIR__CONTAINER(at, struct weir__s3_call, link), WEIR_ECANCELED,
             "the store is closed");
}

/* ---- Sending ------------------------------------------------------------- */

static void answered(struct weir__http_req *http, int status);

static uint64_t attempt_deadline(const struct weir__s3_call *call)
{
    struct weir_env *env = call->line->host.env;
    uint64_t bytes = call->body_size + call->max_body;
    uint64_t extra;
    uint64_t at;

    /* An answer of unknown size may be as long as all the time there is. */
    if (__builtin_mul_overflow(bytes, (uint64_t)NS_PER_BYTE, &extra) ||
        __builtin_add_overflow(env->ops->now(env) + call->line->attempt_timeout,
                               extra, &at) ||
        at > call->deadline)
        return call->deadline;
    return at;
}

/* 0, or the status with which the whole call must end. */
static int attempt_start(struct weir__s3_attempt *a)
{
    struct weir__s3_call *call = a->call;
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;
    int rc;

    a->message = (struct weir__s3_message){.alloc = line->host.alloc};
    a->err = (struct weir_error){0};
    a->keys_version = line->keys.version;
    snprintf(a->region, sizeof(a->region), "%s", line->place.region);
    rc = call->write(call, &a->message, &line->keys.now,
                     env->ops->wall(env) + line->keys.skew);
    if (rc != 0)
        return rc;
    a->http = (struct weir__http_req){
        .method = a->message.method,
        .url = a->message.url,
        .headers = (const char *const *)a->message.lines,
        .iov = call->iov,
        .iov_count = call->iov_count,
        .body_size = call->body_size,
        .max_body = call->max_body,
        .deadline = attempt_deadline(call),
        .done = answered,
        .ctx = a,
        .err = &a->err,
        .flags = (call->flags & WEIR__S3_ONCE) != 0 ? WEIR__HTTP_ONCE : 0,
    };
    /* What went wrong may be wrong with the connection. */
    if (call->made > 0)
        a->http.flags |= WEIR__HTTP_FRESH;
    call->made++;
    a->flying = true;
    line->flying++;
    weir__http_submit(line->http, &a->http);
    return 0;
}

static void attempt_end(struct weir__s3_attempt *a)
{
    weir__s3_message_wipe(&a->message);
    a->flying = false;
    a->call->line->flying--;
}

static void keys_ready(struct weir__s3_keys_wait *wait, int status)
{
    struct weir__s3_call *call =
        WEIR__CONTAINER(wait, struct weir__s3_call, keys_wait);
    struct weir__s3_line *line = call->line;

    weir__list_remove(&call->link);
    if (status == 0) {
        enqueue(call); /* It was not counted, nor were the others. */
        return;
    }
    fail(call, status, line->keys.error.text); /* The call is gone now. */
    next_call(line);
}

static void no_keys(struct weir_timer *timer)
{
    struct weir__s3_call *call =
        WEIR__CONTAINER(timer, struct weir__s3_call, timer);

    weir__list_remove(&call->keys_wait.link);
    weir__list_remove(&call->link);
    fail(call, WEIR_ETIMEDOUT,
         "the deadline was over before there were credentials");
}

static void wait_for_keys(struct weir__s3_call *call)
{
    struct weir_env *env = call->line->host.env;

    weir__list_push(&call->line->idle, &call->link);
    if (call->deadline == 0)
        return;
    call->timer.fire = no_keys;
    call->timer.deadline = call->deadline;
    env->ops->timer_start(env, &call->timer);
}

static void hedge_now(struct weir_timer *timer);

static void plan_hedge(struct weir__s3_call *call)
{
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;

    if ((call->flags & WEIR__S3_HEDGE) == 0 || line->hedge == 0 ||
        call->made > 1)
        return;
    call->timer.fire = hedge_now;
    call->timer.deadline = env->ops->now(env) + line->hedge;
    env->ops->timer_start(env, &call->timer);
}

/* It is its turn. */
static void begin(struct weir__s3_call *call)
{
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;
    int rc;

    env->ops->timer_stop(env, &call->timer);
    if (line->closing) {
        fail(call, WEIR_ECANCELED, "the store is closed");
        return;
    }
    call->keys_wait.ready = keys_ready;
    rc = weir__s3_keys_get(&line->keys, &call->keys_wait);
    if (rc < 0) {
        fail(call, rc, line->keys.error.text);
        return;
    }
    if (rc > 0) {
        wait_for_keys(call);
        return;
    }
    rc = attempt_start(&call->attempts[0]);
    if (rc != 0)
        fail(call, rc, weir_error_text(rc));
    else
        plan_hedge(call);
}

static void next_call(struct weir__s3_line *line)
{
    struct weir__list *at;

    while (line->flying < weir__retry_limit(&line->retry) &&
           (at = weir__list_pop(&line->waiting)) != NULL)
        begin(WEIR__CONTAINER(at, struct weir__s3_call, link));
}

static void too_late(struct weir_timer *timer)
{
    struct weir__s3_call *call =
        WEIR__CONTAINER(timer, struct weir__s3_call, timer);

    weir__list_remove(&call->link);
    fail(call, WEIR_ETIMEDOUT,
         "the deadline was over before a connection was free");
}

static void enqueue(struct weir__s3_call *call)
{
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;

    call->timer.fire = too_late;
    call->timer.deadline = call->deadline;
    env->ops->timer_start(env, &call->timer);
    weir__list_push(&line->waiting, &call->link);
    next_call(line);
}

static void run_begun(struct weir_task *task)
{
    struct weir__s3_call *call =
        WEIR__CONTAINER(task, struct weir__s3_call, begun);

    weir__list_remove(&call->link);
    if (call->line->closing)
        fail(call, WEIR_ECANCELED, "the store is closed");
    else
        enqueue(call);
}

void weir__s3_call_start(struct weir__s3_call *call)
{
    struct weir_env *env = call->line->host.env;

    weir__list_init(&call->link);
    for (int i = 0; i < 2; i++)
        call->attempts[i].call = call;
    call->begun.run = run_begun;
    env->ops->post(env, &call->begun);
}

/* A GET is slow: ask again, on another connection. */
static void hedge_now(struct weir_timer *timer)
{
    struct weir__s3_call *call =
        WEIR__CONTAINER(timer, struct weir__s3_call, timer);
    struct weir__s3_line *line = call->line;

    if (line->closing || !line->keys.have ||
        line->flying >= weir__retry_limit(&line->retry) ||
        !weir__retry_pay(&line->retry, call->made, WEIR_EUNAVAILABLE))
        return;
    (void)attempt_start(&call->attempts[1]);
}

/* ---- What follows upon an answer ----------------------------------------- */

static void wait_over(struct weir_timer *timer)
{
    struct weir__s3_call *call =
        WEIR__CONTAINER(timer, struct weir__s3_call, timer);

    weir__list_remove(&call->link);
    enqueue(call);
}

static void try_again(struct weir__s3_call *call, uint64_t delay)
{
    struct weir_env *env = call->line->host.env;

    if (delay == 0) {
        enqueue(call);
        return;
    }
    weir__list_push(&call->line->idle, &call->link);
    call->timer.fire = wait_over;
    call->timer.deadline = env->ops->now(env) + delay;
    env->ops->timer_start(env, &call->timer);
}

/* What was learned helps none that was signed before: begin anew when the
 * other one has ended. */
static void start_over(struct weir__s3_call *call)
{
    call->start_over = is_flying(call);
    if (call->start_over)
        cancel_attempts(call);
    else
        try_again(call, 0);
}

static int digits(const char *text, int count)
{
    int n = 0;

    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
    }
    return n;
}

/* Seconds since 1970 of a Date header, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC
 * 9110 5.6.7); 0: it cannot be read.  No locale has a say in it. */
static int64_t read_date(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    char month[4] = "";
    const char *at;

    if (strlen(text) != 29)
        return 0;
    memcpy(month, text + 8, 3);
    at = strstr(months, month);
    tm.tm_mday = digits(text + 5, 2);
    tm.tm_year = digits(text + 12, 4) - 1900;
    tm.tm_hour = digits(text + 17, 2);
    tm.tm_min = digits(text + 20, 2);
    tm.tm_sec = digits(text + 23, 2);
    if (at == NULL || (at - months) % 3 != 0 || tm.tm_mday < 1 ||
        tm.tm_year < 70 || tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
        return 0;
    tm.tm_mon = (int)((at - months) / 3);
    return (int64_t)timegm(&tm);
}

/* The server's clock, from the answer that says that ours is wrong. */
static bool learn_clock(struct weir__s3_call *call,
                        const struct weir__http_answer *answer)
{
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;
    int64_t seconds = read_date(answer->date);

    if (call->clock_learned || seconds == 0 ||
        strcmp(call->error.code, "RequestTimeTooSkewed") != 0)
        return false;
    call->clock_learned = true;
    line->keys.skew = seconds * 1000 - env->ops->wall(env);
    weir__log(line->host.log, WEIR_LOG_WARN,
              "s3://%s: this machine's clock is %lld s off the server's: "
              "requests are signed with the server's",
              line->place.bucket, (long long)(line->keys.skew / 1000));
    return true;
}

/* The bucket's region, from the answer that says that the attempt's is wrong;
 * another call may have learned it meanwhile.  No redirect is followed: it
 * would take the signature to whoever wrote it. */
static bool learn_region(struct weir__s3_call *call,
                         const struct weir__s3_attempt *a)
{
    struct weir__s3_line *line = call->line;
    const char *region = call->error.region;

    if (call->region_learned || region[0] == '\0' ||
        strcmp(region, a->region) == 0)
        return false;
    call->region_learned = true;
    if (strcmp(region, line->place.region) == 0)
        return true;
    if (weir__s3_place_move(&line->place, region) != 0)
        return false;
    weir__log(line->host.log, WEIR_LOG_INFO,
              "s3://%s: the bucket is in region %s: set region to it",
              line->place.bucket, region);
    return true;
}

/* Keys that are rejected were perhaps replaced since the attempt was signed. */
static bool renew_keys(struct weir__s3_call *call,
                       const struct weir__s3_attempt *a)
{
    static const char *const codes[] = {"ExpiredToken", "InvalidToken",
                                        "InvalidAccessKeyId",
                                        "TokenRefreshRequired"};
    bool rejected = false;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        rejected = rejected || strcmp(call->error.code, codes[i]) == 0;
    if (!rejected || call->keys_renewed)
        return false;
    call->keys_renewed = true;
    return weir__s3_keys_reject(&call->line->keys, a->keys_version);
}

/* The answer tells what to do better, and it was certainly not done. */
static bool learn(struct weir__s3_call *call, const struct weir__s3_attempt *a)
{
    const struct weir__http_answer *answer = &a->http.answer;

    if (answer->status < 300 || call->line->closing)
        return false;
    return learn_clock(call, answer) || learn_region(call, a) ||
           renew_keys(call, a);
}

/* Only web pages have come so far: that is not a server that fails, it is none
 * of S3.  One that fails gives them with a 5xx. */
static bool is_no_s3(const struct weir__s3_call *call,
                     const struct weir__http_answer *answer)
{
    return call->error.html && !call->line->met && answer->status < 400;
}

/* Pay for one more attempt, if it can begin before the deadline. */
static bool may_retry(struct weir__s3_call *call, int status, bool sent,
                      uint64_t *delay)
{
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;

    if (line->closing || !weir__retry_worth(status))
        return false;
    if (status == WEIR_ECORRUPT && (call->flags & WEIR__S3_DAMAGED) != 0)
        return false;
    if (status == WEIR_EUNAVAILABLE && !sent &&
        call->made >= ATTEMPTS_TO_CONNECT)
        return false;
    *delay = weir__retry_delay(&line->retry, call->made);
    if (call->deadline != 0 && env->ops->now(env) + *delay >= call->deadline)
        return false;
    return weir__retry_pay(&line->retry, call->made, status);
}

/* None is under way any more, or its answer will not be waited for. */
static void decide(struct weir__s3_call *call, struct weir__s3_attempt *a,
                   int status)
{
    uint64_t delay;

    if (status == 0) {
        finish(call, 0, NULL);
    } else if (learn(call, a)) {
        start_over(call);
    } else if (!is_no_s3(call, &a->http.answer) &&
               may_retry(call, status, a->http.sent || a->http.answer.status,
                         &delay)) {
        weir__log(call->line->host.log, WEIR_LOG_DEBUG, "%s; again in %llu ms",
                  a->err.text, (unsigned long long)(delay / 1000000));
        try_again(call, delay);
    } else {
        finish(call, status, &a->err);
    }
}

/* Who has answered once speaks what the endpoint says. */
static const char *tls_advice(const struct weir__s3_line *line,
                              enum weir__http_tls tls)
{
    if (line->met || line->place.amazon)
        return "";
    switch (tls) {
    case WEIR__HTTP_TLS_NONE:
        return "no TLS is spoken there: say endpoint=http://..., or the port "
               "of TLS: ";
    case WEIR__HTTP_TLS_HUNG_UP:
        return "if that port is none of TLS, say endpoint=http://...: ";
    case WEIR__HTTP_TLS_PERHAPS:
        return "if that port is one of TLS, say endpoint=https://...: ";
    case WEIR__HTTP_TLS_FITS:
        break;
    }
    return "";
}

/* No answer came: what does that mean for what may have arrived? */
static int read_silence(struct weir__s3_attempt *a, int status)
{
    struct weir__s3_call *call = a->call;
    char cause[WEIR_ERROR_TEXT];

    snprintf(cause, sizeof(cause), "%s", a->err.text);
    if (status == WEIR_ETOOBIG && call->max_body > 0)
        return weir__fail(&a->err, WEIR_EUNSUPPORTED,
                          "%s: more came than was asked for: the server "
                          "ignores the Range header",
                          call->what);
    if ((call->flags & WEIR__S3_CHANGES) != 0 && a->http.sent)
        status = WEIR_EUNKNOWN;
    return weir__fail(&a->err, status, "%s: %s%.160s", call->what,
                      tls_advice(call->line, a->http.tls), cause);
}

static void note_answer(struct weir__s3_call *call, int status)
{
    struct weir__retry *retry = &call->line->retry;

    if (status == WEIR_EUNKNOWN)
        call->ambiguous = true;
    if (status == WEIR_ETHROTTLED)
        weir__retry_slow(retry);
    else if (!weir__retry_worth(status))
        weir__retry_good(retry); /* It has answered, whatever it says. */
}

static void answered(struct weir__http_req *http, int status)
{
    struct weir__s3_attempt *a = http->ctx;
    struct weir__s3_call *call = a->call;
    struct weir__s3_line *line = call->line;
    struct weir_env *env = line->host.env;
    struct weir_buf *body = http->body;

    http->body = NULL;
    attempt_end(a);
    if (call->over || call->start_over) { /* The other one was first. */
        weir_buf_unref(body);
        if (call->over)
            end_call(call);
        else
            start_over(call);
        next_call(line);
        return;
    }
    call->error = (struct weir__s3_error){0};
    status = status == 0 ? call->read(call, a, body) : read_silence(a, status);
    note_answer(call, status);
    if (http->answer.status != 0 && !call->error.html)
        line->met = true;
    if (is_flying(call) && weir__retry_worth(status)) {
        next_call(line); /* The other one may still go well. */
        return;
    }
    env->ops->timer_stop(env, &call->timer);
    decide(call, a, status);
    next_call(line);
}
