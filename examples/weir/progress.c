/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <inttypes.h>
#include <unistd.h>

#define BAR_WIDTH 30u
#define SECOND UINT64_C(1000000000)

void progress_start(struct progress *bar, const struct cli *cli,
                    const char *label, uint64_t total)
{
    *bar = (struct progress){.label = label,
                             .total = total,
                             .started = cli_now(),
                             .on = total > 0 && cli->verbose >= 0 &&
                                   isatty(STDERR_FILENO) == 1};
}

void progress_show(struct progress *bar, uint64_t done)
{
    uint64_t now;
    unsigned filled;

    if (!bar->on)
        return;
    now = cli_now();
    if (now - bar->started < SECOND / 2 || now - bar->drawn < SECOND / 10)
        return;

    bar->drawn = now;
    if (done > bar->total)
        done = bar->total;
    filled = (unsigned)((double)done / (double)bar->total * BAR_WIDTH);
    fprintf(stderr, "\r%s [", bar->label);
    for (unsigned i = 0; i < BAR_WIDTH; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3u %%",
            (unsigned)((double)done / (double)bar->total * 100));
    fflush(stderr);
}

void progress_end(struct progress *bar)
{
    if (bar->drawn != 0)
        fputs("\r\033[K", stderr);
    bar->on = false;
    bar->drawn = 0;
}
