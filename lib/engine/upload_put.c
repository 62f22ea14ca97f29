/* SPDX-License-Identifier: Apache-2.0 */
/* An upload's objects: built, and put. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/sometimes.h"
#include "engine/flush.h"
#include "engine/upload_inside.h"

/* PUTs of one object until the upload is given up and planned anew. */
#define PUT_TRIES 4

static void put_start(struct weir__upload *job);

void weir__upload_part_free(struct weir__upload *job)
{
    const struct weir_alloc *alloc = job->node->alloc;

    if (job->built)
        weir__build_free(&job->build);
    job->built = 0;
    weir__free(alloc, job->build.streams);
    weir__free(alloc, job->ranges);
    job->build.streams = NULL;
    job->ranges = NULL;
}

/* The key is ours alone; if it is there, an earlier try has put it, and its
 * size tells that it is whole. */
static void head_done(struct weir_store_req *req, int status)
{
    struct weir__upload *job = req->ctx;

    if (weir__upload_abandoned(job))
        weir__upload_end(job, WEIR_ECLOSED);
    else if (status != 0)
        weir__upload_end(job, status);
    else if (req->size != job->build.size)
        weir__upload_end(job, weir__fail(&job->error, WEIR_ECORRUPT,
                                         "object %s exists and is another one",
                                         job->key));
    else
        weir__upload_commit_start(job);
}

static void head_start(struct weir__upload *job)
{
    job->put = (struct weir_store_req){.verb = WEIR_STORE_HEAD,
                                       .key = job->key,
                                       .done = head_done,
                                       .ctx = job,
                                       .err = &job->error};
    job->node->store->ops->submit(job->node->store, &job->put);
}

static void put_done(struct weir_store_req *req, int status)
{
    struct weir__upload *job = req->ctx;
    enum weir_error_class class = weir_error_class(status);

    WEIR__SOMETIMES_IF(status == WEIR_ECONFLICT,
                       "an object is there already when it is put again");
    WEIR__SOMETIMES_IF(status == WEIR_EUNKNOWN,
                       "the outcome of a PUT is unknown");
    if (weir__upload_abandoned(job))
        weir__upload_end(job, WEIR_ECLOSED);
    else if (status == 0)
        weir__upload_commit_start(job);
    else if (status == WEIR_ECONFLICT)
        head_start(job);
    else if ((class == WEIR_CLASS_UNKNOWN || class == WEIR_CLASS_RETRY) &&
             ++job->tries < PUT_TRIES)
        put_start(job);
    else
        weir__upload_end(job, status);
}

static void put_now(struct weir__upload *job)
{
    job->put = (struct weir_store_req){.verb = WEIR_STORE_PUT,
                                       .flags = WEIR_STORE_IF_ABSENT |
                                                WEIR_STORE_PARTS,
                                       .key = job->key,
                                       .iov = job->build.iov,
                                       .iov_count = job->build.iov_count,
                                       .done = put_done,
                                       .ctx = job,
                                       .err = &job->error};
    job->node->store->ops->submit(job->node->store, &job->put);
}

/* 1 if a later epoch has what this one had registered, and the job has
 * ended. */
static int fenced(struct weir__upload *job)
{
    if (!job->node->fenced)
        return 0;
    weir__upload_end(
        job, weir__fail(&job->error, WEIR_EFENCED,
                        "a later epoch of this node removes what it has "
                        "not committed"));
    return 1;
}

static void looked(struct weir__refresh *refresh, int status)
{
    struct weir__upload *job = refresh->ctx;

    weir__flush_late_stop(job->node);
    if (weir__upload_abandoned(job))
        weir__upload_end(job, WEIR_ECLOSED);
    else if (fenced(job))
        return;
    else if (status != 0)
        weir__upload_end(job, status);
    else
        put_now(job);
}

/* A node that slept may have been taken over, and what it had registered been
 * removed from the store for good: an object put after that would stay for
 * ever.  So who has not seen the manifest for half the grace looks first. */
static void put_start(struct weir__upload *job)
{
    struct weir *node = job->node;
    struct weir_env *env = node->host.env;
    uint64_t grace = (uint64_t)node->config->number[WEIR__P_DELETE_GRACE];
    uint64_t seen = weir__manifest_seen(node->manifest);

    if (fenced(job))
        return;
    if (env->ops->now(env) - seen <= grace / 2) {
        put_now(job);
        return;
    }
    WEIR__SOMETIMES("a node that slept looks before it puts an object");
    job->refresh =
        (struct weir__refresh){.done = looked, .ctx = job, .err = &job->error};
    weir__flush_late_start(node);
    weir__manifest_refresh(node->manifest, &job->refresh);
}

static void build_done(struct weir__build *build, int status)
{
    struct weir__upload *job = build->ctx;

    if (status != 0) {
        job->built = 0;
        weir__upload_end(job, status);
        return;
    }
    if (weir__upload_abandoned(job)) {
        weir__upload_end(job, WEIR_ECLOSED);
        return;
    }
    job->tries = 0;
    put_start(job);
}

static void build_start(struct weir__upload *job)
{
    struct weir *node = job->node;
    const struct weir__plan_part *p = weir__upload_part(job);
    const unsigned char *cluster =
        weir__state_cluster(weir__manifest_state(node->manifest));
    struct weir__build *b = &job->build;

    *b = (struct weir__build){.host = &node->host};
    b->streams = weir__calloc(node->alloc, p->count, sizeof(*b->streams));
    if (b->streams == NULL) {
        weir__upload_end(job, WEIR_ENOMEM);
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        const struct weir__plan_item *item = &job->plan.items[p->first + i];

        b->streams[i].stream_id = item->stream->id;
        b->streams[i].batches = item->batches;
        b->streams[i].count = item->count;
    }
    b->stream_count = p->count;
    memcpy(b->writer.cluster, cluster, sizeof(b->writer.cluster));
    b->writer.node_id = node->id;
    b->writer.node_epoch = node->epoch;
    b->writer.object_id = job->object_id;
    b->block_size = (size_t)node->config->number[WEIR__P_BLOCK];
    b->compress = node->config->number[WEIR__P_COMPRESSION] == 0;
    b->done = build_done;
    b->ctx = job;
    job->built = 1;
    weir__build_start(b);
}

void weir__upload_next(struct weir__upload *job)
{
    struct weir__upload_state *up = &job->node->uploads;

    if (job->at == job->plan.part_count) {
        weir__upload_end(job, 0);
    } else if (weir__upload_abandoned(job)) {
        weir__upload_end(job, WEIR_ECLOSED);
    } else if (up->next_id == up->end_id) {
        weir__upload_reserve(job);
    } else {
        job->object_id = up->next_id++;
        weir__object_key(job->key, job->object_id);
        build_start(job);
    }
}
