/* SPDX-License-Identifier: Apache-2.0 */
/* weir rm: delete streams. */
#include "cli.h"

static int remove_stream(struct cli *cli, const char *name, bool force)
{
    struct weir_stream_delete req = {.req.err = &cli->err, .name = name};
    int rc = weir_stream_delete_sync(cli->node, &req);

    if (rc == 0) {
        cli_note(cli, 1, "%s: deleted", name);
        return 0;
    }
    if (rc == WEIR_ENOENT)
        return force ? 0 : cli_error(cli, "%s: no such stream", name);
    return cli_fail(cli, rc, "%s", name);
}

static int rm_run(struct cli *cli)
{
    int code = EXIT_SUCCESS;

    for (int i = 0; i < cli->arg_count; i++)
        if (remove_stream(cli, cli->args[i], cli->given_count > 0) != 0)
            code = EXIT_FAILURE;
    return code;
}

static const struct cli_option rm_options[] = {
    {'f', "force", NULL, "a stream that does not exist is no failure"},
    {0, NULL, NULL, NULL}};

const struct command rm_command = {
    "rm", NULL,       "STREAM...", "Delete streams and all that is in them.",
    NULL, rm_options, 1,           -1,
    0,    rm_run};
