/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside of the cluster's scenario: its nodes and what they are asked for
 * (cluster_nodes.c), what happens to them (cluster.c, cluster_double.c,
 * cluster_lull.c, cluster_brief.c, cluster_disk.c, cluster_lease.c,
 * cluster_chain.c), and what must hold (cluster_check.c).
 */
#ifndef TESTS_SIM_CLUSTER_INSIDE_H
#define TESTS_SIM_CLUSTER_INSIDE_H

#include "sim/cluster.h"
#include "sim/named.h"

#include <weir.h>

enum { STEPS = 300, DISK = 1 << 20, NODES_MAX = 5, STREAMS = 4, MOST = 700 };
enum {
    OPERATIONS_MIN = 200,
    PAYLOAD_MAX = 900,
    TRIES = 40,
    SPARE = 100, /* Added to a node's id: the disk beside its own. */
    SUM_MAX = 1000,
    MEMORY_MAX = 24 << 20
};
/* Steps from one look at all of the manifest to the next: it takes a while. */
enum { NAMED_EVERY = 16 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

struct cluster;

/** A node and what its program holds. */
struct machine {
    struct cluster *cluster;
    struct weir_sim_node *sim;
    uint32_t number;
    uint32_t id; /* As which the library is opened. */
    int soft;    /* Its log is in memory. */
    int lost;    /* Of what it acknowledged something went with that log. */
    unsigned lease_s;
    char lease[16];
    struct weir_sim_node *disks[2]; /* Its own, and a spare one or NULL. */
    char spare_uri[16];
    int disk;          /* Which of them it is opened with, */
    int log_disk;      /* and where it has its log; -1: not known. */
    unsigned wiped;    /* Bits: no log has been made there since. */
    int half_made;     /* Making one there has failed. */
    int abandon;       /* 1: it gives up another log than that. */
    unsigned refusals; /* Of what is attached, one after the other. */
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *streams[STREAMS]; /* Its own. */
    uint64_t epochs[STREAMS];             /* Of these. */
    int status;                           /* Of the program that ran last. */
    int arg;    /* Of the next program: a stream, a node. */
    int sick;   /* Its log was taken over, or failed: it must be restarted. */
    int asleep; /* Paused: a zombie when it wakes up. */
    int fenced; /* Taken over in this life: it must not acknowledge. */
    unsigned lives;
    /* Requests that nobody waits for; NULL when none is under way. */
    struct weir_kv_put *put;
    struct weir_takeover *taking;
    unsigned taking_life;      /* Of the one that is taken over. */
    struct addition *adding;   /* cluster_keys.c */
    struct waiting *waiting;   /* cluster_lull.c */
    struct deletion *deleting; /* cluster_brief.c */
    struct flushing *flushing; /* cluster_chain.c */
};

/** An append under way, in the test's memory. */
struct pending {
    struct weir_append req;
    struct pending *next;
    struct machine *machine;
    int stream;
    uint32_t number;
    uint64_t epoch; /* Of the stream. */
    int fenced;     /* The machine was taken over before. */
    int over;
    int status;
    unsigned char data[PAYLOAD_MAX];
};

/** What is known of a stream. */
struct track {
    uint32_t acked[MOST];     /* Number by offset; 0: not known. */
    uint32_t shown[MOST];     /* To a reader; 0: not yet. */
    uint64_t epoch[MOST];     /* Under which it was acknowledged. */
    unsigned char hard[MOST]; /* 1: no end of a log in memory takes it. */
    unsigned char sure[MOST]; /* 1: nor that of any other. */
    uint64_t opened;          /* Latest epoch that an opening got, */
    uint64_t life;            /* and who got it. */
    uint64_t end;             /* Behind the last that was acknowledged. */
    uint64_t start;           /* Acknowledged. */
    uint64_t start_max;       /* Farthest that a trim may have moved it. */
};

/** What is known of a key that nodes add one to, by compare-and-set. */
struct counter {
    unsigned char added[SUM_MAX]; /* 1: somebody's addition came to this. */
    uint64_t least;               /* It is this much at least, */
    uint64_t most;                /* and this at most: what was tried. */
};

/** What is known of a stream that is deleted and made anew. */
struct brief {
    uint64_t id;       /* It is there; 0: not known. */
    unsigned deleting; /* Deletions that have not been answered. */
};

struct cluster {
    struct weir_sim *sim;
    const struct run_options *options;
    struct run_result *result;
    struct machine machines[NODES_MAX + 1];
    uint32_t count; /* Behind them is the double (cluster_double.c). */
    struct track tracks[STREAMS];
    struct named named;
    unsigned char stream_of[STREAMS * MOST * 2]; /* By number, plus one. */
    unsigned char never[STREAMS * MOST * 2];     /* 1: certainly not there. */
    unsigned char soft[STREAMS * MOST * 2]; /* 1: given to a log in memory. */
    uint64_t giver[STREAMS * MOST * 2];     /* The life that it was given to. */
    uint32_t place[STREAMS * MOST * 2];     /* By number, offset plus one. */
    uint32_t numbers;
    const struct machine *reader; /* Of what is checked now, or NULL. */
    int softness;                 /* 1: some have their log in memory, or have
                                   * given up one. */
    struct counter counter;
    struct brief brief;
    struct pending *pending;
    int calm; /* No more faults: things must go well. */
    struct weir_log log;
    /* Of this seed. */
    const char *wal; /* NULL: the node's disk. */
    uint64_t grace;  /* Seconds that a dead object stays. */
    char delete_grace[32];
    char upload_bytes[32];
    char interval[32];
    char snapshot[32];
    char block[32];
};

/** A random number below `n`. */
uint64_t cluster_below(struct cluster *c, uint64_t n);
/** 1 after a breach. */
int cluster_broken(const struct cluster *c);
/** Note a breach; the first one stays. */
void cluster_breach(struct cluster *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Let virtual time go by. */
void cluster_pass(struct cluster *c, uint64_t ns);

/* What must hold (cluster_check.c): each a breach unless it does. */
/** A status is one that the manual knows. */
void cluster_check_status(struct cluster *c, const char *what, int status);
/** What was read is one batch behind the other from `from` on, and each what
 * is known of it. */
void cluster_check_batches(struct cluster *c, int stream, uint64_t from,
                           const struct weir_fetch *fetch);
/** Where the next batch is behind those that were read from `at` on. */
uint64_t cluster_behind(const struct weir_fetch *fetch, uint64_t at);
/** Who has opened a stream anew begins behind all that is to stay; what went
 * with a log in memory does not come back. */
void cluster_check_end(struct cluster *c, int stream, uint64_t end,
                       const struct machine *owner);
/** 1 if what is from `at` to `end` may have gone with a log in memory: then it
 * does not come back. */
int cluster_is_gap(struct cluster *c, int stream, uint64_t at, uint64_t end);
/** A flush succeeded: what its node had acknowledged before is there. */
void cluster_check_flushed(struct machine *m, uint64_t ends[STREAMS]);
/** A life of a machine, among all of them. */
uint64_t cluster_life(const struct machine *m);
/** A number was acknowledged, at an offset that no other number has, nor this
 * one another; epochs follow each other like the offsets. */
void cluster_check_acked(struct cluster *c, int stream, uint32_t number,
                         uint64_t at, uint64_t epoch);
/** An opening got an epoch that is above all that went before, or that this
 * life of a machine has. */
void cluster_check_opened(struct cluster *c, int stream, uint64_t epoch,
                          uint64_t life);
/** An addition ended; the sum that it was to come to, its own alone. */
void cluster_check_added(struct cluster *c, uint64_t sum, int status);
/** The sum is one that the additions can have come to. */
void cluster_check_sum(struct cluster *c, uint64_t sum);
/** A deletion of the brief stream begins, and has been answered. */
void cluster_check_deleting(struct cluster *c);
void cluster_check_deleted(struct cluster *c);
/** It was made by a call before which so many deletions were not answered. */
void cluster_check_made(struct cluster *c, uint64_t id, unsigned deletions);
/** What is there under its name, or 0, is what was made. */
void cluster_check_there(struct cluster *c, uint64_t id);
/** The bytes of a number, and how many there are. */
size_t cluster_payload_len(uint32_t number);
void cluster_payload(unsigned char *to, uint32_t number, int stream);

/* Programs of a node, for cluster_call: `arg` is a stream or a node's number,
 * and `m->status` what it came to. */
void cluster_start_program(void *ctx);
void cluster_open_program(void *ctx);
void cluster_takeover_program(void *ctx);
void cluster_handover_program(void *ctx);
void cluster_trim_program(void *ctx);
void cluster_flush_program(void *ctx);
void cluster_read_program(void *ctx);
/** Read the key that is added to. */
void cluster_sum_program(void *ctx);
/** Look at the stream that is deleted and made anew. */
void cluster_brief_program(void *ctx);
/** Run a program: 0, or the node has crashed on the way, or there was a breach
 * before. */
int cluster_call(struct machine *m, void (*program)(void *ctx), int arg,
                 const char *what);

/* Requests that nobody waits for. */
void cluster_start_append(struct machine *m, int stream);
void cluster_start_put(struct machine *m);
/** Add one to a key. */
void cluster_start_add(struct machine *m);
void cluster_forget_addition(struct machine *m);
void cluster_start_taking(struct machine *m, uint32_t dead);
void cluster_forget_requests(struct machine *m);
/** Take in the appends that have ended; drop those of a machine that
 * crashed. */
void cluster_collect(struct cluster *c, const struct machine *crashed);

/* Life and death. */
void cluster_crash(struct machine *m);
void cluster_stop(struct machine *m);
void cluster_start(struct machine *m);
void cluster_sleep_now(struct machine *m);
void cluster_wake(struct machine *m);
void cluster_cut(struct machine *m);
/** Whoever is open under an id is so no more. */
void cluster_fence(struct cluster *c, uint32_t id);

/* What happens (cluster.c, cluster_double.c, cluster_lull.c, cluster_brief.c,
 * cluster_disk.c). */
/** 1 if a kind of fault may happen. */
int cluster_allows(const struct cluster *c, enum run_fault kind);
/** One that is open under another id, awake and well; NULL if there is none. */
struct machine *cluster_another(struct machine *m);
/** Hand a stream over to whoever opens it first. */
void cluster_give_away(struct machine *m, int stream);
/** Appends that come while others are on their way. */
void cluster_append_some(struct machine *m, int stream);
/** The machine on which another one's id is opened now and then. */
struct machine *cluster_double(struct cluster *c);
/** A node is opened elsewhere while it lives, and lives on. */
void cluster_open_elsewhere(struct machine *m);
/** Before a machine starts: nobody else has its id. */
void cluster_end_double_of(const struct machine *m);
/** Nothing fails for a while, in which a stream moves. */
void cluster_lull(struct machine *m, int stream);
void cluster_forget_waiting(struct machine *m);
/** A stream is deleted, and made anew while another deletion is under way. */
void cluster_make_anew(struct machine *m);
void cluster_forget_deletion(struct machine *m);
/** 1 if nobody has a stream open. */
int cluster_is_free(struct cluster *c, int stream);
/** A node gets another disk, or its log is moved, or goes. */
void cluster_change_disk(struct machine *m);
/** Its lease, of so many seconds, or one that is drawn. */
void cluster_choose_lease(struct machine *m, unsigned seconds);
/** A node is cut off, and taken over once its lease has run out. */
void cluster_part(struct machine *m, int stream);
/** The log that a machine is opened with; NULL: that of its own disk. */
const char *cluster_disk_uri(struct machine *m);
/** A node that has crashed has lost what it had on disks. */
void cluster_lose_disk(struct machine *m);
/** A stream goes from node to node, and they owe parts of it. */
void cluster_chain(struct machine *m, int s);
void cluster_forget_flush(struct machine *m);
/** Around its opening: 1 if what is attached must be its log. */
int cluster_disk_begin(struct machine *m);
void cluster_disk_end(struct machine *m, int is_own);
/** After its end: a disk on which making a log has failed is wiped again. */
void cluster_disk_crashed(struct machine *m);

#endif
