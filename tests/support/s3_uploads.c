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
    s3_header_of(r->head, "x-amz-checksum-algorithm", upload->algorithm,
                 sizeof(upload->algorithm));
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

/* ---- Checksums: what AWS says, in the words of its answers --------------- */

static const char *const algorithms[] = {"CRC32", "CRC32C", "CRC64NVME", "SHA1",
                                         "SHA256"};

enum { ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

/* Name of the checksum that came with a part, and its text; or "". */
static const char *checksum_of(const struct request *r, char *text, size_t room)
{
    char header[40];

    for (int i = 0; i < ALGORITHMS; i++) {
        snprintf(header, sizeof(header), "x-amz-checksum-%s", algorithms[i]);
        if (s3_header_of(r->head, header, text, room))
            return algorithms[i];
    }
    return "";
}

static void part_name(char *to, size_t room, const struct request *r,
                      unsigned long number)
{
    snprintf(to, room, "%.20s/%06lu", s3_param(r, "uploadId", ""), number);
}

/* NULL, or the code of what is wrong with a `<Part>` of the end of an upload.
 */
static const char *wrong_part(struct s3_server *server, const struct request *r,
                              const struct s3_object *upload, const char *at)
{
    const char *number = strstr(at, "<PartNumber>");
    const char *end = strstr(at, "</Part>");
    const char *sum = strstr(at, "<Checksum");
    const struct s3_object *part;
    char text[120];

    if (number == NULL || end == NULL)
        return "MalformedXML";
    part_name(text, sizeof(text), r, strtoul(number + 12, NULL, 10));
    part = s3_objects_find(&server->uploads, text);
    if (part == NULL)
        return "InvalidPart";
    if (upload->algorithm[0] == '\0')
        return sum != NULL && sum < end ? "InvalidPart" : NULL;
    if (sum == NULL || sum > end)
        return "InvalidRequest"; /* "... must include the checksum for each". */
    snprintf(text, sizeof(text), "<Checksum%s>%s</Checksum%s>",
             upload->algorithm, part->checksum, upload->algorithm);
    return strncmp(sum, text, strlen(text)) == 0 ? NULL : "InvalidPart";
}

static const char *wrong_parts(struct s3_server *server,
                               const struct request *r,
                               const struct s3_object *upload)
{
    const char *wrong = NULL;

    for (const char *at = (const char *)r->body;
         wrong == NULL && (at = strstr(at, "<Part>")) != NULL; at++)
        wrong = wrong_part(server, r, upload, at);
    return wrong;
}

void s3_do_part(struct s3_server *server, const struct request *r,
                struct answer *a)
{
    const struct s3_object *upload = find_upload(server, r);
    struct s3_object *part;
    const char *wrong = s3_wrong_body(server, r);
    char name[64];
    char sum[sizeof(part->checksum)] = "";

    if (upload == NULL) {
        s3_refuse(a, 404, "NoSuchUpload");
    } else if (strcmp(checksum_of(r, sum, sizeof(sum)), upload->algorithm) !=
               0) {
        s3_refuse(a, 400, "InvalidRequest"); /* "Checksum Type mismatch ...". */
    } else if (wrong != NULL) {
        s3_refuse(a, 400, wrong);
    } else {
        part_name(name, sizeof(name), r,
                  strtoul(s3_param(r, "partNumber", "0"), NULL, 10));
        s3_objects_put(&server->uploads, name, r->body, r->len);
        part = s3_objects_find(&server->uploads, name);
        memcpy(part->checksum, sum, sizeof(sum));
        a->status = 200;
        snprintf(a->header, sizeof(a->header), "ETag: \"part-%.10s\"\r\n",
                 s3_param(r, "partNumber", "0"));
    }
}

/* ---- The end of an upload ------------------------------------------------ */

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
    const char *wrong;
    unsigned char *data = NULL;
    char id[64];
    size_t len;

    if (upload == NULL) {
        s3_refuse(a, 404, "NoSuchUpload");
        return;
    }
    wrong = wrong_parts(server, r, upload);
    if (wrong != NULL) {
        s3_refuse(a, 400, wrong);
        return;
    }
    if (s3_refuse_if_there(server, r, key, a))
        return;
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
