# SPDX-License-Identifier: Apache-2.0
"""The simulated world as a fixture.  `--weir-seed N` repeats a run; the seed
of a test that fails is printed with it."""
from __future__ import annotations

import random
from typing import Any, Iterator

import pytest

from weir.sim import World


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--weir-seed", type=int, default=None,
                     help="seed of the simulated worlds")


@pytest.fixture
def weir_world(request: Any) -> Iterator[World]:
    """A world from a fresh seed."""
    seed = request.config.getoption("--weir-seed")
    if seed is None:
        seed = random.randrange(1 << 40)
    print(f"weir: seed {seed} (repeat with --weir-seed {seed})")
    with World(seed) as world:
        yield world
