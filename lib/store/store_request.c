/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_request.h"

#include "base/error.h"
#include "base/list.h"
#include "store/store.h"

#include <string.h>

/* What `impl` of a refused request holds. */
struct refused {
    struct weir_task task;
    int status;
};

_Static_assert(sizeof(struct refused) <=
                   sizeof(((struct weir_store_req *)0)->impl),
               "a refused request fits in its own impl");

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

/* Leading dots are for what a store keeps beside the objects (".tmp"), and
 * "." and ".." must not reach a file system or an HTTP server. */
static bool segments_valid(const char *text, bool last_may_be_empty)
{
    const char *p = text;

    for (;;) {
        if (*p == '.')
            return false;
        if (*p == '\0')
            return last_may_be_empty;
        if (*p == '/')
            return false;
        while (is_key_byte(*p))
            p++;
        if (*p == '\0')
            return (size_t)(p - text) <= WEIR_STORE_KEY_MAX;
        if (*p != '/')
            return false;
        p++;
    }
}

bool weir__store_key_valid(const char *key)
{
    return segments_valid(key, false);
}

bool weir__store_prefix_valid(const char *prefix)
{
    return strnlen(prefix, WEIR_STORE_KEY_MAX + 1) <= WEIR_STORE_KEY_MAX &&
           segments_valid(prefix, true);
}

static int check_put(const struct weir_store_req *req)
{
    uint64_t sum = 0;

    if (req->iov_count > 0 && req->iov == NULL)
        return weir__fail(req->err, WEIR_EINVAL, "PUT %s: no body", req->key);
    for (size_t i = 0; i < req->iov_count; i++) {
        if (req->iov[i].len > INT64_MAX - sum)
            return weir__fail(req->err, WEIR_EINVAL,
                              "PUT %s: a body of over 2^63 bytes", req->key);
        sum += req->iov[i].len;
    }
    return 0;
}

static int check_list(const struct weir_store_req *req)
{
    if (!weir__store_prefix_valid(req->key))
        return weir__fail(req->err, WEIR_EINVAL,
                          "LIST %.100s: no key begins like this", req->key);
    if (req->limit < 1 || req->limit > 1000)
        return weir__fail(req->err, WEIR_EINVAL,
                          "LIST %.100s: limit %u is not in 1 to 1000", req->key,
                          (unsigned)req->limit);
    if (req->after != NULL &&
        strnlen(req->after, WEIR_STORE_KEY_MAX + 1) > WEIR_STORE_KEY_MAX)
        return weir__fail(req->err, WEIR_EINVAL,
                          "LIST %.100s: `after` is over %d bytes", req->key,
                          WEIR_STORE_KEY_MAX);
    return 0;
}

int weir__store_check(const struct weir_store_req *req)
{
    unsigned known =
        req->verb == WEIR_STORE_PUT
            ? WEIR_STORE_IF_ABSENT | WEIR_STORE_PARTS | WEIR__STORE_DAMAGED
        : req->verb == WEIR_STORE_GET ? WEIR_STORE_SUFFIX
                                      : 0;

    if (req->key == NULL)
        return weir__fail(req->err, WEIR_EINVAL, "request without a key");
    if ((req->flags & ~known) != 0)
        return weir__fail(req->err, WEIR_EINVAL, "%.100s: unknown flags %#x",
                          req->key, req->flags & ~known);
    if (req->verb == WEIR_STORE_LIST)
        return check_list(req);
    if (!weir__store_key_valid(req->key))
        return weir__fail(req->err, WEIR_EINVAL,
                          "%.100s: not a key: [a-z0-9/_.-], at most %d bytes, "
                          "no segment empty or beginning with a dot",
                          req->key, WEIR_STORE_KEY_MAX);
    switch (req->verb) {
    case WEIR_STORE_PUT:
        return check_put(req);
    case WEIR_STORE_GET:
    case WEIR_STORE_HEAD:
    case WEIR_STORE_DELETE:
        return 0;
    case WEIR_STORE_LIST:
        break;
    }
    return weir__fail(req->err, WEIR_EINVAL, "%s: unknown verb %d", req->key,
                      (int)req->verb);
}

int weir__store_range(const struct weir_store_req *req, uint64_t size,
                      uint64_t *offset, uint64_t *length)
{
    if ((req->flags & WEIR_STORE_SUFFIX) != 0) {
        *length = req->length < size ? req->length : size;
        *offset = size - *length;
        return 0;
    }
    if (req->offset > size ||
        (req->offset == size && size > 0 && req->length > 0))
        return weir__fail(req->err, WEIR_ERANGE,
                          "GET %s: offset %llu of an object of %llu bytes",
                          req->key, (unsigned long long)req->offset,
                          (unsigned long long)size);
    *offset = req->offset;
    *length = size - req->offset;
    if (*length > req->length)
        *length = req->length;
    return 0;
}

uint64_t weir__store_body_size(const struct weir_store_req *req)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < req->iov_count; i++)
        sum += req->iov[i].len;
    return sum;
}

static void run_refused(struct weir_task *task)
{
    struct refused *refused = WEIR__CONTAINER(task, struct refused, task);
    struct weir_store_req *req =
        WEIR__CONTAINER(refused, struct weir_store_req, impl);
    int status = refused->status;

    weir__fail_status(req->err, status);
    req->done(req, status);
}

void weir__store_refuse(struct weir_env *env, struct weir_store_req *req,
                        int status)
{
    struct refused *refused = (void *)req->impl;

    *refused = (struct refused){.task.run = run_refused, .status = status};
    env->ops->post(env, &refused->task);
}
