/* SPDX-License-Identifier: Apache-2.0 */
/* Files are read, and services asked, for credentials. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/s3_source_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 10, ANSWER_MAX = 64 << 10, TRIES = 3 };

#define STEP_NS UINT64_C(5000000000)     /* One request elsewhere, */
#define INSTANCE_NS UINT64_C(1000000000) /* and of an instance. */
#define AGAIN_NS UINT64_C(100000000)

/* ---- Files --------------------------------------------------------------- */

/* Of a file of another owner's the group may be what gives it to us. */
static void read_mode(struct weir__s3_source *s, int fd)
{
    struct stat st;

    s->mode = s->open = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    s->mode = st.st_mode & 0777;
    s->open = s->mode & (st.st_uid == geteuid() ? 0066 : 0006);
}

/* On a worker. */
static void read_file(struct weir_work *work)
{
    struct weir__s3_source *s =
        WEIR__CONTAINER(work, struct weir__s3_source, work);
    int fd = open(s->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    size_t len = 0;

    s->text = fd >= 0 ? weir__secret_calloc(s->host.alloc, FILE_MAX + 1) : NULL;
    s->read_errno = fd < 0 ? errno : s->text == NULL ? ENOMEM : 0;
    while (s->read_errno == 0 && len < FILE_MAX &&
           (n = read(fd, s->text + len, FILE_MAX - len)) > 0)
        len += (size_t)n;
    if (s->read_errno == 0 && n < 0)
        s->read_errno = errno;
    if (fd >= 0) {
        read_mode(s, fd);
        close(fd);
    }
}

/* Without a word of the user's, a file that is not there is no fault. */
static bool may_be_missing(const struct weir__s3_source *s)
{
    return s->kind == WEIR__S3_PROFILE && s->read_errno == ENOENT &&
           s->settings[WEIR__S3_VAR_CREDENTIALS_FILE] == NULL &&
           s->settings[WEIR__S3_VAR_PROFILE] == NULL;
}

/* Once, and no more than that: to refuse them would stop a node that runs. */
static void warn_of_others(struct weir__s3_source *s)
{
    if (s->open == 0 || (s->told & (1u << s->kind)) != 0)
        return;
    s->told |= 1u << s->kind;
    weir__log(s->host.log, WEIR_LOG_WARN,
              "s3: %.160s has credentials in it, and its mode %03o opens it to "
              "others: chmod %s-rw %.160s",
              s->path, s->mode, (s->open & 0060) != 0 ? "go" : "o", s->path);
}

static void file_read(struct weir_work *work)
{
    struct weir__s3_source *s =
        WEIR__CONTAINER(work, struct weir__s3_source, work);

    if (s->stopping) {
        weir__s3_source_end(s, WEIR_ECANCELED);
    } else if (may_be_missing(s)) {
        weir__s3_source_pass_over(s);
    } else if (s->read_errno != 0) {
        weir__s3_source_failed(s, WEIR_EAUTH, "read %.120s: %s", s->path,
                               strerrorname_np(s->read_errno));
    } else {
        warn_of_others(s);
        s->have_file(s);
    }
}

void weir__s3_source_read(struct weir__s3_source *s, const char *path,
                          void (*have_file)(struct weir__s3_source *s))
{
    weir__s3_source_wipe(s->host.alloc, &s->text);
    weir__free(s->host.alloc, s->path);
    s->path = weir__strdup(s->host.alloc, path);
    s->have_file = have_file;
    if (s->path == NULL) {
        weir__s3_source_failed(s, WEIR_ENOMEM, "out of memory");
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
        weir__s3_source_end(s, WEIR_ECANCELED);
    } else if (status == 0 && http == 200) {
        s->have_answer(s, body != NULL ? (const char *)body->data : "",
                       body != NULL ? body->len : 0);
    } else if ((status != 0 || http >= 500) && s->tries < TRIES) {
        s->timer.fire = again;
        s->timer.deadline = env->ops->now(env) + AGAIN_NS * s->tries;
        env->ops->timer_start(env, &s->timer);
    } else if (status != 0) {
        weir__s3_source_failed(s, WEIR_EUNAVAILABLE, "%s %.80s: %.120s",
                               req->method, s->url, s->req_err.text);
    } else {
        weir__s3_source_failed(s, http >= 500 ? WEIR_EUNAVAILABLE : WEIR_EAUTH,
                               "%s %.120s: HTTP status %d", req->method, s->url,
                               http);
    }
    weir_buf_unref(body);
}

static void send_request(struct weir__s3_source *s)
{
    struct weir_env *env = s->host.env;
    uint64_t limit = s->kind == WEIR__S3_INSTANCE ? INSTANCE_NS : STEP_NS;

    if (s->stopping) {
        weir__s3_source_end(s, WEIR_ECANCELED);
        return;
    }
    s->tries++;
    s->req.deadline = env->ops->now(env) + limit;
    weir__http_submit(s->http, &s->req);
}

bool weir__s3_source_line(struct weir__s3_source *s, size_t i, const char *name,
                          const char *value)
{
    size_t room = strlen(name) + strlen(value) + 3;

    if (value[strcspn(value, "\r\n")] != '\0')
        return false;
    s->lines[i] = weir__secret_calloc(s->host.alloc, room);
    if (s->lines[i] == NULL)
        return false;
    snprintf(s->lines[i], room, "%s: %s", name, value);
    return true;
}

void weir__s3_source_ask(struct weir__s3_source *s, const char *method,
                         void (*have_answer)(struct weir__s3_source *s,
                                             const char *text, size_t len))
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
        .flags = WEIR__HTTP_SECRET,
        .done = answered,
        .err = &s->req_err,
    };
    send_request(s);
}

bool weir__s3_source_url(struct weir__s3_source *s, const char *base,
                         const char *path, const char *more)
{
    int n = snprintf(s->url, sizeof(s->url), "%s%s%s", base, path, more);

    return n > 0 && (size_t)n < sizeof(s->url);
}
