/* SPDX-License-Identifier: Apache-2.0 */
/* weir properties: the table of what -X can set. */
#include "cli.h"

static const char *type_name(enum weir_type type)
{
    static const char *const names[] = {"string", "secret",   "uri",  "int",
                                        "size",   "duration", "bool", "enum"};

    return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

static int properties_run(struct cli *cli)
{
    size_t count;
    const struct weir_property *all = weir_config_properties(&count);

    for (size_t i = 0; i < count; i++) {
        struct row *row = row_new();

        row_text(row, "key", all[i].key);
        row_text(row, "type", type_name(all[i].type));
        row_text(row, "default", all[i].def);
        if (all[i].words[0] != '\0')
            row_text(row, "words", all[i].words);
        row_text(row, "text", all[i].text);
        if (i > 0 && !cli->json)
            putchar('\n');
        row_print(row, cli->json);
    }
    return 0;
}

const struct command properties_command = {
    "properties",
    NULL,
    "",
    "List the properties that -X KEY=VALUE can set.",
    NULL,
    NULL,
    0,
    0,
    COMMAND_OFFLINE | COMMAND_NO_STORE,
    properties_run};
