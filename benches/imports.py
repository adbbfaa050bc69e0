"""Import: how long `import tierline` takes in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from functools import partial

from measure import Contender, Probed
from workload import OURS, at_most, workload
from world import World, installed

_CHILD_TIMEOUT_S = 60.0
_SCRIPT = """
import time
began = time.perf_counter()
import {module}
print(time.perf_counter() - began)
"""


@workload("import", "import", "ms", at_most(0.5, "sqlalchemy"))
def fresh_import(_world: World) -> Mapping[str, Contender]:
    """`import tierline` takes at most half of `import sqlalchemy`.

    The interpreter's own start is not counted.
    """
    modules = [module for module in (OURS, "sqlalchemy") if installed(module)]
    for module in modules:
        # Compiles what is not compiled yet.
        import_s(module)
    return {module: Probed(partial(import_s, module)) for module in modules}


def import_s(module: str) -> float:
    """Seconds that a module's import takes in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(module=module)],
        capture_output=True,
        text=True,
        timeout=_CHILD_TIMEOUT_S,
        check=True,
    )
    return float(done.stdout)


WORKLOADS = (fresh_import,)
