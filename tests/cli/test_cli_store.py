"""How a command finds its store, and how errors look, whatever the command."""

from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from feedback_store import FeedbackEntry, FeedbackStore, StoreUnavailableError
from feedback_store.cli.program import program
from feedback_store.cli.terminal import visible, without_secrets

Invoke = Callable[..., Result]

COMMANDS_WITH_STORE_LAST = [
    ("add", "--message-id", "m", "--question", "q", "--answer", "a"),
    ("get", "m"),
    ("list",),
    ("stats",),
    ("update", "m", "--rating", "1"),
    ("compact",),
    ("check",),
]


@pytest.mark.parametrize("command", COMMANDS_WITH_STORE_LAST)
def test_the_argument_goes_before_the_environment(
    invoke: Invoke, store: FeedbackStore, opened_with: dict[str, Any], command: tuple[str, ...]
) -> None:
    """A store that is given as the last argument is used, whatever the environment says."""
    store.add(FeedbackEntry(message_id="m", question="q", answer="a"))
    assert (0, "") == ((result := invoke(*command, "kept://there")).exit_code, result.stderr)
    assert "kept://there" == opened_with["url"]


@pytest.mark.parametrize("command", [*COMMANDS_WITH_STORE_LAST, ("delete", "m")])
def test_the_option_goes_before_the_environment(
    invoke: Invoke, store: FeedbackStore, opened_with: dict[str, Any], command: tuple[str, ...]
) -> None:
    """A store that is given by --store is used, whatever the environment says."""
    store.add(FeedbackEntry(message_id="m", question="q", answer="a"))
    assert 0 == invoke(*command, "--store", "kept://there").exit_code
    assert "kept://there" == opened_with["url"]


@pytest.mark.parametrize("command", [*COMMANDS_WITH_STORE_LAST, ("delete", "m")])
def test_without_a_store_both_ways_are_told(command: tuple[str, ...]) -> None:
    """A command without any store is wrong use, and the error names --store and the variable."""
    result = CliRunner().invoke(program, command, env={"FEEDBACK_STORE_URL": None})
    assert (2, "") == (result.exit_code, result.stdout)
    assert "--store" in result.stderr
    assert "FEEDBACK_STORE_URL" in result.stderr


def test_a_store_that_is_given_twice_is_refused(invoke: Invoke) -> None:
    """A store as an argument and by --store is wrong use, even if they are equal."""
    result = invoke("list", "kept://", "--store", "kept://")
    assert (2, True) == (result.exit_code, "given twice" in result.stderr)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Europe/Berlin", ZoneInfo("Europe/Berlin")), ("+01:30", timezone(timedelta(minutes=90)))],
)
def test_options_reach_the_store(
    invoke: Invoke, opened_with: dict[str, Any], zone: str, expected: object
) -> None:
    """--naive-tz and --durability are passed on to the store."""
    assert 0 == invoke("compact", "--naive-tz", zone, "--durability", "os").exit_code
    assert {"url": "kept://", "naive_tz": expected, "durability": "os"} == opened_with


def test_options_that_are_not_given_are_not_passed_on(
    invoke: Invoke, opened_with: dict[str, Any]
) -> None:
    """A store that knows neither option can be opened without them."""
    invoke("compact")
    assert {"url": "kept://"} == opened_with


def test_an_option_that_the_store_lacks_is_wrong_use(invoke: Invoke) -> None:
    """An option that this kind of store does not take is named, and nothing else happens."""
    result = invoke("compact", "mem://", "--durability", "os")
    assert 2 == result.exit_code
    assert "takes no --durability" in result.stderr


@pytest.mark.parametrize("zone", ["Atlantis/Center", "+1:2:3:4", "../../etc", ""])
def test_a_zone_that_is_none_is_wrong_use(invoke: Invoke, zone: str) -> None:
    """A time zone that is not known is refused by name of the option."""
    result = invoke("list", "--naive-tz", zone)
    assert (2, True) == (result.exit_code, "--naive-tz" in result.stderr)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 2),
        (("frobnicate",), 2),
        (("list", "--nope"), 2),
        (("list", "a", "b"), 2),
        (("list", "--since", "yesterday"), 2),
        (("list", "--match", "novalue"), 2),
        (("get",), 2),
        (("get", "missing"), 1),
        (("get", "missing\x1b[31m\n"), 1),
        (("list", "--cursor", "nonsense"), 1),
        (("list", "gopher://host"), 1),
        (("update", "missing", "--rating", "1"), 1),
        (("update", "m", "--set", "nonsense=1"), 1),
        (("add", "--message-id", "m", "--question", "q", "--answer", "a", "--rating", "7"), 1),
    ],
)
def test_an_error_is_one_line(invoke: Invoke, args: tuple[str, ...], code: int) -> None:
    """Every error is one printable line on standard error that begins with ``Error:``."""
    result = invoke(*args)
    assert (code, "") == (result.exit_code, result.stdout)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert line.isprintable()


def test_no_password_is_shown(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that holds the URL of a store shows stars in place of its password."""
    url = "kept://me:s3/cr@t@host/db?sslpassword=hush"

    def fail(_: FeedbackStore, __: str) -> None:
        msg = f"{url} cannot be reached"
        raise StoreUnavailableError(msg)

    monkeypatch.setattr(FeedbackStore, "get", fail)
    expected = "Error: kept://me:***@host/db?sslpassword=*** cannot be reached\n"
    assert expected == invoke("get", "m", url).stderr
    assert "s3/cr" not in invoke("list", "x", url).stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("postgresql://u:pw@h/db and x@y", "postgresql://u:***@h/db and x@y"),
        ("s3://bucket/x?endpoint=a&secret=b&c=d", "s3://bucket/x?endpoint=a&secret=***&c=d"),
        ("http://host:80/path", "http://host:80/path"),
    ],
)
def test_secrets_are_told_from_the_rest(text: str, expected: str) -> None:
    """Passwords and secret parameters become stars; hosts, ports and paths stay."""
    assert expected == without_secrets(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüße, 世界 👩‍💻", "Grüße, 世界 👩‍💻"),
        (" two\r\nlines\t\u2028x ", "two lines x"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m\x07\x00", "\\x9b31m\\x07\\x00"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\udc80", "\\udc80"),
    ],
)
def test_control_characters_are_spelled_out(text: str, expected: str) -> None:
    """Text of any language stays; what could steer a terminal is shown instead of obeyed."""
    assert expected == visible(text)
