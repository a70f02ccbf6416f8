"""Queries over month files: right after any history, and never reading what cannot matter."""

import gzip
import itertools
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonl_harness import MONTH, NOON, a_line, an_entry

from feedback_store import FeedbackEntry, FeedbackStore, Metadata, Page, Query, encode
from feedback_store.backends.jsonl import JsonlStore, view
from feedback_store.backends.jsonl.hints import hint_of
from feedback_store.backends.jsonl.index_file import Stretch, format_run, parse_run
from feedback_store.backends.jsonl.os_disk import OsDisk
from feedback_store.backends.jsonl.records import Line, Records
from feedback_store.backends.jsonl.traits import TraitTable
from feedback_store.backends.memory import MemoryStore
from feedback_store.testing.strategies import entries, queries
from feedback_store.wire import Glimpse, glimpse_of_plain

MONTHS = [NOON - timedelta(days=31 * k) for k in range(4)]


class CountingFile:
    """A file that counts the bytes that are read from it, by its name."""

    def __init__(self, file: Any, name: str, counts: dict[str, int]) -> None:  # noqa: ANN401  # the disk's own
        self._file, self._name, self._counts = file, name, counts

    def read(self, offset: int, size: int) -> bytes:
        """Read, and count."""
        data: bytes = self._file.read(offset, size)
        self._counts[self._name] = self._counts.get(self._name, 0) + len(data)
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


class CountingDisk(OsDisk):
    """A disk that counts what is read of which file."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def open(self, path: str) -> Any:  # noqa: ANN401  # as above
        """Open a file that counts."""
        return CountingFile(super().open(path), os.path.basename(path), self.counts)  # noqa: PTH119  # a string


def shown(page: Page) -> tuple[list[bytes], int, str | None]:
    """Return all that a page says."""
    return [encode(entry) for entry in page.entries], page.total, page.next_cursor


@pytest.fixture(params=["line by line", "all at once"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take in new lines one by one, or look at all of them again."""
    if request.param == "all at once":
        monkeypatch.setattr(view, "_MANY", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with four months of a hundred entries each, and its index."""
    with closing(JsonlStore(tmp_path)) as store:
        for k, month in enumerate(MONTHS):
            store.append([an_entry(f"{k}-{i}", timestamp=month) for i in range(100)])
    return tmp_path


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(entries(), min_size=1, max_size=3)),
        st.tuples(st.just("behind"), st.lists(entries(), min_size=1, max_size=3)),
        st.tuples(st.just("rewrite"), st.floats(0, 1)),
        st.tuples(st.just("erase"), st.integers(0, 5)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("seal"), st.none()),
        st.tuples(st.just("ask"), queries()),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, last=queries(), limit=st.integers(1, 3))
def test_answers_are_those_of_a_model(
    steps: list[tuple[str, Any]], last: Query, limit: int
) -> None:
    """After any history of this and another process's writes, all answers are a dictionary's."""
    with TemporaryDirectory() as folder, closing(JsonlStore(folder)) as store:
        model = MemoryStore()
        fast, slow = FeedbackStore(store), FeedbackStore(model)
        for step, given_ in [*steps, ("ask", last)]:
            _take(step, given_, store, model, Path(folder))
            if step == "ask":
                assert slow.stats() == fast.stats()
                assert slow.stats(given_) == fast.stats(given_)
                assert slow.count(given_) == fast.count(given_)
                assert shown(slow.page(given_, limit)) == shown(fast.page(given_, limit))
                assert list(slow.scan(given_)) == list(fast.scan(given_))


def _take(
    step: str, given_: Any, store: JsonlStore, model: MemoryStore, folder: Path  # noqa: ANN401  # what the step takes
) -> None:  # fmt: skip
    known = [entry.id for entry in model.scan(Query())]
    if step == "append":
        assert model.append(given_) == store.append(given_)
    elif step == "behind":
        with closing(JsonlStore(folder)) as other:
            assert model.append(given_) == other.append(given_)
    elif step == "rewrite" and known:
        for some in (store, model):
            some.rewrite(known[0], lambda old: attrs.evolve(old, rating=given_, updated_at=NOON))
    elif step == "erase" and known:
        wanted = known[given_ % len(known)]
        assert model.erase([wanted]) == store.erase([wanted])
    elif step == "compact":
        store.compact()
    elif step == "seal":
        for path in folder.glob("feedback_*.jsonl"):
            sealed = path.with_suffix(".jsonl.gz")
            before = gzip.decompress(sealed.read_bytes()) if sealed.exists() else b""
            sealed.write_bytes(gzip.compress(before + path.read_bytes()))
            path.unlink()


def test_the_same_id_in_two_months_counts_once(tmp_path: Path) -> None:
    """An older writer's second copy in a later month is the entry, also when it comes last."""
    september = NOON - timedelta(days=31)
    first, second = a_line("a", timestamp=september, rating=0), a_line("a", rating=1)
    for order in itertools.permutations([("feedback_2025-09.jsonl", first), (MONTH, second)]):
        folder = tmp_path / order[0][0]
        folder.mkdir()
        with closing(JsonlStore(folder)) as store:
            for name, line in order:
                (folder / name).write_bytes(line)
                store.stats(Query())
            stats = store.stats(Query())
            assert (1, 1, 0) == (stats.total, stats.positive, stats.negative)
            assert (NOON, NOON) == (stats.first, stats.last)
            assert 1 == store.count(Query(rating="positive"))
            assert [1] == [entry.rating for entry in store.page(Query(), 5, None, None).entries]


def test_ids_of_one_hash_are_two_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two ids have one hash, neither takes the other's place."""
    for module in ("part", "work", "folder"):
        monkeypatch.setattr(f"feedback_store.backends.jsonl.{module}.hash_of", lambda _: 7)
    with closing(JsonlStore(tmp_path)) as store:
        for id in "abcab":
            store.append([an_entry(id)])
            store.rewrite(id, lambda old: attrs.evolve(old, rating=1 - (old.rating or 0)))
            assert store.count(Query()) == len(set(map(str, store.scan(Query()))))
        stats = store.stats(Query())
        assert (3, 1, 2) == (stats.total, stats.positive, stats.negative)


def test_a_page_reads_only_the_months_that_can_matter(folder: Path) -> None:
    """A new process reads the lines that it shows, of their month."""
    disk = CountingDisk()
    with closing(JsonlStore(folder, disk=disk)) as store:
        query = Query(since=NOON - timedelta(days=3), rating="negative")
        assert 100 == store.page(query, 50, None, None).total
        read = {name for name, size in disk.counts.items() if size > 1000}
        assert {MONTH} == {name for name in read if name.startswith("feedback_")}


def test_numbers_read_no_line(folder: Path) -> None:
    """Counts and statistics by what the index tells come from the index."""
    disk = CountingDisk()
    with closing(JsonlStore(folder, disk=disk)) as store:
        assert 400 == store.stats(Query()).total
        assert 400 == store.count(Query(rating="negative", source_types=["unknown"]))
        assert 100 == store.stats(Query(since=NOON, has_explanation=False)).total
        assert all(size < 1000 for size in disk.counts.values())


def test_a_question_after_a_write_reads_what_was_written(folder: Path) -> None:
    """Whoever wrote it: the line, and a few bytes that prove the file to be the same."""
    disk = CountingDisk()
    with closing(JsonlStore(folder, disk=disk)) as store, closing(JsonlStore(folder)) as other:
        store.stats(Query())
        other.append([an_entry("new", question="y" * 3000)])
        disk.counts.clear()
        assert 401 == store.stats(Query()).total
        assert 3000 < sum(disk.counts.values()) < 4000


def test_a_scan_is_as_of_its_call(folder: Path) -> None:
    """What is written, superseded or erased later is not seen by it."""
    with closing(JsonlStore(folder)) as store:
        found = store.scan(Query(rating="negative"))
        store.append([an_entry("new")])
        store.rewrite("0-1", lambda old: attrs.evolve(old, rating=1))
        store.erase(["1-1"])
        assert 400 == sum(1 for _ in found)
        assert 399 == store.count(Query(rating="negative"))


def test_a_line_changed_in_place_is_counted_as_it_is_now(tmp_path: Path) -> None:
    """Somebody edits a month in place, to the same length: the page that meets it looks again."""
    path = tmp_path / MONTH
    path.write_bytes(a_line("a") + a_line("b") + a_line("c"))
    with closing(JsonlStore(tmp_path)) as store:
        assert 3 == store.count(Query())
        path.write_bytes(a_line("a") + b"!" * (len(a_line("b")) - 1) + b"\n" + a_line("c"))
        page = store.page(Query(), 50, None, None)
        assert (["c", "a"], 2) == ([entry.id for entry in page.entries], page.total)


def test_the_end_that_goes_is_no_longer_the_end(tmp_path: Path) -> None:
    """First and last are those of the lines that count, also when one is taken back elsewhere."""
    october, september = tmp_path / MONTH, tmp_path / "feedback_2025-09.jsonl"
    early = NOON - timedelta(days=40)
    september.write_bytes(a_line("a", timestamp=early) + a_line("b"))
    with closing(JsonlStore(tmp_path)) as store:
        assert early == store.stats(Query()).first
        october.write_bytes(a_line("a", timestamp=NOON + timedelta(hours=1)))
        assert (NOON, NOON + timedelta(hours=1)) == (
            store.stats(Query()).first,
            store.stats(Query()).last,
        )


@pytest.mark.parametrize("seconds", [-1.5, 0, 4294.967294, 4294.967295, 1e20, 5e307])
def test_any_response_time_adds_up(tmp_path: Path, seconds: float) -> None:
    """Also one that the index's number cannot hold, in this process and in the next."""
    several = [an_entry(id, metadata=Metadata(response_time=seconds)) for id in "abc"]
    with closing(JsonlStore(tmp_path)) as store, closing(MemoryStore()) as model:
        assert model.append(several) == store.append(several)
        expected = FeedbackStore(model).stats()
        assert expected == store.stats(Query())
    with closing(JsonlStore(tmp_path)) as store:
        assert expected == store.stats(Query())


def test_a_run_holds_more_traits_than_two_bytes_can_number() -> None:
    """A file may have an issue of its own in every line."""
    table, records, count = TraitTable(), Records(), 70_000
    for i in range(count):
        seen = Glimpse("", NOON, 1, (f"issue {i}",), frozenset(("faq",)), False, None)  # noqa: FBT003  # as it stands
        records.add(Line(i, i, i, 1, 0, *table.of(seen)))
    run = parse_run(memoryview(format_run(Stretch(b"", b"", 0, 1, 1, 0, 0, 0), records, table)))
    assert run is not None
    other, again = TraitTable(), Records()
    run.extend(again, other, count - 2)
    assert ["issue 69998", "issue 69999"] == [other.all[n].issues[0] for n in again.traits]


@given(entry=entries())
def test_a_line_shows_the_traits_of_its_entry(entry: FeedbackEntry) -> None:
    """What is seen of a line without making the entry is what the entry says."""
    seen = glimpse_of_plain(encode(entry), UTC)
    assert seen is None or Glimpse.of(entry) == seen


def _lines() -> Iterator[tuple[bytes, Query, bool]]:
    """Yield lines, queries, and whether the line may match."""
    plain = a_line("a", question="Kelvin/Ohm", metadata=Metadata(conversation_id="c/1"))
    numbers = plain.replace(b"Kelvin", b"\\u212Aelvin")
    slashes = plain.replace(b"/", b"\\/")
    kelvin = a_line("a", question="\N{KELVIN SIGN}elvin")
    for line in (plain, numbers, slashes):
        yield line, Query(text="kelvin/ohm"), True
        yield line, Query(conversation_id="c/1"), True
    yield kelvin, Query(text="KELVIN"), True
    yield plain, Query(text="ampere"), False
    yield plain, Query(conversation_id="c-2"), False
    yield plain, Query(text='say "kelvin'), True  # only a part of it is searched for
    yield plain, Query(text='say "ampere'), False
    yield plain, Query(match={"user_id": "kelvin-9"}), False


@pytest.mark.parametrize(("line", "query", "expected"), list(_lines()))
def test_a_hint_rules_out_no_line_that_matches(line: bytes, query: Query, expected: bool) -> None:
    """However a writer has escaped it; and rules out most of the others."""
    hint = hint_of(query)
    assert hint is not None
    assert expected is hint(line)


def test_there_is_no_hint_where_any_line_may_match() -> None:
    """Letters that are not ASCII fold in ways that bytes do not tell."""
    nothing = [Query(), Query(text="Ä"), Query(text='"'), Query(match={"a": 1})]
    assert [None] * 4 == [hint_of(query) for query in nothing]


def test_deep_pages_by_cursor_read_their_own_lines(tmp_path: Path) -> None:
    """The page after a cursor costs what it shows, not what lies before it."""
    start = datetime(2025, 10, 1, tzinfo=UTC)
    times = [start + timedelta(minutes=k) for k in range(600)]
    several = [an_entry(f"{k:03}", timestamp=t, question="x" * 3000) for k, t in enumerate(times)]
    disk = CountingDisk()
    with closing(JsonlStore(tmp_path, disk=disk)) as store:
        store.append(several)
        cursor, seen = None, list[str]()
        while True:
            disk.counts.clear()
            page = store.page(Query(), 50, cursor, None)
            assert sum(disk.counts.values()) < 600 * 3000 / 2
            seen += [entry.id for entry in page.entries]
            if (cursor := page.next_cursor) is None:
                break
        assert [entry.id for entry in reversed(several)] == seen


def open_files(folder: Path) -> list[str]:
    """Return what this process has open below a folder."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  # numbers
    found = [os.readlink(link) for link in links if os.path.lexists(link)]  # noqa: PTH115  # as above
    return [path for path in found if path.startswith(str(folder))]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="it is how Linux tells")  # noqa: PTH110  # as above
def test_no_question_keeps_a_file_open(folder: Path) -> None:
    """Neither a month that was rewritten, whose space it would hold, nor any once it is closed."""
    store = JsonlStore(folder)
    store.stats(Query())
    store.rewrite("0-1", lambda old: attrs.evolve(old, rating=1))
    store.page(Query(), 5, None, None)
    store.compact()
    assert [] == [path for path in open_files(folder) if path.endswith("(deleted)")]
    store.close()
    assert [] == open_files(folder)
    store = JsonlStore(folder)
    store.stats(Query())
    del store  # without a cycle, nothing waits for the collector
    assert [] == open_files(folder)
