/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_source.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 10, ANSWER_MAX = 64 << 10, TRIES = 3, URL_ROOM = 2200 };

#define STEP_NS UINT64_C(5000000000)     /* One request elsewhere, */
#define INSTANCE_NS UINT64_C(1000000000) /* and of an instance. */
#define AGAIN_NS UINT64_C(100000000)

/* The environment variables that are read, once. */
enum setting {
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    TOKEN_FILE,
    ROLE,
    ROLE_SESSION,
    STS,
    CREDENTIALS_FILE,
    PROFILE,
    HOME,
    RELATIVE_URI,
    FULL_URI,
    AUTHORIZATION,
    AUTHORIZATION_FILE,
    METADATA,
    METADATA_OFF,
    SETTINGS
};

static const char *const names[SETTINGS] = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE",
    "HOME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_DISABLED",
};

struct weir__s3_source {
    struct weir_host host;
    unsigned kinds;
    char *region;
    char *settings[SETTINGS]; /* NULL: not set, or empty. */

    struct weir__http *http; /* While it looks, from here on. */
    void (*done)(void *ctx, int status, const struct weir__s3_found *found);
    void *ctx;
    struct weir_error *err;
    bool stopping;
    unsigned kind;
    int worst;             /* What the places that failed ended with. */
    struct weir_error why; /* Of the first of them. */
    struct weir_task task;
    struct weir_timer timer;
    struct weir__s3_found found;

    struct weir_work work; /* Reads `path` into `text`. */
    char *path;
    char *text;
    int read_errno;
    void (*have_file)(struct weir__s3_source *s);

    struct weir__http_req req;
    struct weir_error req_err;
    char url[URL_ROOM];
    char *lines[3]; /* Two headers. */
    struct weir__writer body;
    struct weir_iov iov;
    unsigned tries;
    void (*have_answer)(struct weir__s3_source *s, const char *text,
                        size_t len);
    char *imds_token; /* "name: value" */
};

static void next_kind(struct weir__s3_source *s);

/* ---- Settings ------------------------------------------------------------ */

static const char *setting(const struct weir__s3_source *s, enum setting i,
                           const char *otherwise)
{
    return s->settings[i] != NULL ? s->settings[i] : otherwise;
}

static void wipe_text(const struct weir_alloc *alloc, char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    weir__free(alloc, *text);
    *text = NULL;
}

void weir__s3_source_free(struct weir__s3_source *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < SETTINGS; i++)
        wipe_text(s->host.alloc, &s->settings[i]);
    weir__free(s->host.alloc, s->region);
    weir__s3_found_wipe(&s->found);
    weir__free(s->host.alloc, s);
}

int weir__s3_source_new(struct weir__s3_source **out,
                        const struct weir_host *host, unsigned kinds,
                        const char *region)
{
    struct weir__s3_source *s = weir__calloc(host->alloc, 1, sizeof(*s));
    bool good = s != NULL;

    *out = NULL;
    if (s == NULL)
        return WEIR_ENOMEM;
    s->host = *host;
    s->kinds = kinds;
    s->region = weir__strdup(host->alloc, region);
    good = s->region != NULL;
    for (size_t i = 0; i < SETTINGS && good; i++) {
        const char *value = getenv(names[i]);

        if (value == NULL || value[0] == '\0')
            continue;
        s->settings[i] = weir__strdup(host->alloc, value);
        good = s->settings[i] != NULL;
    }
    if (!good) {
        weir__s3_source_free(s);
        return WEIR_ENOMEM;
    }
    *out = s;
    return 0;
}

/* ---- Ends ---------------------------------------------------------------- */

static void drop_request(struct weir__s3_source *s)
{
    for (size_t i = 0; i < 2; i++)
        wipe_text(s->host.alloc, &s->lines[i]);
    if (s->body.data != NULL)
        explicit_bzero(s->body.data, s->body.len);
    weir__writer_free(&s->body);
    weir__writer_init(&s->body, s->host.alloc);
}

static void end(struct weir__s3_source *s, int status)
{
    drop_request(s);
    wipe_text(s->host.alloc, &s->text);
    wipe_text(s->host.alloc, &s->path);
    wipe_text(s->host.alloc, &s->imds_token);
    s->done(s->ctx, status, status == 0 ? &s->found : NULL);
}

/* A place is set up, and has no credentials: note why, and go on. */
static void failed(struct weir__s3_source *s, int status, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

static void failed(struct weir__s3_source *s, int status, const char *format,
                   ...)
{
    struct weir_error why = {0};
    va_list args;

    va_start(args, format);
    weir__vfail(&why, status, format, args);
    va_end(args);
    if (s->worst == 0)
        s->why = why;
    if (s->worst == 0 || status == WEIR_EUNAVAILABLE)
        s->worst = status;
    s->kind++;
    next_kind(s);
}

/* A place is not set up. */
static void pass_over(struct weir__s3_source *s)
{
    s->kind++;
    next_kind(s);
}

static void found(struct weir__s3_source *s, int rc, const char *what,
                  const struct weir_error *cause)
{
    if (rc == 0)
        end(s, 0);
    else
        failed(s, rc == WEIR_ENOMEM ? rc : WEIR_EAUTH, "%s: %.120s", what,
               cause->text);
}

/* ---- Files --------------------------------------------------------------- */

/* On a worker. */
static void read_file(struct weir_work *work)
{
    struct weir__s3_source *s =
        WEIR__CONTAINER(work, struct weir__s3_source, work);
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    size_t len = 0;

    s->text = fd >= 0 ? weir__malloc(s->host.alloc, FILE_MAX + 1) : NULL;
    s->read_errno = fd < 0 ? errno : s->text == NULL ? ENOMEM : 0;
    while (s->read_errno == 0 && len < FILE_MAX &&
           (n = read(fd, s->text + len, FILE_MAX - len)) > 0)
        len += (size_t)n;
    if (s->read_errno == 0 && n < 0)
        s->read_errno = errno;
    if (s->text != NULL)
        s->text[len] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Without a word of the user's, a file that is not there is no fault. */
static bool may_be_missing(const struct weir__s3_source *s)
{
    return s->kind == WEIR__S3_PROFILE && s->read_errno == ENOENT &&
           s->settings[CREDENTIALS_FILE] == NULL &&
           s->settings[PROFILE] == NULL;
}

static void file_read(struct weir_work *work)
{
    struct weir__s3_source *s =
        WEIR__CONTAINER(work, struct weir__s3_source, work);

    if (s->stopping)
        end(s, WEIR_ECANCELED);
    else if (may_be_missing(s))
        pass_over(s);
    else if (s->read_errno != 0)
        failed(s, WEIR_EAUTH, "read %.120s: %s", s->path,
               strerrorname_np(s->read_errno));
    else
        s->have_file(s);
}

/* `have_file` finds the file in `s->text`. */
static void want_file(struct weir__s3_source *s, const char *path,
                      void (*have_file)(struct weir__s3_source *s))
{
    wipe_text(s->host.alloc, &s->text);
    weir__free(s->host.alloc, s->path);
    s->path = weir__strdup(s->host.alloc, path);
    s->have_file = have_file;
    if (s->path == NULL) {
        failed(s, WEIR_ENOMEM, "out of memory");
        return;
    }
    s->work.work = read_file;
    s->work.done = file_read;
    s->host.env->ops->work(s->host.env, &s->work);
}

/* ---- Services ------------------------------------------------------------ */

static void send_request(struct weir__s3_source *s);

static void again(struct weir_timer *timer)
{
    send_request(WEIR__CONTAINER(timer, struct weir__s3_source, timer));
}

static void answered(struct weir__http_req *req, int status)
{
    struct weir__s3_source *s =
        WEIR__CONTAINER(req, struct weir__s3_source, req);
    struct weir_env *env = s->host.env;
    struct weir_buf *body = req->body;
    int http = req->answer.status;

    req->body = NULL;
    if (s->stopping) {
        end(s, WEIR_ECANCELED);
    } else if (status == 0 && http == 200) {
        s->have_answer(s, body != NULL ? (const char *)body->data : "",
                       body != NULL ? body->len : 0);
    } else if ((status != 0 || http >= 500) && s->tries < TRIES) {
        s->timer.fire = again;
        s->timer.deadline = env->ops->now(env) + AGAIN_NS * s->tries;
        env->ops->timer_start(env, &s->timer);
    } else if (status != 0) {
        failed(s, WEIR_EUNAVAILABLE, "%s %.80s: %.120s", req->method, s->url,
               s->req_err.text);
    } else {
        failed(s, http >= 500 ? WEIR_EUNAVAILABLE : WEIR_EAUTH,
               "%s %.120s: HTTP status %d", req->method, s->url, http);
    }
    if (body != NULL)
        explicit_bzero(body->data, body->len);
    weir_buf_unref(body);
}

static void send_request(struct weir__s3_source *s)
{
    struct weir_env *env = s->host.env;
    uint64_t limit = s->kind == WEIR__S3_INSTANCE ? INSTANCE_NS : STEP_NS;

    if (s->stopping) {
        end(s, WEIR_ECANCELED);
        return;
    }
    s->tries++;
    s->req.deadline = env->ops->now(env) + limit;
    weir__http_submit(s->http, &s->req);
}

static bool add_line(struct weir__s3_source *s, size_t i, const char *name,
                     const char *value)
{
    size_t room = strlen(name) + strlen(value) + 3;

    if (value[strcspn(value, "\r\n")] != '\0')
        return false;
    s->lines[i] = weir__malloc(s->host.alloc, room);
    if (s->lines[i] == NULL)
        return false;
    snprintf(s->lines[i], room, "%s: %s", name, value);
    return true;
}

/* The url, the lines and the body are set. */
static void ask(struct weir__s3_source *s, const char *method,
                void (*have_answer)(struct weir__s3_source *s, const char *text,
                                    size_t len))
{
    s->have_answer = have_answer;
    s->tries = 0;
    s->req_err = (struct weir_error){0};
    s->iov = (struct weir_iov){s->body.data, s->body.len};
    s->req = (struct weir__http_req){
        .method = method,
        .url = s->url,
        .headers = (const char *const *)s->lines,
        .iov = &s->iov,
        .iov_count = s->body.len > 0,
        .body_size = s->body.len,
        .max_body = ANSWER_MAX,
        .done = answered,
        .err = &s->req_err,
    };
    send_request(s);
}

/* false: it is too long. */
static bool set_url(struct weir__s3_source *s, const char *base,
                    const char *path, const char *more)
{
    int n = snprintf(s->url, sizeof(s->url), "%s%s%s", base, path, more);

    return n > 0 && (size_t)n < sizeof(s->url);
}

/* ---- Web identity: a token in a file, exchanged at STS ------------------- */

static void write_form(struct weir__writer *w, const char *name,
                       const char *value)
{
    static const char digits[] = "0123456789ABCDEF";

    if (w->len > 0)
        weir__write8(w, '&');
    weir__write_bytes(w, name, strlen(name));
    weir__write8(w, '=');
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '0' && c <= '9') || strchr("-._~", c) != NULL) {
            weir__write8(w, c);
        } else {
            weir__write8(w, '%');
            weir__write8(w, (uint8_t)digits[c >> 4]);
            weir__write8(w, (uint8_t)digits[c & 15]);
        }
    }
}

static void sts_answered(struct weir__s3_source *s, const char *text,
                         size_t len)
{
    struct weir_error cause = {0};
    int rc = weir__s3_found_sts(&s->found, s->host.alloc, text, len, &cause);

    found(s, rc, "the answer of STS", &cause);
}

/* The file's end may be a line's. */
static void trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \r\n\t", text[len - 1]) != NULL)
        text[--len] = '\0';
}

static void have_identity(struct weir__s3_source *s)
{
    char base[200];

    trim_end(s->text);
    snprintf(base, sizeof(base), "https://sts.%s.amazonaws.com%s", s->region,
             strncmp(s->region, "cn-", 3) == 0 ? ".cn" : "");
    write_form(&s->body, "Action", "AssumeRoleWithWebIdentity");
    write_form(&s->body, "Version", "2011-06-15");
    write_form(&s->body, "RoleArn", setting(s, ROLE, ""));
    write_form(&s->body, "RoleSessionName", setting(s, ROLE_SESSION, "weir"));
    write_form(&s->body, "WebIdentityToken", s->text);
    if (s->body.bad || !set_url(s, setting(s, STS, base), "/", "") ||
        !add_line(s, 0, "Content-Type", "application/x-www-form-urlencoded"))
        failed(s, WEIR_ENOMEM, "web identity: out of memory");
    else
        ask(s, "POST", sts_answered);
}

static void look_web_identity(struct weir__s3_source *s)
{
    if (s->settings[ROLE] == NULL)
        failed(s, WEIR_EAUTH, "%s is set, and %s is not", names[TOKEN_FILE],
               names[ROLE]);
    else
        want_file(s, s->settings[TOKEN_FILE], have_identity);
}

/* ---- A profile in a file ------------------------------------------------- */

static void have_profiles(struct weir__s3_source *s)
{
    struct weir_error cause = {0};
    char what[200];
    int rc = weir__s3_found_profile(&s->found, s->text,
                                    setting(s, PROFILE, "default"), &cause);

    snprintf(what, sizeof(what), "%.180s", s->path);
    found(s, rc, what, &cause);
}

static void look_profile(struct weir__s3_source *s)
{
    char path[URL_ROOM];

    snprintf(path, sizeof(path), "%s/.aws/credentials", setting(s, HOME, ""));
    want_file(s, setting(s, CREDENTIALS_FILE, path), have_profiles);
}

/* ---- The endpoint of a container ----------------------------------------- */

static void keys_answered(struct weir__s3_source *s, const char *text,
                          size_t len)
{
    struct weir_error cause = {0};
    char what[200];
    int rc = weir__s3_found_json(&s->found, text, len, &cause);

    snprintf(what, sizeof(what), "the answer of %.150s", s->url);
    found(s, rc, what, &cause);
}

/* Behind the name of a host: a port, and the path.  Anything else would make
 * of the name a user's, in front of another host (RFC 3986 3.2.1). */
static bool is_end_of_host(const char *at)
{
    if (*at == ':')
        at += 1 + strspn(at + 1, "0123456789");
    return *at == '/' || *at == '\0';
}

/* Whoever can set a variable must not have the token sent anywhere: plain
 * http to this machine and to the addresses of ECS and EKS alone. */
static bool is_container_host(const char *url)
{
    static const char *const hosts[] = {
        "http://127.0.0.1",      "http://localhost",
        "http://[::1]",          "http://169.254.170.2",
        "http://169.254.170.23", "http://[fd00:ec2::23]"};

    if (strncmp(url, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t len = strlen(hosts[i]);

        if (strncmp(url, hosts[i], len) == 0 && is_end_of_host(url + len))
            return true;
    }
    return false;
}

static void ask_container(struct weir__s3_source *s, const char *token)
{
    const char *relative = s->settings[RELATIVE_URI];
    bool good = relative != NULL
                    ? set_url(s, "http://169.254.170.2", relative, "")
                    : set_url(s, s->settings[FULL_URI], "", "");

    if (!good || !is_container_host(s->url))
        failed(s, WEIR_EAUTH,
               "%s: expected https://, or this machine's or the container "
               "service's address",
               names[FULL_URI]);
    else if (token != NULL && !add_line(s, 0, "Authorization", token))
        failed(s, WEIR_EAUTH, "%s: expected one line", names[AUTHORIZATION]);
    else
        ask(s, "GET", keys_answered);
}

static void have_authorization(struct weir__s3_source *s)
{
    trim_end(s->text);
    ask_container(s, s->text);
}

static void look_container(struct weir__s3_source *s)
{
    if (s->settings[AUTHORIZATION_FILE] != NULL)
        want_file(s, s->settings[AUTHORIZATION_FILE], have_authorization);
    else
        ask_container(s, s->settings[AUTHORIZATION]);
}

/* ---- The endpoint of an instance: IMDSv2 --------------------------------- */

#define IMDS_KEYS "/latest/meta-data/iam/security-credentials/"

static const char *imds(const struct weir__s3_source *s)
{
    return setting(s, METADATA, "http://169.254.169.254");
}

static bool authorize_imds(struct weir__s3_source *s)
{
    drop_request(s);
    return add_line(s, 0, "X-aws-ec2-metadata-token", s->imds_token);
}

static void have_role(struct weir__s3_source *s, const char *text, size_t len)
{
    char role[200];
    size_t n = 0;

    while (n < len && n + 1 < sizeof(role) && text[n] > ' ' && text[n] <= '~' &&
           text[n] != '/')
        n++;
    memcpy(role, text, n);
    role[n] = '\0';
    if (n == 0 || !set_url(s, imds(s), IMDS_KEYS, role))
        failed(s, WEIR_EAUTH, "%s: the instance has no role", s->url);
    else if (!authorize_imds(s))
        failed(s, WEIR_ENOMEM, "instance: out of memory");
    else
        ask(s, "GET", keys_answered);
}

static void have_imds_token(struct weir__s3_source *s, const char *text,
                            size_t len)
{
    wipe_text(s->host.alloc, &s->imds_token);
    s->imds_token = weir__strndup(s->host.alloc, text, len);
    if (s->imds_token == NULL || !authorize_imds(s) ||
        !set_url(s, imds(s), IMDS_KEYS, ""))
        failed(s, WEIR_EAUTH, "%s: no token", s->url);
    else
        ask(s, "GET", have_role);
}

static void look_instance(struct weir__s3_source *s)
{
    if (!set_url(s, imds(s), "/latest/api/token", "") ||
        !add_line(s, 0, "X-aws-ec2-metadata-token-ttl-seconds", "21600"))
        failed(s, WEIR_ENOMEM, "instance: out of memory");
    else
        ask(s, "PUT", have_imds_token);
}

/* ---- One place after the other ------------------------------------------- */

static void look_environment(struct weir__s3_source *s)
{
    struct weir_error cause = {0};
    int rc =
        weir__s3_found_set(s->found.access_key, sizeof(s->found.access_key),
                           s->settings[ACCESS_KEY]);

    if (rc == 0)
        rc =
            weir__s3_found_set(s->found.secret_key, sizeof(s->found.secret_key),
                               setting(s, SECRET_KEY, ""));
    if (rc == 0)
        rc = weir__s3_found_set(s->found.token, sizeof(s->found.token),
                                setting(s, SESSION_TOKEN, ""));
    if (rc == 0 && s->settings[SECRET_KEY] == NULL)
        rc = weir__fail(&cause, WEIR_EAUTH, "it is not set");
    else if (rc != 0)
        weir__fail(&cause, rc, "too long, or not one line");
    found(s, rc, names[SECRET_KEY], &cause);
}

static bool is_set_up(const struct weir__s3_source *s, unsigned kind)
{
    switch (kind) {
    case WEIR__S3_ENVIRONMENT:
        return s->settings[ACCESS_KEY] != NULL;
    case WEIR__S3_WEB_IDENTITY:
        return s->settings[TOKEN_FILE] != NULL;
    case WEIR__S3_PROFILE:
        return true;
    case WEIR__S3_CONTAINER:
        return s->settings[RELATIVE_URI] != NULL ||
               s->settings[FULL_URI] != NULL;
    default:
        return s->settings[METADATA_OFF] == NULL ||
               strcmp(s->settings[METADATA_OFF], "true") != 0;
    }
}

static void nowhere(struct weir__s3_source *s)
{
    if (s->worst == 0)
        end(s, weir__fail(s->err, WEIR_EAUTH,
                          "no credentials: none of the places of "
                          "s3_credentials is set up"));
    else
        end(s, weir__fail(s->err, s->worst, "no credentials: %.200s",
                          s->why.text));
}

static void next_kind(struct weir__s3_source *s)
{
    static void (*const looks[WEIR__S3_KINDS])(struct weir__s3_source *) = {
        look_environment, look_web_identity, look_profile, look_container,
        look_instance};

    drop_request(s);
    if (s->stopping) {
        end(s, WEIR_ECANCELED);
        return;
    }
    s->found = (struct weir__s3_found){0};
    while (s->kind < WEIR__S3_KINDS &&
           ((s->kinds & (1u << s->kind)) == 0 || !is_set_up(s, s->kind)))
        s->kind++;
    if (s->kind < WEIR__S3_KINDS)
        looks[s->kind](s);
    else
        nowhere(s);
}

static void begin(struct weir_task *task)
{
    next_kind(WEIR__CONTAINER(task, struct weir__s3_source, task));
}

void weir__s3_source_stop(struct weir__s3_source *s)
{
    s->stopping = true;
}

void weir__s3_source_look(struct weir__s3_source *s, struct weir__http *http,
                          void (*done)(void *ctx, int status,
                                       const struct weir__s3_found *found),
                          void *ctx, struct weir_error *err)
{
    s->http = http;
    s->done = done;
    s->ctx = ctx;
    s->err = err;
    s->kind = 0;
    s->worst = 0;
    weir__writer_init(&s->body, s->host.alloc);
    s->task.run = begin;
    s->host.env->ops->post(s->host.env, &s->task);
}
