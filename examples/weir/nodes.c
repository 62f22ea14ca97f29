/* SPDX-License-Identifier: Apache-2.0 */
/* weir nodes, weir takeover: the nodes of a cluster, and the dead ones. */
#include "cli.h"

#include <inttypes.h>

#define PAGE 64u
#define TURN_NS INT64_C(50000000)

static const char *const lives[] = {"live", "lapsed", "closed"};

static void print_member(const struct cli *cli,
                         const struct weir_member *member)
{
    struct row *row;

    if (!cli->json) {
        printf("%8" PRIu32 "  %-7s %8" PRIu64 " %8" PRIu64 "  %-5s  %s\n",
               member->node_id, lives[member->life], member->epoch,
               member->streams, member->wal_clean ? "clean" : "used",
               member->wal);
        return;
    }
    row = row_new();
    row_uint(row, "node_id", member->node_id);
    row_text(row, "life", lives[member->life]);
    row_uint(row, "epoch", member->epoch);
    row_uint(row, "streams", member->streams);
    row_uint(row, "lease_ms", (uint64_t)member->lease / 1000000);
    row_bool(row, "wal_clean", member->wal_clean != 0);
    row_text(row, "wal", member->wal);
    row_print(row, true);
}

static int nodes_run(struct cli *cli)
{
    static struct weir_member page[PAGE];
    struct weir_node_list req = {
        .req.err = &cli->err, .out = page, .limit = PAGE};
    int rc;

    if (!cli->json)
        printf("%8s  %-7s %8s %8s  %-5s  %s\n", "NODE", "LIFE", "EPOCH",
               "STREAMS", "LOG", "WHERE");
    do {
        rc = weir_node_list_sync(cli->node, &req);
        if (rc != 0)
            return cli_fail(cli, rc, "nodes");
        for (size_t i = 0; i < req.count; i++)
            print_member(cli, &page[i]);
        if (req.count > 0)
            req.after = page[req.count - 1].node_id;
    } while (req.more && output_flush(cli));
    return 0;
}

const struct command nodes_command = {
    "nodes",
    NULL,
    "",
    "List the nodes that have opened this store.",
    "A node that this one has not watched for as long as its lease is shown as "
    "live.\n"
    "LOG is used while a write-ahead log may hold what no object has.",
    NULL,
    0,
    0,
    COMMAND_READS,
    nodes_run};

/* 1 if the node's log is clean, 0 if not yet, or negative. */
static int is_clean(struct cli *cli, uint32_t id)
{
    struct weir_member member = {0};
    struct weir_node_list req = {
        .req.err = &cli->err, .out = &member, .limit = 1, .after = id - 1};
    int rc = weir_node_list_sync(cli->node, &req);

    return rc != 0 ? rc : req.count == 1 && member.wal_clean;
}

/* Its streams are free; what was in its log is being uploaded. */
static int wait_for_upload(struct cli *cli, uint32_t id)
{
    int clean;

    while ((clean = is_clean(cli, id)) == 0)
        if (weir_poll(cli->node, TURN_NS) < 0)
            break;
    return clean < 0 ? cli_fail(cli, clean, "node %s", cli->args[0]) : 0;
}

static int takeover_run(struct cli *cli)
{
    struct weir_takeover req = {.req.err = &cli->err};
    uint64_t id;
    int rc = cli_number(cli, "NODE", cli->args[0], 1, 1000000, &id);

    if (rc != 0)
        return rc;
    req.node_id = (uint32_t)id;
    for (size_t i = 0; i < cli->given_count; i++) {
        if (cli->given[i].key == 'f')
            req.flags |= WEIR_TAKEOVER_FORCE;
        else if (cli->given[i].key == 'a')
            req.flags |= WEIR_TAKEOVER_ABANDON;
        else
            req.wal = cli->given[i].value;
    }
    rc = weir_takeover_sync(cli->node, &req);
    if (rc != 0)
        return cli_fail(cli, rc, "node %s", cli->args[0]);
    cli_note(cli, 0,
             "node %" PRIu32 ": %" PRIu64 " streams freed, %" PRIu64
             " batches (%" PRIu64 " bytes) found in its log",
             req.node_id, req.streams, req.batches, req.bytes);
    return wait_for_upload(cli, req.node_id);
}

static const struct cli_option takeover_options[] = {
    {'f', "force", NULL, "though it may be alive: it is certainly dead"},
    {'a', "abandon", NULL, "its log is lost: give up what only it holds"},
    {'l', "log", "URI", "where its log is, if not where it was opened"},
    {0, NULL, NULL, NULL}};

const struct command takeover_command = {
    "takeover",
    NULL,
    "NODE",
    "Take over a dead node: free its streams, and upload what is in its log.",
    "This node needs a number of its own: -X node_id=N, and a log of its own.\n"
    "A node without a lease, or whose lease this one has not watched run out,\n"
    "is taken over with --force only.",
    takeover_options,
    1,
    1,
    0,
    takeover_run};
