/* SPDX-License-Identifier: Apache-2.0 */
/* weir probe: what a store can do. */
#include "cli.h"

#include <string.h>

static const struct weir_field *field(const struct weir_item *item,
                                      const char *name)
{
    static const struct weir_field none = {.data = ""};

    for (size_t i = 0; i < item->count; i++)
        if (strcmp(item->fields[i].name, name) == 0)
            return &item->fields[i];
    return &none;
}

static void print_row(const struct weir_item *item)
{
    struct row *row = row_new();

    row_text(row, "kind", item->kind);
    for (size_t i = 0; i < item->count; i++) {
        const struct weir_field *f = &item->fields[i];

        if (f->type == WEIR_FIELD_UINT)
            row_uint(row, f->name, f->number);
        else
            row_text(row, f->name, f->data);
    }
    if (item->status != 0) {
        row_text(row, "status", weir_error_name(item->status));
        row_text(row, "missing", item->text);
    }
    row_print(row, true);
}

static void print_line(const struct weir_item *item)
{
    if (strcmp(item->kind, "check") == 0) {
        printf("%-20s %-3s %9.3f ms\n", (const char *)field(item, "name")->data,
               (const char *)field(item, "result")->data,
               (double)field(item, "microseconds")->number / 1000);
        if (item->status != 0)
            printf("    %s\n", item->text);
    } else if (strcmp(item->kind, "end") == 0) {
        printf("%-20s %s\n", "usable",
               field(item, "usable")->number != 0 ? "yes" : "no");
    }
}

static int print_item(void *ctx, const struct weir_item *item)
{
    struct cli *cli = ctx;

    if (cli->json)
        print_row(item);
    else
        print_line(item);
    return output_flush(cli) ? 0 : WEIR_ECANCELED;
}

static int probe_run(struct cli *cli)
{
    char store[CLI_SHOWN];
    int rc;

    if (cli->arg_count > 0)
        cli->store = cli->args[0];
    rc = cli_settle(cli);
    if (rc == 0)
        rc = cli_check_folder(cli);
    if (rc != 0)
        return rc;
    rc = weir_probe(cli->config, print_item, cli, &cli->err);
    if (rc == 0 || cli->output_errno != 0)
        return 0;
    return cli_fail(cli, rc, "%s", cli_shown(cli, "store", store));
}

const struct command probe_command = {
    "probe",
    NULL,
    "[URI]",
    "Try what a store can do, and whether a node can use it.",
    "Without URI, the store that --store says.  One line for each property,\n"
    "with the time that its requests took together, or an object with --json.\n"
    "About sixty requests below \"probe/\", one of them of 7 MiB, whose "
    "objects\n"
    "are removed again.  The exit status is 1 if the store cannot be used, or "
    "reached.",
    NULL,
    0,
    1,
    COMMAND_OFFLINE | COMMAND_READS | COMMAND_NO_STORE,
    probe_run};
