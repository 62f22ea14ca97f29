/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a node: store, manifest, WAL; recovery and the epoch follow. */
#include "engine/open.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"
#include "base/uri.h"
#include "engine/fetch.h"
#include "engine/group.h"
#include "engine/handover.h"
#include "engine/lease.h"
#include "engine/members.h"
#include "engine/tail.h"
#include "engine/upload.h"
#include "engine/watch.h"
#include "format/wal_record.h"

/* What the WAL is told that one write may have, unless a batch needs more. */
#define MAX_GROUP (4u << 20)
/* Alignment of the log cache where there is no WAL. */
#define PAGE 4096

static void open_free(struct weir__open *open, int status)
{
    struct weir__open_req *req = open->req;
    struct weir *node = open->node;

    if (open->gave_up) {
        struct weir_error last = open->error;

        weir__fail(&open->error, status, "the manifest takes no commit: %.180s",
                   last.code != 0 ? last.text : "no answer");
    }
    if (status != 0) {
        weir__fail_status(&open->error, status);
        weir__error_copy(req->err, &open->error);
    }
    req->again = status == WEIR_EAGAIN && open->again;
    weir__free(node->alloc, open->wal_uri);
    weir__free(node->alloc, open);
    req->done(req, status);
}

static void closed(struct weir__close *close, int status)
{
    struct weir__open *open = close->ctx;

    (void)status;
    open_free(open, open->status);
}

void weir__open_fail(struct weir__open *open, int status)
{
    open->status = status;
    open->close.done = closed;
    open->close.ctx = open;
    weir__node_close(open->node, &open->close);
}

void weir__open_end(struct weir__open *open)
{
    struct weir *node = open->node;
    struct weir_stream *s;
    size_t at = 0;

    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        weir__stream_publish(s);
    __atomic_store_n(&node->state, WEIR__NODE_OPEN, __ATOMIC_SEQ_CST);
    weir__log(node->host.log, WEIR_LOG_INFO,
              "node %u: open under epoch %llu, %llu batches recovered",
              node->id, (unsigned long long)node->epoch,
              (unsigned long long)node->stats.recovered_batches);
    weir__members_look(node);
    weir__members_follow(node);
    if (!node->read_only) {
        weir__lease_start(node, open->sent);
        weir__upload_look(node);
        weir__sweep_look(node);
        if (!node->beside)
            weir__log_sweep_open(node);
    }
    open_free(open, 0);
}

uint64_t weir__open_wal_id(const struct weir *node)
{
    return (node->wal->flags & WEIR_WAL_PERSISTENT) != 0 ? node->wal->id : 0;
}

static int cache_init(struct weir *node, size_t align)
{
    const struct weir_config *config = node->config;
    size_t limit = (size_t)config->number[WEIR__P_LOG_CACHE];
    size_t segment = (size_t)config->number[WEIR__P_SEGMENT];

    if (segment > limit / 4) /* Some pieces, so that one can go. */
        segment = limit / 4;
    return weir__log_cache_init(&node->cache, node->alloc, limit, segment,
                                align);
}

/* Id of a log that this node left with acknowledged data in it, and that is
 * not given up; or 0. */
static uint64_t owed_wal(const struct weir *node)
{
    if (node->config->number[WEIR__P_WAL_ABANDON] != 0)
        return 0;
    return weir__state_node_wal(weir__manifest_state(node->manifest), node->id);
}

/* It must not be forgotten by opening the node with another one. */
static int check_wal(const struct weir *node, struct weir_error *err)
{
    const char *wal = weir__config_text(node->config, WEIR__P_WAL);
    uint64_t last = owed_wal(node);

    if (last == 0 || last == weir__open_wal_id(node))
        return 0;
    return weir__fail(
        err, WEIR_EFOREIGN,
        "wal: %.*s: node %u may have acknowledged data in another "
        "write-ahead log (id %016llx): open it with that one and "
        "flush, or lose it with wal_abandon=true",
        weir__uri_shown(wal), wal, node->id, (unsigned long long)last);
}

/* It is not where it was, and was not made anew. */
static int wal_gone(const struct weir *node, struct weir_error *err)
{
    const char *wal = weir__config_text(node->config, WEIR__P_WAL);

    return weir__fail(err, WEIR_EFOREIGN,
                      "wal: %.*s: there is no write-ahead log; node %u may "
                      "have acknowledged data in its last one (id %016llx): "
                      "bring that back, or lose it with wal_abandon=true",
                      weir__uri_shown(wal), wal, node->id,
                      (unsigned long long)owed_wal(node));
}

static void wal_opened(struct weir_wal_open *req, int status)
{
    struct weir__open *open = req->ctx;
    struct weir *node = open->node;

    /* A takeover says what it has not found, and where. */
    if (status == WEIR_ENOENT && open->wal_kept && !node->beside)
        status = wal_gone(node, &open->error);
    if (status == 0) {
        node->wal = req->wal;
        status = check_wal(node, &open->error);
    }
    if (status == 0)
        status = cache_init(node, node->wal->align);
    if (status != 0)
        weir__open_fail(open, status);
    else
        weir__recover_start(node, open);
}

static void add_param(char *uri, size_t size, const char *param)
{
    size_t len = strlen(uri);

    snprintf(uri + len, size - len, "%c%s",
             strchr(uri, '?') != NULL ? '&' : '?', param);
}

/* A log that must be there is not to be made: its volume may not be
 * attached. */
static int keeps_wal(const struct weir *node)
{
    const char *text = weir__config_text(node->config, WEIR__P_WAL);

    return strncmp(text, "file:", 5) == 0 &&
           weir__config_scheme(node->config, text, 1) == NULL &&
           (node->beside || owed_wal(node) != 0);
}

/* The log's URI, and what is asked of it: to salvage, or not to be made. */
static char *wal_uri(const struct weir *node, int kept)
{
    const char *text = weir__config_text(node->config, WEIR__P_WAL);
    size_t size = strlen(text) + sizeof("?salvage=true&create=false");
    char *uri = weir__malloc(node->alloc, size);

    if (uri == NULL)
        return NULL;
    snprintf(uri, size, "%s", text);
    if (node->config->number[WEIR__P_WAL_SALVAGE] != 0)
        add_param(uri, size, "salvage=true");
    if (kept)
        add_param(uri, size, "create=false");
    return uri;
}

/* Where recovery of its log begins, as the manifest knows it. */
static struct weir_wal_mark wal_mark(const struct weir *node)
{
    struct weir__member member;

    if (weir__state_member(weir__manifest_state(node->manifest), node->id - 1,
                           &member) &&
        member.id == node->id && member.wal_id != 0)
        return (struct weir_wal_mark){member.mark_epoch, member.mark_slot};
    return (struct weir_wal_mark){node->epoch, 0};
}

static void wal_open(struct weir__open *open, const unsigned char *cluster)
{
    struct weir *node = open->node;
    const struct weir_config *config = node->config;
    uint64_t largest =
        weir__wal_record_size((uint64_t)config->number[WEIR__P_MAX_BATCH]);
    weir_wal_open_fn *fn = weir__backend_wal(node, &open->wal.open_ctx);

    open->wal_kept = keeps_wal(node);
    open->wal_uri = wal_uri(node, open->wal_kept);
    if (open->wal_uri == NULL) {
        weir__open_fail(open, WEIR_ENOMEM);
        return;
    }
    largest = weir__round_up(largest, 65536) + 4 * 65536;
    open->wal.host = &node->host;
    open->wal.uri = open->wal_uri;
    memcpy(open->wal.owner.cluster, cluster, 16);
    open->wal.owner.epoch = node->epoch;
    open->wal.owner.node_id = node->id;
    open->wal.max_group = largest > MAX_GROUP ? (uint32_t)largest : MAX_GROUP;
    open->wal.store = node->store;
    open->wal.mark = wal_mark(node);
    open->wal.done = wal_opened;
    open->wal.ctx = open;
    open->wal.err = &open->error;
    fn(&open->wal);
}

static int reader_open(struct weir *node, const unsigned char *cluster,
                       struct weir_error *err)
{
    struct weir__object_reader_config config = {.host = &node->host,
                                                .store = node->store};

    memcpy(config.cluster, cluster, sizeof(config.cluster));
    config.block_cache = (size_t)node->config->number[WEIR__P_BLOCK_CACHE];
    config.index_cache = (size_t)node->config->number[WEIR__P_INDEX_CACHE];
    return weir__object_reader_open(&node->reader, &config, err);
}

/* Who tries again, or has found the node dead, does not fence the one that has
 * opened it since. */
static int check_expected(struct weir__open *open)
{
    const struct weir *node = open->node;
    uint64_t expected = open->req->expected;

    if (expected == 0 ||
        weir__state_node_epoch(weir__manifest_state(node->manifest),
                               node->id) == expected)
        return 0;
    return weir__fail(&open->error, WEIR_EFENCED,
                      "node %u was opened by another process meanwhile",
                      node->id);
}

static void manifest_opened(struct weir__manifest_open *req, int status)
{
    struct weir__open *open = req->ctx;
    struct weir *node = open->node;
    const struct weir__state *state;

    if (status != 0) {
        weir__open_fail(open, status);
        return;
    }
    node->manifest = req->manifest;
    weir__manifest_watch(node->manifest, weir__watch_changed, node);
    state = weir__manifest_state(node->manifest);
    status = reader_open(node, weir__state_cluster(state), &open->error);
    if (status == 0 && node->read_only)
        status = cache_init(node, PAGE);
    if (status == 0)
        status = check_expected(open);
    if (status != 0) {
        weir__open_fail(open, status);
    } else if (node->read_only) {
        weir__open_end(open);
    } else {
        node->epoch = weir__state_node_epoch(state, node->id) + 1;
        wal_open(open, weir__state_cluster(state));
    }
}

/* Another process has opened this node: from now on nothing is acknowledged
 * here, however late its write may complete. */
static void fence(struct weir *node)
{
    WEIR__SOMETIMES("a node learns that it is fenced");
    struct weir_stream *s;
    size_t at = 0;

    node->fenced = 1;
    weir__log(node->host.log, WEIR_LOG_ERROR,
              "node %u: fenced: another process has opened it", node->id);
    while ((s = weir__map_next(&node->streams, &at)) != NULL)
        weir__stream_fence(s);
    weir__group_release(node);
    weir__handover_look(node);
}

/* A commit of another node may have changed any stream.  Who waits for a
 * successor is woken when that is taken over: else it would look for what the
 * successor has trimmed. */
static void applied(void *ctx)
{
    struct weir *node = ctx;
    uint64_t commits, conflicts, foreign;
    int fenced = node->fenced;

    if (node->manifest == NULL || !weir__node_is_open(node))
        return;
    if (!node->read_only && !node->fenced &&
        weir__state_node_epoch(weir__manifest_state(node->manifest), node->id) >
            node->epoch)
        fence(node);
    weir__members_look(node);
    weir__manifest_counts(node->manifest, &commits, &conflicts);
    foreign =
        weir__state_version(weir__manifest_state(node->manifest)) - commits;
    if (foreign != node->foreign) {
        node->foreign = foreign;
        weir__stream_sync_all(node);
    }
    if (node->fenced && !fenced)
        weir__fetch_wake_all(node);
}

static int manifest_start(struct weir__open *open)
{
    struct weir *node = open->node;
    struct weir_store *store =
        node->manifest_store != NULL ? node->manifest_store : node->store;
    int rc = weir__mlog_store_open(&open->manifest.log, &node->host, store,
                                   &open->error);

    if (rc != 0)
        return rc;
    open->manifest.host = &node->host;
    open->manifest.node_id = node->id;
    open->manifest.snapshot_commits =
        (uint32_t)node->config->number[WEIR__P_SNAPSHOT_COMMITS];
    open->manifest.read_only = node->read_only;
    open->manifest.applied = applied;
    open->manifest.applied_ctx = node;
    open->manifest.done = manifest_opened;
    open->manifest.ctx = open;
    open->manifest.err = &open->error;
    weir__manifest_open(&open->manifest);
    return 0;
}

static void probed(struct weir__probe *probe, int status)
{
    struct weir__open *open = probe->ctx;

    if (status == 0)
        status = manifest_start(open);
    if (status != 0)
        weir__open_fail(open, status);
}

/* Directories and memory are known; of a bucket nobody knows who serves it. */
static int must_probe(const struct weir *node)
{
    return node->config->number[WEIR__P_PROBE] != 0 && !node->read_only &&
           strncmp(weir__config_text(node->config, WEIR__P_STORE), "s3:", 3) ==
               0;
}

static int begin(struct weir__open *open)
{
    struct weir *node = open->node;
    int rc = weir__backend_wal_check(node, &open->error);

    if (rc == 0)
        rc = weir__backend_manifest(&node->manifest_store, &node->host,
                                    node->config, &open->error);
    if (rc == 0)
        rc = weir__backend_store(node, &open->error);
    if (rc != 0)
        return rc;
    if (!must_probe(node))
        return manifest_start(open);
    open->probe = (struct weir__probe){.host = &node->host,
                                       .store = node->store,
                                       .done = probed,
                                       .ctx = open,
                                       .err = &open->error};
    weir__probe_start(&open->probe);
    return 0;
}

static void begin_run(struct weir_task *task)
{
    struct weir__open *open = WEIR__CONTAINER(task, struct weir__open, begin);
    int rc = begin(open);

    if (rc != 0)
        weir__open_fail(open, rc);
}

static void node_init(struct weir *node, const struct weir_config *config)
{
    node->streams.alloc = node->alloc;
    node->id = (uint32_t)config->number[WEIR__P_NODE_ID];
    node->read_only = config->number[WEIR__P_READ_ONLY] != 0;
    weir__list_init(&node->commits.groups);
    weir__list_init(&node->commits.starved);
    weir__list_init(&node->uploads.pending);
    weir__list_init(&node->uploads.flushes);
    weir__list_init(&node->fetches);
    weir__list_init(&node->calls);
    weir__list_init(&node->handovers);
    weir__list_init(&node->watches);
    weir__list_init(&node->commits.held);
    weir__list_init(&node->commits.flying);
    weir__list_init(&node->commits.lost);
    node->members.alloc = node->alloc;
    weir__list_init(&node->takeovers);
    weir__append_init(node);
    weir__fetch_init(node);
    weir__upload_init(node);
    weir__sweep_init(node);
    weir__log_sweep_init(node);
    weir__lease_init(node);
    weir__tail_init(node);
    weir__members_init(node);
}

static int env_init(struct weir *node, const struct weir_config *config,
                    struct weir_error *err)
{
    node->host.alloc = node->alloc;
    node->host.log = config->log;
    node->host.env = config->env;
    if (config->env != NULL)
        return 0;
    node->own_env = 1;
    return weir_env_real(&node->host.env, node->alloc,
                         (unsigned)config->number[WEIR__P_WORKERS],
                         (int)config->number[WEIR__P_DRIVER], err);
}

int weir__node_open(struct weir__open_req *req)
{
    const struct weir_config *config = req->config;
    const struct weir_alloc *alloc = config->alloc;
    struct weir *node = weir__calloc(alloc, 1, sizeof(*node));
    struct weir__open *open = weir__calloc(alloc, 1, sizeof(*open));
    int rc = WEIR_ENOMEM;

    req->again = 0;
    req->granted = 0;
    if (node == NULL || open == NULL)
        goto fail;
    node->alloc = alloc;
    node_init(node, config);
    rc = weir__config_copy(&node->config, config);
    if (rc != 0)
        goto fail;
    rc = env_init(node, config, req->err);
    if (rc != 0)
        goto fail;
    node->beside = req->beside;
    req->node = node;
    open->node = node;
    open->req = req;
    open->begin.run = begin_run;
    node->host.env->ops->post(node->host.env, &open->begin);
    return 0;

fail:
    if (node != NULL)
        weir_config_free(node->config);
    weir__free(alloc, open);
    weir__free(alloc, node);
    return weir__fail_status(req->err, rc);
}
