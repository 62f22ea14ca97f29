/* SPDX-License-Identifier: Apache-2.0 */
/* weir flush: bring what is only in the WAL into objects. */
#include "cli.h"

static int flush_run(struct cli *cli)
{
    struct weir_flush req = {.req.err = &cli->err};
    char store[CLI_SHOWN];
    int rc = weir_flush_sync(cli->node, &req);

    if (rc != 0)
        return cli_fail(cli, rc, ": %s", cli_shown(cli, "store", store));
    return 0;
}

const struct command flush_command = {
    "flush",
    NULL,
    "",
    "Upload all that is only in the write-ahead log.",
    "From then on other nodes, and readers with -X read_only=true, see it.",
    NULL,
    0,
    0,
    0,
    flush_run};
