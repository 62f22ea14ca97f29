/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What the files of uploads share: upload.c says when there is one, and how it
 * ends; upload_put.c makes its objects; upload_commit.c tells the manifest.
 */
#ifndef WEIR_ENGINE_UPLOAD_INSIDE_H
#define WEIR_ENGINE_UPLOAD_INSIDE_H

#include "engine/upload.h"
#include "engine/upload_plan.h"
#include "format/object_name.h"

/** Operations of one commit: an object, the log's mark, the next ids, and
 * those that are given back. */
#define WEIR__UPLOAD_OPS (3 + WEIR__UPLOAD_IDS)

/** An upload under way: a plan, and the object that is being made. */
struct weir__upload {
    struct weir *node;
    struct weir__plan plan;
    struct weir__list flushes; /* Those that this upload will end. */
    size_t at;                 /* Part under way. */
    uint64_t object_id;        /* Of the object under way; 0: none. */
    struct weir__build build;
    int built;
    struct weir_store_req put;
    char key[WEIR__KEY_SIZE];
    unsigned tries;
    struct weir__refresh refresh;
    struct weir__range *ranges;
    struct weir__commit commit;
    struct weir__op ops[WEIR__UPLOAD_OPS];
    struct weir_error error;
};

/** The part that is under way. */
static inline struct weir__plan_part *
weir__upload_part(struct weir__upload *job)
{
    return &job->plan.parts[job->at];
}

/** The job has ended with `status`. */
void weir__upload_end(struct weir__upload *job, int status);
/** 1 if the node is closing and the upload is not what it waits for: store and
 * manifest may be gone. */
int weir__upload_abandoned(const struct weir__upload *job);

/** Make the object of the next part, or end the job. */
void weir__upload_next(struct weir__upload *job);
void weir__upload_part_free(struct weir__upload *job);

/** The object is in the store: tell the manifest, then go on. */
void weir__upload_commit_start(struct weir__upload *job);
/** Have ids for the rest of the job registered, then go on. */
void weir__upload_reserve(struct weir__upload *job);

#endif
