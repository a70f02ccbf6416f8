"""Disks that are full, limited, read-only, or gone.

Promises 8 and 9: a typed error that names the path; nothing half; reading goes on; and everything
works again once there is space. A real tmpfs, real limits, and a real user without rights.
"""

import itertools
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import attrs
import pytest
from jsonl_harness import (
    MONTH,
    NOON,
    a_line,
    an_entry,
    contents,
    data_of,
    ids,
    in_child,
    needs_fork,
    needs_root,
    outcome_of,
    tree,
)

from feedback_store import (
    Status,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from feedback_store.backends.jsonl import JsonlStore

pytestmark = [needs_fork]

NOBODY = 65534


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a filesystem of its own, of two megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0777", "none", str(path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False, capture_output=True)


def fill(folder: Path) -> Path:
    """Leave no space on the filesystem of a folder; return the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return filler


@needs_root
def test_a_full_disk_is_a_full_store_and_nothing_worse(small_disk: Path) -> None:
    """Promise 8: every verb fails as a whole, reading goes on, and space makes all well again."""
    folder = small_disk / "store"
    with closing(JsonlStore(folder)) as store:
        kept = [str(i) for i in range(20)]
        store.append([an_entry(id, answer="x" * 20_000) for id in kept])
        before = data_of(folder)
        filler = fill(small_disk)
        for verb in (
            lambda: store.append([an_entry("new", answer="x" * 20_000)]),
            lambda: store.append([an_entry("november", timestamp=NOON.replace(month=11))]),
            lambda: store.rewrite("0", lambda entry: attrs.evolve(entry, answer="y" * 20_000)),
            lambda: store.erase(["1"]),
        ):
            with pytest.raises(StoreFullError, match="space") as caught:
                verb()
            assert str(caught.value.filename).startswith(str(folder))
            assert before == {name: data for name, data in data_of(folder).items() if data}
            assert sorted(kept) == sorted(ids(store))
            assert store.get("0") is not None
        assert not store.check().ok
        assert [] == list(folder.glob(".*.tmp"))
        filler.unlink()
        assert 5 == store.erase(["1", "2", "3", "4", "5"])
        store.append([an_entry("new")])
        store.rewrite("0", lambda entry: attrs.evolve(entry, answer="y"))
        store.compact()
        expected = {"new", *kept} - {"1", "2", "3", "4", "5"}
        assert expected == set(ids(store))
    assert expected == contents(folder).keys()


@needs_root
def test_a_store_on_a_full_disk_can_be_opened_and_read(small_disk: Path) -> None:
    """Promise 8: a fresh process that can write nothing, not even an index, reads everything."""
    folder = small_disk / "store"
    folder.mkdir()
    (folder / MONTH).write_bytes(b"".join(a_line(str(i)) for i in range(2000)))
    fill(small_disk)
    assert 2000 == len(contents(folder))


@needs_root
def test_a_disk_that_was_full_from_the_start(small_disk: Path) -> None:
    """Promise 8: where not even the folder can be made, nothing is left in the way of the next."""
    filler = fill(small_disk)
    folder = small_disk / "deep" / "store"
    with closing(JsonlStore(folder)) as store:
        assert "StoreUnavailableError" in outcome_of(lambda: store.append([an_entry("a")]))
        assert [] == ids(store)
        filler.unlink()
        store.append([an_entry("a")])
        assert ["a"] == ids(store)


def test_a_limit_of_the_size_of_files(tmp_path: Path) -> None:
    """Promise 8: RLIMIT_FSIZE is a full store: EFBIG, with a part of the line taken before."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("a", answer="x" * 3000)])

        def limited() -> object:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            before = data_of(tmp_path)
            outcome = outcome_of(lambda: store.append([an_entry("b", answer="x" * 3000)]))
            read = ids(store)
            unchanged = before == data_of(tmp_path)
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )
            return [outcome, read, unchanged, outcome_of(lambda: store.append([an_entry("c")]))]

        outcome, read, unchanged, again = in_child(limited)
        assert ["StoreFullError", str(tmp_path / MONTH)] == [outcome[0], outcome[-1]]
        assert (["a"], True, ["ok"]) == (read, unchanged, again)
        assert ["a", "c"] == ids(store)


def limit_that_leaves(free: int) -> int:
    """Return a limit of descriptors under which so many can be opened: the numbers have holes."""
    taken = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    unused = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(unused, free, None))


def test_a_limit_of_open_files(tmp_path: Path) -> None:
    """Promise 9: without a free descriptor every verb says so, and works once there is one."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry(str(m), timestamp=NOON.replace(month=m)) for m in range(1, 13)])

    def limited() -> object:
        store = JsonlStore(tmp_path)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit_that_leaves(3), 4096))
        outcomes = [
            outcome_of(lambda: ids(store)),
            outcome_of(lambda: store.get("1")),
            outcome_of(lambda: store.append([an_entry("new")])),
            outcome_of(lambda: store.erase(["1"])),
            outcome_of(store.compact),
            ["ok"] if not store.check().ok else ["fine?"],
        ]
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
        store.append([an_entry("new")])
        return [outcomes, ids(store)]

    outcomes, read = in_child(limited)
    for outcome in outcomes[:5]:
        assert "StoreUnavailableError" == outcome[0], outcomes
        assert outcome[-1].startswith(str(tmp_path)), outcomes
    assert ["ok"] == outcomes[5]
    assert {"new", *map(str, range(1, 13))} == set(read) == contents(tmp_path).keys()


def as_nobody() -> None:
    """Become a user without rights, for the rest of this process."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """Let everybody through to the folder of the test."""
    for path in (tmp_path, *tmp_path.parents[:3]):
        if path.stat().st_uid == os.getuid():
            path.chmod(path.stat().st_mode | 0o055)
    return tmp_path


@needs_root
@pytest.mark.parametrize("opened_before", [False, True])
def test_a_user_who_may_only_read(open_path: Path, opened_before: bool) -> None:
    """Promise 9: reading works, every write is refused with the path, and nothing is changed."""
    folder = open_path / "store"
    with closing(JsonlStore(folder, folder_mode=0o755, file_mode=0o644)) as store:
        store.append([an_entry("a")])
    before = tree(folder)

    def reading() -> object:
        as_nobody()
        store = JsonlStore(folder)
        read = ids(store) if opened_before else []
        outcomes = [
            outcome_of(lambda: store.append([an_entry("b")])),
            outcome_of(lambda: store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))),
            outcome_of(lambda: store.erase(["a"])),
            outcome_of(store.compact),
        ]
        return [outcomes, read or ids(store), store.check().ok]

    outcomes, read, is_ok = in_child(reading)
    for outcome in outcomes:
        assert "StoreReadOnlyError" == outcome[0], outcomes
        assert outcome[-1].startswith(str(folder)), outcomes
    assert (["a"], False) == (read, is_ok)
    assert before == tree(folder)


@needs_root
def test_a_user_who_may_not_even_look(open_path: Path) -> None:
    """Promise 9: a folder that may not be entered is no empty store."""
    folder = open_path / "store"
    with closing(JsonlStore(folder, folder_mode=0o700, file_mode=0o600)) as store:
        store.append([an_entry("a")])

    def looking() -> object:
        as_nobody()
        store = JsonlStore(folder)
        calls = [lambda: ids(store), lambda: store.get("a"), lambda: store.append([an_entry("b")])]
        return [[outcome_of(call) for call in calls], store.check().ok]

    outcomes, is_ok = in_child(looking)
    for outcome in outcomes:
        assert "StoreReadOnlyError" == outcome[0], outcomes
        assert outcome[-1].startswith(str(folder)), outcomes
    assert is_ok is False
    assert ["a"] == list(contents(folder))


@needs_root
def test_a_disk_that_is_mounted_read_only(small_disk: Path) -> None:
    """Promise 9: EROFS refuses every write, with the path; reading goes on."""
    folder = small_disk / "store"
    with closing(JsonlStore(folder)) as store:
        store.append([an_entry("a")])
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    if subprocess.run(remount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted again here")
    with closing(JsonlStore(folder)) as store:
        for write in (
            lambda: store.append([an_entry("b")]),
            lambda: store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1)),
            lambda: store.erase(["a"]),
        ):
            with pytest.raises(StoreReadOnlyError) as caught:
                write()
            assert str(caught.value.filename).startswith(str(folder))
        assert ["a"] == ids(store)
        assert not store.check().ok
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        store.append([an_entry("b")])
        assert ["a", "b"] == ids(store)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """Promise 9: a folder removed under an open store is not silently made anew by a write."""
    folder = tmp_path / "store"
    with closing(JsonlStore(folder)) as store:
        store.append([an_entry("a")])
        shutil.rmtree(folder)
        assert [] == ids(store)
        with pytest.raises(StoreUnavailableError, match="gone"):
            store.append([an_entry("b")])
        with pytest.raises(StoreUnavailableError, match=r"gone|no entry"):
            store.rewrite("a", lambda entry: attrs.evolve(entry, rating=1))
        assert not folder.exists()
        assert Status.WARNING == store.check()["location"].status
    with closing(JsonlStore(folder)) as store:
        store.append([an_entry("b")])
        assert ["b"] == ids(store)


@needs_root
def test_a_volume_that_is_unmounted(small_disk: Path) -> None:
    """Promise 9: what stands under the mount point is another folder: nothing is written to it."""
    with closing(JsonlStore(small_disk)) as store:
        store.append([an_entry("a")])
        subprocess.run(["umount", "-l", str(small_disk)], check=True)
        with pytest.raises(StoreUnavailableError, match="mount"):
            store.append([an_entry("b")])
        assert [] == list(small_disk.iterdir())


def test_a_folder_that_another_took_the_place_of(tmp_path: Path) -> None:
    """Promise 9: after a restore by renaming, all write to the new folder, under its lock."""
    folder, aside = tmp_path / "store", tmp_path / "aside"
    with closing(JsonlStore(folder, lock_timeout_s=0.2)) as store:
        store.append([an_entry("a")])
        shutil.copytree(folder, aside)
        folder.rename(tmp_path / "old")
        aside.rename(folder)
        with closing(JsonlStore(folder)) as other, other._lock:
            assert "LockTimeoutError" == outcome_of(lambda: store.append([an_entry("b")]))[0]
        store.append([an_entry("b")])
        assert ["a", "b"] == ids(store)
    assert {"a", "b"} == contents(folder).keys()
    assert {"a"} == contents(tmp_path / "old").keys()
