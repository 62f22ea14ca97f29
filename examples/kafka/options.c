/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/node.h>

#include "log.h"

#define PROGRAM "weir-kafka"
#define URI_MAX 4096u
/* Unless it is set: how long a server counts as alive without a word. */
#define LEASE "10s"

enum {
    OPT_STORE = 256,
    OPT_WAL,
    OPT_MANIFEST,
    OPT_LISTEN,
    OPT_ADVERTISE,
    OPT_HELP,
    OPT_VERSION
};

static const struct option longs[] = {
    {"store", required_argument, NULL, OPT_STORE},
    {"wal", required_argument, NULL, OPT_WAL},
    {"manifest", required_argument, NULL, OPT_MANIFEST},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"advertise", required_argument, NULL, OPT_ADVERTISE},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static void print_properties(void)
{
    const struct weir_property *row;
    size_t count, i;

    row = weir_config_properties(&count);
    for (i = 0; i < count; i++, row++) {
        printf("  %s=%s\n", row->key, row->def);
        if (row->type == WEIR_TYPE_ENUM)
            printf("        (%s) %s\n", row->words, row->text);
        else
            printf("        %s\n", row->text);
    }
}

static void print_help(void)
{
    printf(
        "Usage: " PROGRAM " --store URI [OPTION]...\n"
        "Serve the Kafka protocol from an object store.\n"
        "\n"
        "  --store URI            where the data goes: dir:/path, "
        "s3://bucket/prefix?..., mem:\n"
        "  --wal URI              write-ahead log: file:/path?size=256MiB, or "
        "object: for one in\n"
        "                         the store; by default the file .wal in "
        "the folder of a dir:\n"
        "                         store, object: with others\n"
        "  --manifest URI         where the manifest is; by default in "
        "the store\n"
        "  --listen HOST:PORT     where to listen (127.0.0.1:9092); port "
        "0 takes a free one\n"
        "  --advertise HOST:PORT  where clients are sent to, if not where "
        "they came to\n"
        "  -X NAME=VALUE          set one of the properties below\n"
        "  -v, -q                 log more, log less (repeat)\n"
        "  --help, --version\n"
        "\n"
        "Prints \"" PROGRAM ": listening on HOST:PORT\" when it is ready. "
        "SIGTERM and SIGINT end\n"
        "it.  Exit code 0: ended by a signal; 1: failed; 2: bad option.\n"
        "\n"
        "For an s3: store, keys are found as the AWS tools find them "
        "(AWS_ACCESS_KEY_ID,\n"
        "AWS_PROFILE and so on; see s3_credentials), the region in AWS_REGION "
        "or\n"
        "AWS_DEFAULT_REGION.\n"
        "\n"
        "Properties of the broker:\n");
    settings_print();
    printf("\nProperties of the node below it:\n");
    print_properties();
}

__attribute__((format(printf, 1, 2))) static int invalid(const char *format,
                                                         ...)
{
    va_list args;

    fputs(PROGRAM ": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; see " PROGRAM " --help\n", stderr);
    return -1;
}

static int set_property(struct options *o, const char *option, const char *name,
                        const char *value)
{
    struct weir_error err = {0};

    if (weir_config_set(o->config, name, value, &err) != 0)
        return invalid("%s: %s", option, err.text);
    return 0;
}

/* -X NAME=VALUE: names with dots are the broker's. */
static int set_x(struct options *o, char *text)
{
    char *equals = strchr(text, '='), expected[96];

    if (equals == NULL || equals == text)
        return invalid("-X %s: expected NAME=VALUE", text);
    *equals = 0;
    switch (settings_set(&o->settings, text, equals + 1, expected)) {
    case SETTINGS_OK:
        return 0;
    case SETTINGS_INVALID:
        return invalid("-X %s=%s: %s", text, equals + 1, expected);
    case SETTINGS_UNKNOWN:
        break;
    }
    if (strchr(text, '.') != NULL)
        return invalid("-X %s: no such property", text);
    return set_property(o, "-X", text, equals + 1);
}

/* HOST:PORT or [HOST]:PORT. */
static int read_address(const char *option, const char *text, char host[256],
                        int32_t *port, int64_t smallest)
{
    const char *colon = strrchr(text, ':'), *from = text, *to = colon;
    int64_t number;

    if (colon == NULL || colon == text ||
        !parse_number(colon + 1, smallest, 65535, &number))
        return invalid("%s %s: expected HOST:PORT", option, text);
    if (*from == '[' && to[-1] == ']') {
        from++;
        to--;
    }
    if (to <= from || (size_t)(to - from) > 255)
        return invalid("%s %s: expected HOST:PORT", option, text);
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = 0;
    *port = (int32_t)number;
    return 0;
}

static int read_option(struct options *o, int option, int *level)
{
    switch (option) {
    case OPT_STORE:
        return set_property(o, "--store", "store", optarg);
    case OPT_WAL:
        return set_property(o, "--wal", "wal", optarg);
    case OPT_MANIFEST:
        return set_property(o, "--manifest", "manifest", optarg);
    case OPT_LISTEN:
        return read_address("--listen", optarg, o->listen_host, &o->listen_port,
                            0);
    case OPT_ADVERTISE:
        return read_address("--advertise", optarg, o->advertised_host,
                            &o->advertised_port, 1);
    case 'X':
        return set_x(o, optarg);
    case 'v':
        *level += 1;
        return 0;
    case 'q':
        *level -= 1;
        return 0;
    default: /* getopt has said what. */
        fputs("see " PROGRAM " --help\n", stderr);
        return -1;
    }
}

/* Keys from where the AWS tools look, unless they were set. */
static int find_keys(struct options *o)
{
    const char *set = weir_config_get(o->config, "s3_access_key");
    const char *from = weir_config_get(o->config, "s3_credentials");

    if (set[0] != 0 || strcmp(from, "config") != 0)
        return 0;
    return set_property(o, "s3_credentials", "s3_credentials", "chain");
}

/* The region is part of the store's URI. */
static int add_region(struct options *o, const char *store)
{
    const char *region = getenv("AWS_REGION");
    char uri[URI_MAX];
    int len;

    if (region == NULL || region[0] == 0)
        region = getenv("AWS_DEFAULT_REGION");
    if (region == NULL || region[0] == 0 || strstr(store, "?region=") != NULL ||
        strstr(store, "&region=") != NULL)
        return 0;
    len = snprintf(uri, sizeof(uri), "%s%cregion=%s", store,
                   strchr(store, '?') == NULL ? '?' : '&', region);
    if (len < 0 || (size_t)len >= sizeof(uri))
        return invalid("--store: the URI is too long");
    return set_property(o, "AWS_REGION", "store", uri);
}

/* A log in memory would lose what was acknowledged: so where the data goes
 * must be said, and the log is kept beside it unless that is said too. */
static int complete_uris(struct options *o)
{
    const char *store = weir_config_get(o->config, "store");
    const char *wal = weir_config_get(o->config, "wal");
    const char *node = weir_config_get(o->config, "node_id");
    const char *path;
    char uri[URI_MAX];
    int len, path_len;

    if (strncmp(store, "s3:", 3) == 0 && add_region(o, store) != 0)
        return -1;
    if (strcmp(wal, "mem:") != 0 || strcmp(store, "mem:") == 0)
        return 0;
    if (strncmp(store, "dir:", 4) != 0)
        return set_property(o, "--store", "wal", "object:");
    path = store + 4;
    path_len = (int)strcspn(path, "?");
    len = snprintf(uri, sizeof(uri), "file:%.*s/.wal%s%s?size=256MiB", path_len,
                   path, strcmp(node, "1") == 0 ? "" : ".",
                   strcmp(node, "1") == 0 ? "" : node);
    if (len < 0 || (size_t)len >= sizeof(uri))
        return invalid("--store: the path is too long");
    return set_property(o, "--store", "wal", uri);
}

/* What must hold between settings. */
static int check_settings(const struct settings *s)
{
    if (s->memory_max < 2 * s->request_max)
        return invalid("-X queued.max.bytes: expected at least twice "
                       "socket.request.max.bytes");
    if (s->message_max > s->request_max)
        return invalid("-X message.max.bytes: expected at most "
                       "socket.request.max.bytes");
    return 0;
}

/* Other servers must be able to see that this one is dead. */
static int complete_lease(struct options *o, bool said_lease)
{
    return said_lease ? 0 : set_property(o, "-X lease", "lease", LEASE);
}

static enum options_outcome finish(struct options *o, bool said_store,
                                   bool said_wal, bool said_lease)
{
    if (!said_store)
        invalid("--store: expected a URI, such as dir:/var/lib/weir");
    else if (find_keys(o) == 0 && (said_wal || complete_uris(o) == 0) &&
             complete_lease(o, said_lease) == 0 &&
             check_settings(&o->settings) == 0)
        return OPTIONS_RUN;
    return OPTIONS_INVALID;
}

enum options_outcome options_read(struct options *o, int argc, char **argv)
{
    int option, level = WEIR_LOG_INFO;
    bool said_store = false, said_wal = false, said_lease = false;

    settings_init(&o->settings);
    memcpy(o->listen_host, "127.0.0.1", 10);
    o->listen_port = 9092;
    if (weir_config_new(&o->config, NULL) != 0) {
        invalid("out of memory");
        return OPTIONS_INVALID;
    }
    while ((option = getopt_long(argc, argv, "X:vqh", longs, NULL)) != -1) {
        if (option == OPT_HELP || option == 'h') {
            print_help();
            return OPTIONS_DONE;
        }
        if (option == OPT_VERSION) {
            printf(PROGRAM " %s\n", weir_version());
            return OPTIONS_DONE;
        }
        said_store |= option == OPT_STORE ||
                      (option == 'X' && strncmp(optarg, "store=", 6) == 0);
        said_wal |= option == OPT_WAL ||
                    (option == 'X' && strncmp(optarg, "wal=", 4) == 0);
        said_lease |= option == 'X' && strncmp(optarg, "lease=", 6) == 0;
        if (read_option(o, option, &level) != 0)
            return OPTIONS_INVALID;
    }
    if (optind < argc) {
        /* It may be a URI, with what is not to be shown. */
        invalid("%.*s: expected no arguments",
                (int)strcspn(argv[optind], "?&#"), argv[optind]);
        return OPTIONS_INVALID;
    }
    log_set_level(level < 0   ? WEIR_LOG_ERROR
                  : level > 3 ? WEIR_LOG_DEBUG
                              : (enum weir_log_level)level);
    return finish(o, said_store, said_wal, said_lease);
}

void options_free(struct options *o)
{
    weir_config_free(o->config);
    o->config = NULL;
}
