/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * kill -9 at random moments, on the real file WAL and on the object WAL in a
 * directory.
 *
 * A child (crash_child.c) appends and tells of each acknowledgement on a
 * pipe; this process remembers them, kills it, starts it again, and compares
 * what it then reads.  Kills hit opening, recovery and reading back as well.
 *
 *     WEIR_SEED=N           the same delays again
 *     WEIR_CRASH_CYCLES=N   how many kills on each (100, in 15 s at most)
 *     WEIR_CRASH_SECONDS=N  for how long on each instead (make soak), in parts
 *                           of half an hour, each of a log and a seed of its
 *                           own
 *     WEIR_CRASH_WAL=file   on this one alone; or object
 */
#include "crash/crash.h"
#include "support/test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CYCLES = 100, SECONDS_AT_MOST = 15 };

enum { LOGS = 2 };

static const char *const wals[LOGS] = {"file", "object"};

/* A batch that must be there from now on. */
struct batch {
    uint64_t base;
    uint64_t end;
    uint32_t len;
    uint32_t run;
};

/* What is known of a stream. */
struct model {
    struct batch *batches; /* By offset, dense. */
    size_t count;
    size_t room;
    uint64_t end;      /* Of the last one. */
    uint64_t trimmed;  /* The start is not below this, */
    uint64_t trimming; /* nor above this. */
    uint64_t read;     /* Next offset that reading back must give. */
    uint64_t read_end; /* End that the child saw. */
    size_t read_batch; /* Index of the batch at `read`. */
};

struct child {
    pid_t pid;
    int messages; /* Read end. */
    int input;    /* Write end of its standard input. */
};

static struct model models[CRASH_STREAMS];
static const char *wal; /* Where the child has its log. */
static uint64_t rng;
static uint32_t run;
static uint64_t acked;
static uint64_t verified; /* Batches compared. */
static unsigned char content[CRASH_BATCH_MAX];

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* ---- The model ---- */

static void remember(struct model *model, const struct crash_message *message)
{
    ck_assert_uint_eq(message->base, model->end);
    ck_assert_uint_gt(message->end, message->base);
    if (model->count == model->room) {
        model->room = model->room != 0 ? model->room * 2 : 1024;
        model->batches =
            realloc(model->batches, model->room * sizeof(*model->batches));
        ck_assert_ptr_nonnull(model->batches);
    }
    model->batches[model->count++] = (struct batch){.base = message->base,
                                                    .end = message->end,
                                                    .len = message->len,
                                                    .run = message->run};
    model->end = message->end;
}

static void on_stat(struct model *model, const struct crash_message *message)
{
    ck_assert_msg(message->base >= model->trimmed,
                  "start %" PRIu64 " came back below the trim to %" PRIu64,
                  message->base, model->trimmed);
    ck_assert_msg(message->base <= model->trimming,
                  "start %" PRIu64 ", nobody trimmed beyond %" PRIu64,
                  message->base, model->trimming);
    ck_assert_msg(message->end >= model->end,
                  "the stream ends at %" PRIu64 ", %" PRIu64
                  " was acknowledged",
                  message->end, model->end);
    model->trimmed = message->base;
    model->trimming = message->base;
    model->read = message->base;
    model->read_end = message->end;
    model->read_batch = 0;
    while (model->read_batch < model->count &&
           model->batches[model->read_batch].end <= message->base)
        model->read_batch++;
}

static void on_read(struct model *model, const struct crash_message *message)
{
    const struct batch *batch;
    bool first = model->read == model->trimmed;

    ck_assert_msg(message->base == model->read ||
                      (first && message->base < model->read &&
                       message->end > model->read),
                  "batch at %" PRIu64 ", expected one at %" PRIu64,
                  message->base, model->read);
    /* Not acknowledged, yet there: whole, and from now on for ever. */
    if (model->read_batch == model->count)
        remember(model, message);
    batch = &model->batches[model->read_batch++];
    ck_assert_uint_eq(message->base, batch->base);
    ck_assert_uint_eq(message->end, batch->end);
    ck_assert_uint_eq(message->len, batch->len);
    ck_assert_uint_eq(message->run, batch->run);
    ck_assert_uint_lt(message->run, run);
    ck_assert_uint_ge(message->len, CRASH_BATCH_MIN);
    ck_assert_uint_le(message->len, CRASH_BATCH_MAX);
    crash_fill(content, batch->len, batch->run, message->stream, batch->base);
    ck_assert_msg(message->hash == crash_hash(content, batch->len),
                  "stream %u offset %" PRIu64 ": other bytes", message->stream,
                  message->base);
    model->read = message->end;
    verified++;
}

static void on_verified(void)
{
    for (uint32_t i = 0; i < CRASH_STREAMS; i++) {
        ck_assert_uint_eq(models[i].read, models[i].read_end);
        ck_assert_uint_eq(models[i].read, models[i].end);
    }
}

/* Forget what lies below the start, now and then. */
static void on_trimmed(struct model *model, uint64_t start)
{
    size_t gone = 0;

    model->trimmed = start;
    while (gone < model->count && model->batches[gone].end <= start)
        gone++;
    model->count -= gone;
    memmove(model->batches, model->batches + gone,
            model->count * sizeof(*model->batches));
}

static void on_message(const struct crash_message *message)
{
    struct model *model;

    ck_assert_uint_lt(message->stream, CRASH_STREAMS);
    model = &models[message->stream];
    switch ((enum crash_kind)message->kind) {
    case CRASH_STAT:
        on_stat(model, message);
        break;
    case CRASH_READ:
        on_read(model, message);
        break;
    case CRASH_VERIFIED:
        on_verified();
        break;
    case CRASH_ACKED:
        remember(model, message);
        acked++;
        break;
    case CRASH_TRIM:
        if (message->base > model->trimming)
            model->trimming = message->base;
        break;
    case CRASH_TRIMMED:
        if (message->base > model->trimmed)
            on_trimmed(model, message->base);
        break;
    case CRASH_CLOSED:
        break;
    }
}

/* ---- The child ---- */

/* Beside this program, in the same build folder. */
static void child_path(char *to, size_t size)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    ck_assert_int_gt(len, 0);
    self[len] = '\0';
    slash = strrchr(self, '/');
    ck_assert_ptr_nonnull(slash);
    *slash = '\0';
    ck_assert_uint_lt((size_t)snprintf(to, size, "%s/crash_child", self), size);
}

static void child_exec(const char *dir, int in, int out)
{
    char path[PATH_MAX + 16];
    char run_text[16];
    char seed_text[32];
    char dir_text[PATH_MAX];
    char wal_text[16];
    char *args[] = {path, dir_text, run_text, seed_text, wal_text, NULL};

    child_path(path, sizeof(path));
    snprintf(dir_text, sizeof(dir_text), "%s", dir);
    snprintf(run_text, sizeof(run_text), "%u", run);
    snprintf(seed_text, sizeof(seed_text), "%" PRIu64, crash_random(&rng));
    snprintf(wal_text, sizeof(wal_text), "%s", wal);
    dup2(in, STDIN_FILENO);
    dup2(out, CRASH_FD);
    execv(path, args);
    perror(path);
    _exit(127);
}

static void child_start(struct child *child, const char *dir)
{
    int in[2];
    int out[2];

    run++;
    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    child->pid = fork();
    ck_assert_int_ge(child->pid, 0);
    if (child->pid == 0)
        child_exec(dir, in[0], out[1]);
    crash_random(&rng); /* The seed that the child took. */
    close(in[0]);
    close(out[1]);
    child->input = in[1];
    child->messages = out[0];
}

/* Wait for one message: its kind, 0 at the end, -1 after `until`. */
static int child_message(const struct child *child, uint64_t until)
{
    struct crash_message message;
    struct pollfd fd = {.fd = child->messages, .events = POLLIN};
    uint64_t now = now_us();
    struct timespec left = {0};
    ssize_t got;

    if (until != UINT64_MAX) {
        if (now >= until)
            return -1;
        left.tv_sec = (time_t)((until - now) / 1000000u);
        left.tv_nsec = (long)((until - now) % 1000000u * 1000u);
    }
    if (ppoll(&fd, 1, until != UINT64_MAX ? &left : NULL, NULL) == 0)
        return -1;
    got = read(child->messages, &message, sizeof(message));
    if (got <= 0)
        return 0;
    ck_assert_int_eq(got, (ssize_t)sizeof(message));
    on_message(&message);
    return (int)message.kind;
}

/* Read what is left in the pipe, and how the child ended. */
static int child_end(struct child *child)
{
    int status;

    while (child_message(child, UINT64_MAX) > 0)
        continue;
    close(child->messages);
    if (child->input >= 0)
        close(child->input);
    ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
    return status;
}

static void child_kill(struct child *child)
{
    int status;

    kill(child->pid, SIGKILL);
    status = child_end(child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                  "run %u ended by itself, status %d", run, status);
}

/* Let it read everything back.  A child that ends before is an error. */
static void child_verified(const struct child *child)
{
    int kind;

    do {
        kind = child_message(child, UINT64_MAX);
    } while (kind > 0 && kind != CRASH_VERIFIED);
    ck_assert_msg(kind == CRASH_VERIFIED, "run %u ended by itself", run);
}

static void child_run_for(const struct child *child, uint64_t us)
{
    uint64_t until = now_us() + us;
    int kind;

    do {
        kind = child_message(child, until);
    } while (kind > 0);
    ck_assert_msg(kind != 0, "run %u ended by itself", run);
}

static void child_close(struct child *child)
{
    int status;

    close(child->input);
    child->input = -1;
    status = child_end(child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "run %u: status %d at its orderly end", run, status);
}

/* ---- Tests ---- */

/* Whether it was killed; else it ended in order. */
static bool one_cycle(const char *dir)
{
    struct child child;
    uint64_t r = crash_random(&rng);

    child_start(&child, dir);
    if (r % 4 != 0) {
        child_verified(&child);
        child_run_for(&child, (r >> 8) % 60000);
    } else {
        child_run_for(&child, (r >> 8) % 20000);
    }
    if (r % 16 == 1) {
        child_close(&child);
        return false;
    }
    child_kill(&child);
    return true;
}

static void reset(int which)
{
    for (uint32_t i = 0; i < CRASH_STREAMS; i++) {
        free(models[i].batches);
        models[i] = (struct model){0};
    }
    wal = wals[which];
    rng = test_seed();
    run = 0;
    acked = verified = 0;
}

/* The one that was asked for, or each. */
static bool is_wanted(void)
{
    const char *only = getenv("WEIR_CRASH_WAL");

    return only == NULL || strcmp(only, wal) == 0;
}

/* Whatever was acknowledged before a kill -9 is there after it, byte for
 * byte, at its offset; what was not is there as a whole or not at all. */
START_TEST(acknowledged_batches_survive_kills)
{
    unsigned long seconds =
        test_part_seconds(test_env_number("WEIR_CRASH_SECONDS", 0), _i / LOGS);
    unsigned long wanted = test_env_number("WEIR_CRASH_CYCLES", 0);
    unsigned long most = seconds != 0  ? ULONG_MAX
                         : wanted != 0 ? wanted
                                       : CYCLES;
    uint64_t until =
        wanted != 0 && seconds == 0
            ? UINT64_MAX
            : now_us() + (seconds != 0 ? seconds : SECONDS_AT_MOST) *
                             UINT64_C(1000000);
    unsigned long done = 0;
    const char *dir = test_dir();
    struct child child;

    reset(_i % LOGS);
    rng += (uint64_t)(_i / LOGS);
    if (!is_wanted())
        return;
    while (now_us() < until && done < most)
        done += one_cycle(dir);
    child_start(&child, dir);
    child_verified(&child);
    child_close(&child);
    printf("%s log: %lu kills, %" PRIu64 " batches acknowledged, %" PRIu64
           " compared, none lost\n",
           wal, done, acked, verified);
    fflush(stdout);
    ck_assert_uint_gt(acked, 0);
    ck_assert_uint_gt(verified, 0);
    reset(_i % LOGS);
}
END_TEST

/* A node killed while its store and its WAL were made can be opened. */
START_TEST(kill_while_made_leaves_nothing_in_the_way)
{
    struct child child;

    reset(_i);
    for (int i = 0; i < 20 && is_wanted(); i++) {
        const char *dir = test_dir();

        reset(_i);
        rng += (uint64_t)i;
        for (int kills = 0; kills < 2; kills++) {
            child_start(&child, dir);
            child_run_for(&child, crash_random(&rng) % 8000);
            child_kill(&child);
        }
        child_start(&child, dir);
        child_verified(&child);
        child_close(&child);
    }
    reset(_i);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("crash");
    unsigned long seconds = test_env_number("WEIR_CRASH_SECONDS", 0);
    unsigned long cycles = test_env_number("WEIR_CRASH_CYCLES", 0);

    /* A cycle takes a tenth of a second. */
    tcase_set_timeout(tc, TEST_PART_SECONDS + (double)cycles + 300);
    tcase_add_loop_test(tc, kill_while_made_leaves_nothing_in_the_way, 0, LOGS);
    tcase_add_loop_test(tc, acknowledged_batches_survive_kills, 0,
                        LOGS * test_parts(seconds));
    return test_run();
}
