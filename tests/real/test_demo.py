"""`tierline demo` as a new user runs it: a child process, its own data folder, real servers."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from rich.console import Console

import tierline as tl
from tierline.cli import main
from tierline.cli.demo.entities import FLIGHTS, WEATHER
from tierline.cli.demo.redis import reachable_redis
from tierline.testing import PostgresServer

# What `read_through` and the tables promise, whatever the numbers of the day.
FAILURES = ("DuplicateError", "ValidationError", "NotFoundError", "ConstraintError")


@pytest.fixture
def data_dir() -> Generator[Path]:
    """A folder for the embedded server; every account may pass through it, as root needs."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="tierline-demo-")))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


def run(*options: str, data_dir: Path | None = None, columns: int = 160) -> tuple[int, str]:
    env = {**os.environ, "COLUMNS": str(columns)}
    if data_dir is not None:
        env["TIERLINE_DATA_DIR"] = str(data_dir)
    done = subprocess.run(
        [sys.executable, "-m", "tierline", "demo", *options],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_demo_runs_on_the_embedded_server_and_a_dead_redis(data_dir: Path) -> None:
    code, out = run("--quick", "--redis", "redis://127.0.0.1:1/0", data_dir=data_dir)
    assert code == 0, out
    assert "40,911 rows" in out
    for bar in ("airlines", "airports", "planes", "weather", "flights"):
        assert re.search(rf"{bar} ━+ (\d+)/\1 ", out), bar
    assert len(re.findall(r"^.*\? \([\d.,]+ ms\)$", out, re.MULTILINE)) == 10
    assert "JFK to Honolulu Intl, 4,983 miles" in out
    for name in FAILURES:
        assert f"Failure {name}" in out, name
    assert "rows in it afterwards: Success 0" in out
    assert "With a stopped Redis the read is still a Success" in out
    assert re.search(r"first read: BOEING 737-824, from L3", out)
    assert re.search(r"read again: BOEING 737-824, from L1", out)
    with tl.open(path=data_dir) as store:
        assert tl.repository(store, FLIGHTS).count() == tl.Success(10_000)
        assert tl.repository(store, WEATHER).count() == tl.Success(26_115)


def test_the_demo_reads_one_plane_from_each_tier_when_there_is_redis(
    postgres18: PostgresServer, redis_url: str
) -> None:
    for _ in range(2):  # the second run finds the first one's tables and cached values
        code, out = run("--quick", "--url", postgres18.url, "--redis", redis_url)
        assert code == 0, out
        assert re.search(r"first read: BOEING 737-824, from L3", out)
        assert re.search(r"another process: BOEING 737-824, from L2", out)
        assert re.search(r"read again: BOEING 737-824, from L1", out)
        assert re.search(r"│ L2 +│", out)


def test_the_demo_uses_the_redis_that_answers_at_the_usual_place(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO())
    for usual, found in ((redis_url, redis_url), ("redis://127.0.0.1:1/0", None)):
        monkeypatch.setattr("tierline.cli.demo.redis._DEFAULT_URL", usual)
        assert reachable_redis(None, console) == found
        # Who names one means it, even if it is down: that is told, and reads go on.
        assert reachable_redis("redis://127.0.0.1:2/0", console) == "redis://127.0.0.1:2/0"


def test_the_demo_says_what_is_wrong_with_a_server_it_cannot_reach() -> None:
    code, out = run("--url", "postgresql://nobody@127.0.0.1:1/none")
    assert code == 1
    assert "ConnectionError" in out
    assert "Traceback" not in out


def test_the_command_names_its_version_and_refuses_contradictions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tierline {tl.__version__}\n"
    assert main(["demo", "--url", "postgresql://x", "--path", "y"]) == 2
    assert main([]) == 2


def test_the_demo_names_what_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierline.cli.find_spec", lambda _: None)
    assert main(["demo"]) == 1
    said = capsys.readouterr().err
    assert "the data" in said
    assert "tierline[demo]" in said
