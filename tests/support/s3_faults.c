/* SPDX-License-Identifier: Apache-2.0 */
#include "support/s3_faults.h"

#include <stdio.h>
#include <weir/error.h>

#define MS UINT64_C(1000000)

#define SAYS(http, text)                                                       \
    .answer = {.kind = S3_ANSWER, .status = (http), .code = (text)}
#define WEB_PAGE                                                               \
    .answer = {.kind = S3_ANSWER,                                              \
               .status = 200,                                                  \
               .body = "<!DOCTYPE html><html>Please sign in.</html>",          \
               .header = "Content-Type: text/html"}

/* After these nobody knows whether the request was done. */
static const struct s3_door_fault doubtful[] = {
    {.name = "reset", .status = WEIR_EUNAVAILABLE},
    {.name = "timeout", .status = WEIR_ETIMEDOUT},
    {.name = "bad headers", .told = 1, .status = WEIR_EIO},
    {.name = "408", SAYS(408, NULL)},
    {.name = "500", SAYS(500, "InternalError")},
    {.name = "502", SAYS(502, NULL)},
    {.name = "503 of a proxy", SAYS(503, NULL)},
    {.name = "504", SAYS(504, NULL)},
    {.name = "web page", WEB_PAGE},
};

/* After these it was certainly not done. */
static const struct s3_door_fault refused[] = {
    {.name = "no connection", .status = WEIR_EUNAVAILABLE, .unsent = 1},
    {.name = "no memory", .status = WEIR_ENOMEM, .unsent = 1},
    {.name = "400 RequestTimeout", SAYS(400, "RequestTimeout")},
    {.name = "400 BadDigest", SAYS(400, "BadDigest")},
    {.name = "400 ExpiredToken", .told = 1, SAYS(400, "ExpiredToken")},
    {.name = "400 what?", .told = 1, SAYS(400, "InvalidRequest")},
    {.name = "wrong region",
     .answer = {.kind = S3_ANSWER,
                .status = 400,
                .code = "AuthorizationHeaderMalformed",
                .header = "x-amz-bucket-region: eu-west-9"}},
    {.name = "301",
     .answer = {.kind = S3_ANSWER,
                .status = 301,
                .code = "PermanentRedirect",
                .header = "x-amz-bucket-region: eu-west-8"}},
    {.name = "307", SAYS(307, "TemporaryRedirect")},
    {.name = "403 AccessDenied", .told = 1, SAYS(403, "AccessDenied")},
    {.name = "403 bare", .told = 1, SAYS(403, NULL)},
    {.name = "403 InvalidAccessKeyId",
     .told = 1,
     SAYS(403, "InvalidAccessKeyId")},
    {.name = "403 SignatureDoesNotMatch",
     .told = 1,
     SAYS(403, "SignatureDoesNotMatch")},
    {.name = "wrong clock",
     .answer = {.kind = S3_ANSWER,
                .status = 403,
                .code = "RequestTimeTooSkewed",
                .header = "Date: Mon, 02 Jan 2006 15:04:05 GMT"}},
    {.name = "404 NoSuchBucket", .told = 1, SAYS(404, "NoSuchBucket")},
    {.name = "405", .told = 1, SAYS(405, "MethodNotAllowed")},
    {.name = "409 ConditionalRequestConflict",
     SAYS(409, "ConditionalRequestConflict")},
    {.name = "409 OperationAborted", SAYS(409, "OperationAborted")},
    {.name = "429", SAYS(429, "TooManyRequests")},
    {.name = "501", .told = 1, SAYS(501, "NotImplemented")},
    {.name = "503 SlowDown", SAYS(503, "SlowDown")},
    {.name = "507", SAYS(507, "QuotaExceeded")},
};

/* These were done, and the answer is damaged on its way. */
static const struct s3_door_fault damaged[] = {
    {.name = "cut short", .when = S3_AFTER, .answer.kind = S3_TRUNCATE},
    {.name = "another range", .when = S3_AFTER, .answer.kind = S3_SHIFT_RANGE},
    {.name = "all of it",
     .told = 1,
     .when = S3_AFTER,
     .answer.kind = S3_FULL_BODY},
    {.name = "a bit flipped",
     .told = 1,
     .when = S3_AFTER,
     .answer.kind = S3_FLIP},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOMENTS 5

enum { KINDS = MOMENTS * COUNT(doubtful) + COUNT(refused) + COUNT(damaged) };

struct s3_door_fault s3_fault_number(size_t i)
{
    static const struct {
        enum s3_when when;
        uint64_t delay;
    } moments[MOMENTS] = {{S3_BEFORE, 0},
                          {S3_AFTER, 0},
                          {S3_LATE, 10 * MS},
                          {S3_LATE, 1000 * MS},
                          {S3_LATE, 30000 * MS}};
    struct s3_door_fault fault;

    if (i < COUNT(refused))
        return refused[i];
    i -= COUNT(refused);
    if (i < COUNT(damaged))
        return damaged[i];
    i -= COUNT(damaged);
    fault = doubtful[i / MOMENTS];
    fault.when = moments[i % MOMENTS].when;
    fault.delay = moments[i % MOMENTS].delay;
    return fault;
}

size_t s3_fault_count(void)
{
    return KINDS;
}

const char *s3_fault_text(const struct s3_door_fault *fault, char *to,
                          size_t room)
{
    if (fault->when == S3_LATE)
        snprintf(to, room, "%s (done %llu ms late)", fault->name,
                 (unsigned long long)(fault->delay / MS));
    else
        snprintf(to, room, "%s (%s)", fault->name,
                 fault->when == S3_BEFORE ? "before it was done"
                                          : "after it was done");
    return to;
}
