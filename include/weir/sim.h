/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A simulated world, to test your own program in: nodes, their disks, and an
 * object store that they share, in one process and on one thread, with a
 * clock of its own.
 *
 * A node of the library that is opened with the configuration of a simulated
 * node runs the code that it runs in production; what it stands on is
 * simulated.  Your own program runs in the node too, as tasks, timers and
 * blocking calls.
 *
 * One seed decides everything: which of the things that could happen next
 * does, how long each I/O takes, which of them fail, and what a disk holds
 * after a crash.  The same program with the same seed gives the same trace,
 * byte for byte.  It is for the program to keep it so: to take the time and
 * random numbers from the world, and no decision from an address.
 *
 * What the simulated disk promises: a sector (512 bytes) is written whole or
 * not at all, or, rarely, garbled; until a sync that began after a write has
 * ended with success, each sector of that write may or may not survive a
 * crash, in any combination.  After a sync that failed, what was pending may
 * be there or not, for ever, while reads give what was written until the
 * disk is opened again.  An I/O may take seconds, or hang for minutes.  A disk
 * that loses what it had (`disk_latent`), or lies (`disk_lost`,
 * `disk_misplaced`), promises less than any program can live with: what it has
 * lost can be noticed, and not be brought back.
 *
 * What the simulated store promises: it is one map that all nodes see, and
 * each request takes effect at one moment.  A request may fail before it
 * took effect, or after it; take effect twice; or take effect minutes after
 * its caller was told that the outcome is unknown, and after the caller
 * crashed.  A create (a PUT with the condition "if absent") may be refused
 * although nobody else writes the key, and one that finds the key taken may
 * end with an outcome that is unknown.  A GET may give fewer bytes than there
 * are, or one that is changed.  A LIST may be of a minute ago (`store_stale`).
 * A node that is cut from it does not reach it at all.
 *
 * What the simulated network between nodes promises: a message that comes is
 * as it was sent.  It may come late, after others that were sent later,
 * twice, or never.
 *
 * Threads: a world and all that is in it belong to one thread.  "Outside"
 * below means: in none of its nodes and in no timer of the world.
 */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <weir/config.h>

WEIR_BEGIN

#if defined(__GNUC__) && !defined(WEIR_PARSE_ONLY)
#define WEIR_SIM_PRINTF __attribute__((format(printf, 2, 3)))
#else
#define WEIR_SIM_PRINTF
#endif

/** A world. */
struct weir_sim;

/** A node of a world: a machine with a disk, which can crash. */
struct weir_sim_node;

/**
 * How often things fail, in chances out of a million for each operation.
 *
 * All are 0 in a new world but for `disk_garble`.  1000000 lets every such
 * operation fail until it is set back.
 */
struct weir_sim_faults {
    uint32_t store_down;      /* Refused: WEIR_EUNAVAILABLE, not done. */
    uint32_t store_throttle;  /* Refused: WEIR_ETHROTTLED, not done. */
    uint32_t store_lost;      /* Not done, and the outcome unknown. */
    uint32_t store_unheard;   /* Done, and the outcome unknown. */
    uint32_t store_late;      /* Outcome unknown, done minutes later. */
    uint32_t store_repeat;    /* Done twice; the second answer counts. */
    uint32_t store_slow;      /* Takes seconds. */
    uint32_t store_corrupt;   /* GET: a byte of the body is changed. */
    uint32_t disk_read;       /* WEIR_EIO. */
    uint32_t disk_write;      /* WEIR_EIO; some sectors are written. */
    uint32_t disk_sync;       /* WEIR_EIO; what was pending is undefined. */
    uint32_t disk_garble;     /* Per sector that was pending in a crash. */
    uint32_t memory;          /* Allocations of the nodes: NULL. */
    uint32_t message_lost;    /* Never comes. */
    uint32_t message_twice;   /* Comes twice, each in its own time. */
    uint32_t message_late;    /* Comes after seconds. */
    uint32_t store_stale;     /* LIST: without what is younger than a minute. */
    uint32_t disk_slow;       /* Takes seconds. */
    uint32_t disk_hang;       /* Takes ten minutes. */
    uint32_t disk_lost;       /* A write that ends well and is not done. */
    uint32_t disk_misplaced;  /* One that is done in another place. */
    uint32_t store_cut;       /* GET: the end of the body is missing. */
    uint32_t store_refused;   /* A create: not done, WEIR_ETHROTTLED (409). */
    uint32_t store_lost_race; /* A create of what is there: WEIR_EUNKNOWN. */
    uint32_t disk_latent;     /* Per sector that a sync has covered. */
    /* No fault, but a hint: a key that was created is told to who watches, late
     * or twice now and then.  0: the store cannot tell, as most. */
    uint32_t store_tells;
    /* Refused for seconds, and with it all keys that begin alike. */
    uint32_t store_hot;
};

/** What a world is made from.  Zero it, set `size`, fill in the rest. */
struct weir_sim_options {
    size_t size; /* sizeof(struct weir_sim_options) at the host. */
    uint64_t seed;
    uint64_t limit; /* Virtual nanoseconds that the whole run may take. */
    const struct weir_alloc *alloc; /* NULL: the C library's. */
    /* One line of the trace, without its newline; may be NULL. */
    void (*trace)(void *ctx, const char *line);
    void *trace_ctx;
    /* Steps: a task, a timer or the end of an I/O is one.  The world ends when
     * so many were made without a microsecond in which nothing was due, as
     * something starts itself again and again.  0: 10,000,000. */
    uint64_t busy_limit;
    uint64_t step_limit; /* Of the whole run; 0: none. */
    /* What a PUT typically takes, in nanoseconds: 1 us to an hour; 0: 8 ms.
     * Reads take three eighths of it; one request in four takes twice as long,
     * one in sixteen four times, and so on. */
    uint64_t store_time;
    uint64_t disk_time; /* Of a sync; other I/O takes a tenth.  0: 200 us. */
};

/* ---- The world ----------------------------------------------------------- */

/**
 * A new world, without nodes and with an empty store.  Its clock starts at
 * one second.
 *
 * @param out      The world; end it with `weir_sim_free`.  NULL on failure.
 * @param options  Read only here; the allocator must outlive the world.
 * @return 0, WEIR_EINVAL (another `size`, a `limit` that is not behind the
 *         start of the clock, a time out of bounds), WEIR_ENOMEM.
 */
WEIR_API int weir_sim_new(struct weir_sim **out,
                          const struct weir_sim_options *options);

/**
 * End a world, with all nodes and what they have stored.
 *
 * Nodes that are up crash: nothing of theirs has to be closed before.
 * Threads: only outside.
 *
 * @param sim  World, or NULL.
 */
WEIR_API void weir_sim_free(struct weir_sim *sim);

/**
 * The faults of a world, to be changed at any time.
 *
 * @param sim  World.
 * @return the rates; they live as long as the world.
 */
WEIR_API struct weir_sim_faults *weir_sim_faults(struct weir_sim *sim);

/**
 * How often each fault has happened.
 *
 * @param sim  World.
 * @return counts in the place of the rates; they live as long as the world.
 */
WEIR_API const struct weir_sim_faults *
weir_sim_faults_seen(const struct weir_sim *sim);

/**
 * The world's clock, the same for all nodes.
 *
 * @param sim  World.
 * @return virtual nanoseconds.
 */
WEIR_API uint64_t weir_sim_now(const struct weir_sim *sim);

/**
 * Why nothing happens any more in a world that has reached one of its limits.
 *
 * From then on its clock stands at `limit`, or just behind it, and what would
 * wait returns at once with WEIR_ETIMEDOUT.
 *
 * @param sim  World.
 * @return a line such as "the limit of 3600 s of virtual time is reached",
 *         which lives as long as the world; NULL before.
 */
WEIR_API const char *weir_sim_ended(const struct weir_sim *sim);

/**
 * A random number of the seed, for decisions of the test itself.
 *
 * @param sim  World.
 * @param n    Bound, not 0.
 * @return a number below `n`.
 */
WEIR_API uint64_t weir_sim_below(struct weir_sim *sim, uint64_t n);

/**
 * Write a line to the trace; nothing if the world has none.
 *
 * @param sim     World.
 * @param format  As of `printf`; the virtual time is put in front.  What is
 *                longer than 500 bytes is cut.
 */
WEIR_API void weir_sim_trace(struct weir_sim *sim, const char *format,
                             ...) WEIR_SIM_PRINTF;

/**
 * Have a timer fire at its deadline, outside of any node: the hand that lets
 * nodes crash while a call blocks.
 *
 * @param sim    World.
 * @param timer  The caller's until it fired or was cancelled; zeroed before
 *               its first use.  Starting it again moves it.
 */
WEIR_API void weir_sim_at(struct weir_sim *sim, struct weir_timer *timer);

/**
 * Have a timer of `weir_sim_at` not fire; harmless if it does not run.
 *
 * @param sim    World.
 * @param timer  Timer.
 */
WEIR_API void weir_sim_cancel(struct weir_sim *sim, struct weir_timer *timer);

/**
 * Let virtual time go by.
 *
 * Threads: only outside.
 *
 * @param sim  World.
 * @param ns   Nanoseconds.
 * @return 0, WEIR_ETIMEDOUT (a limit of the world was reached), WEIR_EBUSY
 *         (called from inside of a node).
 */
WEIR_API int weir_sim_run(struct weir_sim *sim, uint64_t ns);

/**
 * Let virtual time go by until nothing is under way any more.
 *
 * Timers count, also those of an open node of the library, but the next of
 * these may be far ahead; `quiet` tells how far is far.
 *
 * Threads: only outside.
 *
 * @param sim    World.
 * @param quiet  Nanoseconds: the world is idle when nothing can happen for as
 *               long.  UINT64_MAX: when nothing can ever happen.
 * @param ns     Virtual nanoseconds to wait for that at most.
 * @param err    What went wrong; may be NULL.
 * @return 0; WEIR_ETIMEDOUT (it was not idle within `ns`, or a limit of the
 *         world was reached), WEIR_EBUSY (called from inside of a node).
 */
WEIR_API int weir_sim_run_idle(struct weir_sim *sim, uint64_t quiet,
                               uint64_t ns, struct weir_error *err);

/** Looks at the world, without changing it: 1 if it is as wished, or 0. */
typedef int weir_sim_predicate_fn(void *ctx);

/**
 * Let virtual time go by until a predicate holds.
 *
 * It is asked before, and after each thing that happens.
 *
 * Threads: only outside.
 *
 * @param sim    World.
 * @param holds  Predicate.
 * @param ctx    Passed to it.
 * @param ns     Virtual nanoseconds to wait for it at most.
 * @param err    What went wrong: for how long it did not hold; may be NULL.
 * @return 0; WEIR_ETIMEDOUT (it did not hold within `ns`, or before a limit
 *         of the world, or nothing can happen any more that would change it),
 *         WEIR_EBUSY (called from inside of a node).
 */
WEIR_API int weir_sim_run_until(struct weir_sim *sim,
                                weir_sim_predicate_fn *holds, void *ctx,
                                uint64_t ns, struct weir_error *err);

/* ---- Nodes --------------------------------------------------------------- */

/**
 * A new node with an empty disk, running.
 *
 * @param out        The node; it ends with the world.  NULL on failure.
 * @param sim        World.
 * @param node_id    Its number, as property `node_id` has it.
 * @param disk_size  Bytes of its disk, a multiple of 4096.
 * @return 0, WEIR_EINVAL (size, number), WEIR_EEXIST (the number is taken),
 *         WEIR_ENOMEM.
 */
WEIR_API int weir_sim_node_new(struct weir_sim_node **out, struct weir_sim *sim,
                               uint32_t node_id, uint64_t disk_size);

/**
 * Environment of a node.
 *
 * Tasks that are posted there and timers that are started there are the
 * node's own: they run in its core, one at a time, in turn with those of the
 * library, and are forgotten when it crashes.
 *
 * @param node  Node.
 * @return the environment; it lives as long as the world.
 */
WEIR_API struct weir_env *weir_sim_env(struct weir_sim_node *node);

/**
 * Memory of a node: gone as a whole when it crashes.
 *
 * @param node  Node.
 * @return the allocator; it lives as long as the world.
 */
WEIR_API const struct weir_alloc *weir_sim_alloc(struct weir_sim_node *node);

/**
 * Bytes of the node's memory in use.
 *
 * @param node  Node.
 * @return bytes, as asked for.
 */
WEIR_API size_t weir_sim_bytes(const struct weir_sim_node *node);

/**
 * Blocks of the node's memory in use: 0 after everything was closed.
 *
 * @param node  Node.
 * @return number of blocks.
 */
WEIR_API size_t weir_sim_blocks(const struct weir_sim_node *node);

/**
 * A configuration to open the library with on a node: its memory, its
 * environment, its number, its disk as `wal` and the world's store as
 * `store`.
 *
 * `wal` may be set to "object:", a log in the world's store, or to "sim:ID",
 * the disk of the node with that number, as a volume that is attached here:
 * one node has it open at a time (WEIR_EBUSY), and its crash leaves the
 * others' disks as they are.
 *
 * Ownership: the caller frees it with `weir_config_free`, unless the node
 * crashes before.
 *
 * @param out   The configuration.  NULL on failure.
 * @param node  Node.
 * @return 0 or WEIR_ENOMEM.
 */
WEIR_API int weir_sim_config(struct weir_config **out,
                             struct weir_sim_node *node);

/**
 * Call `fn(ctx)` as the node's own program, which may block (`weir_open`,
 * the `_sync` forms, `weir_free`); the world runs on meanwhile.
 *
 * A crash of the node meanwhile ends the call where it is, as if by
 * `longjmp`: what it holds must be the node's memory, or known outside.
 * Threads: only outside, and one call at a time in a world.
 *
 * @param node  Node.
 * @param fn    Program.
 * @param ctx   Passed to it.
 * @return 0 when `fn` has returned; WEIR_ECANCELED (the node crashed),
 *         WEIR_ETIMEDOUT (nothing can happen any more that it waits for, or
 *         a limit of the world was reached: the node was crashed),
 *         WEIR_EBUSY (called from inside of a node or of another call, or it is
 *         down or paused).
 */
WEIR_API int weir_sim_call(struct weir_sim_node *node, void (*fn)(void *ctx),
                           void *ctx);

/**
 * Lose power: memory, tasks, timers and work are gone, requests to the store
 * may still take effect, the disk keeps what it promises.
 *
 * At any time, also in a task of the node itself, which then runs to its end;
 * nothing that it starts any more happens.  Does nothing when it is down.
 *
 * @param node  Node.
 */
WEIR_API void weir_sim_crash(struct weir_sim_node *node);

/**
 * Run again after a crash, with what the disk kept.  The program has to be
 * started anew, by `weir_sim_call` or with a task.  Does nothing when it is
 * up.
 *
 * Threads: not from inside of the node.
 *
 * @param node  Node.
 */
WEIR_API void weir_sim_start(struct weir_sim_node *node);

/**
 * Whether a node is up.
 *
 * @param node  Node.
 * @return 1 unless it has crashed.
 */
WEIR_API int weir_sim_is_up(const struct weir_sim_node *node);

/**
 * Stop a node where it is: a process that is not scheduled, or a machine that
 * is moved.
 *
 * Its tasks, timers and completions wait, and so does a call that blocks in
 * it, while the world's clock runs; what it has asked the disk and the store
 * for goes on.  Resumed, it finds all of it due at once, and does not know
 * how long it was away.  Does nothing when it is down.
 *
 * At any time; a task that pauses its own node runs to its end.
 *
 * @param node  Node.
 */
WEIR_API void weir_sim_pause(struct weir_sim_node *node);

/**
 * Let a paused node go on.  A crash ends a pause as well.
 *
 * @param node  Node.
 */
WEIR_API void weir_sim_resume(struct weir_sim_node *node);

/** What a node that is cut from the store sees of it. */
enum weir_sim_cut_kind {
    WEIR_SIM_CUT_REFUSES = 1, /* Requests fail soon: WEIR_EUNAVAILABLE. */
    WEIR_SIM_CUT_HANGS        /* Nothing, until their deadline. */
};

/**
 * Cut a node from the store, until `weir_sim_heal`, also across a crash.
 *
 * Requests from now on do not reach the store.  Those under way take effect
 * or not, as they were to, and nobody hears of it: WEIR_EUNKNOWN for what
 * changes something, WEIR_ETIMEDOUT for reads.
 *
 * With WEIR_SIM_CUT_HANGS a request ends at its deadline in that way, or a
 * minute after the cut if it has none; if the cut has healed before, it is
 * carried out then unless it had reached the store already.
 *
 * @param node  Node.
 * @param kind  What it sees; cutting it again changes that.
 */
WEIR_API void weir_sim_cut(struct weir_sim_node *node,
                           enum weir_sim_cut_kind kind);

/**
 * Connect a node with the store again; harmless if it is.
 *
 * @param node  Node.
 */
WEIR_API void weir_sim_heal(struct weir_sim_node *node);

/* ---- Messages between nodes ---------------------------------------------- */

/**
 * What a node does with a message; in its core, like a task.
 *
 * `from` is the number of the sender; `data` is valid until it returns, and
 * aligned for any type.
 */
typedef void weir_sim_receive_fn(void *ctx, uint32_t from, const void *data,
                                 size_t len);

/**
 * Have a node receive messages.  A crash forgets it.
 *
 * @param node  Node that is up.
 * @param fn    Called for each message; NULL: they are lost.
 * @param ctx   Passed to it.
 */
WEIR_API void weir_sim_receive(struct weir_sim_node *node,
                               weir_sim_receive_fn *fn, void *ctx);

/**
 * Send a message from a node to a node, which may be the same.
 *
 * It takes a time of its own, so that a later one may come before it.  It is
 * lost if the target is down, or receives none, when it comes; if the way is
 * cut (`weir_sim_cut_link`); and as often as the world's faults have it. Nobody
 * is told.  A paused target gets it when it is resumed.
 *
 * At any time, in a node or outside.
 *
 * @param from  Sender.
 * @param to    Target, of the same world.
 * @param data  Bytes; copied.
 * @param len   Number of them; may be 0.
 * @return 0 (it is on its way, or lost), WEIR_EINVAL (another world, or no
 *         data), WEIR_ECANCELED (the sender is down), WEIR_ENOMEM.
 */
WEIR_API int weir_sim_send(struct weir_sim_node *from, struct weir_sim_node *to,
                           const void *data, size_t len);

/**
 * Cut the way from a node to another: a message is lost that is sent, or
 * comes, while it is cut.  The way back is another; both are cut for a
 * partition.  Crashes change nothing of it.
 *
 * @param from  Sender.
 * @param to    Target, of the same world.
 * @return 0 (also if it was cut before), WEIR_EINVAL (another world),
 *         WEIR_ENOMEM.
 */
WEIR_API int weir_sim_cut_link(struct weir_sim_node *from,
                               struct weir_sim_node *to);

/**
 * Open that way again; harmless if it is open.
 *
 * @param from  Sender.
 * @param to    Target.
 */
WEIR_API void weir_sim_heal_link(struct weir_sim_node *from,
                                 struct weir_sim_node *to);

/* ---- What is stored ------------------------------------------------------ */

/**
 * What is on the node's disk, to look at or to damage.
 *
 * Writes that no sync has covered are not in it.  What is changed here is
 * read from the next opening on: a node that has the disk open reads what it
 * remembers.  One that begins with a block of zeros is a new one then, on which
 * a log is made.
 *
 * @param node  Node.
 * @param size  Number of bytes.
 * @return the bytes; they live as long as the world.
 */
WEIR_API unsigned char *weir_sim_disk_data(struct weir_sim_node *node,
                                           size_t *size);

/** An object of the world's store, as it is at the moment. */
struct weir_sim_object {
    char *key;
    unsigned char *data; /* May be changed in place, to damage it. */
    size_t len;
    int64_t modified; /* Milliseconds of the world's clock. */
};

/**
 * All objects of the world's store, sorted by key.
 *
 * @param sim    World.
 * @param count  Number of objects.
 * @return the first; valid until the world runs on.
 */
WEIR_API struct weir_sim_object *const *
weir_sim_objects(const struct weir_sim *sim, size_t *count);

WEIR_END

#endif
