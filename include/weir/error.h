/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Errors.  An int says what to do; a `struct weir_error`, which is the
 * caller's, says what happened and on what.  Nothing is global.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <weir/api.h>

WEIR_BEGIN

/** What a caller should do about an error. */
enum weir_error_class {
    WEIR_CLASS_OK,      /* Not an error. */
    WEIR_CLASS_RETRY,   /* Certainly not done: do the same again, later. */
    WEIR_CLASS_REOPEN,  /* Close the stream or the node and open it again. */
    WEIR_CLASS_UNKNOWN, /* It may or may not have been done: look. */
    WEIR_CLASS_FATAL    /* Doing it again gives the same answer. */
};

/** Every error: name, number, class, text.  Numbers never change. */
#define WEIR_ERRORS(X)                                                         \
    X(EINVAL, -1, FATAL, "invalid argument")                                   \
    X(ENOMEM, -2, RETRY, "out of memory")                                      \
    X(EAGAIN, -3, RETRY, "no room now")                                        \
    X(ETIMEDOUT, -4, RETRY, "timed out")                                       \
    X(ETHROTTLED, -5, RETRY, "the store asks to slow down")                    \
    X(EUNAVAILABLE, -6, RETRY, "the store cannot be reached")                  \
    X(EUNKNOWN, -7, UNKNOWN, "outcome unknown")                                \
    X(EFENCED, -8, REOPEN, "a later epoch owns this")                          \
    X(EPOISONED, -9, REOPEN, "the write-ahead log has failed")                 \
    X(ECLOSED, -10, REOPEN, "closed")                                          \
    X(ECANCELED, -11, RETRY, "canceled")                                       \
    X(ECORRUPT, -12, FATAL, "data is damaged")                                 \
    X(ENOENT, -13, FATAL, "no such thing")                                     \
    X(EEXIST, -14, FATAL, "exists already")                                    \
    X(ECONFLICT, -15, FATAL, "the condition does not hold")                    \
    X(ERANGE, -16, FATAL, "offset out of range")                               \
    X(ETOOBIG, -17, FATAL, "too big")                                          \
    X(EIO, -18, FATAL, "input/output error")                                   \
    X(ENOSPC, -19, RETRY, "no space left")                                     \
    X(EACCES, -20, FATAL, "permission denied")                                 \
    X(EAUTH, -21, FATAL, "the store rejects the credentials")                  \
    X(EBUSY, -22, FATAL, "in use by another process")                          \
    X(EVERSION, -23, FATAL, "written by a newer version")                      \
    X(EFOREIGN, -24, FATAL, "belongs to another cluster or node")              \
    X(ETRUNCATED, -25, FATAL, "shorter than it must be")                       \
    X(EEMPTY, -26, FATAL, "empty")                                             \
    X(EISDIR, -27, FATAL, "is a directory")                                    \
    X(EFORMAT, -28, FATAL, "not of the expected format")                       \
    X(EUNSUPPORTED, -29, FATAL, "not supported")                               \
    X(EREADONLY, -30, FATAL, "opened read-only")                               \
    X(EBUG, -31, FATAL, "an internal invariant does not hold")

/** Status codes: 0, or one of the negative numbers of WEIR_ERRORS. */
enum weir_status {
    WEIR_OK = 0,
#define WEIR__ENUM(name, number, class, text) WEIR_##name = (number),
    WEIR_ERRORS(WEIR__ENUM)
#undef WEIR__ENUM
        WEIR__STATUS_END = -1000
};

/** Bytes of text in a `struct weir_error`, with the terminating zero. */
#define WEIR_ERROR_TEXT 252

/** What happened, on what.  Owned by the caller; valid until reused. */
struct weir_error {
    int code;                   /* 0 or a `weir_status`. */
    char text[WEIR_ERROR_TEXT]; /* One line, without the code's name. */
};

/**
 * Stable name of a status, such as "WEIR_EFENCED".
 *
 * Threads: any.
 *
 * @param status  0 or a `weir_status`.
 * @return a constant string; "WEIR_OK" for 0, "WEIR_E?" for a foreign number.
 */
WEIR_API const char *weir_error_name(int status);

/**
 * Text of a status, such as "a later epoch owns this".
 *
 * Threads: any.
 *
 * @param status  0 or a `weir_status`.
 * @return a constant string.
 */
WEIR_API const char *weir_error_text(int status);

/**
 * What a caller should do about a status.
 *
 * Threads: any.
 *
 * @param status  0 or a `weir_status`.
 * @return the class; WEIR_CLASS_FATAL for a foreign number.
 */
WEIR_API enum weir_error_class weir_error_class(int status);

WEIR_END

#endif
