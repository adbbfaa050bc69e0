"""Takes each guard out of the core, one after another; a test must fail each time.

    python tests/sabotage.py [NAME]

Works on copies of the tree, with `cargo test --no-default-features`. Exits with 1 if a guard can go
without any test noticing, or if the text that it replaces is not there any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CORE = Path("rust/src/core")


class Guard(NamedTuple):
    """A guard and how to take it out: in `file`, `old` becomes `new`."""

    name: str
    file: str
    old: str
    new: str


GUARDS = (
    Guard(
        "fill check",
        "cache/announcing.rs",
        "load.token >= self.changes.of_load(load.hash, load.tags)",
        "load.token >= 0",
    ),
    Guard(
        "fill check of tags",
        "changes.rs",
        "tags.iter().map(|&tag| self.of_tag(tag)).fold(self.of_key(hash), u64::max)",
        "{ let _ = tags; self.of_key(hash) }",
    ),
    Guard(
        "floor check of fills",
        "cache/announcing.rs",
        "&& self.floors.accepts(load.hash, load.snapshot, load.token, clock.now_ms());",
        "&& { let _ = clock; true };",
    ),
    Guard(
        "floor check of what is kept",
        "cache/announcing.rs",
        "let slot = slot.filter(|slot| !self.includes(slot.0, xid))?;",
        "let slot = slot.filter(|_| false)?;",
    ),
    Guard(
        "floors of loads that began earlier",
        "floors.rs",
        "if token < self.forgotten {",
        "if token < self.forgotten && false {",
    ),
    Guard("standby's snapshot", "snapshot.rs", "|| !self.standby && xid", "|| xid"),
    Guard("place of a frame", "frame/mod.rs", "hasher.update(place);", "let _ = place;"),
    Guard(
        "place of an encrypted frame",
        "frame/keys.rs",
        "[head, &context.concat()].concat()",
        "{ let _ = context; head.to_vec() }",
    ),
    Guard(
        "no plain frames where there are keys",
        "frame/mod.rs",
        "&& (flags & ENCRYPTED != 0) == keys.is_some()",
        "",
    ),
    Guard("size of a bomb", "frame/compression.rs", "length > PLAIN_MAX || ", ""),
    Guard(
        "size of what was compressed",
        "frame/compression.rs",
        "(size == length).then_some(payload)",
        "{ let _ = size; Some(payload) }",
    ),
    Guard(
        "deferred drop",
        "cache.rs",
        "let value = std::mem::replace(&mut entry.value, value);\n        if",
        "drop(std::mem::replace(&mut entry.value, value));\n        return None;\n        if",
    ),
    Guard(
        "weight update",
        "cache/storing.rs",
        "        self.weights.add(slot.0, weight);\n",
        "        self.weights.add(slot.0, 1);\n",
    ),
    Guard(
        "tags of what is kept",
        "cache/life.rs",
        "if self.tags.are_outdated(&life.tags, guard.stored) {",
        "if false {",
    ),
    Guard(
        "horizon",
        "cache.rs",
        "entry.stamp.deadline().min(self.horizon)",
        "entry.stamp.deadline()",
    ),
    Guard(
        "idle limit", "cache/life.rs", "} else if !before(guard.idle_until) {", "} else if false {"
    ),
    Guard(
        "single flight",
        "flight.rs",
        "if flying.token >= current {",
        "if flying.token >= current && false {",
    ),
    Guard(
        "waiters that leave",
        "flight.rs",
        "Some(waiters.swap_remove(at))",
        "{ let _ = at; None }",
    ),
    Guard("re-entry", "flight.rs", "if flying.leader == *me {", "if false {"),
    Guard(
        "circles of waiting threads",
        "waits.rs",
        "return if served(&seat) { Ok(()) } else { Err(Deadlock) };",
        "return if served(&seat) { Ok(()) } else { Ok(()) };",
    ),
    Guard(
        "dates outside Python's",
        "decode/times.rs",
        "if !(FIRST_DAY..=LAST_DAY).contains(&day) {",
        "if false {",
    ),
    Guard(
        "midnight at the end of a day",
        "decode/times.rs",
        "if !(0..MICROS_PER_DAY).contains(&micros) {",
        "if micros < 0 {",
    ),
    Guard(
        "digits of a numeric",
        "decode/numeric.rs",
        "if groups.iter().any(|group| u16::from_be_bytes(*group) >= BASE) {",
        "if false && BASE == 0 {",
    ),
    Guard(
        "bytes left over in an array",
        "decode/array.rs",
        "if self.rest.is_empty() {",
        "if self.rest.len() < usize::MAX {",
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Try every guard, or those whose name holds the argument; print a line each."""
    wanted = [guard for guard in GUARDS if not arguments or arguments[0] in guard.name]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in ("Cargo.toml", "Cargo.lock"):
            shutil.copy(ROOT / name, tree / name)
        shutil.copytree(ROOT / "rust", tree / "rust")
        if (said := failing(tree)) is None:
            for guard in wanted:
                verdict = sabotaged(tree, guard)
                unnoticed += verdict.startswith("NOT NOTICED")
                print(f"without {guard.name:36} {verdict}", flush=True)
        else:
            unnoticed += 1
            print(f"the tests fail as it is: {said}")
    return int(unnoticed > 0)


def sabotaged(tree: Path, guard: Guard) -> str:
    """What the tests say without the guard."""
    path = tree / CORE / guard.file
    whole = path.read_text(encoding="utf-8")
    if whole.count(guard.old) != 1:
        return f"NOT NOTICED: {guard.file} does not hold the text once"
    path.write_text(whole.replace(guard.old, guard.new), encoding="utf-8")
    try:
        return failing(tree) or "NOT NOTICED"
    finally:
        path.write_text(whole, encoding="utf-8")


def failing(tree: Path) -> str | None:
    """The first test that fails or never ends, or None."""
    environment = {**os.environ, "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1", "RUST_BACKTRACE": "0"}
    environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
    command = ["cargo", "test", "--quiet", "--no-default-features", "--lib"]
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the tests do not end"
    if done.returncode == 0:
        return None
    failed = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("--- FAILED")]
    failed += [line.strip() for line in done.stdout.splitlines() if line.startswith("    core::")]
    if "could not compile" in done.stderr:
        return f"NOT NOTICED: it does not compile: {done.stderr[-500:]}"
    # A panic while another one unwinds ends the process before it can name the test.
    return f"fails {failed[0]}" if failed else "the tests abort"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
