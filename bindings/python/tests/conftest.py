# SPDX-License-Identifier: Apache-2.0
import pytest

import weir

pytest_plugins = ["weir.pytest_plugin"]


@pytest.fixture
def node(tmp_path):
    with weir.open(store=f"dir:{tmp_path}/store",
                   wal=f"file:{tmp_path}/wal?size=16MiB") as opened:
        yield opened
