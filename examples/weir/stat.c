/* SPDX-License-Identifier: Apache-2.0 */
/* weir stat: the state of a stream or of the node. */
#include "cli.h"

static int stat_stream(struct cli *cli, const char *name)
{
    struct weir_stream_stat stat = {0};
    struct weir_stream *stream = NULL;
    struct row *row;
    int rc = cli_stream(cli, name, WEIR_STREAM_READ, &stream);

    if (rc != 0)
        return rc;
    rc = weir_stream_stat(stream, &stat);
    weir_stream_close(stream);
    if (rc != 0)
        return cli_fail(cli, rc, "%s", name);
    row = row_new();
    row_stream(row, &stat);
    row_print(row, cli->json);
    return 0;
}

static void print_node(const struct cli *cli, const struct weir_node_stat *stat,
                       const struct weir_stats *stats)
{
    struct row *row = row_new();
    char cluster[2 * sizeof(stat->cluster) + 1];

    for (size_t i = 0; i < sizeof(stat->cluster); i++)
        snprintf(cluster + 2 * i, 3, "%02x", stat->cluster[i]);
    row_text(row, "cluster", cluster);
    row_uint(row, "node", stat->node_id);
    row_uint(row, "epoch", stat->epoch);
    row_uint(row, "manifest_version", stat->manifest_version);
    row_uint(row, "streams", stat->streams);
    row_uint(row, "objects", stat->objects);
    row_uint(row, "bytes", stat->bytes);
    row_uint(row, "wal_bytes", stat->wal_bytes);
    if (stats != NULL)
        row_counters(row, stats);
    row_print(row, cli->json);
}

static int stat_node(struct cli *cli)
{
    struct weir_node_stat stat;
    struct weir_stats stats;
    int rc = weir_node_stat_sync(cli->node, &stat);

    if (rc == 0)
        rc = weir_stats_sync(cli->node, &stats);
    if (rc != 0)
        return cli_fail(cli, rc, "node");
    print_node(cli, &stat, cli->given_count > 0 ? &stats : NULL);
    return 0;
}

static int stat_run(struct cli *cli)
{
    int code = 0;

    if (cli->arg_count == 0)
        return stat_node(cli);
    for (int i = 0; i < cli->arg_count; i++) {
        if (i > 0 && !cli->json)
            putchar('\n');
        if (stat_stream(cli, cli->args[i]) != 0)
            code = EXIT_FAILURE;
    }
    return code;
}

static const struct cli_option stat_options[] = {
    {'c', "counters", NULL, "also what the node counted since it was opened"},
    {0, NULL, NULL, NULL}};

const struct command stat_command = {
    "stat",
    NULL,
    "[STREAM]...",
    "Show the state of streams, or of the node.",
    NULL,
    stat_options,
    0,
    -1,
    COMMAND_READS,
    stat_run};
