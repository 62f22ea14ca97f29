/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *weir_error_name(int status)
{
    switch (status) {
    case WEIR_OK:
        return "WEIR_OK";
#define NAME(name, number, class, text)                                        \
    case number:                                                               \
        return "WEIR_" #name;
        WEIR_ERRORS(NAME)
#undef NAME
    default:
        return "WEIR_E?";
    }
}

const char *weir_error_text(int status)
{
    switch (status) {
    case WEIR_OK:
        return "no error";
#define TEXT(name, number, class, text)                                        \
    case number:                                                               \
        return text;
        WEIR_ERRORS(TEXT)
#undef TEXT
    default:
        return "unknown error";
    }
}

enum weir_error_class weir_error_class(int status)
{
    switch (status) {
    case WEIR_OK:
        return WEIR_CLASS_OK;
#define CLASS(name, number, class, text)                                       \
    case number:                                                               \
        return WEIR_CLASS_##class;
        WEIR_ERRORS(CLASS)
#undef CLASS
    default:
        return WEIR_CLASS_FATAL;
    }
}

int weir__vfail(struct weir_error *err, int code, const char *format,
                va_list args)
{
    if (err != NULL) {
        err->code = code;
        vsnprintf(err->text, sizeof(err->text), format, args);
    }
    return code;
}

int weir__fail(struct weir_error *err, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    weir__vfail(err, code, format, args);
    va_end(args);
    return code;
}

static int code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return WEIR_ENOENT;
    case EEXIST:
        return WEIR_EEXIST;
    case EACCES:
    case EPERM:
    case EROFS:
        return WEIR_EACCES;
    case ENOSPC:
    case EDQUOT:
        return WEIR_ENOSPC;
    case ENOMEM:
        return WEIR_ENOMEM;
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
        return WEIR_EAGAIN;
    case EBUSY:
    case ETXTBSY:
        return WEIR_EBUSY;
    case EISDIR:
        return WEIR_EISDIR;
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        return WEIR_EINVAL;
    case EFBIG:
        return WEIR_ETOOBIG;
    case ETIMEDOUT:
        return WEIR_ETIMEDOUT;
    default:
        return WEIR_EIO;
    }
}

int weir__fail_errno(struct weir_error *err, int number, const char *format,
                     ...)
{
    int code = code_of_errno(number);
    char room[128];
    const char *cause = strerror_r(number, room, sizeof(room));
    size_t len = strlen(cause) + 2;
    size_t at;
    va_list args;

    if (err == NULL)
        return code;
    va_start(args, format);
    weir__vfail(err, code, format, args);
    va_end(args);

    /* A long name gives way to the cause. */
    at = strlen(err->text);
    if (at + len >= sizeof(err->text))
        at = sizeof(err->text) - len - 1;
    snprintf(err->text + at, sizeof(err->text) - at, ": %s", cause);
    return code;
}

int weir__fail_status(struct weir_error *err, int code)
{
    if (err == NULL || (err->code == code && err->text[0] != '\0'))
        return code;
    return weir__fail(err, code, "%s", weir_error_text(code));
}

void weir__error_copy(struct weir_error *to, const struct weir_error *from)
{
    if (to != NULL && from != NULL && to != from)
        *to = *from;
}
