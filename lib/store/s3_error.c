/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer that is not success means for the caller: above all,
 * whether a PUT is certainly not done. */
#include "store/s3.h"

#include "base/error.h"
#include "http/xml.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* So much of a secret gives it away. */
enum { SECRET_SEEN = 6 };

/* Text from outside, for a message: printable, and cut to fit. */
static void keep_text(char *to, size_t room, const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n + 1 < room; text++)
        if (*text >= ' ' && *text <= '~')
            to[n++] = *text;
    to[n] = '\0';
}

static int on_element(void *ctx, const char *path, const char *text)
{
    struct weir__s3_error *error = ctx;

    if (strcmp(path, "Error/Code") == 0)
        keep_text(error->code, sizeof(error->code), text);
    else if (strcmp(path, "Error/Message") == 0)
        keep_text(error->message, sizeof(error->message), text);
    else if (strcmp(path, "Error/Region") == 0)
        keep_text(error->region, sizeof(error->region), text);
    return 0;
}

static bool starts(const char *body, size_t len, const char *with)
{
    while (len > 0 && (*body == ' ' || *body == '\r' || *body == '\n')) {
        body++;
        len--;
    }
    return len >= strlen(with) && strncasecmp(body, with, strlen(with)) == 0;
}

/* Some servers call their XML so, and their empty answers. */
static bool looks_like_html(const struct weir__http_answer *answer,
                            const char *body, size_t len)
{
    if (starts(body, len, "<?xml") || starts(body, len, "<Error"))
        return false;
    return strncasecmp(answer->content_type, "text/html", 9) == 0 ||
           starts(body, len, "<!doctype html") || starts(body, len, "<html");
}

/* Go, nginx and Apache say so, to who has spoken plain HTTP to a port of
 * TLS. */
static bool wants_tls(const struct weir__http_answer *answer, const char *body,
                      size_t len)
{
    static const char *const says[] = {
        "HTTP request to an HTTPS server",
        "HTTP request was sent to HTTPS port",
        "plain HTTP to an SSL-enabled server port"};

    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++)
        if (answer->status == 400 && len > 0 &&
            memmem(body, len, says[i], strlen(says[i])) != NULL)
            return true;
    return false;
}

void weir__s3_error_read(struct weir__s3_error *error,
                         const struct weir_alloc *alloc,
                         const struct weir__http_answer *answer,
                         const void *body, size_t len)
{
    *error = (struct weir__s3_error){0};
    keep_text(error->region, sizeof(error->region), answer->region);
    error->html = looks_like_html(answer, body, len);
    error->wants_tls = wants_tls(answer, body, len);
    /* Whatever cannot be read leaves the HTTP status to go by. */
    if (!error->html && len > 0)
        weir__xml_parse(alloc, body, len, on_element, error, NULL);
}

/* How much of the beginning of a secret, or of all of it, stands there. */
static size_t seen(const char *text, const char *secret)
{
    size_t n = 0;

    if (secret == NULL)
        return 0;
    while (secret[n] != '\0' && text[n] == secret[n])
        n++;
    return n;
}

/* Also the beginning of a secret counts: the text may be cut.  Secrets may
 * begin in the same way: the one of which more is there is meant. */
static void hide(char *text, const struct weir__s3_credentials *credentials)
{
    for (; *text != '\0'; text++) {
        size_t key = seen(text, credentials->secret_key);
        size_t token = seen(text, credentials->token);
        size_t n = key > token ? key : token;

        if (n >= SECRET_SEEN)
            memset(text, '*', n);
    }
}

void weir__s3_error_hide(struct weir__s3_error *error,
                         const struct weir__s3_credentials *credentials)
{
    hide(error->code, credentials);
    hide(error->message, credentials);
    hide(error->region, credentials);
}

/* Codes of S3 that say more than the HTTP status. */
static int status_of_code(const char *code)
{
    static const struct {
        const char *code;
        int status;
    } codes[] = {
        {"AccessDenied", WEIR_EACCES},
        {"AllAccessDisabled", WEIR_EACCES},
        {"AccountProblem", WEIR_EACCES},
        {"AuthorizationHeaderMalformed", WEIR_EAUTH},
        {"BadDigest", WEIR_ECORRUPT},
        {"BandwidthLimitExceeded", WEIR_ETHROTTLED},
        {"ConditionalRequestConflict", WEIR_ETHROTTLED},
        {"EntityTooLarge", WEIR_ETOOBIG},
        {"ExpiredToken", WEIR_EAUTH},
        {"IncompleteBody", WEIR_EUNAVAILABLE},
        {"InvalidAccessKeyId", WEIR_EAUTH},
        {"InvalidDigest", WEIR_ECORRUPT},
        {"InvalidToken", WEIR_EAUTH},
        {"NoSuchBucket", WEIR_ENOENT},
        {"NoSuchKey", WEIR_ENOENT},
        {"NotImplemented", WEIR_EUNSUPPORTED},
        {"OperationAborted", WEIR_ETHROTTLED},
        {"QuotaExceeded", WEIR_ENOSPC},
        {"RequestLimitExceeded", WEIR_ETHROTTLED},
        {"RequestTimeTooSkewed", WEIR_EAUTH},
        {"RequestTimeout", WEIR_EUNAVAILABLE},
        {"ServiceUnavailable", WEIR_ETHROTTLED},
        {"SignatureDoesNotMatch", WEIR_EAUTH},
        {"SlowDown", WEIR_ETHROTTLED},
        {"Throttling", WEIR_ETHROTTLED},
        {"ThrottlingException", WEIR_ETHROTTLED},
        {"TokenRefreshRequired", WEIR_EAUTH},
        {"TooManyRequests", WEIR_ETHROTTLED},
        {"XAmzContentChecksumMismatch", WEIR_ECORRUPT},
        {"XAmzContentSHA256Mismatch", WEIR_ECORRUPT},
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(code, codes[i].code) == 0)
            return codes[i].status;
    return 0;
}

/* A 503 with a code of S3 was refused by S3.  One without comes from a proxy
 * in between, which may have passed the request on before it failed; and so
 * may the other 5xx. */
static int status_of_http(int http, bool put)
{
    if (http == 501)
        return WEIR_EUNSUPPORTED;
    if (http == 507)
        return WEIR_ENOSPC;
    if (http >= 500 && put)
        return WEIR_EUNKNOWN;
    if (http == 503 || http == 429)
        return WEIR_ETHROTTLED;
    if (http >= 500)
        return WEIR_EUNAVAILABLE;
    switch (http) {
    case 302:
    case 307:
        return WEIR_EUNAVAILABLE;
    case 401:
        return WEIR_EAUTH;
    case 403:
        return WEIR_EACCES;
    case 404:
        return WEIR_ENOENT;
    case 405:
        return WEIR_EUNSUPPORTED;
    case 408:
        return put ? WEIR_EUNKNOWN : WEIR_EUNAVAILABLE;
    case 409:
        return WEIR_ETHROTTLED;
    case 413:
        return WEIR_ETOOBIG;
    case 416:
        return WEIR_ERANGE;
    default:
        return WEIR_EIO;
    }
}

static int decide(const struct weir__s3_error *error, int http,
                  const struct weir_store_req *req)
{
    bool put = req->verb == WEIR_STORE_PUT;
    int status = status_of_code(error->code);

    if (put && http == 412 && (req->flags & WEIR_STORE_IF_ABSENT) != 0)
        return WEIR_ECONFLICT;
    /* Not what an S3 server answers: who knows what was done. */
    if (http >= 200 && http <= 299)
        return put ? WEIR_EUNKNOWN : WEIR_EUNAVAILABLE;
    return status != 0 ? status : status_of_http(http, put);
}

/* What the one who reads it should look at; "" when that is plain. */
static const char *advice(const struct weir__s3_error *error, int http)
{
    static const struct {
        const char *code;
        const char *look;
    } known[] = {
        {"RequestTimeTooSkewed", "; set this machine's clock"},
        {"SignatureDoesNotMatch", "; check the secret key"},
        {"InvalidAccessKeyId", "; check the access key"},
        {"ExpiredToken", "; get a new session token, and the keys with it"},
        {"InvalidToken", "; check the session token"},
        {"AccessDenied", "; give these keys the right to do this"},
        {"NoSuchBucket", "; create the bucket"},
    };

    if (error->wants_tls)
        return "; that port is one of TLS: say endpoint=https://...";
    if (error->html)
        return "; a web page, so this is no S3 server, or a proxy is in "
               "between";
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(error->code, known[i].code) == 0)
            return known[i].look;
    if (http == 412)
        return "; it exists";
    if (error->code[0] == '\0' && http == 403)
        return "; check keys and permissions";
    if (error->code[0] == '\0' && http == 404)
        return "; no such key, or no such bucket";
    return "";
}

int weir__s3_error_status(const struct weir__s3_error *error,
                          const struct weir__http_answer *answer,
                          const struct weir_store_req *req, const char *what,
                          struct weir_error *err)
{
    int http = answer->status;
    char region[80] = "";

    if ((http >= 301 && http <= 308) ||
        strcmp(error->code, "AuthorizationHeaderMalformed") == 0)
        snprintf(region, sizeof(region),
                 error->region[0] != '\0'
                     ? "; the bucket is in region %s: set region and endpoint"
                     : "; wrong region or endpoint",
                 error->region);
    return weir__fail(err, decide(error, http, req), "%s: %d%s%s%s%.60s%s%s",
                      what, http, error->code[0] != '\0' ? " " : "",
                      error->code, error->message[0] != '\0' ? ": " : "",
                      error->message, advice(error, http), region);
}
