/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

enum { OPT_STORE = 256, OPT_WAL, OPT_MANIFEST, OPT_JSON };

#define MAX_OPTIONS 32

static const struct cli_option global_options[] = {
    {OPT_STORE, "store", "URI",
     "object store: dir:/path, mem: or\n"
     "s3://bucket/prefix?endpoint=...&region=..."},
    {OPT_WAL, "wal", "URI",
     "write-ahead log: file:/path?size=256MiB, object: or mem:\n"
     "(with dir:/path by default file:/path/.wal)"},
    {OPT_MANIFEST, "manifest", "URI",
     "where the manifest is (default: store:, in the store)"},
    {'X', "property", "KEY=VALUE",
     "set any property (`weir properties` lists them)"},
    {OPT_JSON, "json", NULL, "print data as JSON, one object per line"},
    {'q', "quiet", NULL, "say nothing but errors"},
    {'v', "verbose", NULL, "say what happens; twice: in detail"},
    {'h', "help", NULL, "show this help, or a command's, and exit"},
    {'V', "version", NULL, "show the version and exit"},
    {0, NULL, NULL, NULL}};

static const struct command *const commands[] = {
    &append_command,    &cat_command,          &ls_command,
    &stat_command,      &trim_command,         &rm_command,
    &flush_command,     &bench_append_command, &bench_fetch_command,
    &dump_wal_command,  &dump_object_command,  &dump_manifest_command,
    &nodes_command,     &takeover_command,     &probe_command,
    &properties_command};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_text(const char *text, int indent)
{
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", indent, "");
    }
    putchar('\n');
}

static void print_options(const struct cli_option *option)
{
    char head[64];

    for (; option != NULL && option->name != NULL; option++) {
        snprintf(head, sizeof(head), "%c%c%c --%s%s%s",
                 option->key < 256 ? '-' : ' ',
                 option->key < 256 ? option->key : ' ',
                 option->key < 256 ? ',' : ' ', option->name,
                 option->arg != NULL ? " " : "",
                 option->arg != NULL ? option->arg : "");
        if (strlen(head) > 26)
            printf("  %s\n%30s", head, "");
        else
            printf("  %-26s  ", head);
        print_text(option->text, 30);
    }
}

static void command_name(const struct command *command, char *to, size_t size)
{
    snprintf(to, size, "%s%s%s", command->name, command->sub ? " " : "",
             command->sub ? command->sub : "");
}

static void print_help(void)
{
    char name[32];

    printf("Usage: weir [OPTION]... COMMAND [ARGUMENT]...\n"
           "Streams (append-only logs of records) in object storage.\n\n"
           "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        command_name(commands[i], name, sizeof(name));
        printf("  %-14s  %s\n", name, commands[i]->summary);
    }
    printf("\nOptions, before or after the command:\n");
    print_options(global_options);
    printf("\nEnvironment, where an option does not say otherwise:\n"
           "  WEIR_STORE, WEIR_WAL, WEIR_MANIFEST   as --store, --wal, "
           "--manifest\n"
           "  AWS_ACCESS_KEY_ID, AWS_PROFILE, ...   keys of an s3: store, as "
           "the AWS\n"
           "                                        tools find them (see "
           "s3_credentials)\n"
           "  AWS_REGION, AWS_DEFAULT_REGION        its region\n"
           "\nExit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n"
           "\nExample:\n"
           "  export WEIR_STORE=dir:/tmp/demo\n"
           "  printf 'one\\ntwo\\n' | weir append greetings\n"
           "  weir cat greetings\n"
           "\n`weir COMMAND --help` tells more about a command.\n");
}

static void print_command_help(const struct command *command)
{
    char name[32];

    command_name(command, name, sizeof(name));
    printf("Usage: weir [OPTION]... %s%s%s\n", name,
           command->args[0] != '\0' ? " " : "", command->args);
    print_text(command->summary, 0);
    if (command->text != NULL) {
        putchar('\n');
        print_text(command->text, 0);
    }
    if (command->options != NULL) {
        printf("\nOptions:\n");
        print_options(command->options);
    }
    printf("\n`weir --help` lists the options that all commands take.\n");
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
    char name[32] = "";
    va_list ap;

    if (cli->command != NULL)
        command_name(cli->command, name, sizeof(name));
    fprintf(stderr, "weir%s%s: ", name[0] ? " " : "", name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\nTry `weir%s%s --help`.\n", name[0] ? " " : "", name);
    return EXIT_USAGE;
}

/* Put a table of ours in front of getopt's terminator. */
static void add_options(struct option *to, char *letters,
                        const struct cli_option *option)
{
    size_t n = 0;

    while (to[n].name != NULL)
        n++;
    for (; option != NULL && option->name != NULL && n + 1 < MAX_OPTIONS;
         option++, n++) {
        to[n] = (struct option){
            option->name, option->arg != NULL ? required_argument : no_argument,
            NULL, option->key};
        if (option->key < 256) {
            size_t len = strlen(letters);

            snprintf(letters + len, 4, "%c%s", option->key,
                     option->arg != NULL ? ":" : "");
        }
    }
}

/* -X KEY=VALUE.  The three URIs have options of their own; both ways lead to
 * the same place, and the last one wins. */
static int set_property(struct cli *cli, char *text)
{
    char *equals = strchr(text, '=');
    struct weir_error err = {0};

    if (equals == NULL || equals == text)
        return cli_usage(cli, "-X %s: expected KEY=VALUE", text);
    *equals = '\0';
    if (strcmp(text, "store") == 0)
        cli->store = equals + 1;
    else if (strcmp(text, "wal") == 0)
        cli->wal = equals + 1;
    else if (strcmp(text, "manifest") == 0)
        cli->manifest = equals + 1;
    else if (weir_config_set(cli->config, text, equals + 1, &err) != 0)
        return cli_usage(cli, "-X %s", err.text);
    return 0;
}

/* A global option: 0, or the exit code. */
static int set_global(struct cli *cli, int key, char *value)
{
    switch (key) {
    case OPT_STORE:
        cli->store = value;
        return 0;
    case OPT_WAL:
        cli->wal = value;
        return 0;
    case OPT_MANIFEST:
        cli->manifest = value;
        return 0;
    case OPT_JSON:
        cli->json = true;
        return 0;
    case 'X':
        return set_property(cli, value);
    case 'q':
        cli->verbose = -1;
        return 0;
    case 'v':
        cli->verbose = cli->verbose < 0 ? 1 : cli->verbose + 1;
        return 0;
    default:
        cli->help = true;
        return 0;
    }
}

static bool is_global(int key)
{
    const struct cli_option *option = global_options;

    while (option->name != NULL && option->key != key)
        option++;
    return option->name != NULL;
}

/* What getopt does not know, by the name that the user wrote. */
static int unknown_option(const struct cli *cli, int key, char **argv)
{
    const char *text = argv[optind - 1];

    if (key == ':')
        return cli_usage(cli, "%s: an argument is missing", text);
    if (optopt != 0 && optopt < 256 && strncmp(text, "--", 2) != 0)
        return cli_usage(cli, "unknown option -%c", optopt);
    return cli_usage(cli, "unknown option %.*s", (int)strcspn(text, "="), text);
}

/* Options up to the end, or (no command yet) to the first word. */
static int parse_options(struct cli *cli, int argc, char **argv)
{
    struct option options[MAX_OPTIONS] = {{0}};
    char letters[4 * MAX_OPTIONS];
    int key;
    int rc;

    snprintf(letters, sizeof(letters), "%s", cli->command ? ":" : "+:");
    add_options(options, letters, global_options);
    if (cli->command != NULL)
        add_options(options, letters, cli->command->options);

    opterr = 0;
    while ((key = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (key == '?' || key == ':')
            return unknown_option(cli, key, argv);
        if (key == 'V') {
            printf("weir %s\n", weir_version());
            return EXIT_SUCCESS;
        }
        if (is_global(key)) {
            rc = set_global(cli, key, optarg);
            if (rc != 0)
                return rc;
            continue;
        }
        cli->given[cli->given_count++] = (struct cli_given){key, optarg};
    }
    return -1;
}

/* Find the command whose name starts at argv[optind], and step over it. */
static int find_command(struct cli *cli, int argc, char **argv)
{
    const char *word = optind < argc ? argv[optind] : NULL;
    const char *sub = optind + 1 < argc ? argv[optind + 1] : "";
    const struct command *half = NULL;

    if (word == NULL)
        return cli_usage(cli, "no command was given");
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, word) != 0)
            continue;
        half = commands[i];
        if (half->sub == NULL || strcmp(half->sub, sub) == 0) {
            cli->command = half;
            optind += half->sub != NULL ? 2 : 1;
            return -1;
        }
    }
    if (half == NULL)
        return cli_usage(cli, "no such command: %.*s",
                         (int)strcspn(word, "?&#"), word);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, word) == 0)
            fprintf(sub[0] == '-' ? stdout : stderr,
                    "Usage: weir [OPTION]... %s %s%s%s\n", word,
                    commands[i]->sub, commands[i]->args[0] ? " " : "",
                    commands[i]->args);
    return strcmp(sub, "--help") == 0 || strcmp(sub, "-h") == 0 ? EXIT_SUCCESS
                                                                : EXIT_USAGE;
}

static int check_args(const struct cli *cli)
{
    const char *surplus;

    if (cli->arg_count < cli->command->min_args)
        return cli_usage(cli, "an argument is missing: %s", cli->command->args);
    if (cli->command->max_args < 0 || cli->arg_count <= cli->command->max_args)
        return -1;
    /* It may be a URI. */
    surplus = cli->args[cli->command->max_args];
    return cli_usage(cli, "one argument too many: %.*s",
                     (int)strcspn(surplus, "?&#"), surplus);
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    int rc;

    cli->given = calloc((size_t)argc + 1, sizeof(*cli->given));
    if (cli->given == NULL)
        return cli_error(cli, ": out of memory");
    rc = parse_options(cli, argc, argv);
    if (rc >= 0)
        return rc;
    if (cli->help) {
        print_help();
        return EXIT_SUCCESS;
    }
    rc = find_command(cli, argc, argv);
    if (rc >= 0)
        return rc;

    argv += optind;
    argc -= optind;
    /* getopt starts at index 1; it is told the end of what it has seen. */
    argv--;
    argc++;
    optind = 0;
    rc = parse_options(cli, argc, argv);
    if (rc >= 0)
        return rc;
    cli->args = argv + optind;
    cli->arg_count = argc - optind;
    if (cli->help) {
        print_command_help(cli->command);
        return EXIT_SUCCESS;
    }
    return check_args(cli);
}

int cli_number(const struct cli *cli, const char *option, const char *text,
               uint64_t min, uint64_t max, uint64_t *out)
{
    unsigned long long value = 0;
    char *end = NULL;

    if (text[0] >= '0' && text[0] <= '9')
        value = strtoull(text, &end, 10);
    if (end == NULL || *end != '\0' || value < min || value > max ||
        strlen(text) > 20)
        return cli_usage(cli, "%s %s: expected a number from %llu to %llu",
                         option, text, (unsigned long long)min,
                         (unsigned long long)max);
    *out = value;
    return 0;
}

int cli_parse_bytes(const char *text, uint64_t *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned long long value;
    char *end;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 18)
        return -1;
    value = strtoull(text, &end, 10);
    if (*end == '\0') {
        *out = value;
        return 0;
    }
    for (unsigned i = 0; i < 5; i++) {
        if (strcmp(end, units[i]) == 0 && value <= UINT64_MAX >> (10 * i)) {
            *out = (uint64_t)value << (10 * i);
            return 0;
        }
    }
    return -1;
}

int cli_bytes(const struct cli *cli, const char *option, const char *text,
              uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value;

    if (cli_parse_bytes(text, &value) != 0 || value < min || value > max)
        return cli_usage(cli,
                         "%s %s: expected bytes, such as 64KiB, from %llu to "
                         "%llu",
                         option, text, (unsigned long long)min,
                         (unsigned long long)max);
    *out = value;
    return 0;
}
