/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_server_inside.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_text(struct answer *a, const char *text)
{
    a->status = 200;
    a->body = (unsigned char *)strdup(text);
    a->len = a->told = strlen(text);
    snprintf(a->header, sizeof(a->header), "Content-Type: application/xml\r\n");
}

static void do_create_upload(struct s3_server *server, const struct request *r,
                             struct answer *a)
{
    char text[200];
    struct s3_object *upload;

    snprintf(text, sizeof(text), "%d/", ++server->upload_count);
    s3_objects_put(&server->uploads, text, "", 0);
    upload = s3_objects_find(&server->uploads, text);
    s3_header_of(r->head, "x-amz-meta-weir-put", upload->id,
                 sizeof(upload->id));
    snprintf(text, sizeof(text),
             "<InitiateMultipartUploadResult><UploadId>%d</UploadId>"
             "</InitiateMultipartUploadResult>",
             server->upload_count);
    answer_text(a, text);
}

static struct s3_object *find_upload(struct s3_server *server,
                                     const struct request *r)
{
    char text[TEXT_ROOM];

    snprintf(text, sizeof(text), "%s/", s3_param(r, "uploadId", ""));
    return s3_objects_find(&server->uploads, text);
}

void s3_do_part(struct s3_server *server, const struct request *r,
                struct answer *a)
{
    char text[TEXT_ROOM];

    if (find_upload(server, r) == NULL) {
        s3_refuse(a, 404, "NoSuchUpload");
    } else if (!s3_check_body(r)) {
        s3_refuse(a, 400, "BadDigest");
    } else {
        snprintf(text, sizeof(text), "%.20s/%06lu", s3_param(r, "uploadId", ""),
                 strtoul(s3_param(r, "partNumber", "0"), NULL, 10));
        s3_objects_put(&server->uploads, text, r->body, r->len);
        a->status = 200;
        snprintf(a->header, sizeof(a->header), "ETag: \"part-%.10s\"\r\n",
                 s3_param(r, "partNumber", "0"));
    }
}

size_t s3_end_upload(struct s3_server *server, const char *id,
                     unsigned char **into)
{
    size_t total = 0;
    size_t len = strlen(id);

    for (size_t i = 0; i < server->uploads.count;) {
        struct s3_object *part = &server->uploads.at[i];

        if (strncmp(part->key, id, len) != 0 || part->key[len] != '/') {
            i++;
            continue;
        }
        if (into != NULL) {
            *into = realloc(*into, total + part->len + 1);
            memcpy(*into + total, part->data, part->len);
            total += part->len;
        }
        s3_objects_remove(&server->uploads, part->key);
    }
    return total;
}

static void do_complete(struct s3_server *server, const struct request *r,
                        const char *key, struct answer *a)
{
    struct s3_object *upload = find_upload(server, r);
    unsigned char *data = NULL;
    char id[64];
    char text[16];
    size_t len;

    if (upload == NULL) {
        s3_refuse(a, 404, "NoSuchUpload");
        return;
    }
    if (s3_header_of(r->head, "if-none-match", text, sizeof(text)) &&
        s3_objects_find(&server->objects, key) != NULL) {
        s3_refuse(a, 412, "PreconditionFailed");
        return;
    }
    ck_assert_ptr_nonnull(strstr((char *)r->body, "<ETag>\"part-1\"</ETag>"));
    memcpy(id, upload->id, sizeof(id));
    len = s3_end_upload(server, s3_param(r, "uploadId", ""), &data);
    s3_objects_put(&server->objects, key, data, len);
    memcpy(s3_objects_find(&server->objects, key)->id, id, sizeof(id));
    free(data);
    answer_text(a, "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag>"
                   "</CompleteMultipartUploadResult>");
}

/* Keys with "locked" in them stay. */
static void do_delete_many(struct s3_server *server, const struct request *r,
                           struct answer *a)
{
    char text[64];
    char *body = (char *)r->body;
    char *out = NULL;
    size_t room = 0;
    FILE *file;

    if (!s3_header_of(r->head, "content-md5", text, sizeof(text))) {
        s3_refuse(a, 400, "InvalidRequest");
        return;
    }
    file = open_memstream(&out, &room);
    fputs("<DeleteResult>", file);
    for (char *at = body; (at = strstr(at, "<Key>")) != NULL;) {
        char *end = strstr(at, "</Key>");

        at += 5;
        *end = '\0';
        if (strstr(at, "locked") != NULL)
            fprintf(file,
                    "<Error><Key>%s</Key><Code>AccessDenied</Code></Error>",
                    at);
        else
            s3_objects_remove(&server->objects, at);
        at = end + 1;
    }
    fputs("</DeleteResult>", file);
    fclose(file);
    answer_text(a, out);
    free(out);
}

void s3_do_post(struct s3_server *server, const struct request *r,
                const char *key, struct answer *a)
{
    if (s3_param(r, "delete", NULL) != NULL)
        do_delete_many(server, r, a);
    else if (s3_param(r, "uploads", NULL) != NULL)
        do_create_upload(server, r, a);
    else
        do_complete(server, r, key, a);
}
