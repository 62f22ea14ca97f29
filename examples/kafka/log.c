/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum weir_log_level most = WEIR_LOG_INFO;

/* One write for each line, so that those of several threads do not mix. */
static void write_line(void *ctx, enum weir_log_level level, const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    struct timespec now;
    struct tm tm;
    char when[32], line[640];
    ssize_t written;
    int len;

    (void)ctx;
    if (level > most)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    len = snprintf(line, sizeof(line) - 1, "%s.%03ldZ %s %s", when,
                   now.tv_nsec / 1000000, names[level], text);
    if (len < 0)
        return;
    if ((size_t)len > sizeof(line) - 2)
        len = (int)sizeof(line) - 2;
    line[len] = '\n';
    written = write(STDERR_FILENO, line, (size_t)len + 1);
    (void)written;
}

const struct weir_log stderr_log = {sizeof(struct weir_log), write_line, NULL};

void log_set_level(enum weir_log_level level)
{
    most = level;
}

void log_line(enum weir_log_level level, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    write_line(NULL, level, text);
}
