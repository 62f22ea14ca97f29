/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker of one's own: any number of them on a folder are a cluster.
 *
 *     text_broker ID PORT DIR
 *
 *     PUB TOPIC TEXT                        OK OFFSET
 *     GET TOPIC OFFSET                      MSG OFFSET TEXT, or END OFFSET
 *     OFFSET GROUP/TOPIC                    OK OFFSET VERSION
 *     COMMIT GROUP/TOPIC OFFSET VERSION     OK VERSION, or CONFLICT VERSION
 *
 * A topic is a stream, and belongs to the broker that was asked for it first;
 * the others answer MOVED HOST:PORT.  A consumer's offset is a key that is set
 * only if it has the version that the consumer knows (0: none).  Where a
 * broker listens is a key that goes with its node.  When a broker dies its
 * lease runs out, another one takes it over, and its topics are free.
 * Connections have threads and blocking calls; the node has its driver.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir.h>

enum { LINE = 64 << 10, NAME = 64, NODES = 32 };

static struct weir *node;
static struct weir_node_stat self;
static struct weir_error err;

struct value {
    struct weir_kv_get get; /* First: a request is its value. */
    uint64_t version;       /* 0: there is no such key. */
    char text[64];
};

static int got(struct weir_kv_get *req, const struct weir_kv_pair *pair)
{
    struct value *v = (struct value *)(void *)req;

    snprintf(v->text, sizeof(v->text), "%.*s", (int)pair->len,
             (const char *)pair->value);
    v->version = pair->version;
    return 0;
}

static void look_up(struct value *v, const char *key)
{
    *v = (struct value){.get = {.key = key, .pair = got}, .text = "0"};
    weir_kv_get_sync(node, &v->get);
}

/* A connection.  It keeps the topic open that it has used last. */
struct client {
    int fd;
    struct weir_stream *stream;
    char topic[NAME + 1];
};

/* Open to append: from then on it is ours. */
static int use(struct client *c, const char *topic)
{
    struct weir_stream_open open = {.name = topic, .flags = WEIR_STREAM_CREATE};
    int rc;

    if (c->stream != NULL && strcmp(c->topic, topic) == 0)
        return 0;
    weir_stream_close(c->stream);
    rc = weir_stream_open_sync(node, &open);
    c->stream = open.stream;
    snprintf(c->topic, sizeof(c->topic), "%s", topic);
    return rc;
}

/* Tell what went wrong, if something did, and who has the topic. */
static int failed(struct client *c, int rc, const char *topic)
{
    struct weir_stream_stat stat = {.owner = 0};
    struct weir_stream_list list = {.prefix = topic, .out = &stat, .limit = 1};
    struct value at;
    char key[32];

    if (rc != WEIR_EBUSY && rc != WEIR_EFENCED)
        return rc != 0 && dprintf(c->fd, "ERR %s\n", weir_error_text(rc)) != 0;
    weir_stream_close(c->stream);
    c->stream = NULL;
    weir_stream_list_sync(node, &list);
    snprintf(key, sizeof(key), "broker/%u", stat.owner);
    look_up(&at, key);
    if (at.version != 0 && stat.owner != self.node_id)
        dprintf(c->fd, "MOVED %s\n", at.text);
    else
        dprintf(c->fd, "ERR nobody has it now: ask again\n");
    return 1;
}

static void say(struct client *c, const char *word, uint64_t number)
{
    dprintf(c->fd, "%s %" PRIu64 "\n", word, number);
}

static void publish(struct client *c, const char *topic, const char *text)
{
    struct weir_append append = {.data = text,
                                 .len = strlen(text),
                                 .count = 1,
                                 .max_timestamp = WEIR_NO_TIMESTAMP};
    int rc = use(c, topic);

    if (rc == 0)
        rc = weir_append_sync(c->stream, &append);
    if (!failed(c, rc, topic))
        say(c, "OK", append.base_offset);
}

static void get(struct client *c, const char *topic, const char *offset)
{
    struct weir_fetch fetch = {.offset = strtoull(offset, NULL, 10),
                               .max_bytes = 1}; /* One batch. */
    int rc = use(c, topic);

    if (rc == 0)
        rc = weir_fetch_sync(c->stream, &fetch);
    if (failed(c, rc, topic))
        return;
    if (fetch.count == 0)
        say(c, "END", fetch.end);
    else
        dprintf(c->fd, "MSG %llu %.*s\n",
                (unsigned long long)fetch.batches[0].base_offset,
                (int)fetch.batches[0].len, (const char *)fetch.batches[0].data);
    weir_fetch_release(&fetch);
}

static void offset(struct client *c, const char *key)
{
    struct value v;

    look_up(&v, key);
    dprintf(c->fd, "OK %s %" PRIu64 "\n", v.text, v.version);
}

static void commit(struct client *c, const char *key, const char *value,
                   const char *version)
{
    struct weir_kv_put put = {.key = key,
                              .value = value,
                              .len = strlen(value),
                              .expected = strtoull(version, NULL, 10)};
    int rc = weir_kv_put_sync(node, &put);

    say(c,
        rc == 0                ? "OK"
        : rc == WEIR_ECONFLICT ? "CONFLICT"
                               : "ERR",
        put.version);
}

#define WORD "%64[a-z0-9_-]"
#define PAIR "%129[a-z0-9/_-]"
#define NUMBER "%18[0-9]"
#define IS(count, format, ...)                                                 \
    (sscanf(line, format "%n", __VA_ARGS__, &at) == (count) && line[at] == '\0')

static void command(struct client *c, const char *line)
{
    char a[NAME + 1], x[19], y[19], key[160] = "offset/";
    int at = 0;

    if (sscanf(line, "PUB " WORD " %n", a, &at) == 1 && line[at] != '\0')
        publish(c, a, line + at);
    else if (IS(2, "GET " WORD " " NUMBER, a, x))
        get(c, a, x);
    else if (IS(1, "OFFSET " PAIR, key + 7))
        offset(c, key);
    else if (IS(3, "COMMIT " PAIR " " NUMBER " " NUMBER, key + 7, x, y))
        commit(c, key, x, y);
    else
        dprintf(c->fd, "ERR no command, or not what belongs to it\n");
}

static void *serve(void *fd)
{
    struct client c = {.fd = (int)(intptr_t)fd};
    FILE *in = fdopen(c.fd, "r");
    char line[LINE], *end;

    while (in != NULL && fgets(line, LINE, in) != NULL &&
           (end = strpbrk(line, "\r\n")) != NULL) {
        *end = '\0';
        command(&c, line);
    }
    weir_stream_close(c.stream);
    if (in != NULL)
        fclose(in);
    return NULL;
}

static void welcome(int fd)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
        pthread_detach(thread);
    else
        close(fd);
}

/* Look after the others; 0 when this one has been taken over itself. */
static int look_around(void)
{
    struct weir_member members[NODES] = {{0}};
    struct weir_node_list list = {.out = members, .limit = NODES};

    weir_node_list_sync(node, &list); /* Nothing if it fails. */
    for (size_t i = 0; i < list.count; i++) {
        const struct weir_member *m = &members[i];
        struct weir_takeover take = {.node_id = m->node_id};

        if (m->node_id == self.node_id && m->epoch != self.epoch)
            return 0;
        if (m->life == WEIR_NODE_LAPSED && weir_takeover_sync(node, &take) == 0)
            printf("took over broker %u\n", m->node_id);
    }
    fflush(stdout);
    return 1;
}

static int open_node(const char *id)
{
    char wal[64];
    const char *const set[][2] = {{"store", "dir:store"}, {"wal", wal},
                                  {"node_id", id},        {"lease", "2s"},
                                  {"follow", "200ms"},    {"driver", "true"}};
    struct weir_config *config = NULL;
    int ok = weir_config_new(&config, NULL) == 0;

    snprintf(wal, sizeof(wal), "file:wal-%s?size=32MiB", id);
    for (int i = 0; ok && i < 6; i++)
        ok = weir_config_set(config, set[i][0], set[i][1], &err) == 0;
    ok = ok && weir_open(&node, config, &err) == 0 &&
         weir_node_stat_sync(node, &self) == 0;
    weir_config_free(config);
    return ok;
}

static int start_listening(unsigned long port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char key[32], text[32];
    struct weir_kv_put put = {.key = key,
                              .value = text,
                              .expected = WEIR_KV_ANY,
                              .flags = WEIR_KV_NODE_LIFE};
    socklen_t len = sizeof(at);

    at.sin_port = htons((unsigned short)port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return perror("text_broker: listen"), -1;
    snprintf(key, sizeof(key), "broker/%u", self.node_id);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(at.sin_port));
    put.len = strlen(text);
    if (weir_kv_put_sync(node, &put) != 0)
        return -1;
    printf("broker %u listens on %s\n", self.node_id, text);
    return fd;
}

int main(int argc, char **argv)
{
    struct pollfd p = {.events = POLLIN};
    char *end = NULL;
    unsigned long port = argc == 4 ? strtoul(argv[2], &end, 10) : 0;

    if (argc != 4 || *end != '\0' || port > 65535)
        return fputs("usage: text_broker ID PORT DIR\n", stderr), 2;
    signal(SIGPIPE, SIG_IGN);
    if (chdir(argv[3]) != 0)
        return perror(argv[3]), 1;
    if (!open_node(argv[1]))
        return fprintf(stderr, "text_broker: %s\n", err.text), 1;
    p.fd = start_listening(port);
    while (p.fd >= 0 && look_around())
        if (poll(&p, 1, 300) == 1)
            welcome(accept(p.fd, NULL, NULL));
    return 1; /* A signal ends it; the others take over. */
}
