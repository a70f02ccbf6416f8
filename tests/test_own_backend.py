"""The example of a backend by someone else keeps every promise, and shows how that is proved."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_backend.py"

_shown = runpy.run_path(str(EXAMPLE))

TestJsonFileStore = _shown["TestJsonFileStore"]
TestJsonFileMachine = _shown["TestJsonFileMachine"]
