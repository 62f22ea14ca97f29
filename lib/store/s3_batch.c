/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_batch.h"

#include "base/error.h"
#include "http/xml.h"

#include <stdio.h>
#include <string.h>

static struct weir__s3_batch *batch_of(struct weir__s3_call *call)
{
    return WEIR__CONTAINER(call, struct weir__s3_batch, call);
}

static int write_message(struct weir__s3_call *call,
                         struct weir__s3_message *message,
                         const struct weir__s3_credentials *credentials,
                         int64_t wall)
{
    struct weir__s3_batch *b = batch_of(call);
    struct weir__s3_ask ask = {.method = "POST",
                               .payload_hash = b->payload.hash};

    weir__s3_ask_header(&ask, "content-type", "application/xml");
    weir__s3_ask_header(&ask, "content-md5", b->md5);
    weir__s3_ask_query(&ask, "delete", "");
    return weir__s3_ask_sign(message, &call->line->place, credentials, &ask,
                             wall);
}

static struct weir__s3_gone *find(struct weir__s3_batch *b, const char *key)
{
    const char *prefix = b->line->place.prefix;
    size_t len = strlen(prefix);

    if (strncmp(key, prefix, len) != 0)
        return NULL;
    for (struct weir__list *at = b->gone.next; at != &b->gone; at = at->next) {
        struct weir__s3_gone *gone =
            WEIR__CONTAINER(at, struct weir__s3_gone, link);

        if (strcmp(gone->key, key + len) == 0)
            return gone;
    }
    return NULL;
}

/* Each result is the one of a DELETE with that code. */
static void note_error(struct weir__s3_batch *b)
{
    static const struct weir_store_req one = {.verb = WEIR_STORE_DELETE};
    struct weir__s3_gone *gone = find(b, b->last_key);
    struct weir__http_answer answer = {.status = 500};
    struct weir__s3_error error = {0};

    if (gone == NULL || strcmp(b->last_code, "NoSuchKey") == 0)
        return;
    snprintf(error.code, sizeof(error.code), "%s", b->last_code);
    gone->status =
        weir__s3_error_status(&error, &answer, &one, b->what, &gone->error);
}

/* An answer that was cut off may have told of some. */
static void forget_results(struct weir__s3_batch *b)
{
    for (struct weir__list *at = b->gone.next; at != &b->gone; at = at->next) {
        struct weir__s3_gone *gone =
            WEIR__CONTAINER(at, struct weir__s3_gone, link);

        gone->status = 0;
        gone->error = (struct weir_error){0};
    }
    b->last_key[0] = b->last_code[0] = '\0';
    b->complete = false;
}

static int on_element(void *ctx, const char *path, const char *text)
{
    static const char root[] = "DeleteResult";
    struct weir__s3_batch *b = ctx;

    if (strncmp(path, root, sizeof(root) - 1) != 0)
        return 0;
    path += sizeof(root) - 1;
    if (path[0] == '\0') {
        b->complete = true;
    } else if (strcmp(path, "/Error/Key") == 0) {
        snprintf(b->last_key, sizeof(b->last_key), "%s", text);
    } else if (strcmp(path, "/Error/Code") == 0) {
        snprintf(b->last_code, sizeof(b->last_code), "%s", text);
    } else if (strcmp(path, "/Error") == 0) {
        note_error(b);
        b->last_key[0] = b->last_code[0] = '\0';
    }
    return 0;
}

static int read_answer(struct weir__s3_call *call, struct weir__s3_attempt *a,
                       struct weir_buf *body)
{
    static const struct weir_store_req one = {.verb = WEIR_STORE_DELETE};
    struct weir__s3_batch *b = batch_of(call);
    const struct weir_alloc *alloc = b->line->host.alloc;
    int http = a->http.answer.status;
    int rc;

    forget_results(b);
    if (http == 200 && body != NULL)
        weir__xml_parse(alloc, body->data, body->len, on_element, b, NULL);
    if (b->complete) {
        weir_buf_unref(body);
        return 0;
    }
    weir__s3_error_read(&call->error, alloc, &a->http.answer,
                        body != NULL ? (const char *)body->data : "",
                        body != NULL ? body->len : 0);
    weir__s3_error_hide(&call->error, &call->line->keys.now);
    weir_buf_unref(body);
    rc = weir__s3_error_status(&call->error, &a->http.answer, &one, call->what,
                               &a->err);
    /* Servers that do not know it say so in these ways. */
    if (http == 405 || http == 501 ||
        (http == 400 && !weir__retry_worth(rc) && rc != WEIR_EAUTH))
        return weir__fail(&a->err, WEIR_EUNSUPPORTED,
                          "%s: the server deletes no batches", b->what);
    return rc;
}

static void call_done(struct weir__s3_call *call, int status)
{
    struct weir__s3_batch *b = batch_of(call);
    struct weir__list *at;

    weir__writer_free(&b->body);
    for (at = b->gone.next; status != 0 && at != &b->gone; at = at->next) {
        struct weir__s3_gone *gone =
            WEIR__CONTAINER(at, struct weir__s3_gone, link);

        gone->status = status;
        gone->error = b->error;
    }
    b->done(b, status);
}

static void write_text(struct weir__writer *w, const char *text)
{
    weir__write_bytes(w, text, strlen(text));
}

/* Keys are of `[a-z0-9/_.-]`, and so is the prefix: nothing to escape. */
static unsigned write_body(struct weir__s3_batch *b)
{
    struct weir__writer *w = &b->body;
    unsigned count = 0;

    weir__writer_init(w, b->line->host.alloc);
    write_text(w, "<Delete><Quiet>true</Quiet>");
    for (struct weir__list *at = b->gone.next; at != &b->gone; at = at->next) {
        write_text(w, "<Object><Key>");
        write_text(w, b->line->place.prefix);
        write_text(w, WEIR__CONTAINER(at, struct weir__s3_gone, link)->key);
        write_text(w, "</Key></Object>");
        count++;
    }
    write_text(w, "</Delete>");
    return count;
}

int weir__s3_batch_start(struct weir__s3_batch *b)
{
    unsigned count = write_body(b);
    int rc = b->body.bad ? WEIR_ENOMEM : 0;

    b->iov = (struct weir_iov){b->body.data, b->body.len};
    if (rc == 0)
        rc = weir__s3_hash(&b->payload, &b->iov, 1);
    if (rc == 0)
        rc = weir__md5_base64(b->md5, &b->iov, 1);
    if (rc != 0) {
        weir__writer_free(&b->body);
        return rc;
    }
    snprintf(b->what, sizeof(b->what), "DELETE s3://%.40s: %u keys",
             b->line->place.bucket, count);
    b->call = (struct weir__s3_call){
        .line = b->line,
        .write = write_message,
        .read = read_answer,
        .done = call_done,
        .iov = &b->iov,
        .iov_count = 1,
        .body_size = b->body.len,
        .max_body = WEIR__XML_SIZE,
        .deadline = b->deadline,
        .err = &b->error,
        .what = b->what,
    };
    weir__s3_call_start(&b->call);
    return 0;
}
