/* SPDX-License-Identifier: Apache-2.0 */
/* weir trim: forget the beginning of a stream. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

static int trim_run(struct cli *cli)
{
    const char *name = cli->args[0];
    struct weir_trim req = {.req.err = &cli->err, .start = WEIR_OFFSET_END};
    struct weir_stream *stream = NULL;
    struct weir_stream_stat stat;
    int rc = 0;

    if (strcmp(cli->args[1], "end") != 0)
        rc = cli_number(cli, "OFFSET", cli->args[1], 0, INT64_MAX, &req.start);
    if (rc == 0)
        rc = cli_stream(cli, name, 0, &stream);
    if (rc != 0)
        return rc;

    rc = weir_trim_sync(stream, &req);
    if (rc == WEIR_ERANGE && weir_stream_stat(stream, &stat) == 0)
        rc = cli_error(cli,
                       "%s: offset %s is beyond the end, which is at %" PRIu64,
                       name, cli->args[1], stat.end);
    else if (rc != 0)
        rc = cli_fail(cli, rc, "%s", name);
    else
        cli_note(cli, 1, "%s: begins at %" PRIu64, name, req.start);
    weir_stream_close(stream);
    return rc;
}

const struct command trim_command = {
    "trim",
    NULL,
    "STREAM OFFSET|end",
    "Forget the beginning of a stream.",
    "Moves the start of the stream forward to OFFSET, or to its end.  What\n"
    "lies below cannot be read any more, and its objects are freed.  Trimming\n"
    "to or below the present start does nothing.",
    NULL,
    2,
    2,
    0,
    trim_run};
