/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is to commit.
 *
 * A version goes to the node that creates it first.  Where many nodes commit
 * without a pause, each would read and write for each version and one would
 * win; so who loses twice waits, longer each time, and who wins goes on for
 * a burst, and then leaves room for one that waits.  If nobody has come then,
 * the next burst is longer.  Nothing depends on it but the number of requests:
 * the log alone decides. */
#include "manifest/manifest_inside.h"

#include "base/list.h"

/* Commits of a first burst, and of the longest one. */
#define BURST_LEAST 4u
#define BURST_FIRST 16u
#define BURST_MOST 1024u
/* Waits, in the time that one commit takes: the pause after a first burst and
 * after a longer one, which nobody used; the first of who loses, the longest
 * for each node that is at work, and that of one which loses for long. */
#define PAUSE_FIRST 6u
#define PAUSE_LATER 4u
#define WAIT_FIRST 8u
#define WAIT_EACH 12u
#define WAIT_LATE 8u
#define HEAT_MOST 8u
/* Nanoseconds: a first burst, the longest one, and the longest wait. */
#define FIRST_NS UINT64_C(100000000)
#define MOST_NS UINT64_C(2000000000)
#define WAIT_MOST UINT64_C(1000000000)
/* A node is at work if it has one of so many versions. */
#define RECENT 256u

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static unsigned first_burst(const struct weir__turn *turn)
{
    uint64_t fit = FIRST_NS / (turn->pace + 1);

    if (fit < BURST_LEAST)
        return BURST_LEAST;
    return (unsigned)least(fit, BURST_FIRST);
}

static uint64_t at_work(const struct weir__manifest *m)
{
    uint64_t version = weir__state_version(m->state);
    uint64_t since = version > RECENT ? version - RECENT : 1;

    return 1 + weir__state_others(m->state, m->node_id, since);
}

/* How long to wait at most: so that one of those who wait comes soon. */
static uint64_t longest(const struct weir__manifest *m)
{
    return least(m->turn.pace * WAIT_EACH * at_work(m), WAIT_MOST);
}

/* After which time without a turn a node is late: all have had two. */
static uint64_t late(const struct weir__manifest *m)
{
    return 3 * at_work(m) * m->turn.pace * first_burst(&m->turn);
}

static void pause_for(struct weir__manifest *m, uint64_t ns)
{
    m->turn.at = weir__manifest_now(m) + ns;
    m->turn.waited = ns;
    m->turn.behind = true;
}

static void due(struct weir_timer *timer)
{
    struct weir__manifest *m =
        WEIR__CONTAINER(timer, struct weir__manifest, turn.timer);

    m->turn.waits = false;
    weir__manifest_go(m);
}

bool weir__turn_come(struct weir__manifest *m)
{
    struct weir__turn *turn = &m->turn;
    struct weir_env *env = m->host->env;

    if (m->queue == NULL)
        return false;
    if (weir__manifest_now(m) >= turn->at)
        return !turn->behind;
    if (!turn->waits) {
        turn->waits = true;
        turn->timer.fire = due;
        turn->timer.deadline = turn->at;
        env->ops->timer_start(env, &turn->timer);
    }
    return false;
}

bool weir__turn_reads(const struct weir__manifest *m)
{
    return m->queue != NULL && m->turn.behind &&
           weir__manifest_now(m) >= m->turn.at;
}

uint64_t weir__turn_ahead(const struct weir__manifest *m)
{
    const struct weir__turn *turn = &m->turn;
    uint64_t step = 1;

    if (!turn->behind || turn->paused || turn->pace == 0)
        return 1;
    while (step < WEIR__MANIFEST_CARRY && step * 2 * turn->pace <= turn->waited)
        step *= 2;
    return step;
}

void weir__turn_read(struct weir__manifest *m)
{
    if (weir__manifest_now(m) >= m->turn.at)
        m->turn.behind = false;
}

void weir__turn_stop(struct weir__manifest *m)
{
    struct weir_env *env = m->host->env;

    if (m->turn.waits)
        env->ops->timer_stop(env, &m->turn.timer);
    m->turn.waits = false;
}

/* Wait, longer each time, and up to twice as long at random. */
static void back_off(struct weir__manifest *m)
{
    struct weir__turn *turn = &m->turn;
    struct weir_env *env = m->host->env;
    uint64_t most = longest(m);
    uint64_t dice;

    if (weir__manifest_now(m) - turn->losing > late(m))
        most = least(most, turn->pace * WAIT_LATE);
    most = least(most, (turn->pace * WAIT_FIRST) << (turn->heat - 1));
    if (most < 2)
        return;
    env->ops->random(env, &dice, sizeof(dice));
    pause_for(m, most / 2 + dice % (most / 2));
}

static void heat(struct weir__turn *turn)
{
    if (turn->heat < HEAT_MOST)
        turn->heat++;
}

void weir__turn_lost(struct weir__manifest *m, uint64_t took)
{
    struct weir__turn *turn = &m->turn;

    if (turn->pace == 0)
        turn->pace = took;
    turn->run = 0;
    turn->paused = false;
    if (m->losses++ == 0)
        turn->losing = weir__manifest_now(m);
    if (m->opening != NULL)
        return;
    if (turn->heat > 0)
        back_off(m);
    turn->behind = turn->behind || m->losses > 1;
    heat(turn);
}

/* A new burst begins. */
static void burst_begin(struct weir__manifest *m, uint64_t now)
{
    struct weir__turn *turn = &m->turn;

    turn->run = 0;
    turn->began = now;
    if (turn->paused) { /* Nobody has come. */
        turn->burst = (unsigned)least(turn->burst * 2, BURST_MOST);
        turn->heat /= 2;
    } else if (m->losses == 0) {
        turn->heat /= 2;
    }
    turn->paused = false;
}

void weir__turn_won(struct weir__manifest *m, uint64_t took)
{
    struct weir__turn *turn = &m->turn;
    uint64_t now = weir__manifest_now(m);
    unsigned pause;

    turn->pace = turn->pace == 0 ? took : (turn->pace * 7 + took) / 8;
    if (turn->burst == 0)
        turn->burst = first_burst(turn);
    /* Between two commits with a pause there is room for another node. */
    if (turn->run == 0 || now - took > turn->ended + 2 * turn->pace)
        burst_begin(m, now);
    m->losses = 0;
    turn->other = 0;
    turn->ended = now;
    turn->run++;
    if ((turn->run < turn->burst && now - turn->began < MOST_NS) ||
        weir__state_others(m->state, m->node_id, 0) == 0)
        return;
    turn->run = 0;
    turn->paused = true;
    turn->losing = now;
    pause = turn->burst > first_burst(turn) ? PAUSE_LATER : PAUSE_FIRST;
    pause_for(m, least(turn->pace * pause, WAIT_MOST));
}

/* One commit may be a sign of life; two are a burst, and others may want to
 * have one as well. */
void weir__turn_other(struct weir__manifest *m, uint32_t node_id)
{
    struct weir__turn *turn = &m->turn;

    if (turn->other == node_id) {
        turn->run = 0;
        turn->burst = first_burst(turn);
        turn->paused = false;
    }
    turn->other = node_id;
}
