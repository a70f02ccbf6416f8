"""What is refused of a snapshot: whatever is not, byte by byte, what its manifest says."""

import gzip
import io
import json
from pathlib import Path

import pytest
from exporting import some_entries, store_of
from hypothesis import given
from hypothesis import strategies as st

from feedback_store import SnapshotError, StoreUnavailableError, snapshot
from feedback_store.compressing import packer_for, unpacked
from feedback_store.snapshot import read, verify

NAMES = ("f.json", "f.jsonl.gz", "f.json.zst")


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A snapshot of three entries."""
    path: Path = tmp_path / request.param
    store_of(some_entries()).export(path)
    return path


def test_a_flipped_bit_is_found(target: Path) -> None:
    """Every byte counts: of the first, the middle and the last, and of the manifest's own."""
    data = target.read_bytes()
    for place in (0, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 1
        target.write_bytes(damaged)
        with pytest.raises(SnapshotError, match="SHA-256 differs"):
            verify(target)
        with pytest.raises(SnapshotError, match="SHA-256 differs"):
            read(target)
    target.write_bytes(data)
    verify(target)


def test_a_cut_file_is_found(target: Path) -> None:
    """The error tells both sizes."""
    data = target.read_bytes()
    target.write_bytes(data[:-1])
    with pytest.raises(SnapshotError, match=f"{len(data) - 1} bytes, .* tells of {len(data)}"):
        read(target)


def test_what_has_no_manifest_is_not_trusted(target: Path) -> None:
    """Nothing vouches for it, so it is an error, and no guess."""
    Path(f"{target}.manifest.json").unlink()
    with pytest.raises(SnapshotError, match="no manifest"):
        verify(target)


def test_what_is_not_there_is_told(target: Path) -> None:
    """A missing file is not an empty one."""
    target.unlink()
    with pytest.raises(SnapshotError, match="there is no"):
        verify(target)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"manifest": 1}',
        b'{"manifest": 1, "snapshot": [], "before": 3}',
    ],
    ids=["empty", "cut", "list", "null", "bare", "shapes"],
)
def test_a_damaged_manifest_is_told(target: Path, manifest: bytes) -> None:
    """It is no manifest, and says nothing."""
    Path(f"{target}.manifest.json").write_bytes(manifest)
    with pytest.raises(SnapshotError, match="no manifest of a snapshot"):
        verify(target)


def test_a_manifest_of_tomorrow_is_refused(target: Path) -> None:
    """Its number is told, and that an upgrade helps."""
    path = Path(f"{target}.manifest.json")
    told = json.loads(path.read_bytes())
    path.write_text(json.dumps({**told, "manifest": 2}))
    with pytest.raises(SnapshotError, match=r"version 2 .*upgrade"):
        verify(target)


def test_a_manifest_may_tell_more_than_is_known(target: Path) -> None:
    """What a later release adds does no harm."""
    path = Path(f"{target}.manifest.json")
    told = json.loads(path.read_bytes())
    told["snapshot"]["colour"] = "blue"
    path.write_text(json.dumps({**told, "signed": True}))
    assert 3 == verify(target).entries


def test_only_entries_are_read(tmp_path: Path) -> None:
    """CSV, Parquet and training data are told to be what they are."""
    store = store_of(some_entries())
    store.export(tmp_path / "f.csv")
    store.export(tmp_path / "f.jsonl", format="kto")
    for name, kind in (("f.csv", "csv"), ("f.jsonl", "kto")):
        with pytest.raises(SnapshotError, match=f"is {kind}"):
            read(tmp_path / name)


def test_the_number_of_entries_is_held_against_the_manifest(tmp_path: Path) -> None:
    """A manifest that somebody has written anew does not make fewer entries whole."""
    target = tmp_path / "f.jsonl"
    store_of(some_entries()).export(target)
    path = Path(f"{target}.manifest.json")
    told = json.loads(path.read_bytes())
    told["snapshot"]["entries"] = 4
    path.write_text(json.dumps(told))
    with pytest.raises(SnapshotError, match="has 3 entries, and its manifest tells of 4"):
        list(read(target))


def test_a_place_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    """A file where a folder should be is the system's error, worded."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="file"):
        verify(tmp_path / "file" / "f.json")
    with pytest.raises(StoreUnavailableError, match="file"):
        store_of([]).export(tmp_path / "file" / "f.json")


@given(
    contents=st.binary(max_size=3000), cut=st.integers(1, 200), chunk=st.sampled_from((1, 7, 4096))
)
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_is_packed_is_unpacked_to_its_end_or_refused(
    suffix: str, contents: bytes, cut: int, chunk: int
) -> None:
    """Also when it is packed in two, and never in part when it is cut off."""

    def packed(data: bytes) -> bytes:
        packer = packer_for(suffix)
        return packer.compress(data) + packer.flush()

    whole = packed(contents) + packed(b"second")
    with unpacked(io.BytesIO(whole), suffix) as file:
        assert contents + b"second" == b"".join(iter(lambda: file.read(chunk), b""))
    one = packed(contents)
    with (
        pytest.raises(EOFError),
        unpacked(io.BytesIO(one[: -min(cut, len(one) - 1)]), suffix) as file,
    ):
        file.read()


# -------------------------------------------------------------------------------- encryption


pyrage = pytest.importorskip("pyrage")


def a_key() -> tuple[str, str]:
    """Return a secret key and its public one."""
    secret = pyrage.x25519.Identity.generate()
    return str(secret), str(secret.to_public())


@pytest.mark.parametrize("name", ["f.json.age", "f.jsonl.gz.age", "f.csv.age", "f.parquet.age"])
def test_an_encrypted_snapshot_shows_nothing(tmp_path: Path, name: str) -> None:
    """Only who has a key of a recipient reads it; the manifest proves it without one."""
    secret, public = a_key()
    other_secret, other_public = a_key()
    entries = some_entries(40, question="What is the secret of the house?")
    written = store_of(entries).export(tmp_path / name, recipients=[public, other_public])
    assert written.encrypted
    data = (tmp_path / name).read_bytes()
    assert b"secret" not in data
    assert data.startswith(b"age-encryption.org/v1")
    assert written == verify(tmp_path / name)
    if written.format in ("json", "jsonl"):
        assert entries == list(read(tmp_path / name, identities=[secret]))
        assert entries == list(read(tmp_path / name, identities=[a_key()[0], other_secret]))
        with pytest.raises(SnapshotError, match="cannot be decrypted"):
            list(read(tmp_path / name, identities=[a_key()[0]]))
        with pytest.raises(SnapshotError, match="is encrypted"):
            read(tmp_path / name)


def test_age_itself_reads_what_is_encrypted(tmp_path: Path) -> None:
    """The whole file, decrypted at once, is the gzip file that it was."""
    secret, public = a_key()
    store = store_of(some_entries(2000))
    store.export(tmp_path / "f.jsonl.gz.age", recipients=[public])
    store.export(tmp_path / "f.jsonl")
    identity = pyrage.x25519.Identity.from_str(secret)
    plain = pyrage.decrypt((tmp_path / "f.jsonl.gz.age").read_bytes(), [identity])
    assert (tmp_path / "f.jsonl").read_bytes() == gzip.decompress(plain)


def test_a_reader_may_stop_early(tmp_path: Path) -> None:
    """What decrypts ends with it."""
    secret, public = a_key()
    store_of(some_entries(3000)).export(tmp_path / "f.jsonl.age", recipients=[public])
    entries = snapshot.read(tmp_path / "f.jsonl.age", identities=[secret])
    assert "m-0000" == next(entries).id
    entries.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.parametrize("key", ["age1nope", "AGE-SECRET-KEY-1NOPE", "ssh-rsa nope", "", "hello"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    """Somebody may have mistaken the secret key for the public one: it stands in no message."""
    with pytest.raises(ValueError, match="recipient 1 is no key") as caught:
        store_of([]).export(tmp_path / "f.json.age", recipients=[key])
    assert not key or key not in str(caught.value)
    assert not (tmp_path / "f.json.age").exists()
