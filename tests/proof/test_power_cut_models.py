"""What a power cut may leave, and what it may not, in each model of a filesystem.

Small scripts first, with all that may be left of them; then what holds for every script.
"""

import errno
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feedback_store.testing.simulation import Fault, Image, Node, SimulatedDisk

OWNER = (1001, 1001)
MODELS = ("posix", "ext4", "ordered")
BLOCK = 4096

every_model = pytest.mark.parametrize("model", MODELS)


def per_model(posix: object, ext4: object, ordered: object) -> pytest.MarkDecorator:
    """Run a test with each model and with what is expected of it."""
    expected = list(zip(MODELS, (posix, ext4, ordered), strict=True))
    return pytest.mark.parametrize(("model", "expected"), expected)


def a_disk(model: str, **files: bytes) -> SimulatedDisk:
    """Return a disk with a folder and these files in it, all of it durable."""
    nodes = {"/d": Node(2, None, 0o755, OWNER)}
    for number, (name, content) in enumerate(files.items(), 3):
        nodes[f"/d/{name}"] = Node(number, content, 0o644, OWNER)
    return SimulatedDisk(Image(nodes), model=model)


def write(disk: SimulatedDisk, path: str, *parts: bytes, sync: bool = False) -> None:
    """Append to a file, which is made where it is not there."""
    file = disk.create(path, 0o644) if disk.status(path) is None else disk.open_append(path)
    for part in parts:
        file.append(part)
    if sync:
        file.sync()


def images(disk: SimulatedDisk, limit: int = 9999, *, every_cut: bool = True) -> list[Image]:
    """Return what a power cut may leave."""
    return [image for _, image in disk.crash_states(limit=limit, every_cut=every_cut)]


def left(disk: SimulatedDisk, path: str) -> set[bytes | None]:
    """Return what a power cut may leave of a file: its bytes, or None when it is gone."""
    found = (image.nodes.get(path) for image in images(disk))
    return {None if node is None else node.content for node in found}


def names_left(disk: SimulatedDisk) -> set[str]:
    """Return which names a power cut may leave in the folder."""
    return {" ".join(path[3:] for path, *_ in image.files()) for image in images(disk)}


def modes_left(disk: SimulatedDisk, path: str) -> set[int]:
    """Return which modes of a file a power cut may leave, wherever it has its name."""
    return {image.nodes[path].mode for image in images(disk) if path in image.nodes}


# ---------------------------------------------------------------------------- bytes of a file


@per_model(
    {b"a", b"ax", b"axy", b"axyz", b"a\0\0\0", b"ax\0\0", b"axy\0", b"a\0yz", b"a\0\0z"},
    {b"a", b"axyz", b"a\0\0\0"},
    {b"a", b"ax", b"axy", b"axyz"},
)
def test_a_write_may_be_lost_or_torn(model: str, expected: set[bytes]) -> None:
    """Of a write all, nothing, or a part may be left; size and bytes reach the disk apart."""
    disk = a_disk(model, f=b"a")
    write(disk, "/d/f", b"xyz")
    assert expected == left(disk, "/d/f")


@per_model(
    {b"", b"x", b"xy", b"\0", b"\0\0", b"x\0", b"\0y"},
    {b"", b"x", b"\0", b"xy", b"x\0", b"\0\0"},
    {b"", b"x", b"xy"},
)
def test_writes_are_lost_each_for_itself(model: str, expected: set[bytes]) -> None:
    """In posix the second write may be there without the first, with zeros in its place."""
    disk = a_disk(model, f=b"")
    write(disk, "/d/f", b"x", b"y")
    assert expected == left(disk, "/d/f")


def test_ext4_writes_blocks_in_order() -> None:
    """A file ends at a block, or has its size and zeros from a block on."""
    disk = a_disk("ext4", f=b"a" * (BLOCK - 1))
    write(disk, "/d/f", b"x" * (BLOCK + 2))
    found = {(len(c), len(c.rstrip(b"\0"))) for c in left(disk, "/d/f") if c is not None}
    end = 2 * BLOCK + 1
    sizes = {(n, n) for n in (BLOCK - 1, BLOCK, 2 * BLOCK, end)}
    assert sizes | {(end, n) for n in (BLOCK - 1, BLOCK, 2 * BLOCK)} == found


@per_model(
    {b"abcd", b"ab", b"abx", b"ab\0", b"abxd", b"ab\0d"},
    {b"abcd", b"ab", b"abx", b"ab\0"},
    {b"abcd", b"ab", b"abx"},
)
def test_a_cut_is_a_change_like_a_write(model: str, expected: set[bytes]) -> None:
    """It is kept or lost as a whole, in posix apart from the write that follows it."""
    disk = a_disk(model, f=b"abcd", g=b"ab")
    disk.open_append("/d/f").truncate(2)
    assert {b"abcd", b"ab"} == left(disk, "/d/f")
    write(disk, "/d/f", b"x")
    assert expected == left(disk, "/d/f")
    disk.open_append("/d/g").truncate(4)  # no cut, but zeros at its end
    assert {b"ab", b"ab\0\0"} == left(disk, "/d/g")


def test_some_cuts_tell_much() -> None:
    """Where not every byte is tried, these are: the first, the last, the middle, a new line."""
    disk = a_disk("posix", f=b"")
    write(disk, "/d/f", b"0123\n56789abcdef")
    some = {image.nodes["/d/f"].content or b"" for image in images(disk, every_cut=False)}
    assert some <= left(disk, "/d/f")
    assert {0, 1, 4, 5, 8, 15, 16} == {len(c) for c in some}


# --------------------------------------------------------------------------- names and rights


@per_model({None, b"abc"}, {b"abc"}, {b"abc"})
def test_a_synced_file_may_lack_its_name(model: str, expected: set[bytes]) -> None:
    """Until its folder is synced; a journal takes the name along with the first sync."""
    disk = a_disk(model)
    write(disk, "/d/f", b"abc", sync=True)
    assert expected == left(disk, "/d/f")
    disk.sync_folder("/d")
    assert {b"abc"} == left(disk, "/d/f")


@per_model({b"", b"a", b"ab", b"a\0", b"\0b", b"\0\0"}, {b"", b"ab", b"\0\0"}, {b"ab"})
def test_a_name_may_lack_its_bytes(model: str, expected: set[bytes]) -> None:
    """A sync of the folder makes the name durable, not the file."""
    disk = a_disk(model)
    write(disk, "/d/f", b"ab")
    disk.sync_folder("/d")
    assert expected == left(disk, "/d/f")


@every_model
def test_a_rename_is_one_step(model: str) -> None:
    """The old file or the new one has the name, never none; a sync of the folder decides."""
    disk = a_disk(model, f=b"old", new=b"new")
    disk.rename("/d/new", "/d/f")
    assert {b"old", b"new"} == left(disk, "/d/f")
    assert {"f new", "f"} == names_left(disk)
    disk.sync_folder("/d")
    assert ({b"new"}, {"f"}) == (left(disk, "/d/f"), names_left(disk))


@every_model
def test_an_exchange_is_one_step(model: str) -> None:
    """Both files have changed their names, or none has."""
    disk = a_disk(model, f=b"1", g=b"2")
    disk.exchange("/d/f", "/d/g")
    found = {tuple(content for *_, content in image.files()) for image in images(disk)}
    assert {(b"1", b"2"), (b"2", b"1")} == found


@per_model({b"o", b"", b"n", b"ne", b"n\0", b"\0e", b"\0\0"}, {b"o", b"ne"}, {b"o", b"ne"})
def test_a_rename_before_the_sync(model: str, expected: set[bytes]) -> None:
    """In posix the new name may lead to a torn file; journals write the bytes before the name."""
    disk = a_disk(model, f=b"o")
    write(disk, "/d/new", b"ne")
    disk.rename("/d/new", "/d/f")
    assert expected == left(disk, "/d/f")
    disk.sync_folder("/d")
    assert expected - {b"o"} == left(disk, "/d/f")


def test_ext4_cares_only_for_files_that_replace_another() -> None:
    """A file that was not synced and gets a name that was free may be empty under it."""
    disk = a_disk("ext4")
    write(disk, "/d/new", b"ne")
    disk.rename("/d/new", "/d/f")
    assert {None, b"", b"ne", b"\0\0"} == left(disk, "/d/f")


@per_model({"f g", "f", "g", ""}, {"f g", "g", ""}, {"f g", "g", ""})
def test_names_of_a_folder_change_each_for_itself(model: str, expected: set[str]) -> None:
    """In posix the later change may be kept without the earlier one, elsewhere not."""
    disk = a_disk(model, f=b"", g=b"")
    disk.unlink("/d/f")
    disk.unlink("/d/g")
    assert expected == names_left(disk)


@per_model({"", "e/f"}, {"e/f"}, {"e/f"})
def test_a_folder_has_a_name_too(model: str, expected: set[str]) -> None:
    """What is in a folder is gone with its name, however well it was synced."""
    disk = a_disk(model)
    disk.make_folder("/d/e", 0o755)
    write(disk, "/d/e/f", b"abc", sync=True)
    disk.sync_folder("/d/e")
    assert expected == names_left(disk)
    disk.sync_folder("/d")
    assert {"e/f"} == names_left(disk)


@per_model({0o644, 0o664}, {0o664}, {0o664})
def test_rights_need_a_sync_of_their_own(model: str, expected: set[int]) -> None:
    """A new file may have the mode that the umask left of its own, until rights are synced."""
    disk = a_disk(model)
    file = disk.create("/d/f", 0o664)
    disk.sync_folder("/d")
    file.append(b"x")
    file.sync()
    assert expected == modes_left(disk, "/d/f")
    file.sync(rights=True)
    assert {0o664} == modes_left(disk, "/d/f")


@every_model
def test_the_rights_of_a_folder_are_synced_with_it(model: str) -> None:
    """Until then it may have those that it had; an owner is a right as well."""
    disk = a_disk(model)
    disk.set_mode("/d", 0o700)
    disk.set_owner("/d", 7, 8)
    nodes = {image.nodes["/d"] for image in images(disk)}
    assert {Node(2, None, 0o755, OWNER), Node(2, None, 0o700, (7, 8))} <= nodes
    disk.sync_folder("/d")
    assert {Node(2, None, 0o700, (7, 8))} == {image.nodes["/d"] for image in images(disk)}


# ------------------------------------------------------------------- what holds for every script

NAMES = st.sampled_from("fgh")
OPS = st.one_of(
    st.builds("create {} {}".format, NAMES, st.sampled_from(["644", "664"])),
    st.builds("set_mode {} {}".format, NAMES, st.sampled_from(["600", "640"])),
    st.builds("append {} {}".format, NAMES, st.sampled_from(["x", "yz"])),
    st.builds("truncate {} {}".format, NAMES, st.integers(0, 2)),
    st.builds("{} {}".format, st.sampled_from(["sync", "sync_all", "unlink"]), NAMES),
    st.builds("{} {} {}".format, st.sampled_from(["rename", "exchange"]), NAMES, NAMES),
    st.just("sync_folder"),
)
FAILS = st.builds("fail {}".format, NAMES)


def scripts(ops: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Return some calls; of more than four changes of a file not each combination is tried."""
    return st.lists(ops, min_size=2, max_size=8).filter(
        lambda ops: sum(op.startswith(("append", "truncate")) for op in ops) <= 3
    )


SCRIPTS, FAILING_SCRIPTS = scripts(OPS), scripts(OPS | FAILS)


def run(disk: SimulatedDisk, *ops: str) -> None:
    """Make the calls that can be made; `sync_all` syncs rights too, and `fail` is a failed sync."""
    for op in ops:
        call, *names = op.split()
        path, *rest = [f"/d/{name}" for name in names] or ["/d"]
        with suppress(OSError):
            if call == "fail":
                disk.fail(Fault("sync", 1, errno.EIO))
            if call in ("create", "set_mode"):
                getattr(disk, call)(path, int(names[1], 8))
            elif call == "append":
                disk.open_append(path).append(names[1].encode())
            elif call == "truncate":
                disk.open_append(path).truncate(int(names[1]))
            elif call in ("sync", "sync_all", "fail"):
                disk.open(path).sync(rights=call == "sync_all")
            else:
                getattr(disk, call)(path, *rest)


def ready(model: str, *ops: str) -> SimulatedDisk:
    """Return a disk with two files, after a script."""
    disk = a_disk(model, f=b"ab", g=b"c")
    run(disk, *ops)
    return disk


def key_of(image: Image) -> int:
    """Return the image's key, with numbers that only tell which names lead to the same file."""
    numbers: dict[int, int] = {}
    for path in sorted(image.nodes):
        numbers.setdefault(image.nodes[path].number, len(numbers))
    renumbered = {p: n._replace(number=numbers[n.number]) for p, n in image.nodes.items()}
    return Image(renumbered).key()


def states(disk: SimulatedDisk, limit: int = 4000) -> set[int]:
    """Return all that a power cut may leave, where that is not too much."""
    found = [key_of(image) for image in images(disk, limit)]
    assume(len(found) < limit)
    return set(found)


@pytest.mark.parametrize("model", ["ext4", "ordered"])
@given(ops=FAILING_SCRIPTS)
def test_posix_allows_what_any_other_model_allows(model: str, ops: list[str]) -> None:
    """A store that is safe in posix is safe in the others."""
    assert set() == states(ready(model, *ops)) - states(ready("posix", *ops))


@every_model
@given(ops=SCRIPTS)
def test_all_may_be_kept(model: str, ops: list[str]) -> None:
    """What the kernel has may be what is left, and is all that is left once it is synced."""
    disk = ready(model, *ops)
    assert key_of(disk.image()) in {key_of(image) for image in images(disk, 500)}
    run(disk, "sync_all f", "sync_all g", "sync_all h", "sync_folder")
    assert {key_of(disk.image())} == states(disk)


@every_model
@given(before=SCRIPTS, after=SCRIPTS, name=NAMES)
def test_what_is_synced_stays(model: str, before: list[str], after: list[str], name: str) -> None:
    """Neither bytes nor name nor rights, whatever is done to other files."""
    disk = ready(model, *before, f"create {name} 644", f"sync_all {name}", "sync_folder")
    node = disk.image().nodes[f"/d/{name}"]
    run(disk, *[op for op in after if name not in op.split()])
    assert {node} == {image.nodes.get(f"/d/{name}") for image in images(disk, 500)}


@pytest.mark.parametrize("model", ["posix", "ordered"])
@given(before=FAILING_SCRIPTS, after=OPS | FAILS)
def test_only_a_sync_rules_anything_out(model: str, before: list[str], after: str) -> None:
    """What a power cut might have left, it may leave after any other call too."""
    assume(not after.startswith("sync"))
    disk = ready(model, *before)
    possible = states(disk)
    run(disk, after)
    assert set() == possible - states(disk)


def test_states_can_be_limited() -> None:
    """No more than asked for, nothing and all of it among them; the seed decides about the rest."""
    disk = ready("posix", "append f xyz", "append g xyz", "create h 664", "append h xyz")
    found = [list(disk.crash_states(limit=50, seed=seed)) for seed in (1, 1, 2)]
    assert [50, 50, 50] == [len(states) for states in found]
    assert (found[0], True) == (found[1], found[0] != found[2])
    assert [ready("posix").image(), disk.image()] == [image for _, image in found[2][:2]]


# --------------------------------------------------------------------- failed syncs, fine points


@every_model
@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        (["append g ab", "fail g", "append g d", "sync g"], {b"c\0\0d", b"cabd"}),
        (["append g ab", "fail g", "truncate g 1", "append g d", "sync g"], {b"cd"}),
        (["truncate g 0", "fail g", "append g d", "sync g"], {b"d"}),
        (["append g abc", "fail g", "truncate g 0", "append g xyz", "sync g"], {b"xyz"}),
        (["append g abc", "fail g", "truncate g 2", "sync g"], {b"ca", b"c\0"}),
    ],
    ids=lambda given: str(sorted(given)) if isinstance(given, set) else str(given),
)
def test_a_failed_sync_is_not_made_good_by_the_next(
    model: str, ops: list[str], expected: set[bytes]
) -> None:
    """What it lost may be missing or there; what was written and synced since is never lost."""
    found = left(ready(model, *ops), "/d/g")
    assert expected <= found
    assert found <= {*expected, b"ca\0d", b"c\0bd"}


ON_F = st.sampled_from(["append", "append", "truncate 1", "truncate 4", "sync", "fail"])


@every_model
@given(ops=st.lists(ON_F, max_size=7))
def test_a_failed_sync_takes_nothing_that_was_synced_since(model: str, ops: list[str]) -> None:
    """Each byte that was durable, or written since a sync failed, is there after the next sync."""
    disk = ready(model)
    flags = "dd"  # of each byte: durable, pending, or lost
    for letter, op in zip("stuvwxyz", [*ops, "sync"], strict=False):
        call, *size = op.split()
        run(disk, " ".join([call, "f", *size, *([letter] if call == "append" else [])]))
        if call == "append":
            flags += "p"
        elif call == "truncate":
            flags = flags[: int(size[0])].ljust(int(size[0]), "d")
        else:
            flags = flags.replace("p", "l" if call == "fail" else "d")
    there = disk.image().nodes["/d/f"].content or b""
    for content in left(disk, "/d/f"):
        assert content is not None
        assert len(content) <= len(there)
        for flag, byte, expected in zip(flags, content.ljust(len(there), b"?"), there, strict=True):
            assert byte == expected or (flag == "l" and byte in b"\0?")


@pytest.mark.parametrize(
    ("model", "ops", "path", "expected"),
    [
        ("posix", ["append g ab", "append g d"], "/d/g", b"ca\0d"),
        ("posix", ["set_mode g 600", "set_mode g 640"], "/d/g", 0o600),
        ("ext4", ["append g x", "append g y"], "/d/g", b"cx"),
        ("ext4", ["append g x", "fail g", "append g y"], "/d/g", b"c\0y"),
        ("ext4", ["create h 644", "append h x", "rename h f", "append f y"], "/d/f", b"x"),
        ("ext4", ["create h 644", "append h x", "fail h", "rename h f"], "/d/f", b""),
        ("ext4", ["create h 644", "sync_folder", "append h x", "exchange h f"], "/d/f", b""),
        ("ext4", ["rename g f", "sync f"], "/d/f", b"ab"),
        ("ext4", ["set_mode g 600", "sync g"], "/d/g", 0o644),
        ("ordered", ["append g x", "fail g", "append g y"], "/d/g", b"c\0y"),
    ],
    ids=str,
)
def test_this_may_be_left(model: str, ops: list[str], path: str, expected: object) -> None:
    """Writes tear anywhere, rights change one by one, and ext4 commits no more than it must."""
    disk = ready(model, *ops)
    assert expected in left(disk, path) | modes_left(disk, path)


@pytest.mark.parametrize(
    ("ops", "path", "unexpected"),
    [
        (["create h 644", "append h x", "rename h f", "append f y"], "/d/f", b""),
        (["create h 644", "append h x", "rename h f", "append f y", "sync_folder"], "/d/f", b"ab"),
        (["create h 644", "append h x", "rename h f", "append f y", "sync_folder"], "/d/f", b""),
        (["append g x", "rename g f", "sync f"], "/d/f", b"ab"),
        (["set_mode g 600", "sync_all g"], "/d/g", 0o644),
    ],
    ids=str,
)
def test_ext4_does_not_leave_this(ops: list[str], path: str, unexpected: object) -> None:
    """What a file had when it took another's place is there, and a commit takes all along."""
    disk = ready("ext4", *ops)
    assert unexpected not in left(disk, path) | modes_left(disk, path)


@per_model({"f", "e/f", "e/f f", ""}, {"f", "e/f"}, {"f", "e/f"})
def test_a_rename_across_folders_is_a_change_of_each(model: str, expected: set[str]) -> None:
    """In posix each is durable with its own folder; a journal keeps both or none."""
    disk = a_disk(model, f=b"1")
    disk.make_folder("/d/e", 0o755)
    disk.sync_folder("/d")
    disk.rename("/d/f", "/d/e/f")
    assert expected == names_left(disk)
    disk.sync_folder("/d/e")
    assert {names for names in expected if "e/f" in names} == names_left(disk)


def test_two_names_may_lead_to_one_file() -> None:
    """Where a power cut has left a file two names, what is written by one is read by the other."""
    twins = 0
    for image in images(ready("posix", "rename g h", "rename h f")):
        if len(set(image.nodes.values())) < len(image.nodes):
            disk = SimulatedDisk(image)
            names = disk.list("/d")
            write(disk, f"/d/{names[0]}", b"x")
            assert 1 == len({disk.open(f"/d/{name}").read(0, 9) for name in names})
            disk.rename(f"/d/{names[0]}", f"/d/{names[1]}")  # does nothing, as the system says
            assert names == disk.list("/d")
            twins += 1
    assert twins
