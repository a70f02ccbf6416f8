"""How JSON may write an id: for finding one in bytes that do not parse."""

import json
from collections.abc import Iterable


class Needles:
    """Ids, as they may stand in a line that does not parse."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._texts = {text for id in ids for text in _spellings(id)}

    def stand_in(self, line: bytes) -> bool:
        """Say whether the line holds one of the ids, in quotes or at a torn edge."""
        return any(
            b'"' + text + b'"' in line or line.endswith(b'"' + text) or line.startswith(text + b'"')
            for text in self._texts
        )


def _spellings(id: str) -> set[bytes]:
    """Return the id with every character as it is, and with escapes."""
    texts = (json.dumps(id, ensure_ascii=escaped)[1:-1] for escaped in (True, False))
    return {text.encode(errors="surrogatepass") for text in texts}
