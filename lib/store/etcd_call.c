/* SPDX-License-Identifier: Apache-2.0 */
#include "store/etcd_call.h"

#include "base/alloc.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 8, ATTEMPTS = 30 };

#define FIRST_DELAY_NS UINT64_C(20000000)
#define MOST_DELAY_NS UINT64_C(1000000000)

/* ---- The cluster --------------------------------------------------------- */

struct weir__etcd_token *weir__etcd_token_use(struct weir__etcd_line *line)
{
    if (line->token != NULL)
        line->token->users++;
    return line->token;
}

void weir__etcd_token_leave(struct weir__etcd_line *line,
                            struct weir__etcd_token **token)
{
    if (*token != NULL && --(*token)->users == 0)
        weir__secret_free(line->host.alloc, *token);
    *token = NULL;
}

void weir__etcd_line_free(struct weir__etcd_line *line)
{
    const struct weir_alloc *alloc = line->host.alloc;

    for (size_t i = 0; i < line->endpoint_count; i++)
        weir__free(alloc, line->endpoints[i]);
    line->endpoint_count = 0;
    weir__secret_free(alloc, line->user);
    weir__secret_free(alloc, line->password);
    line->user = line->password = NULL;
    weir__etcd_token_leave(line, &line->token);
}

void weir__etcd_forget(struct weir__etcd_line *line,
                       const struct weir__etcd_token *token)
{
    if (line->token == token)
        weir__etcd_token_leave(line, &line->token);
}

/* Bytes of HOST in HOST or HOST:PORT; 0 if it is neither. */
static size_t host_len(const char *text, size_t len)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t host = strspn(text, good);

    if (text[0] == '[') {
        host = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (text[host] != ']')
            return 0;
        host++;
    }
    if (len > 255)
        return 0;
    if (host == len)
        return len;
    if (text[host] != ':' || host + 1 == len ||
        strspn(text + host + 1, "0123456789") != len - host - 1)
        return 0;
    return host;
}

static int add_endpoint(struct weir__etcd_line *line, const char *text,
                        size_t len, bool tls, bool insecure,
                        struct weir_error *err)
{
    size_t host = host_len(text, len);
    size_t room = len + 20;
    int most = weir__uri_shown(text);
    int shown = len < (size_t)most ? (int)len : most;
    char *endpoint;

    if (host == 0)
        return weir__fail(err, WEIR_EINVAL,
                          "etcd://%.*s: expected HOST:PORT, or several with "
                          "commas between",
                          shown, text);
    if (line->endpoint_count == WEIR__ETCD_ENDPOINTS)
        return weir__fail(err, WEIR_EINVAL, "etcd: more than %d members",
                          WEIR__ETCD_ENDPOINTS);
    if (!tls && !insecure && !weir__is_loopback(text, host))
        return weir__fail(err, WEIR_EINVAL,
                          "etcd://%.*s: expected tls=true: anyone on the way "
                          "could read and change the manifest; add "
                          "insecure=true to allow it",
                          shown, text);
    endpoint = weir__malloc(line->host.alloc, room);
    if (endpoint == NULL)
        return WEIR_ENOMEM;
    snprintf(endpoint, room, "%s://%.*s%s", tls ? "https" : "http", (int)len,
             text, host == len ? ":2379" : "");
    line->endpoints[line->endpoint_count++] = endpoint;
    return 0;
}

static int add_endpoints(struct weir__etcd_line *line,
                         const struct weir__uri *uri, struct weir_error *err)
{
    static const char *const known[] = {"tls", "insecure", NULL};
    const char *at = uri->authority != NULL ? uri->authority : "";
    int tls = 0;
    int insecure = 0;
    int rc = weir__uri_check(uri, known, err);

    if (rc == 0)
        rc = weir__uri_bool(uri, "tls", &tls, err);
    if (rc == 0)
        rc = weir__uri_bool(uri, "insecure", &insecure, err);
    while (rc == 0) {
        size_t len = strcspn(at, ",");

        rc = add_endpoint(line, at, len, tls != 0, insecure != 0, err);
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    return rc;
}

static int copy_user(struct weir__etcd_line *line,
                     const struct weir_config *config, struct weir_error *err)
{
    const char *user = weir__config_text(config, WEIR__P_ETCD_USER);
    const char *password = weir__config_text(config, WEIR__P_ETCD_PASSWORD);

    if (user[0] == '\0')
        return 0;
    line->user = weir__secret_strdup(line->host.alloc, user);
    line->password = weir__secret_strdup(line->host.alloc, password);
    return line->user != NULL && line->password != NULL
               ? 0
               : weir__fail(err, WEIR_ENOMEM, "etcd: out of memory");
}

static const char *file_of(const struct weir_config *config,
                           enum weir__property id)
{
    const char *text = weir__config_text(config, id);

    return text[0] != '\0' ? text : NULL;
}

static int open_http(struct weir__etcd_line *line,
                     const struct weir_config *config, struct weir_error *err)
{
    struct weir__http_config http = {
        .host = &line->host,
        .connections = CONNECTIONS + 1, /* One for a watch. */
        .ca_file = file_of(config, WEIR__P_ETCD_CA_FILE),
        .cert_file = file_of(config, WEIR__P_ETCD_CERT_FILE),
        .key_file = file_of(config, WEIR__P_ETCD_KEY_FILE),
    };
    const char *const files[] = {http.ca_file, http.cert_file, http.key_file};

    for (size_t i = 0; i < 3; i++)
        if (files[i] != NULL && access(files[i], R_OK) != 0)
            return weir__fail_errno(err, errno, "etcd: read %s", files[i]);
    return weir__http_open(&line->http, &http, err);
}

int weir__etcd_line_open(struct weir__etcd_line *line,
                         const struct weir__uri *uri,
                         const struct weir_config *config,
                         struct weir_error *err)
{
    int rc = add_endpoints(line, uri, err);

    weir__list_init(&line->idle);
    line->attempt_timeout =
        (uint64_t)config->number[WEIR__P_ETCD_ATTEMPT_TIMEOUT];
    line->retry = (struct weir__retry){.env = line->host.env,
                                       .first_delay = FIRST_DELAY_NS,
                                       .most_delay = MOST_DELAY_NS,
                                       .attempts = ATTEMPTS,
                                       .most = CONNECTIONS};
    weir__retry_init(&line->retry);
    if (rc == 0)
        rc = copy_user(line, config, err);
    if (rc == 0)
        rc = open_http(line, config, err);
    return rc;
}

/* ---- Exchanges ----------------------------------------------------------- */

static void attempt(struct weir__etcd_call *call);

void weir__etcd_call_init(struct weir__etcd_call *call,
                          struct weir__etcd_line *line, struct weir_error *err,
                          uint64_t deadline)
{
    *call = (struct weir__etcd_call){
        .line = line, .err = err, .deadline = deadline};
    weir__list_init(&call->link);
    weir__writer_init(&call->body, line->host.alloc);
    weir__writer_init_secret(&call->login, line->host.alloc);
}

static void drop_login(struct weir__etcd_call *call)
{
    weir__writer_free(&call->login);
}

static void end(struct weir__etcd_call *call, int status,
                const struct weir__json *answer)
{
    drop_login(call);
    weir__etcd_token_leave(call->line, &call->token);
    weir__writer_free(&call->body);
    if (status != 0 && call->ambiguous && call->changes)
        status = WEIR_EUNKNOWN;
    if (status != 0 && call->err != NULL) {
        weir__error_copy(call->err, &call->error);
        call->err->code = status;
    }
    call->done(call, status, answer);
}

static void wait_over(struct weir_timer *timer)
{
    struct weir__etcd_call *call =
        WEIR__CONTAINER(timer, struct weir__etcd_call, timer);

    weir__list_remove(&call->link);
    attempt(call);
}

/* The member that was asked failed: the next one may do better. */
static void turn_away(struct weir__etcd_call *call)
{
    struct weir__etcd_line *line = call->line;

    if (line->present == call->endpoint)
        line->present = (line->present + 1) % line->endpoint_count;
}

static void failed(struct weir__etcd_call *call, int status)
{
    struct weir__etcd_line *line = call->line;
    struct weir_env *env = line->host.env;
    uint64_t delay;

    if (status == WEIR_EUNKNOWN)
        call->ambiguous = true;
    if (line->closing || !weir__retry_worth(status)) {
        end(call, status, NULL);
        return;
    }
    turn_away(call);
    /* One round of the members without a wait. */
    delay = call->made < line->endpoint_count
                ? 0
                : weir__retry_delay(&line->retry, call->made);
    if (env->ops->now(env) + delay >= call->deadline ||
        call->made >= ATTEMPTS) {
        end(call, status, NULL);
        return;
    }
    weir__log(line->host.log, WEIR_LOG_DEBUG, "%s; again", call->error.text);
    weir__list_push(&line->idle, &call->link);
    call->timer.fire = wait_over;
    call->timer.deadline = env->ops->now(env) + delay;
    env->ops->timer_start(env, &call->timer);
}

/* Keep the token for all that follows. */
static int have_token(struct weir__etcd_call *call,
                      const struct weir__json *answer)
{
    struct weir__etcd_line *line = call->line;
    const char *token = weir__json_text(weir__json_get(answer, "token"));
    size_t room;

    if (token == NULL || token[strcspn(token, "\r\n")] != '\0')
        return weir__fail(&call->error, WEIR_EAUTH,
                          "etcd: log in as %.60s: no token came", line->user);
    room = strlen(token) + 20;
    weir__etcd_token_leave(line, &line->token);
    line->token =
        weir__secret_calloc(line->host.alloc, sizeof(*line->token) + room);
    if (line->token == NULL)
        return WEIR_ENOMEM;
    line->token->users = 1; /* The line. */
    snprintf(line->token->header, room, "Authorization: %s", token);
    return 0;
}

static void have_answer(struct weir__etcd_call *call,
                        const struct weir__json *answer)
{
    int rc;

    if (!call->logging_in) {
        end(call, 0, answer);
        return;
    }
    drop_login(call);
    call->logging_in = false;
    call->logged_in = true;
    rc = have_token(call, answer);
    if (rc != 0)
        end(call, rc, NULL);
    else
        attempt(call);
}

static void read_answer(struct weir__etcd_call *call,
                        const struct weir_buf *body)
{
    struct weir__etcd_line *line = call->line;
    struct weir__json *root = NULL;
    struct weir_error cause = {0};
    int http = call->http.answer.status;
    const void *data = body != NULL ? body->data : NULL;
    size_t len = body != NULL ? body->len : 0;
    bool changes = call->changes && !call->logging_in;
    int login = 0;
    int status = 0;

    if (http != 200) {
        status = weir__etcd_failure(http, data, len, changes, &login,
                                    call->what, &call->error);
        if (login && line->user != NULL && !call->logged_in) {
            weir__etcd_forget(line, call->token);
            attempt(call);
            return;
        }
    } else if (weir__json_parse(&root, data, len, &cause) != 0) {
        status = weir__fail(&call->error,
                            changes ? WEIR_EUNKNOWN : WEIR_EUNAVAILABLE,
                            "%s: %.150s", call->what, cause.text);
    }
    if (status != 0)
        failed(call, status);
    else
        have_answer(call, root);
    weir__json_free(root);
}

/* Where a member has answered once, they speak what the URI says. */
static const char *tls_advice(const struct weir__etcd_call *call)
{
    if (call->line->met)
        return "";
    switch (call->http.tls) {
    case WEIR__HTTP_TLS_NONE:
        return "no TLS is spoken there: leave tls=true out, or name the port "
               "of TLS: ";
    case WEIR__HTTP_TLS_HUNG_UP:
        return "if that port is none of TLS, leave tls=true out: ";
    case WEIR__HTTP_TLS_PERHAPS:
        return "if that port is one of TLS, say tls=true: ";
    case WEIR__HTTP_TLS_FITS:
        break;
    }
    return "";
}

static void answered(struct weir__http_req *http, int status)
{
    struct weir__etcd_call *call = http->ctx;
    struct weir_buf *body = http->body;
    char cause[WEIR_ERROR_TEXT];

    http->body = NULL;
    if (status == 0) {
        call->line->met = true;
        read_answer(call, body);
        weir_buf_unref(body);
        return;
    }
    snprintf(cause, sizeof(cause), "%s", call->error.text);
    if (call->changes && !call->logging_in && http->sent)
        status = WEIR_EUNKNOWN;
    weir__fail(&call->error, status, "%s: %s: %s%.120s", call->what,
               call->line->endpoints[call->endpoint], tls_advice(call), cause);
    failed(call, status);
}

static int write_login(struct weir__etcd_call *call)
{
    const struct weir__etcd_line *line = call->line;

    drop_login(call);
    weir__etcd_write_login(&call->login, line->user, line->password);
    call->logging_in = true;
    return call->login.bad ? WEIR_ENOMEM : 0;
}

/* What is sent with the request: none with a login. */
static void take_token(struct weir__etcd_call *call)
{
    weir__etcd_token_leave(call->line, &call->token);
    if (!call->logging_in)
        call->token = weir__etcd_token_use(call->line);
}

static void submit(struct weir__etcd_call *call)
{
    struct weir__etcd_line *line = call->line;
    struct weir_env *env = line->host.env;
    uint64_t deadline = env->ops->now(env) + line->attempt_timeout;
    const struct weir__writer *body =
        call->logging_in ? &call->login : &call->body;

    call->endpoint = line->present;
    call->made++;
    snprintf(call->url, sizeof(call->url), "%s%s",
             line->endpoints[call->endpoint],
             call->logging_in ? "/v3/auth/authenticate" : call->path);
    call->headers[0] = "Content-Type: application/json";
    call->headers[1] = call->token != NULL ? call->token->header : NULL;
    call->iov = (struct weir_iov){body->data, body->len};
    call->error = (struct weir_error){0};
    call->http = (struct weir__http_req){
        .method = "POST",
        .url = call->url,
        .headers = call->headers,
        .iov = &call->iov,
        .iov_count = 1,
        .body_size = body->len,
        .max_body = WEIR__JSON_SIZE,
        .deadline = deadline < call->deadline ? deadline : call->deadline,
        .flags = WEIR__HTTP_ONCE | (call->logging_in ? WEIR__HTTP_SECRET : 0),
        .done = answered,
        .ctx = call,
        .err = &call->error,
    };
    weir__http_submit(line->http, &call->http);
}

static void attempt(struct weir__etcd_call *call)
{
    struct weir__etcd_line *line = call->line;
    int rc = call->body.bad ? WEIR_ENOMEM : 0;

    if (line->closing)
        rc = WEIR_ECANCELED;
    if (rc == 0 && line->user != NULL && line->token == NULL)
        rc = write_login(call);
    else if (rc == 0 && call->only_login) {
        end(call, 0, NULL);
        return;
    }
    if (rc != 0) {
        weir__fail(&call->error, rc, "%s: %s", call->what, weir_error_text(rc));
        end(call, rc, NULL);
        return;
    }
    take_token(call);
    submit(call);
}

static void begin(struct weir_task *task)
{
    attempt(WEIR__CONTAINER(task, struct weir__etcd_call, task));
}

void weir__etcd_call_start(struct weir__etcd_call *call)
{
    struct weir_env *env = call->line->host.env;

    call->made = 0;
    call->logging_in = false;
    call->logged_in = false;
    call->task.run = begin;
    env->ops->post(env, &call->task);
}

void weir__etcd_line_close(struct weir__etcd_line *line,
                           struct weir_task *closed)
{
    struct weir_env *env = line->host.env;
    struct weir__list *at;

    line->closing = true;
    while ((at = weir__list_pop(&line->idle)) != NULL) {
        struct weir__etcd_call *call =
            WEIR__CONTAINER(at, struct weir__etcd_call, link);

        env->ops->timer_stop(env, &call->timer);
        end(call, WEIR_ECANCELED, NULL);
    }
    weir__http_close(line->http, closed);
}
