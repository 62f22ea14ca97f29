/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of a node's manifest.
 *
 * One thing is under way at a time (`activity`), save for snapshots and
 * trims, which run beside it.  Whatever ends sets the activity to idle and
 * calls `weir__manifest_go`, which looks at what there is to do and begins
 * the most urgent; nothing else decides.
 *
 * Old commits are removed (WEIR__MANIFEST_GRACE after a snapshot that covers
 * them), so a node that was asleep could create a removed version anew and
 * believe it.  Therefore an answer about a version counts only up to half
 * the grace after `head_at`, the last moment of which this node knows that
 * nothing behind its state had been removed; later than that the newest
 * snapshot is looked up first.  The clock counts suspended time.
 */
#ifndef WEIR_MANIFEST_INSIDE_H
#define WEIR_MANIFEST_INSIDE_H

#include "manifest/manifest.h"
#include "manifest/state_inside.h"

/** Nanoseconds that a commit stays after a snapshot that covers it. */
#define WEIR__MANIFEST_GRACE UINT64_C(600000000000)
/** Commits read ahead at a time, at most. */
#define WEIR__MANIFEST_AHEAD 16u
/** Commits that one carries, at most, and their bytes. */
#define WEIR__MANIFEST_CARRY 16u
#define WEIR__MANIFEST_CARRY_BYTES ((size_t)32 << 10)
/** While the log tells of new commits, it is read at least so often all the
 * same: what it tells may be lost. */
#define WEIR__MANIFEST_HEARD UINT64_C(30000000000)
/** How often opening tries what could pass, and for how long: a backend may
 * have tried for a while each time. */
#define WEIR__MANIFEST_OPEN_TRIES 8u
#define WEIR__MANIFEST_OPEN_NS UINT64_C(10000000000)

enum weir__activity {
    WEIR__IDLE,
    WEIR__LATEST, /* Reading the newest snapshot. */
    WEIR__FOLLOW, /* Reading commits. */
    WEIR__APPEND, /* Writing one. */
    WEIR__BACKOFF /* Waiting to try again. */
};

/** A read of one commit. */
struct weir__follow_slot {
    struct weir_mlog_req req;
    struct weir_error err;
    uint64_t started; /* Clock. */
    int status;
    bool busy;  /* Under way. */
    bool ready; /* Ended, not yet looked at. */
};

/** Reading the commits behind the state, several at a time, in order. */
struct weir__follow {
    struct weir__follow_slot slots[WEIR__MANIFEST_AHEAD]; /* By version. */
    uint64_t next;  /* Version to be asked for next. */
    uint64_t limit; /* Last version to be asked for. */
    uint64_t window;
    uint64_t step; /* One at a time, so far ahead, as each carries those
                      before it; 0: every single one. */
    bool falling;  /* One so far ahead is not there: a smaller step now. */
    unsigned busy;
    unsigned answers; /* Commits read. */
    uint64_t told;    /* What was told of, and is being read. */
    bool stop;
    bool at_end; /* Reached the present end of the log. */
    int status;
};

/** The commits that go out as one record. */
struct weir__group {
    struct weir__commit *first;
    struct weir__writer bytes;
    size_t own; /* Of these, without what is carried. */
    struct weir__record record;
    uint64_t look;      /* Versions to be read before it is sent (again). */
    uint64_t formed;    /* Clock, before the first sending, */
    uint64_t started;   /* and at the last one. */
    bool uncertain;     /* It may be in the log. */
    bool was_uncertain; /* The same, before the last sending. */
    bool in_log;        /* It is, and is to be applied. */
    bool lost;          /* Another's commit stands at its version. */
};

/** The newest commits, to be carried by the next one: a node that is behind
 * reads one record instead of many. */
struct weir__carry {
    struct {
        unsigned char *data; /* NULL: it is too long, or out of memory. */
        size_t len;
        uint64_t version;
    } kept[WEIR__MANIFEST_CARRY]; /* By version. */
    bool found;                   /* The last commit read carried others. */
};

/** Whose turn it is to commit, when many nodes do: see manifest_turn.c. */
struct weir__turn {
    struct weir_timer timer;
    uint64_t at;     /* Clock; nothing is sent before, */
    uint64_t waited; /* and how long that was. */
    uint64_t pace;   /* What a commit takes, smoothed. */
    uint64_t ended;  /* The last one. */
    uint64_t losing; /* Since when, if races were lost. */
    uint64_t began;  /* The first of its commits without a pause. */
    unsigned run;    /* How many these are, */
    unsigned burst;  /* and may be. */
    uint32_t other;  /* Who has committed last, of other nodes. */
    unsigned heat;   /* How often races were lost of late. */
    bool paused;     /* To let others in; nobody has come so far. */
    bool waits;      /* The timer runs. */
    bool behind;     /* Others will have committed: read before it is sent. */
};

/** Snapshots and trims: one request at a time. */
struct weir__keep {
    struct weir_mlog_req req;
    struct weir__writer bytes;
    struct weir_iov iov;
    bool busy;
    bool missed;       /* A snapshot failed and is due. */
    uint64_t young;    /* A snapshot and when it was known of. */
    uint64_t young_at; /* Clock. */
    uint64_t settled;  /* One that is older than the grace; 0: none. */
    unsigned commits;  /* Own ones since the last trim. */
};

struct weir__manifest {
    const struct weir_host *host;
    struct weir_mlog *log;
    struct weir__state *state;
    uint64_t epoch;
    uint32_t node_id;
    uint32_t snapshot_commits;
    void (*applied)(void *ctx);
    void *applied_ctx;

    enum weir__activity activity;
    bool read_only;
    bool followed;   /* Opening: the log has been read to its end. */
    bool head_known; /* `head_at` is one. */
    bool reread;     /* A damaged commit has been read anew. */
    bool posted;     /* `task` is. */
    uint64_t head_at;
    uint64_t seen_at; /* When the state was known to be the newest. */

    struct weir__commit *queue;
    struct weir__commit **queue_end;
    struct weir__refresh *refresh;    /* To be served by the next activity. */
    struct weir__refresh *refreshing; /* By the present one. */

    struct weir_mlog_watch watch;
    bool listening;
    uint64_t told; /* Versions up to here are there, it is said. */

    struct weir__group group;
    struct weir__follow follow;
    struct weir__carry carry;
    struct weir__turn turn;
    struct weir__keep keep;
    struct weir_mlog_req io; /* APPEND or LATEST. */
    struct weir_iov iov;
    uint64_t latest_started;
    struct weir_error err;     /* Of `io`, then of whatever failed last. */
    struct weir_error trouble; /* What is tried again, if `tries` is not 0. */
    struct weir_timer timer;
    unsigned losses; /* Races lost since the last own commit. */
    unsigned tries;
    uint64_t failing; /* Since when, if `tries` is not 0. */
    struct weir_task task;

    struct weir__manifest_open *opening;
    struct weir__op cluster_op;
    struct weir__commit cluster_commit;
    int cluster_status;       /* How it ended. */
    struct weir_task *closed; /* Not NULL: it is being closed. */

    uint64_t commits;
    uint64_t conflicts;
    uint64_t committed_at; /* When the last one of this epoch was formed. */
};

/* manifest.c */

/** Begin what is to be done next.  Last call of a function: it may free the
 * manifest. */
void weir__manifest_go(struct weir__manifest *m);
/** Run `go` soon. */
void weir__manifest_kick(struct weir__manifest *m);
/** Something failed, `m->err` says what: wait and try again if that can
 * pass, else fail what waits for it. */
void weir__manifest_failed(struct weir__manifest *m, int status);
/** An answer of now may be taken at its word. */
bool weir__manifest_head_fresh(const struct weir__manifest *m);
uint64_t weir__manifest_now(const struct weir__manifest *m);
/** Tell of a commit that was applied. */
void weir__manifest_tell(struct weir__manifest *m);

/* manifest_commit.c */

/** Make a group of what waits in the queue: 0, or WEIR_ENOMEM and it waits
 * on. */
int weir__group_form(struct weir__manifest *m);
/** Put the group at the version behind the state's. */
void weir__group_send(struct weir__manifest *m);
/** Put the group's commits, which are not in the log, back in front of the
 * queue: what has come meanwhile goes out with them. */
void weir__group_undo(struct weir__manifest *m);
/** Apply the group, which is in the log at the version behind the state's:
 * 0, or an error and it is still to be applied. */
int weir__group_apply(struct weir__manifest *m);
/** End the group's commits. */
void weir__group_end(struct weir__manifest *m, int status);
/** End all that waits. */
void weir__queue_end(struct weir__manifest *m, int status);

/* manifest_load.c */

/** Read the newest snapshot, and adopt it if it is ahead of the state. */
void weir__latest_start(struct weir__manifest *m);
/** Read and apply up to `count` commits behind the state. */
void weir__follow_start(struct weir__manifest *m, uint64_t count);
/** Versions that were told of and are not read. */
bool weir__manifest_told(const struct weir__manifest *m);
/** End a list of refreshes. */
void weir__refresh_end(struct weir__manifest *m, struct weir__refresh **list,
                       int status);
/** Those that the activity that ends could not serve wait on, in front of
 * those that came meanwhile. */
void weir__refresh_rejoin(struct weir__manifest *m);

/* manifest_carry.c */

/** A commit was applied: keep its own bytes. */
void weir__carry_keep(struct weir__manifest *m, const unsigned char *data,
                      size_t len, uint64_t version);
/** Add what was kept of the versions before `version`: the bytes that were
 * added, 0 if there is nothing or nobody to carry it for. */
uint32_t weir__carry_write(struct weir__manifest *m, struct weir__writer *w,
                           uint64_t version);
void weir__carry_free(struct weir__manifest *m);

/* manifest_turn.c */

/** True if a group may be formed now, of what waits; else `go` runs when its
 * time has come. */
bool weir__turn_come(struct weir__manifest *m);
/** True if its time has come, and the log has to be read first. */
bool weir__turn_reads(const struct weir__manifest *m);
/** How far ahead to read first: how many commits there may be by now. */
uint64_t weir__turn_ahead(const struct weir__manifest *m);
/** The log was read to its end. */
void weir__turn_read(struct weir__manifest *m);
/** A race was lost, after so long. */
void weir__turn_lost(struct weir__manifest *m, uint64_t took);
/** A commit of this node's is in the log, and took so long. */
void weir__turn_won(struct weir__manifest *m, uint64_t took);
/** One of another node's is. */
void weir__turn_other(struct weir__manifest *m, uint32_t node_id);
/** Wait no more. */
void weir__turn_stop(struct weir__manifest *m);

/* manifest_keep.c */

/** After each commit of this node's. */
void weir__keep_after_commit(struct weir__manifest *m);
/** A snapshot of `version` is known to be in the log. */
void weir__keep_snapshot(struct weir__manifest *m, uint64_t version);

#endif
