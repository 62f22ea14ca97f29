#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving, in a small scope, of what the file WAL's lease relies on.

One node's log on a volume, and the manifest.  Nothing here takes a fixed time:
whoever is stopped (SIGSTOP) just does its next step later, and other steps and
ticks of time come first.  Actors:

- a holder (lib/engine/lease.c, group_write.c).  It writes a group at a time;
  the write lands on the volume at any later time, its answer comes after that.
  Then it looks whether its lease holds by its own clock, and acknowledges.  It
  counts the lease from before it sent the commit that renews it.  That commit
  is in the manifest at any later time, unless the epoch was raised, and is
  answered at any time after that.  The holder may die; its write may land all
  the same.
- takers (takeover.c, members.c, open.c, open_epoch.c).  Each looks at the manifest, and
  waits while it sees new commits of the node.  When it has seen none for the
  lease and a margin it reads the log, record after record, then raises the
  epoch if nobody else has, hands the streams on up to the end of what it has
  read, under that epoch, and uploads what it has read.  If the node has
  committed anything since it was looked at, the taker goes no further, and
  waits anew.  It may die anywhere; what begins anew in its place knows nothing.
  Who has the streams appends to a log of its own from where they were handed
  on, and acknowledges there at once.
- where the volume is moved (`moves`), restarts: a taker of its own log, which
  waits for nobody, and goes on to write behind what it has read.

Two kinds of volume.  A shared one all can write to at any time: the lease has
to do alone, and only takeovers happen.  One that moves is with one process at a
time, by a lock or because it was detached; it goes to any of them at any time,
and what the former one sends after that fails.

Clocks are at their worst.  In ticks of real time the holder's lease is as long
as a slow clock makes it, and a taker's wait as short as a fast one does: who
waits longer or stops earlier can only do less.

What must hold in every state:

- what was acknowledged is in what each taker has read whose epoch counts, and
  below the end up to which streams were handed on: from there on others give
  the offsets;
- what was acknowledged, and is in no object, is on the volume as it was
  written, under the epoch that acknowledged it: so one does at an offset;
- what is uploaded ends where the streams were handed on;
- on a shared volume nothing is acknowledged once another was granted the log.

Each planted bug must break one of these.  Prints the states seen; the scope is
small enough for all of them.
"""
import sys
import time
from collections import deque, namedtuple

# In ticks.  The code has a tenth, an eighth and, by docs/cluster.md, a tenth.
LEASE, GIVEN_UP, MARGIN, DRIFT = 2, 1, 1, 1

# Phases of a holder, and of a taker.
DOWN, READ, OPENING, UP = range(4)
LOOK, GRANTED, HANDED = 4, 5, 6

# Where a commit that renews the lease is.
NONE, SENT, IN, REFUSED = range(4)

# epoch: the manifest's; log: epoch that wrote each position, or 0; acks: the
# epoch that acknowledged it; handed, uploaded: ends, or -1; place: who has the
# volume; late: something was acknowledged after another was granted the log.
World = namedtuple("World", "epoch log acks handed uploaded place holders "
                            "takers late")

# at: behind what it has read; sent, landed: of the write under way; end:
# behind what it knows is durable; left: ticks of its lease; renewal, age:
# its state, and ticks since it was sent; checked: before the write.
Holder = namedtuple("Holder", "phase epoch at sent landed end acked left "
                              "renewal age checked")

# epoch: the one that it looked at, or was granted; moved: the node has
# committed since it looked; wait: ticks.
Taker = namedtuple("Taker", "phase epoch at moved wait")

CUT_OFF = -1  # As `at` of a holder: from the volume.

FIRST = Holder(UP, 1, 0, 0, False, 0, 0, 0, NONE, 0, False)
NEVER = FIRST._replace(phase=DOWN, epoch=0)


class Scope:
    def __init__(self, slots, holders, takers, epochs, moves=False, bug=None):
        self.slots = slots
        self.holders = holders
        self.takers = takers
        self.epochs = epochs  # No more are opened.
        self.moves = moves
        self.bug = bug
        self.held = LEASE - GIVEN_UP + DRIFT
        self.wait = LEASE + MARGIN - DRIFT
        if bug == "all":
            self.held += GIVEN_UP
        if bug == "margin":
            self.wait -= MARGIN
        if bug == "written":
            self.wait -= DRIFT  # So much is the holder's clock behind.

    def first(self):
        holder = FIRST._replace(left=self.held)
        return World(1, (0,) * self.slots, (0,) * self.slots, -1, -1, 0,
                     (holder,) + (NEVER,) * (self.holders - 1),
                     (Taker(LOOK, 0, 0, False, self.wait),) * self.takers,
                     False)


def at_index(items, i, item):
    return items[:i] + (item,) + items[i + 1:]


def reaches(scope, world, who):
    """1 if what `who` sends gets to the volume."""
    return not scope.moves or scope.bug == "both" or world.place == who


def committed(world, but=-1):
    """Takers see, when they look next, that the node has committed."""
    return world._replace(takers=tuple(
        t if i == but or t.phase not in (LOOK, READ, OPENING)
        else t._replace(moved=True) for i, t in enumerate(world.takers)))


# ---- The holder -------------------------------------------------------------


def holds(scope, holder):
    """weir__lease_holds()."""
    if scope.moves or scope.bug == "told":  # Until it is told otherwise.
        return True
    if scope.bug == "before":
        return holder.checked
    return holder.left > 0


def acknowledge(scope, world, i):
    """weir__group_release() finds that the lease holds."""
    holder = world.holders[i]
    at = holder.acked
    late = not scope.moves and any(t.phase in (GRANTED, HANDED)
                                   for t in world.takers)
    return world._replace(
        acks=at_index(world.acks, at, holder.epoch), late=late,
        holders=at_index(world.holders, i, holder._replace(acked=at + 1)))


def write_steps(scope, world, i):
    holder = world.holders[i]

    def step(log=world.log, **new):
        return world._replace(log=log, holders=at_index(
            world.holders, i, holder._replace(**new)))

    up = holder.phase == UP
    flying = holder.sent > holder.end
    if up and not flying and holder.at != CUT_OFF and \
            holder.sent < scope.slots:
        yield "writes", step(sent=holder.sent + 1, checked=holder.left > 0)
    if flying and not holder.landed and reaches(scope, world, i):
        yield "its write lands", step(
            at_index(world.log, holder.end, holder.epoch), landed=True)
    if flying and not holder.landed and not up:
        yield "its write is lost", step(sent=holder.end)
    if flying and holder.landed:
        yield "its write is answered", step(end=holder.sent, landed=False)
    if up and holder.acked < holder.end and holds(scope, holder):
        yield "acknowledges", acknowledge(scope, world, i)


def renewal_steps(scope, world, i):
    holder = world.holders[i]

    def step(world=world, **new):
        return world._replace(holders=at_index(
            world.holders, i, holder._replace(**new)))

    if holder.phase != UP:
        return
    yield "dies", step(phase=DOWN, renewal=NONE, age=0, left=0)
    if scope.moves:
        return
    if holder.renewal == NONE:
        yield "sends a renewal", step(renewal=SENT, age=0)
    elif holder.renewal == SENT and world.epoch == holder.epoch:
        yield "its renewal is in", committed(step(renewal=IN))
    elif holder.renewal == SENT:
        yield "its renewal is refused", step(renewal=REFUSED)
    elif holder.renewal == REFUSED:
        yield "hears that it is fenced", step(phase=DOWN)
    else:
        age = 0 if scope.bug == "answer" else holder.age
        yield "its renewal is answered", step(
            renewal=NONE, age=0, left=max(0, scope.held - age))


def restart_steps(scope, world, i):
    """open.c, open_epoch.c: read, then raise the epoch, then write."""
    holder = world.holders[i]

    def step(world=world, **new):
        return world._replace(holders=at_index(
            world.holders, i, holder._replace(**new)))

    flying = holder.sent > holder.end
    if holder.phase == DOWN and not flying and \
            (world.place == i or scope.bug == "both"):
        # The manifest is read here: with the epoch, whose the stream is.
        yield "is started", step(phase=READ, epoch=world.epoch, at=0)
    elif holder.phase == READ and not reaches(scope, world, i):
        yield "cannot read", step(phase=DOWN)
    elif holder.phase == READ:
        if holder.at < scope.slots and world.log[holder.at] != 0:
            yield "reads", step(at=holder.at + 1)
        else:
            yield "opens", step(phase=OPENING, age=0)
    elif holder.phase == OPENING and world.epoch < scope.epochs:
        won = world.epoch == holder.epoch or scope.bug == "race"
        if not won or world.handed >= 0:
            yield "was too late", step(phase=DOWN)
            return
        yield "has its epoch", committed(step(
            world._replace(epoch=world.epoch + 1), phase=UP,
            epoch=world.epoch + 1, sent=holder.at, end=holder.at,
            acked=holder.at, landed=False,
            left=max(0, scope.held - holder.age), age=0, renewal=NONE))


def holder_steps(scope, world):
    for i in range(scope.holders):
        steps = [write_steps, renewal_steps]
        if scope.moves:
            steps.append(restart_steps)
        for each in steps:
            for what, after in each(scope, world, i):
                yield f"holder {i} {what}", after


# ---- Takers -----------------------------------------------------------------


def look_steps(scope, world, taker):
    """members.c: by its own clock, from when it has seen the last commit."""
    if taker.moved and scope.bug != "first" and not scope.moves:
        yield "sees a commit", taker._replace(moved=False, wait=scope.wait)
    elif taker.wait == 0 or scope.bug == "wait" or scope.moves:
        yield "finds the node dead", taker._replace(
            phase=READ, epoch=world.epoch, at=0, moved=False)


def read_steps(scope, world, taker):
    if taker.at < scope.slots and world.log[taker.at] != 0:
        yield "reads", taker._replace(at=taker.at + 1)
    else:
        yield "opens", taker._replace(phase=OPENING)


def open_step(scope, world, i):
    """The commit of the next epoch is in the manifest, and what it finds."""
    taker = world.takers[i]
    anew = Taker(LOOK, 0, 0, False, scope.wait)

    def step(new, world=world):
        return world._replace(takers=at_index(world.takers, i, new))

    if scope.bug == "raise":
        return step(anew if taker.moved else taker._replace(phase=GRANTED))
    if world.epoch != taker.epoch and scope.bug != "race":
        return step(anew)
    raised = committed(world._replace(epoch=world.epoch + 1), i)
    if taker.moved and scope.bug != "lives" and not scope.moves:
        return step(anew, raised)
    return step(Taker(GRANTED, world.epoch + 1, taker.at, False, 0), raised)


def hand_steps(scope, world, i):
    """What it commits under its epoch."""
    taker = world.takers[i]

    def step(new, **more):
        return world._replace(takers=at_index(world.takers, i, new), **more)

    if world.epoch != taker.epoch and scope.bug != "hand":
        return
    if taker.phase == GRANTED:
        yield "hands on", step(
            taker._replace(phase=HANDED),
            handed=taker.at if world.handed < 0 else world.handed)
    elif world.uploaded < 0:
        end = taker.at if scope.bug == "beyond" else \
            min(taker.at, world.handed)
        yield "uploads", step(taker, uploaded=end)


def taker_steps(scope, world):
    for i, taker in enumerate(world.takers):
        who = scope.holders + i
        name = f"taker {i} "
        if taker.phase == LOOK:
            steps = look_steps(scope, world, taker)
        elif taker.phase == READ and reaches(scope, world, who):
            steps = read_steps(scope, world, taker)
        else:
            steps = ()
        for what, new in steps:
            yield name + what, world._replace(
                takers=at_index(world.takers, i, new))
        if taker.phase == OPENING and world.epoch < scope.epochs:
            yield name + "has raised the epoch", open_step(scope, world, i)
        if taker.phase in (GRANTED, HANDED):
            for what, after in hand_steps(scope, world, i):
                yield name + what, after
        if taker.phase != LOOK:
            yield name + "dies", world._replace(takers=at_index(
                world.takers, i, Taker(LOOK, 0, 0, False, scope.wait)))


# ---- The world --------------------------------------------------------------


def tick(scope, world):
    holders = tuple(h._replace(
        left=max(0, h.left - 1),
        age=min(h.age + 1, scope.held) if h.renewal in (SENT, IN) or
        h.phase == OPENING else 0) for h in world.holders)
    takers = tuple(t._replace(wait=max(0, t.wait - 1)) for t in world.takers)
    return world._replace(holders=holders, takers=takers)


def world_steps(scope, world):
    if not scope.moves:
        yield "time passes", tick(scope, world)
        return
    for place in range(scope.holders + scope.takers):
        if place != world.place:
            yield f"the volume moves to {place}", move(scope, world, place)


def move(scope, world, place):
    """What is under way from where it was is lost, and no write of that process
    succeeds any more, wherever the volume is."""
    was = world.place
    holders = world.holders
    if was < scope.holders and scope.bug != "both":
        holder = holders[was]
        if holder.phase in (READ, OPENING):
            holder = holder._replace(phase=DOWN)
        elif holder.landed:
            holder = holder._replace(at=CUT_OFF)
        else:
            holder = holder._replace(at=CUT_OFF, sent=holder.end)
        holders = at_index(holders, was, holder)
    return world._replace(place=place, holders=holders)


def breach(scope, world):
    acked = sum(1 for epoch in world.acks if epoch != 0)
    if world.handed >= 0 and acked > world.handed:
        return f"acknowledged behind the end {world.handed} that was handed on"
    for taker in world.takers:
        if taker.phase in (GRANTED, HANDED) and \
                taker.epoch == world.epoch and taker.at < acked:
            return f"acknowledged, and not in the {taker.at} that a taker read"
    if world.late:
        return "acknowledged by its lease after another was granted the log"
    if world.uploaded >= 0:
        if world.uploaded != world.handed:
            return f"uploaded up to {world.uploaded}, handed on {world.handed}"
        return None
    for epoch, wrote in zip(world.acks, world.log):
        if epoch not in (0, wrote):
            return f"acknowledged under epoch {epoch}, written over by {wrote}"
    return None


def path(seen, world):
    steps = []
    while seen[world] is not None:
        what, world = seen[world]
        steps.append(what)
    return steps[::-1]


def explore(scope):
    """All states, or those up to the first breach: their number, the breach,
    and the shortest way to it."""
    first = scope.first()
    seen, todo = {first: None}, deque([first])
    while todo:
        world = todo.popleft()
        found = breach(scope, world)
        if found is not None:
            return len(seen), found, path(seen, world)
        for steps in (holder_steps, taker_steps, world_steps):
            for what, after in steps(scope, world):
                if after not in seen:
                    seen[after] = (what, world)
                    todo.append(after)
    return len(seen), None, []


# Slots, holders, takers, epochs, whether the volume moves.
SHARED, LONG = (1, 1, 2, 3, False), (2, 1, 1, 4, False)
MOVES, AGAIN = (1, 2, 1, 3, True), (2, 2, 0, 3, True)

BUGS = (
    ("before", LONG, "the lease is looked at before the write, not after it"),
    ("told", LONG, "the lease holds until its renewal is refused: after a "
                   "pause nobody looks"),
    ("answer", LONG, "the lease is counted from the answer of its renewal"),
    ("all", LONG, "the holder gives up nothing of its lease"),
    ("margin", LONG, "a taker waits for the lease without a margin"),
    ("wait", LONG, "a taker does not wait"),
    ("first", LONG, "a taker counts from when it has first seen the node"),
    ("written", LONG, "a taker counts by the holder's clock"),
    ("lives", LONG, "a taker goes on though the node has renewed its lease "
                    "while its log was read"),
    ("raise", LONG, "a taker does not raise the epoch"),
    ("beyond", LONG, "what lies behind the end that was handed on is uploaded"),
    ("race", MOVES, "who has lost the race for an epoch takes the next one"),
    ("hand", MOVES, "streams are handed on under an epoch that was passed"),
    ("both", AGAIN, "the log is written in place while its former writer "
                    "reaches the volume"),
)


def run_scope(scope):
    began = time.monotonic()
    count, found, steps = explore(scope)
    print(f"{'moved' if scope.moves else 'shared'} volume, slots: "
          f"{scope.slots}, writers: {scope.holders}, takers: {scope.takers}, "
          f"epochs: {scope.epochs}: {count} states, "
          f"{found or 'nothing broken'} "
          f"({time.monotonic() - began:.1f} s)")
    for step in steps:
        print(f"    {step}")
    return found is None


def run_bug(bug, size, text):
    count, found, steps = explore(Scope(*size, bug))
    print(f"planted: {text}: {found or 'NOT FOUND'} "
          f"({count} states, {len(steps)} steps)")
    return found is not None


def main():
    passed = [run_scope(Scope(*size))
              for size in (SHARED, LONG, MOVES, AGAIN)]
    passed += [run_bug(*each) for each in BUGS]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
