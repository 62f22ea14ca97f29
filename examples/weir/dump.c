/* SPDX-License-Identifier: Apache-2.0 */
/* weir dump: what is in a log, an object, the manifest, checksums verified. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

struct dump {
    struct cli *cli;
    bool data; /* Payloads in full. */
    bool only_damage;
    uint64_t damaged;
};

static void set_hex(struct row *row, const char *key, const void *data,
                    size_t len)
{
    const unsigned char *bytes = data;
    char text[129];

    if (len > 64)
        len = 64;
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[2 * len] = '\0';
    row_text(row, key, text);
}

static void set_field(struct row *row, const struct dump *dump,
                      const struct weir_field *field)
{
    char text[24];

    switch (field->type) {
    case WEIR_FIELD_UINT:
        row_uint(row, field->name, field->number);
        break;
    case WEIR_FIELD_HEX:
        snprintf(text, sizeof(text), "%08" PRIx64, field->number);
        row_text(row, field->name, text);
        break;
    case WEIR_FIELD_TIME:
        if ((int64_t)field->number != WEIR_NO_TIMESTAMP)
            row_int(row, field->name, (int64_t)field->number);
        break;
    case WEIR_FIELD_ID:
        set_hex(row, field->name, field->data, field->len);
        break;
    case WEIR_FIELD_TEXT:
        row_bytes(row, field->name, field->data, field->len);
        break;
    default:
        if (dump->data)
            row_bytes(row, field->name, field->data, field->len);
    }
}

static struct row *make_row(const struct dump *dump,
                            const struct weir_item *item)
{
    struct row *row = row_new();

    row_text(row, "kind", item->kind);
    for (size_t i = 0; i < item->count; i++)
        set_field(row, dump, &item->fields[i]);
    if (item->status != 0) {
        row_text(row, "status", weir_error_name(item->status));
        row_text(row, "damage", item->text);
    }
    return row;
}

static int print_item(void *ctx, const struct weir_item *item)
{
    struct dump *dump = ctx;
    struct row *row;

    if (item->status != 0)
        dump->damaged++;
    if (dump->only_damage && item->status == 0)
        return 0;
    row = make_row(dump, item);
    if (dump->cli->json)
        row_print(row, true);
    else
        row_print_line(row);
    if (ferror(stdout) != 0) {
        (void)output_flush(dump->cli);
        return WEIR_ECANCELED;
    }
    return 0;
}

static struct dump begin(struct cli *cli)
{
    struct dump dump = {.cli = cli};

    for (size_t i = 0; i < cli->given_count; i++) {
        dump.data |= cli->given[i].key == 'd';
        dump.only_damage |= cli->given[i].key == 'c';
    }
    return dump;
}

static int end(const struct dump *dump, int rc, const char *what)
{
    if (dump->cli->output_errno != 0)
        return 0; /* main() says why. */
    (void)output_flush(dump->cli);
    if (rc == 0 && dump->damaged == 0)
        return 0;
    if (dump->damaged > 0)
        cli_note(dump->cli, 0, "%s: %" PRIu64 " damaged", what, dump->damaged);
    return cli_fail(dump->cli, rc != 0 ? rc : WEIR_ECORRUPT, "%s", what);
}

static int dump_wal_run(struct cli *cli)
{
    struct dump dump = begin(cli);
    char wal[CLI_SHOWN];
    int rc;

    if (cli->arg_count > 0)
        cli->wal = cli->args[0];
    rc = cli_settle_wal(cli);
    if (rc != 0)
        return rc;
    rc = weir_inspect_wal(cli->config, print_item, &dump, &cli->err);
    return end(&dump, rc, cli_shown(cli, "wal", wal));
}

static int dump_object_run(struct cli *cli)
{
    struct dump dump = begin(cli);
    int rc = cli_check_folder(cli);

    if (rc != 0)
        return rc;
    rc = weir_inspect_object(cli->config, cli->args[0], print_item, &dump,
                             &cli->err);
    return end(&dump, rc, cli->args[0]);
}

static int dump_manifest_run(struct cli *cli)
{
    struct dump dump = begin(cli);
    char store[CLI_SHOWN];
    int rc = cli_check_folder(cli);

    if (rc != 0)
        return rc;
    rc = weir_inspect_manifest(cli->config, print_item, &dump, &cli->err);
    return end(&dump, rc, cli_shown(cli, "store", store));
}

static const struct cli_option dump_options[] = {
    {'d', "data", NULL, "also the payloads and values of users"},
    {'c', "check", NULL, "print only what is damaged"},
    {0, NULL, NULL, NULL}};

#define DUMP_TEXT                                                              \
    "One line for each thing that is found, or an object with --json.  All\n"  \
    "checksums are verified; the exit status is 1 if any is wrong.  Nothing\n" \
    "is changed."

const struct command dump_wal_command = {
    "dump",
    "wal",
    "[URI]",
    "Show what is in a file WAL that no node has open.",
    "Without URI, the log that --wal or --store say.\n" DUMP_TEXT,
    dump_options,
    0,
    1,
    COMMAND_OFFLINE | COMMAND_NO_STORE,
    dump_wal_run};

const struct command dump_object_command = {
    "dump",
    "object",
    "KEY",
    "Show what is in an object of the store.",
    DUMP_TEXT,
    dump_options,
    1,
    1,
    COMMAND_OFFLINE | COMMAND_READS,
    dump_object_run};

const struct command dump_manifest_command = {
    "dump",
    "manifest",
    "",
    "Show the newest snapshot and the commits of the manifest.",
    DUMP_TEXT,
    dump_options,
    0,
    0,
    COMMAND_OFFLINE | COMMAND_READS,
    dump_manifest_run};
