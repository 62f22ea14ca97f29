#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving, in a small scope, of what the object WAL relies on.

One epoch of a log in a store that creates a slot only if it is free.  Actors:

- a writer with WINDOW writes under way.  A PUT lands at any later time, its
  answer comes at any time after that, or is lost: then it tries again.  It
  acknowledges in the order of slots and ends at the first slot that is not
  its own: what became of the write to it, it does not know.  It may upload
  what it has acknowledged, move the mark in the manifest, and remove slots
  below it.
- recoverers.  Each reads the mark, then slot after slot.  Into a free slot it
  puts a fence, after one further ahead than the writer can have under way.
  What answers "exists" is read.  At the lowest fence it commits the node's
  next epoch, which ends what the writer can commit, and is granted the log if
  the mark is where it had begun.  (In truth only one of those that have seen
  the same epoch is granted it: here more happens than can.)
  It may crash anywhere; what it had sent may
  land all the same.  One that was granted the log uploads what it has found,
  moves the mark, and removes slots, in any order.
- a reader on another node, which shows slot after slot and passes no gap.

What must hold in every state:

- what was acknowledged is below the mark, or between it and the fence that
  each recoverer found which was granted the log;
- all of them have found the same fence, and records in every slot below;
- nothing that the reader has shown is at or behind a fence found so;
- nothing that the writer has told as certainly not done was found as a record
  by one that was granted the log.

Each planted bug must break one of these.  Prints the states seen; the scope
is small enough for all of them.
"""
import sys
import time

FREE, DATA, FENCE = ".", "D", "F"

# phase: what a recoverer does next; start, at: slots; ahead: its fence ahead
# or 0; sent: slot of a PUT under way, or -1.
IDLE, LOOK, PUT, COMMIT, GRANTED, OVER = range(6)


class Scope:
    def __init__(self, window, slots, recoverers, trims, takes, bug=None):
        self.window = window
        self.slots = slots
        self.recoverers = recoverers
        self.trims = trims  # By the writer.
        self.takes = takes  # Answers are lost; who was granted it removes.
        self.bug = bug

    def first(self):
        # store, fenced by commit, mark, writer, recoverers, strays, shown
        # writer: next slot, under way, answers, acknowledged, removed, dead,
        # told as not done
        return ((FREE,) * (self.slots + self.window + 1), False, 0,
                (0, frozenset(), frozenset(), frozenset(), 0, False,
                 frozenset()),
                ((IDLE, 0, 0, 0, -1),) * self.recoverers, frozenset(), 0)


def prefix(acked):
    count = 0
    while count in acked:
        count += 1
    return count


def put(store, slot, what):
    """The store after "create if absent", and whether that was done."""
    if store[slot] != FREE:
        return store, False
    return store[:slot] + (what,) + store[slot + 1:], True


def writer_steps(scope, state):
    store, fenced, mark, writer, recs, strays, shown = state
    sent, flying, answers, acked, removed, dead, told = writer
    done = prefix(acked)

    def step(store=store, mark=mark, **new):
        now = {"sent": sent, "flying": flying, "answers": answers,
               "acked": acked, "removed": removed, "dead": dead, "told": told}
        now.update(new)
        return (store, fenced, mark, tuple(now.values()), recs, strays, shown)

    if not dead and sent < scope.slots and sent - done < scope.window:
        yield step(sent=sent + 1, flying=flying | {sent})
    for slot in flying:
        after, won = put(store, slot, DATA)
        won = won or (scope.takes and store[slot] == DATA)  # Its own.
        yield step(store=after, flying=flying - {slot},
                   answers=answers | {(slot, won)})
        if scope.takes:
            yield step(store=after)
    for answer in answers:
        slot, won = answer
        if not won and (slot == done or scope.bug == "order"):
            yield step(answers=answers - {answer}, dead=True,
                       told=told | {slot} if scope.bug == "told" else told)
        elif won and (slot == done or scope.bug == "order") and not dead:
            yield step(answers=answers - {answer}, acked=acked | {slot})
    if not scope.trims:
        return
    if not fenced and mark < done:
        yield step(mark=mark + 1)
    if removed < mark:
        yield step(store=store[:removed] + (FREE,) + store[removed + 1:],
                   removed=removed + 1)


def looked(scope, store, rec):
    """What a recoverer does about the slot that it has read."""
    _, start, at, ahead, _ = rec
    if store[at] == DATA:
        return (LOOK, start, at + 1, ahead, -1)
    if store[at] == FENCE or scope.bug == "list":
        return (COMMIT, start, at, ahead, -1)
    if scope.bug == "ahead" and ahead > at:
        return (COMMIT, start, at, ahead, -1)
    if ahead > at or at == 0:
        return (PUT, start, at, ahead, at)
    return (PUT, start, at, ahead, at + scope.window)


def answered(scope, won, rec):
    """What a recoverer does about the answer to its fence."""
    _, start, at, ahead, sent = rec
    if sent != at:
        return (LOOK, start, at, sent, -1)
    if won:
        return (COMMIT, start, at, ahead, -1)
    if scope.bug == "exists":
        return (LOOK, start, at + 1, ahead, -1)
    return (LOOK, start, at, ahead, -1)


def recoverer_steps(scope, state):
    store, fenced, mark, writer, recs, strays, shown = state
    for i, rec in enumerate(recs):
        phase, start, at, ahead, sent = rec

        def step(new, store=store, fenced=fenced, strays=strays, i=i,
                 mark=mark):
            return (store, fenced, mark, writer,
                    recs[:i] + (new,) + recs[i + 1:], strays, shown)

        if phase == IDLE:
            yield step((LOOK, mark, mark, 0, -1))
        elif phase == LOOK and at < len(store) - scope.window:
            yield step(looked(scope, store, rec))
        elif phase == PUT:
            after, won = put(store, sent, FENCE)
            yield step(answered(scope, won, rec), store=after)
            yield step((OVER, 0, 0, 0, -1), strays=strays | {sent})
        elif phase == COMMIT:
            good = mark == start or scope.bug == "mark"
            yield step((GRANTED, start, at, 0, -1) if good else
                       (OVER, 0, 0, 0, -1), fenced=True)
        elif phase == GRANTED and scope.bug == "removed" and \
                store[at] == FENCE:
            yield step(rec, store=store[:at] + (FREE,) + store[at + 1:])
        elif phase == GRANTED and scope.takes:
            if mark < at:
                yield step(rec, mark=at)
            for gone in range(start, min(at, mark)):
                if store[gone] == DATA:
                    yield step(rec, store=store[:gone] + (FREE,) +
                               store[gone + 1:])
    for slot in strays:
        after, _ = put(store, slot, FENCE)
        yield (after, fenced, mark, writer, recs, strays - {slot}, shown)


def reader_steps(scope, state):
    store, fenced, mark, writer, recs, strays, shown = state
    if shown < mark:  # It is in objects: the reader goes on from there.
        yield store, fenced, mark, writer, recs, strays, mark
    elif store[shown] == DATA:
        yield store, fenced, mark, writer, recs, strays, shown + 1
    elif scope.bug == "gap" and store[shown] == FREE and \
            store[shown + 1] == DATA:
        yield store, fenced, mark, writer, recs, strays, shown + 2


def breach(state):
    store, _, mark, writer, recs, _, shown = state
    ends = {rec[2] for rec in recs if rec[0] == GRANTED}
    if len(ends) > 1:
        return f"two fences count: {sorted(ends)}"
    for rec in recs:
        if rec[0] != GRANTED:
            continue
        if any(store[i] != DATA for i in range(max(mark, rec[1]), rec[2])):
            return f"no records below the fence {rec[2]}"
        if any(a >= rec[2] and a >= mark for a in writer[3]):
            return f"acknowledged behind the fence {rec[2]}"
        if shown > max(rec[2], mark):
            return f"shown behind the fence {rec[2]}"
        if any(rec[1] <= told < rec[2] for told in writer[6]):
            return f"told as not done, and found below the fence {rec[2]}"
    return None


def explore(scope):
    """All states, or those up to the first breach: their number, and it."""
    first = scope.first()
    seen, todo = {first}, [first]
    while todo:
        state = todo.pop()
        found = breach(state)
        if found is not None:
            return len(seen), found
        for steps in (writer_steps, recoverer_steps, reader_steps):
            for after in steps(scope, state):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
    return len(seen), None


BUGS = {
    "exists": "a slot that exists is taken for records without being read",
    "order": "acknowledged in the order of the answers",
    "list": "the log ends where a listing ends, without a fence",
    "ahead": "the fence ahead only",
    "gap": "a reader shows what lies behind a gap",
    "removed": "a fence is removed while the writer may still try",
    "mark": "a recoverer that began at an old mark is granted the log",
    "told": "a write that finds another's slot is told as not done",
}


# Window, slots, recoverers, trims, takes.
SCOPES = ((2, 5, 2, False, False), (3, 4, 2, False, False),
          (2, 2, 2, True, False), (3, 5, 1, True, False),
          (2, 2, 2, False, True))


def main():
    failed = 0
    for window, slots, recoverers, trims, takes in SCOPES:
        began = time.monotonic()
        count, found = explore(Scope(window, slots, recoverers, trims, takes))
        print(f"window {window}, {slots} slots, recoverers: {recoverers}, "
              f"{'with' if trims else 'no'} trims, "
              f"{'with' if takes else 'no'} removals: {count} states, "
              f"{found or 'nothing broken'} "
              f"({time.monotonic() - began:.1f} s)")
        failed += found is not None
    for bug, text in BUGS.items():
        trims = bug in ("mark", "removed")
        count, found = explore(Scope(2, 2 if bug == "told" else 3,
                                     1 if trims else 2, trims, bug == "told",
                                     bug))
        print(f"planted: {text}: {found or 'NOT FOUND'} ({count} states)")
        failed += found is None
    print(f"{len(SCOPES) + len(BUGS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
