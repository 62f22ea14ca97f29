/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void weir__log(const struct weir_log *log, enum weir_log_level level,
               const char *format, ...)
{
    char text[512];
    va_list args;

    if (log == NULL || log->write == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log->write(log->ctx, level, text);
}
