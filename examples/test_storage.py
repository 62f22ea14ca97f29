# SPDX-License-Identifier: Apache-2.0
"""A unit test of storage logic in Python: a counter whose truth is a stream,
in a simulated world that crashes it.

    make python
    PYTHONPATH=bindings/python python3 -m pytest -p weir.pytest_plugin \\
        examples/test_storage.py

The fixture `weir_world` is a world: machines with disks, a store, a clock.  A
test that fails prints the seed; --weir-seed N repeats it."""
import weir


class Counter:
    """The program that is tested.  Each increment is a record; the value is
    how many there are."""

    def __init__(self, node, name):
        self.stream = node.stream(name, create=True)

    @property
    def value(self):
        return self.stream.stat().end

    def add(self):
        """Add one: it is there when this returns, whatever comes."""
        return self.stream.append(b"+1") + 1


class HastyCounter(Counter):
    """With a bug: it answers from memory, and writes later."""

    def __init__(self, node, name):
        super().__init__(node, name)
        self.late = []

    @property
    def value(self):
        return super().value + len(self.late)

    def add(self):
        self.late.append(b"+1")
        if len(self.late) == 4:
            self.stream.append_many(self.late)
            self.late = []
        return self.value


def survives(world, counter):
    """Add and crash, again and again: is each answer still true at the end?"""
    machine = world.node(1)
    told = 0
    for _ in range(10):
        try:
            subject = counter(machine.open(), "visits")
            if subject.value < told:
                return False
            for _ in range(world.below(20)):
                told = subject.add()
        except weir.Error:
            pass  # It said so: the next opening sees what is there.
        machine.crash()
    world.faults.disk_write = 0
    return counter(machine.open(), "visits").value >= told


def test_a_counter_keeps_what_it_has_told(weir_world):
    weir_world.faults.disk_write = 20_000  # Chances out of a million.
    assert survives(weir_world, Counter)


def test_a_hasty_counter_is_found_out(weir_world):
    """The test would notice: with a planted bug it fails."""
    assert not survives(weir_world, HastyCounter)


def test_another_node_reads_what_was_flushed(weir_world):
    writer, reader = weir_world.node(1).open(), weir_world.node(2).open()
    counter = Counter(writer, "visits")
    for _ in range(3):
        counter.add()
    writer.flush()
    batches = reader.stream("visits", read_only=True).fetch(0)
    assert [bytes(batch.data) for batch in batches] == [b"+1"] * 3
