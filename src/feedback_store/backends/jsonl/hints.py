r"""What a line must hold for its entry to match: a search of bytes rules most lines out.

A text stands in a line of JSON as it is, or with escapes. Those that a writer must use (for a
quotation mark, a backslash, a control character) and those that one may use (for a slash) are kept
out of what is searched for. Any character may be written by its number, as ``\u00e9``: such lines
are never ruled out.
"""

import re

from feedback_store.backends.jsonl.scanning import Hint
from feedback_store.query import Query

_ESCAPED = re.compile(r'["\\/\x00-\x1f]')
_BY_NUMBER = b"\\u"


def hint_of(query: Query) -> Hint | None:
    """Return a test of lines for what the index cannot tell; None where nothing can be said."""
    told = [query.message_id, query.conversation_id, query.user_id]
    told += [value for value in query.match.values() if isinstance(value, str)]
    exact = max((_plain_part(text) for text in told if text), key=len, default=b"")
    if exact:
        return lambda line: exact in line or _BY_NUMBER in line
    folded = _plain_part(query.text or "").lower()
    if not folded or not folded.isascii():
        return None
    # What is not ASCII may fold to a letter that is: the Kelvin sign is a k.
    return lambda line: folded in line.lower() or _BY_NUMBER in line or not line.isascii()


def _plain_part(text: str) -> bytes:
    """Return the longest part of a text that is written as it is, wherever it is not by numbers."""
    part: str = max(_ESCAPED.split(text), key=len)
    return part.encode(errors="replace")
