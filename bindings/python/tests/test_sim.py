# SPDX-License-Identifier: Apache-2.0
"""A service that is tested in the simulated world: a counter that must not
lose what it has told its clients."""
import pytest

import weir
from weir.sim import World


class Counter:
    """Counts in a stream.  `early`: the planted bug, it tells before it is
    durable."""

    def __init__(self, db, early=False):
        self.stream = db.stream("count", create=True)
        self.early = early
        self.value = sum(1 for b in self.everything())

    def everything(self):
        at = 0
        while True:
            batches = self.stream.fetch(at)
            if not batches:
                return
            yield from batches
            at = batches[-1].base_offset + batches[-1].count

    def add(self):
        if self.early:
            node = self.stream._node
            node._append(self.stream._handle, b"x", 1, None, True)
        else:
            self.stream.append(b"x")
        self.value += 1
        return self.value


def life(world, early):
    """True if nothing that was told is lost."""
    machine = world.node(1)
    told = 0
    for _ in range(8):
        counter = Counter(machine.open(), early)
        if counter.value < told:
            return False
        for _ in range(world.below(5)):
            told = counter.add()
        machine.crash()
    return Counter(machine.open(), early).value >= told


@pytest.mark.parametrize("seed", range(5))
def test_a_counter_loses_nothing(seed):
    with World(seed) as world:
        assert life(world, early=False)


def test_the_planted_bug_is_found():
    found = 0
    for seed in range(20):
        with World(seed) as world:
            found += not life(world, early=True)
    assert found > 0


def test_the_same_seed_gives_the_same_run():
    traces = []
    for _ in range(2):
        lines = []
        with World(7, trace=lines.append) as world:
            life(world, early=False)
        traces.append(lines)
    assert traces[0] == traces[1] and len(traces[0]) > 10


def test_the_fixture_gives_a_world(weir_world):
    db = weir_world.node(1).open(lease="10s")
    assert db.stream("s", create=True).append(b"x") == 0
    before = weir_world.now
    weir_world.run(60)
    assert weir_world.now >= before + 60
    assert [m.life for m in db.nodes()] == ["live"]


def test_a_crashed_node_is_closed(weir_world):
    machine = weir_world.node(1)
    db = machine.open()
    s = db.stream("s", create=True)
    machine.crash()
    with pytest.raises(weir.ClosedError):
        s.append(b"x")


def test_a_world_tells_why_it_has_ended():
    with World(seed=1, limit=10.0) as world:
        assert world.ended is None
        with pytest.raises(weir.Error):
            world.run(60.0)
        assert "limit" in world.ended
