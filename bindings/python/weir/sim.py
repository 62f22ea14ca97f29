# SPDX-License-Identifier: Apache-2.0
"""A simulated world: nodes, disks, a store and a clock in one process, from a
seed.  What docs/simulator.md says of faults and promises holds here.

    def test_my_service(weir_world):
        node = weir_world.node(1)
        db = node.open()
        stream = db.stream("orders", create=True)
        stream.append(b"x")
        node.crash()
        assert node.open().stream("orders").fetch(0)

Virtual time goes by only while something is waited for, or in `run`."""
from __future__ import annotations

from typing import Any, Callable, Optional

import weir
from weir import _core
from weir._ffi import API, ffi, lib

_STEP_NS = 1_000_000
CUT_REFUSES = 1
CUT_HANGS = 2


class SimNode(weir.Node):
    """A node of the library in the world; the world drives it."""

    def __init__(self, machine: "Machine", pointer: Any, config: Any,
                 held: Any) -> None:
        super().__init__(pointer, config)
        self._machine = machine
        self._held = held

    def _drive(self, timeout_ns: int) -> None:
        if self._node is None or not self._machine.up:
            raise weir.ClosedError(-10, "WEIR_ECLOSED",
                                   "the node has crashed")
        self._machine.world._step()

    def close(self) -> None:
        node, self._node = self._node, None
        if node is None or not self._machine.up:
            return
        self._held.node = node
        lib.weir_py_sim_close(self._machine._sim, self._held)


class Machine:
    """A place for a node: its disk survives a crash."""

    def __init__(self, world: "World", pointer: Any, number: int) -> None:
        self.world = world
        self.number = number
        self._sim = pointer
        self._db: Optional[SimNode] = None

    @property
    def up(self) -> bool:
        """Is it running?"""
        return bool(lib.weir_sim_is_up(self._sim))

    def open(self, **properties: Any) -> SimNode:
        """Start the machine if need be, and open a node on it; the arguments
        are properties."""
        lib.weir_sim_start(self._sim)
        out = ffi.new("struct weir_config **")
        _core.check(lib.weir_sim_config(out, self._sim))
        config = _core.make_config(properties, out[0])
        held = ffi.new("struct weir_py_open *", {"config": config})
        _core.check(lib.weir_py_sim_open(self._sim, held))
        _core.check(held.status, held.err)
        self._db = SimNode(self, held.node, config, held)
        return self._db

    def crash(self) -> None:
        """Lose the memory, and of the disk what was not synced."""
        if self._db is not None:
            self._db._node = None
        lib.weir_sim_crash(self._sim)

    def pause(self) -> None:
        """Let it sleep: a zombie when it is resumed."""
        lib.weir_sim_pause(self._sim)

    def resume(self) -> None:
        """Let it go on."""
        lib.weir_sim_resume(self._sim)

    def cut(self, hangs: bool = False) -> None:
        """Cut it from the store."""
        lib.weir_sim_cut(self._sim, CUT_HANGS if hangs else CUT_REFUSES)

    def heal(self) -> None:
        """Let it reach the store again."""
        lib.weir_sim_heal(self._sim)


class World:
    """A world from a seed; it ends at a limit of virtual time.  A PUT and a
    sync of a disk typically take `store_time` and `disk_time` seconds; 0: those
    of `struct weir_sim_options`."""

    def __init__(self, seed: int, limit: float = 36000.0,
                 trace: Optional[Callable[[str], None]] = None,
                 store_time: float = 0.0, disk_time: float = 0.0) -> None:
        if not API:
            raise ImportError("weir.sim needs the compiled module: build it "
                              "with `make python`")
        options = ffi.new("struct weir_sim_options *")
        options.size = ffi.sizeof("struct weir_sim_options")
        options.seed = seed
        options.limit = int(limit * 1e9)
        options.store_time = int(store_time * 1e9)
        options.disk_time = int(disk_time * 1e9)
        if trace is not None:
            def line(_: Any, text: Any) -> None:
                assert trace is not None
                trace(ffi.string(text).decode())
            self._trace = ffi.callback("void(void *, const char *)", line)
            options.trace = self._trace
        out = ffi.new("struct weir_sim **")
        _core.check(lib.weir_sim_new(out, options))
        self.seed = seed
        self._sim = out[0]
        self._machines: list[Machine] = []

    @property
    def faults(self) -> Any:
        """Rates of faults, in chances out of a million: attributes named as in
        `struct weir_sim_faults`."""
        return lib.weir_sim_faults(self._sim)

    @property
    def faults_seen(self) -> Any:
        """How often each has happened, by the same names."""
        return lib.weir_sim_faults_seen(self._sim)

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return float(lib.weir_sim_now(self._sim)) / 1e9

    @property
    def ended(self) -> Optional[str]:
        """Why nothing happens any more, in a world that has reached its limit;
        None before."""
        why = lib.weir_sim_ended(self._sim)
        return None if why == ffi.NULL else str(ffi.string(why).decode())

    def below(self, n: int) -> int:
        """A random number of the seed, below `n`."""
        return int(lib.weir_sim_below(self._sim, n))

    def node(self, number: int, disk: int = 8 << 20) -> Machine:
        """A new machine."""
        out = ffi.new("struct weir_sim_node **")
        _core.check(lib.weir_sim_node_new(out, self._sim, number, disk))
        machine = Machine(self, out[0], number)
        self._machines.append(machine)
        return machine

    def _step(self) -> None:
        _core.check(lib.weir_sim_run(self._sim, _STEP_NS))

    def run(self, seconds: float) -> None:
        """Let virtual time go by."""
        _core.check(lib.weir_sim_run(self._sim, int(seconds * 1e9)))

    def close(self) -> None:
        """End the world, and all that is in it."""
        for machine in self._machines:
            machine.crash()
        sim, self._sim = self._sim, None
        if sim is not None:
            lib.weir_sim_free(sim)

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
