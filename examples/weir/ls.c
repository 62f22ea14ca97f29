/* SPDX-License-Identifier: Apache-2.0 */
/* weir ls: the streams there are. */
#include "cli.h"

#include <inttypes.h>

#define PAGE 128u

static void print_stream(const struct cli *cli, bool details,
                         const struct weir_stream_stat *stat)
{
    struct row *row;

    if (cli->json) {
        row = row_new();
        row_stream(row, stat);
        row_print(row, true);
        return;
    }
    if (details)
        printf("%12" PRIu64 " %12" PRIu64 " %14" PRIu64 "  ", stat->start,
               stat->end, stat->bytes);
    print_name(stdout, stat->name);
    putchar('\n');
}

static int list(struct cli *cli, bool details, struct weir_stream_stat *page)
{
    char after[WEIR_NAME_MAX + 1];
    struct weir_stream_list req = {.prefix =
                                       cli->arg_count > 0 ? cli->args[0] : NULL,
                                   .out = page,
                                   .limit = PAGE};
    int rc;

    if (details && !cli->json)
        printf("%12s %12s %14s  %s\n", "START", "END", "BYTES", "STREAM");
    do {
        req.req.err = &cli->err;
        rc = weir_stream_list_sync(cli->node, &req);
        if (rc != 0)
            return cli_fail(cli, rc, "streams");
        for (size_t i = 0; i < req.count; i++)
            print_stream(cli, details, &page[i]);
        if (req.count == 0)
            break;
        snprintf(after, sizeof(after), "%s", page[req.count - 1].name);
        req.after = after;
    } while (req.more && output_flush(cli));
    return 0;
}

static int ls_run(struct cli *cli)
{
    struct weir_stream_stat *page = calloc(PAGE, sizeof(*page));
    int code;

    if (page == NULL)
        return cli_error(cli, ": out of memory");
    code = list(cli, cli->given_count > 0, page);
    free(page);
    return code;
}

static const struct cli_option ls_options[] = {
    {'l', "long", NULL, "with start, end and the bytes in objects"},
    {0, NULL, NULL, NULL}};

const struct command ls_command = {
    "ls",
    NULL,
    "[PREFIX]",
    "List the streams, or those whose names start with PREFIX.",
    "Names are sorted by their bytes; control characters are shown as \\xNN.",
    ls_options,
    0,
    1,
    COMMAND_READS,
    ls_run};
