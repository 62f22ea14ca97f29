/* SPDX-License-Identifier: Apache-2.0 */
/* The object log on an S3 server, beside a plain client on the same server, in
 * turns: libcurl alone, one conditional PUT after the other or some at a time,
 * with payloads that are neither hashed nor checked.
 *
 *     bench_s3 ENDPOINT BUCKET KEY SECRET [latency|throughput|requests|idle]...
 *
 * BENCH_CA in the environment is a file of certificates for an https endpoint.
 * BENCH_COUNTS in the environment is a command that prints how many requests
 * the server has had: all, and PUTs of objects and parts of them. */
#include "store/sigv4.h"
#include <curl/curl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir.h>

enum {
    SAMPLES = 400,
    SMALL = 4096,
    RECORD = 64 << 10,
    BIG = 8 << 20,
    DEPTH = 4,
    ROUNDS = 5,
    ROUND_PUTS = 16
};
#define NS UINT64_C(1000000000)
#define RATE 100000000u /* Bytes a second. */
#define INGEST 1000000000u

static const char *endpoint, *bucket, *key, *secret;
static struct weir_error error;
static unsigned char *bytes;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_s3: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void ok(const char *what, int rc)
{
    if (rc != 0)
        die(what, error.text[0] != '\0' ? error.text : weir_error_name(rc));
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* Seconds that this process has computed, all threads, in the kernel too. */
static double cpu(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts; `p` of 100. */
static double percentile(double *values, size_t count, double p)
{
    size_t at = (size_t)(p / 100 * (double)(count - 1) + 0.5);

    qsort(values, count, sizeof(*values), by_value);
    return values[at];
}

static void line(const char *name, double value, const char *unit,
                 const char *reference, double than, const char *target)
{
    char ours[32], theirs[64], ratio[16];

    snprintf(ours, sizeof(ours), "%.*f %s", value < 100 ? 2 : 0, value, unit);
    theirs[0] = ratio[0] = '\0';
    if (than > 0) {
        snprintf(theirs, sizeof(theirs), "%s: %.*f %s", reference,
                 than < 100 ? 2 : 0, than, unit);
        snprintf(ratio, sizeof(ratio), "%.2f", value / than);
    }
    printf("%-44s %14s   %-32s %6s   %s\n", name, ours, theirs, ratio, target);
    fflush(stdout);
}

/* ---- The plain client ---------------------------------------------------- */

/** A PUT, on a connection that is used again. */
struct plain {
    CURL *easy;
    struct curl_slist *headers;
    size_t len;
    size_t at;
    char url[512];
};

static unsigned plain_number;

static size_t plain_read(char *to, size_t size, size_t count, void *ctx)
{
    struct plain *p = ctx;
    size_t n = size * count;

    if (n > p->len - p->at)
        n = p->len - p->at;
    memcpy(to, bytes + p->at, n);
    p->at += n;
    return n;
}

static size_t plain_answer(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static void plain_init(struct plain *p)
{
    memset(p, 0, sizeof(*p));
    p->easy = curl_easy_init();
    if (p->easy == NULL)
        die("curl", "out of memory");
    if (getenv("BENCH_CA") != NULL)
        curl_easy_setopt(p->easy, CURLOPT_CAINFO, getenv("BENCH_CA"));
    curl_easy_setopt(p->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(p->easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(p->easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(p->easy, CURLOPT_READFUNCTION, plain_read);
    curl_easy_setopt(p->easy, CURLOPT_READDATA, p);
    curl_easy_setopt(p->easy, CURLOPT_WRITEFUNCTION, plain_answer);
    curl_easy_setopt(p->easy, CURLOPT_PRIVATE, p);
}

static void plain_free(struct plain *p)
{
    curl_easy_cleanup(p->easy);
    curl_slist_free_all(p->headers);
}

static void header(struct plain *p, const char *name, const char *value)
{
    char text[512];

    snprintf(text, sizeof(text), "%s: %s", name, value);
    p->headers = curl_slist_append(p->headers, text);
}

static void sign(struct plain *p, const char *path)
{
    char date[WEIR__SIGV4_DATE];
    const struct weir__pair headers[] = {
        {"host", strstr(endpoint, "//") + 2},
        {"if-none-match", "*"},
        {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"},
        {"x-amz-date", date}};
    const struct weir__sigv4 request = {.method = "PUT",
                                        .path = path,
                                        .headers = headers,
                                        .header_count = 4,
                                        .payload_hash = "UNSIGNED-PAYLOAD",
                                        .date = date,
                                        .region = "us-east-1",
                                        .service = "s3",
                                        .access_key = key,
                                        .secret_key = secret};
    struct weir__writer w;

    weir__writer_init(&w, weir_alloc_default());
    weir__sigv4_date(date, (int64_t)time(NULL) * 1000);
    ok("signature", weir__sigv4_authorize(&w, &request));
    weir__write8(&w, 0);
    curl_slist_free_all(p->headers);
    p->headers = NULL;
    for (size_t i = 1; i < 4; i++)
        header(p, headers[i].name, headers[i].value);
    header(p, "Authorization", (const char *)w.data);
    p->headers = curl_slist_append(p->headers, "Expect:");
    curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, p->headers);
    weir__writer_free(&w);
}

static void plain_set(struct plain *p, size_t len)
{
    char path[256];

    p->len = len;
    p->at = 0;
    snprintf(path, sizeof(path), "/%s/plain-%d/%06u", bucket, (int)getpid(),
             plain_number++);
    snprintf(p->url, sizeof(p->url), "%s%s", endpoint, path);
    sign(p, path);
    curl_easy_setopt(p->easy, CURLOPT_URL, p->url);
    curl_easy_setopt(p->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)len);
}

static void plain_check(struct plain *p, CURLcode rc)
{
    long status = 0;

    curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK || status != 200) {
        char why[64];

        snprintf(why, sizeof(why), "%s, status %ld", curl_easy_strerror(rc),
                 status);
        die(p->url, why);
    }
}

static double plain_put(struct plain *p, size_t len)
{
    uint64_t began;

    plain_set(p, len);
    began = now();
    plain_check(p, curl_easy_perform(p->easy));
    return (double)(now() - began) / 1e6;
}

/* What has ended: count it, and start the next. */
static void plain_next(CURLM *multi, unsigned *left, unsigned *ended)
{
    struct CURLMsg *m;
    struct plain *p;
    int more;

    while ((m = curl_multi_info_read(multi, &more)) != NULL) {
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&p);
        plain_check(p, m->data.result);
        ++*ended;
        curl_multi_remove_handle(multi, p->easy);
        if (*left == 0)
            continue;
        --*left;
        plain_set(p, BIG);
        curl_multi_add_handle(multi, p->easy);
    }
}

/* MB/s of ROUND_PUTS PUTs, DEPTH at a time. */
static double plain_round(CURLM *multi, struct plain all[DEPTH])
{
    unsigned left = ROUND_PUTS - DEPTH, ended = 0;
    uint64_t began = now();
    int running;

    for (int i = 0; i < DEPTH; i++) {
        plain_set(&all[i], BIG);
        curl_multi_add_handle(multi, all[i].easy);
    }
    while (ended < ROUND_PUTS) {
        curl_multi_perform(multi, &running);
        plain_next(multi, &left, &ended);
        if (ended < ROUND_PUTS)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return (double)ROUND_PUTS * BIG / 1e6 / ((double)(now() - began) / NS);
}

/* ---- Weir ---------------------------------------------------------------- */

static struct weir_config *configure(const char *prefix, const char *wal)
{
    struct weir_config *config = NULL;
    char store[512];

    snprintf(store, sizeof(store), "s3://%s/%s-%d?endpoint=%s", bucket, prefix,
             (int)getpid(), endpoint);
    ok("config", weir_config_new(&config, NULL));
    ok("store", weir_config_set(config, "store", store, &error));
    ok("wal", weir_config_set(config, "wal", wal, &error));
    ok("key", weir_config_set(config, "s3_access_key", key, &error));
    ok("secret", weir_config_set(config, "s3_secret_key", secret, &error));
    if (getenv("BENCH_CA") != NULL)
        ok("CA",
           weir_config_set(config, "s3_ca_file", getenv("BENCH_CA"), &error));
    ok("cache", weir_config_set(config, "log_cache", "1GiB", &error));
    return config;
}

static void set(struct weir_config *config, const char *name, const char *value)
{
    ok(name, weir_config_set(config, name, value, &error));
}

/** A node with one stream. */
struct node {
    struct weir_config *config;
    struct weir *weir;
    struct weir_stream *stream;
    uint64_t sent;
    uint64_t acked;
};

static void node_open(struct node *n)
{
    struct weir_stream_open open = {
        .req.err = &error, .name = "s", .flags = WEIR_STREAM_CREATE};

    ok("open", weir_open(&n->weir, n->config, &error));
    ok("stream", weir_stream_open_sync(n->weir, &open));
    n->stream = open.stream;
}

static void node_close(struct node *n)
{
    weir_free(n->weir);
    weir_config_free(n->config);
}

struct slot {
    struct weir_append append; /* First: `done` gets its address. */
    struct node *node;
    int busy;
};

static void appended(struct weir_req *req, int status)
{
    struct slot *s = (struct slot *)req;

    ok("append", status);
    s->busy = 0;
    s->node->acked += s->append.len;
}

static void send_one(struct node *n, struct slot *s)
{
    s->node = n;
    s->busy = 1;
    s->append = (struct weir_append){.req = {.done = appended, .err = &error},
                                     .data = bytes,
                                     .len = RECORD,
                                     .count = 1,
                                     .flags = WEIR_APPEND_WAIT,
                                     .max_timestamp = WEIR_NO_TIMESTAMP};
    ok("append", weir_append(n->stream, &s->append));
    n->sent += RECORD;
}

enum { SLOTS = 1024 };
static struct slot slots[SLOTS];

/* Append `total` bytes, at most at `rate` bytes a second (0: as fast as it
 * goes); how long that took, in seconds. */
static double ingest(struct node *n, uint64_t total, uint64_t rate)
{
    uint64_t began = now(), first = n->acked, from = n->sent;
    size_t at = 0;

    while (n->acked - first < total) {
        uint64_t elapsed = now() - began;

        while (
            n->sent - from < total && !slots[at % SLOTS].busy &&
            (rate == 0 || n->sent - from < elapsed * (rate / 1000) / 1000000))
            send_one(n, &slots[at++ % SLOTS]);
        weir_poll(n->weir, rate == 0 ? 100000000 : 500000);
    }
    return (double)(now() - began) / NS;
}

/* A node that has run for a while has had its memory before: do not measure how
 * the kernel clears pages. */
static void touch_memory(void)
{
    enum { PIECES = 768, PIECE = 1 << 20 };
    static void *pieces[PIECES];

    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_ARENA_MAX, 1);
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE);
        if (pieces[i] == NULL)
            die("memory", "less than there should be");
        memset(pieces[i], 1, PIECE);
    }
    for (int i = 0; i < PIECES; i++)
        free(pieces[i]);
}

/* ---- Figures ------------------------------------------------------------- */

static void latency(void)
{
    static double ours[SAMPLES], theirs[SAMPLES];
    struct node n = {.config = configure("latency", "object:")};
    struct plain plain;

    set(n.config, "upload_interval", "1h");
    node_open(&n);
    plain_init(&plain);
    for (int i = -20; i < SAMPLES; i++) {
        struct weir_append a = {.req.err = &error,
                                .data = bytes,
                                .len = SMALL - 224, /* Headers: 224 bytes. */
                                .count = 1,
                                .max_timestamp = WEIR_NO_TIMESTAMP};
        double plain_ms = plain_put(&plain, SMALL), ms;
        uint64_t began = now();

        ok("append", weir_append_sync(n.stream, &a));
        ms = (double)(now() - began) / 1e6;
        if (i < 0)
            continue;
        ours[i] = ms;
        theirs[i] = plain_ms;
    }
    plain_free(&plain);
    line("append 4 KiB, object log, idle, median",
         percentile(ours, SAMPLES, 50), "ms", "plain PUT",
         percentile(theirs, SAMPLES, 50), "<= 1.20");
    line("the same, p99", percentile(ours, SAMPLES, 99), "ms", "plain PUT",
         percentile(theirs, SAMPLES, 99), "<= 1.20");
    node_close(&n);
}

static void throughput(void)
{
    struct node n = {
        .config = configure("throughput", "object:?inflight=4&flush=8MiB")};
    struct plain plain[DEPTH];
    double ours[ROUNDS], theirs[ROUNDS], our_cpu[ROUNDS], their_cpu[ROUNDS];
    const double gb = (double)ROUND_PUTS * BIG / 1e9;
    CURLM *multi = curl_multi_init();

    set(n.config, "upload_interval", "1h");
    set(n.config, "upload_bytes", "1TiB");
    node_open(&n);
    for (int i = 0; i < DEPTH; i++)
        plain_init(&plain[i]);
    (void)plain_round(multi, plain);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t total = (uint64_t)ROUND_PUTS * BIG;

        their_cpu[i] = -cpu();
        theirs[i] = plain_round(multi, plain);
        their_cpu[i] = (their_cpu[i] + cpu()) / gb;
        our_cpu[i] = -cpu();
        ours[i] = (double)total / 1e6 / ingest(&n, total, 0);
        our_cpu[i] = (our_cpu[i] + cpu()) / gb;
    }
    for (int i = 0; i < DEPTH; i++)
        plain_free(&plain[i]);
    curl_multi_cleanup(multi);
    line("object log, 8 MiB per PUT, 4 at a time", percentile(ours, ROUNDS, 50),
         "MB/s", "plain PUTs", percentile(theirs, ROUNDS, 50), ">= 0.90");
    line("  processor time of the client for a GB",
         percentile(our_cpu, ROUNDS, 50), "s", "plain PUTs",
         percentile(their_cpu, ROUNDS, 50), "");
    node_close(&n);
}

/** What the server has counted. */
struct served {
    double all;
    double puts;
};

static struct served served(void)
{
    const char *command = getenv("BENCH_COUNTS");
    struct served s = {0, 0};
    char text[128] = "";
    char *end = text;
    FILE *in = command != NULL ? popen(command, "r") : NULL;

    if (in == NULL)
        return s;
    if (fgets(text, sizeof(text), in) != NULL) {
        s.all = strtod(text, &end);
        s.puts = strtod(end, NULL);
    }
    pclose(in);
    return s;
}

static void requests_of(const char *name, const char *wal, const char *target)
{
    struct node n = {.config = configure(name, wal)};
    struct weir_stats before, after;
    struct weir_flush flush = {.req.err = &error};
    double seconds, gb = INGEST / 1e9;
    struct served first, last;
    char text[64];

    set(n.config, "upload_bytes", "95MiB"); /* 100 MB, in six parts. */
    if (name[0] == 'o')
        set(n.config, "s3_part", "128MiB"); /* No parts. */
    set(n.config, "stream_object", "96MiB");
    node_open(&n);
    ok("stats", weir_stats_sync(n.weir, &before));
    first = served();
    seconds = ingest(&n, INGEST, RATE);
    ok("flush", weir_flush_sync(n.weir, &flush));
    ok("stats", weir_stats_sync(n.weir, &after));
    last = served();
    snprintf(text, sizeof(text), "%s log at %.0f MB/s: PUT", name,
             INGEST / 1e6 / seconds);
    if (last.puts > 0) /* Parts of large objects count. */
        line(text, (last.puts - first.puts) / gb, "/GB", "", 0, target);
    line(last.puts > 0 ? "  as the node counts, an object as one" : text,
         (double)(after.store_puts - before.store_puts) / gb, "/GB", "", 0,
         last.puts > 0 ? "" : target);
    if (last.all > 0)
        line("  all requests, as the server counts",
             (last.all - first.all) / gb, "/GB", "", 0, "");
    line("  of these for its log",
         name[0] == 'o' ? (double)(after.wal_writes - before.wal_writes) / gb
                        : 0,
         "/GB", "", 0, "");
    line("  GET, HEAD", (double)(after.store_gets - before.store_gets) / gb,
         "/GB", "", 0, "");
    line("  DELETE", (double)(after.store_deletes - before.store_deletes) / gb,
         "/GB", "", 0, "");
    line("  LIST", (double)(after.store_lists - before.store_lists) / gb, "/GB",
         "", 0, "");
    node_close(&n);
}

static void requests(void)
{
    char wal[] = "/tmp/weir-bench-XXXXXX", uri[128];
    int fd = mkstemp(wal);

    if (fd < 0)
        die(wal, "cannot be made");
    unlink(wal);
    close(fd);
    requests_of("object", "object:", "<= 130");
    snprintf(uri, sizeof(uri), "file:%s?size=1GiB", wal);
    requests_of("file", uri, "<= 75");
    unlink(wal);
}

static uint64_t all_requests(struct node *n)
{
    struct weir_stats s;

    ok("stats", weir_stats_sync(n->weir, &s));
    return s.store_puts + s.store_gets + s.store_deletes + s.store_lists;
}

static void idle(void)
{
    struct node n = {.config = configure("idle", "object:")};
    struct weir_stats before, after;
    uint64_t requests, until;

    set(n.config, "lease", "3s");
    node_open(&n);
    ok("append",
       weir_append_sync(n.stream, &(struct weir_append){.req.err = &error,
                                                        .data = bytes,
                                                        .len = 100,
                                                        .count = 1}));
    ok("flush",
       weir_flush_sync(n.weir, &(struct weir_flush){.req.err = &error}));
    until = now() + 2u * NS; /* What the upload has left to be done. */
    while (now() < until)
        weir_poll(n.weir, 100000000);
    ok("stats", weir_stats_sync(n.weir, &before));
    requests = all_requests(&n);
    until = now() + 12u * NS;
    while (now() < until)
        weir_poll(n.weir, 100000000);
    ok("stats", weir_stats_sync(n.weir, &after));
    requests = all_requests(&n) - requests;
    printf("idle for 12 s with a lease of 3 s: %" PRIu64 " heartbeats, %" PRIu64
           " requests; beyond the heartbeats: %" PRId64 " (target 0)\n",
           after.commits - before.commits, requests,
           (int64_t)(requests - (after.commits - before.commits)));
    node_close(&n);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"latency", latency},
                 {"throughput", throughput},
                 {"requests", requests},
                 {"idle", idle}};
    uint32_t random = 1;

    if (argc < 5)
        die("usage", "bench_s3 ENDPOINT BUCKET KEY SECRET [PART...]");
    endpoint = argv[1];
    bucket = argv[2];
    key = argv[3];
    secret = argv[4];
    bytes = malloc(BIG);
    if (bytes == NULL)
        die("memory", "none");
    for (size_t i = 0; i < BIG; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(random >> 24); /* Not to be compressed. */
    }
    touch_memory();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        int wanted = argc == 5;

        for (int a = 5; a < argc; a++)
            wanted |= strcmp(argv[a], parts[i].name) == 0;
        if (wanted)
            parts[i].run();
    }
    free(bytes);
    return 0;
}
