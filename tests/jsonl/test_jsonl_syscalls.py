"""What the store asks of the kernel, and what comes of it when the kernel fails or kills.

Promises 1, 2, 6, 7, 8, 10, 11, 12, 16 and 17 as far as a real kernel can show them: which calls a
write makes; every call of every verb failing once, and failing from then on; every call being the
last one before SIGKILL, and a second kill while the next process repairs.
"""

import gzip
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from jsonl_harness import (
    DEEP,
    MONTH,
    NOON,
    Fault,
    Steps,
    Traced,
    a_line,
    an_entry,
    contents,
    data_of,
    faults,
    fork,
    needs_fork,
    needs_strace,
    outcome_of,
    raw,
    trace,
    wait_for,
    write_behind,
)

from feedback_store import FeedbackEntry, Query, Status, encode
from feedback_store.backends.jsonl import JsonlStore

pytestmark = [needs_strace, needs_fork, pytest.mark.timeout(300)]

JANUARY = NOON.replace(month=1)
NOVEMBER = NOON.replace(month=11)
DAMAGED = b'{"message_id":"b","question":"torn in the mid\n'
ERASED = ("b", "s")

# What changes a disk. Each is enumerated on its own, because strace counts each on its own.
CHANGING: tuple[str, ...] = ("mkdir", "write", "fdatasync", "fsync", "rename", "unlink")
if DEEP:
    CHANGING += ("openat", "flock", "fchmod", "getdents64", "pread64")
FAILING = {
    "write": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO",),
    "fsync": ("EIO",),
    "rename": ("EIO",),
    "unlink": ("EIO",),
}
if DEEP:
    FAILING |= {"mkdir": ("ENOSPC",), "openat": ("EMFILE",), "fchmod": ("EPERM",)}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return a folder with an updated entry, a damaged line, a sealed month and a quarantine."""
    folder = tmp_path / "template"
    with closing(JsonlStore(folder)) as store:
        store.append([an_entry(id, answer=f"Answer {id}.") for id in ("a", "b", "c")])
        write_behind(folder / MONTH, DAMAGED)
        store.compact()
        store.rewrite("a", rated(1))
        store.rewrite("b", rated(1))
    write_behind(folder / MONTH, DAMAGED)
    sealed = a_line("s", timestamp=JANUARY, answer="Answer s.") + a_line("t", timestamp=JANUARY)
    (folder / "feedback_2025-01.jsonl.gz").write_bytes(gzip.compress(sealed))
    return folder


def rated(rating: float) -> Callable[[FeedbackEntry], FeedbackEntry]:
    """Return a change that sets the rating."""
    return lambda entry: attrs.evolve(entry, rating=rating)


class Work(Steps):
    """One verb on a folder; its name is what the tests are called by."""

    added: tuple[FeedbackEntry, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = JsonlStore(folder)

    def prepare(self) -> object:
        """Open the store, and read all of it."""
        return [entry.id for entry in self.store.scan(Query())]

    def call(self) -> object:
        """Call the verb."""
        raise NotImplementedError

    def run(self) -> object:
        """Call the verb; then read everything, which must go on whatever failed."""
        outcome = outcome_of(self.call)
        try:
            return [outcome, {e.id: encode(e).decode() for e in self.store.scan(Query())}]
        except OSError as error:  # nothing can be opened: the test says when that is fine
            return [outcome, str(error)]

    def recover(self) -> object:
        """Make the same call again."""
        return outcome_of(self.call)

    def expected(self, before: dict[str, bytes]) -> dict[str, bytes]:
        """Return what the store holds once the call was made."""
        return before | {entry.id: encode(entry) for entry in self.added}


class Add(Work):
    """An entry for a month that is there."""

    added: tuple[FeedbackEntry, ...] = (an_entry("new", answer="Answer new."),)

    def call(self) -> object:
        """Add it."""
        return self.store.append(self.added)


class AddMonths(Add):
    """Entries for a sealed month, for one that is there, and for a new one."""

    added = (
        an_entry("new-11", timestamp=NOVEMBER),
        an_entry("new-10"),
        an_entry("new-01", timestamp=JANUARY),
    )


class Update(Work):
    """A change of an entry of an open month."""

    id = "a"

    def call(self) -> object:
        """Change it."""
        return self.store.rewrite(self.id, rated(0.25))

    def expected(self, before: dict[str, bytes]) -> dict[str, bytes]:
        """Return the entries with the changed one."""
        changed = before[self.id].replace(b'"rating":1', b'"rating":0.25')
        return before | {self.id: changed.replace(b'"rating":0,', b'"rating":0.25,')}


class UpdateSealed(Update):
    """A change of an entry of a sealed month."""

    id = "s"


class Erase(Work):
    """The erasure of an entry of an open month, and of one of a sealed month."""

    def call(self) -> object:
        """Erase both."""
        return self.store.erase(ERASED)

    def expected(self, before: dict[str, bytes]) -> dict[str, bytes]:
        """Return the other entries."""
        return {id: line for id, line in before.items() if id not in ERASED}


class Compact(Work):
    """A compaction."""

    def call(self) -> object:
        """Compact."""
        return self.store.compact()


class FirstAdd(Add):
    """The first entry of a store, in a folder below a folder that is not there either."""


AnyWork = TypeVar("AnyWork", bound=Work)
WORKS = (FirstAdd, Add, AddMonths, Update, UpdateSealed, Erase, Compact)
every_work = pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)


class Cases:
    """Copies of a folder, one for each case, and their traces."""

    def __init__(self, template: Path, scratch: Path) -> None:
        self._template = template
        self._scratch = scratch
        self._count = 0

    def make(self, work: type[AnyWork]) -> AnyWork:
        """Return the work, on a fresh copy."""
        shutil.rmtree(self._scratch / str(self._count), ignore_errors=True)
        self._count += 1
        folder = self._scratch / str(self._count) / "store"
        if issubclass(work, FirstAdd):
            return work(folder)
        shutil.copytree(self._template, folder)
        return work(folder)

    def trace(self, work: Work, *options: str) -> Traced:
        """Trace the work."""
        return trace(work, self._scratch / "log", *options)

    def fail(self, work: Work, fault: Fault) -> Traced:
        """Trace the work, with a fault."""
        return self.trace(work, f"--trace={fault.call}", f"--{fault}")


@pytest.fixture
def cases(template: Path, tmp_path: Path) -> Cases:
    """Return the cases of one test."""
    return Cases(template, tmp_path)


# -------------------------------------------------------------------------- which calls are made


def paths_of(log: list[str], call: str) -> list[str]:
    """Return the paths of the open files of a call, or its quoted paths, in order."""
    found = [re.search(rf"\b{call}\(\d+<([^>]*)>", line) for line in log]
    return [match[1] for match in found if match]


SETTLED_S = 0.1
"""After this long, a folder's time of change is believed, and the folder not listed again."""


class WarmAdd(Add):
    """An add by a store that has written to the month before."""

    def prepare(self) -> object:
        """Write once, and look once more when the clock has ticked."""
        outcome = outcome_of(lambda: self.store.append([an_entry("warm")]))
        time.sleep(SETTLED_S)
        self.store.get("warm")
        return outcome

    def run(self) -> object:
        """Only call."""
        return outcome_of(self.call)


class WarmUpdate(Update):
    """An update by a store that has written to the month before."""

    def prepare(self) -> object:
        """Write once."""
        return outcome_of(lambda: self.store.append([an_entry("warm")]))

    def run(self) -> object:
        """Only call."""
        return outcome_of(self.call)


CALLS = "write,pwrite64,writev,pread64,read,fdatasync,fsync,rename,ftruncate"


def test_an_add_is_one_write_and_one_sync(cases: Cases) -> None:
    """Promise 1: a warm store writes the whole line by one call and syncs it by one."""
    work = cases.make(WarmAdd)
    log = cases.trace(work, f"--trace={CALLS}").log
    path, size = f"<{work.folder / MONTH}>", len(a_line("new", answer="Answer new."))
    changing = [line for line in log if str(work.folder) in line and "pread64(" not in line]
    assert ["write", "fdatasync"] == [re.findall(r"(\w+)\(", line)[0] for line in changing]
    assert [True, True] == [path in line for line in changing]
    assert changing[0].endswith(f", {size}) = {size}")
    assert [] == sizes_read(log, path)


def sizes_read(log: list[str], path: str) -> list[int]:
    """Return how many bytes each read of a file gave."""
    return [int(line.rpartition("= ")[2]) for line in log if path in line and "pread64(" in line]


def test_an_update_writes_one_line(cases: Cases) -> None:
    """An update reads one line, writes one and syncs it, whatever stands in the month."""
    work = cases.make(WarmUpdate)
    log = cases.trace(work, f"--trace={CALLS}").log
    path = f"<{work.folder / MONTH}>"
    assert 1 == len([line for line in log if path in line and "write(" in line])
    assert 1 == len([line for line in log if path in line and "fdatasync(" in line])
    assert sum(sizes_read(log, path)) <= len(a_line("a", answer="Answer a.")) + 64


class ReadAfterWrite(Work):
    """A get of what another process has just written."""

    entry = an_entry("new", answer="x" * 5000)

    def prepare(self) -> object:
        """Know the store; then another process writes."""
        time.sleep(SETTLED_S)
        assert self.store.get("a") is not None
        assert 0 == wait_for(fork(lambda: JsonlStore(self.folder).append([self.entry])))
        return None

    def run(self) -> object:
        """Get it."""
        return self.store.get("new") == self.entry

    def recover(self) -> object:
        """Have done enough."""
        return None


def test_a_read_after_a_write_of_another_process_reads_what_was_written(cases: Cases) -> None:
    """What another process wrote costs the reader those bytes, not the whole file."""
    work = cases.make(ReadAfterWrite)
    traced = cases.trace(work, f"--trace={CALLS}")
    assert traced.report["run"] is True
    size = len(encode(work.entry)) + 1
    # Once to learn of it, once to serve it.
    assert [size, size - 1] == sizes_read(traced.log, f"<{work.folder / MONTH}>")


def synced(log: list[str]) -> set[str]:
    """Return the paths of what was synced by fsync."""
    found = [re.search(r"fsync\(\d+<([^>]*)>\) += 0", line) for line in log]
    return {match[1] for match in found if match}


def test_every_new_folder_is_synced_before_the_first_byte(cases: Cases) -> None:
    """Promise 1: the names of the store's folder and of all above it are durable first."""
    work = cases.make(FirstAdd)
    log = cases.trace(work, "--trace=fsync,write").log
    path = f"<{work.folder / MONTH}>"
    written = next(i for i, line in enumerate(log) if "write(" in line and path in line)
    assert {str(path) for path in (work.folder, *work.folder.parents)} <= synced(log[:written])


def test_a_new_month_is_synced_between_its_name_and_its_first_byte(cases: Cases) -> None:
    """Promise 1: the file is made, then its folder is synced, then the first byte comes."""
    work = cases.make(AddMonths)
    log = cases.trace(work, "--trace=openat,fsync,write").log
    path = str(work.folder / "feedback_2025-11.jsonl")
    made = next(i for i, line in enumerate(log) if path in line and "O_EXCL" in line)
    written = next(i for i, line in enumerate(log) if "write(" in line and f"<{path}>" in line)
    assert str(work.folder) in synced(log[made:written])


@pytest.mark.parametrize("work", [Add, Update])
def test_the_first_write_to_a_file_makes_its_name_durable(work: type[Work], cases: Cases) -> None:
    """Promise 11: whoever put the file in place may have died before the sync of the folder."""
    case = cases.make(work)
    log = cases.trace(case, "--trace=fsync,fdatasync").log
    assert str(case.folder) in synced(log)


def test_what_another_left_is_acknowledged_with_a_durable_name(cases: Cases) -> None:
    """Promises 11 and 17: UNCHANGED syncs the file that holds the entry, and the folder's name."""
    work = cases.make(Add)
    with closing(JsonlStore(work.folder)) as store:
        store.append(Add.added)
    log = cases.trace(work, "--trace=fsync,fdatasync,write").log
    assert str(work.folder) in synced(log)
    assert 1 == len([line for line in log if "fdatasync(" in line and MONTH in line])
    assert [] == [line for line in log if "write(" in line and MONTH in line]


def test_a_repeated_erasure_makes_the_first_one_durable(cases: Cases) -> None:
    """Promises 7 and 11: an erasure that finds nothing left to do still syncs the folder."""
    work = cases.make(Erase)
    with closing(JsonlStore(work.folder)) as store:
        store.erase(ERASED)
    traced = cases.trace(work, "--trace=fsync,rename")
    assert ["ok"] == traced.report["run"][0]
    assert str(work.folder) in synced(traced.log)
    assert [] == [line for line in traced.log if "rename(" in line]


def test_a_replacement_is_written_synced_renamed_and_its_folder_synced(cases: Cases) -> None:
    """Promise 11: write, sync, rename in the same folder, sync of the folder, in this order."""
    work = cases.make(Compact)
    log = cases.trace(work, "--trace=fsync,fdatasync,write,rename").log
    renamed = next(i for i, line in enumerate(log) if f'/{MONTH}")' in line)
    found = re.search(r'rename\("([^"]*)"', log[renamed])
    assert found is not None
    assert work.folder == Path(found[1]).parent
    about = [(i, line) for i, line in enumerate(log) if f"<{found[1]}>" in line]
    written = max(i for i, line in about if "write(" in line)
    assert written < max(i for i, line in about if "fdatasync(" in line) < renamed
    assert str(work.folder) in synced(log[renamed:])


# ------------------------------------------------------------------------------ calls that fail


def failures() -> Iterator[tuple[str, str, bool]]:
    """Yield call, error, and whether it stays broken."""
    for call, errors in FAILING.items():
        for error in errors:
            yield call, error, False
            if DEEP or error == "EIO":
                yield call, error, True


@every_work
@pytest.mark.parametrize(
    ("call", "error", "staying"),
    [pytest.param(*f, id=f"{f[0]}-{f[1]}{'-staying' * f[2]}") for f in failures()],
)
def test_every_failing_call_leaves_all_or_nothing(
    work: type[Work], call: str, error: str, staying: bool, cases: Cases
) -> None:
    """Promises 6 to 8: a typed error, nothing half, reading goes on, and a retry is harmless."""
    for fault in faults(call, f"error={error}", staying=staying):
        case = cases.make(work)
        before = contents(case.folder)
        traced = cases.fail(case, fault)
        assert 0 == traced.code, fault
        if not traced.hit:
            assert ["ok"] == traced.report["run"][0]
            break
        outcome, read = traced.report["run"]
        after = case.expected(before)
        check_outcome(outcome, call, error, fault)
        if call != "openat":
            assert isinstance(read, dict), f"{fault}: {read}"
            for id in read.keys() | before.keys() | after.keys():
                line = read[id].encode() if id in read else None
                assert line in (before.get(id), after.get(id)), f"{fault}: {id}"
            if outcome == ["ok"]:
                assert after == {id: line.encode() for id, line in read.items()}, fault
        assert ["ok"] == traced.report["recover"], fault
        assert after == contents(case.folder), fault
        check_fit(case, after)


def check_outcome(outcome: list[str], call: str, error: str, fault: Fault) -> None:
    """Check that the error is of the type that its cause asks for, and names a path."""
    if outcome == ["ok"]:  # what failed was the index, or a repair that may wait
        return
    assert "StoreUnavailableError" in outcome, f"{fault}: {outcome}"
    assert outcome[-1].startswith("/"), f"{fault}: {outcome}"
    if error == "ENOSPC" and call == "write":
        assert "StoreFullError" == outcome[0], fault
    if call == "fdatasync":
        assert outcome[0] in {"DurabilityError", "StoreUnavailableError"}, fault


def check_fit(case: Work, expected: dict[str, bytes]) -> None:
    """Check that the store can be used: it adds, compacts, and leaves nothing behind."""
    with closing(JsonlStore(case.folder)) as store:
        store.append([an_entry("later")])
        store.compact()
        found = {check.name: check for check in store.check().checks}
    assert Status.OK == found["damaged_lines"].status
    assert [] == [name for name in ("readable", "stale_files", "sealed") if name in found]
    assert expected | {"later": encode(an_entry("later"))} == contents(case.folder)
    months = [*case.folder.glob(".*.tmp"), *(case.folder / "quarantine").glob(".*.tmp")]
    assert [] == months
    if isinstance(case, Erase):
        for id in ERASED:
            assert f"Answer {id}".encode() not in raw(case.folder)


class Once(AddMonths):
    """One try, and no second one."""

    def run(self) -> object:
        """Only call."""
        return outcome_of(self.call)

    def recover(self) -> object:
        """Leave it."""
        return None


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failed_write_is_cut_back(error: str, cases: Cases) -> None:
    """Promise 6: the month files are as they were, to the byte, also when others were written."""
    for fault in faults("write", f"error={error}"):
        case = cases.make(Once)
        before = data_of(case.folder)
        traced = cases.fail(case, fault)
        if not traced.hit:
            break
        assert "StoreUnavailableError" in traced.report["run"]
        assert before == {name: data for name, data in data_of(case.folder).items() if data}


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 6: when the system takes a few bytes at a time, the line is whole in the end."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:7])))
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("a"), an_entry("b", timestamp=NOVEMBER)])
        store.rewrite("a", rated(1))
        store.compact()
    expected = {"a": a_line("a", rating=1)[:-1], "b": a_line("b", timestamp=NOVEMBER)[:-1]}
    assert expected == contents(tmp_path)


@pytest.mark.parametrize("taken", [0, 1, 40, 200, 300])
def test_a_short_write_and_then_an_error_leave_the_file_as_before(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 6: what the system took before it failed is cut away again."""
    with closing(JsonlStore(tmp_path)) as store:
        store.append([an_entry("a")])
        before = data_of(tmp_path)
        write, left = os.write, [taken]

        def failing(file: int, data: bytes) -> int:
            if not left[0]:
                raise OSError(28, "No space left on device")
            count = write(file, bytes(data[: left[0]]))
            left[0] -= count
            return count

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing)
            batch = [an_entry("b", answer="x" * 300), an_entry("c", timestamp=NOVEMBER)]
            assert "StoreFullError" == outcome_of(lambda: store.append(batch))[0]
        assert before == {name: data for name, data in data_of(tmp_path).items() if data}
        assert ["a"] == [entry.id for entry in store.scan(Query())]
        store.append(batch)
        assert ["a", "b", "c"] == [entry.id for entry in store.scan(Query())]


def test_what_cannot_even_be_cut_back_is_sealed_by_the_next_writer(cases: Cases) -> None:
    """Promise 6: a torn line that stays harms nobody, for this process and for the next."""
    case = cases.make(Add)
    before = contents(case.folder)
    write_behind(case.folder / MONTH, a_line("torn")[:40])
    assert before == contents(case.folder)
    case.call()
    assert case.expected(before) == contents(case.folder)


class Retried(Add):
    """An add whose first try is only tried."""

    def run(self) -> object:
        """Only call."""
        return outcome_of(self.call)


def test_a_failed_sync_is_not_believed_when_it_is_repeated(cases: Cases) -> None:
    """Promise 7: after a failed sync the retry writes the line again, and syncs that one."""
    case = cases.make(Retried)
    traced = cases.fail(case, Fault("fdatasync", "error=EIO", "1"))
    assert "DurabilityError" == traced.report["run"][0]
    assert ["ok"] == traced.report["recover"]
    line = a_line("new", answer="Answer new.")
    assert 2 == (case.folder / MONTH).read_bytes().count(line)
    assert line == contents(case.folder)["new"] + b"\n"


# ---------------------------------------------------------------------------- calls that are last


def check_between(case: Work, before: dict[str, bytes], fault: object) -> None:
    """Check what a killed process left: each entry as before or as after."""
    after, now = case.expected(before), contents(case.folder)
    for id in now.keys() | before.keys() | after.keys():
        assert now.get(id) in (before.get(id), after.get(id)), f"{fault}: {id}"


@every_work
@pytest.mark.parametrize("call", CHANGING)
def test_a_kill_at_any_call_leaves_all_or_nothing(
    work: type[Work], call: str, cases: Cases
) -> None:
    """Promises 2 and 12: what was there is there whole, and the next process goes on."""
    for fault in faults(call, "signal=KILL"):
        case = cases.make(work)
        before = contents(case.folder)
        code = cases.fail(case, fault).code
        check_between(case, before, fault)
        assert ["ok"] == outcome_of(work(case.folder).call), fault
        after = case.expected(before)
        assert after == contents(case.folder), fault
        check_fit(case, after)
        if code == 0:
            break
        assert -signal.SIGKILL == code


REPAIRS = [(Erase, Compact), (Compact, Erase), (AddMonths, Compact)]
if DEEP:
    REPAIRS = [(a, b) for a in (AddMonths, Erase, Compact) for b in (Add, Erase, Compact)]


@pytest.mark.parametrize(
    ("first", "second"), REPAIRS, ids=[f"{a.__name__}-{b.__name__}" for a, b in REPAIRS]
)
def test_a_kill_while_repairing_is_as_safe_as_the_first(
    first: type[Work], second: type[Work], cases: Cases
) -> None:
    """Promise 10: whatever a killed process left, the next one may be killed over it as well."""
    calls = ("write", "rename", "fsync", "unlink") if DEEP else ("rename",)
    for call in calls:
        for fault in faults(call, "signal=KILL"):
            if 0 == _kill_twice(first, second, fault, calls, cases):
                break


def _kill_twice(
    first: type[Work], second: type[Work], fault: Fault, calls: tuple[str, ...], cases: Cases
) -> int:
    """Kill the first at a call, then the second at each; return the exit code of the first."""
    code = 0
    for call in calls:
        for again in faults(call, "signal=KILL"):
            case = cases.make(first)
            before = contents(case.folder)
            code = cases.fail(case, fault).code
            between = contents(case.folder)
            repair = second(case.folder)
            repaired = cases.fail(repair, again).code
            check_between(repair, between, (fault, again))
            assert ["ok"] == outcome_of(second(case.folder).call)
            assert ["ok"] == outcome_of(first(case.folder).call)
            after = repair.expected(case.expected(before))
            assert after == contents(case.folder), (fault, again)
            check_fit(repair, after)
            if repaired == 0:
                break
    return code
