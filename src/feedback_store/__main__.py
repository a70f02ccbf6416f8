"""The command line, run as ``python -m feedback_store``."""

from feedback_store.cli import main

if __name__ == "__main__":
    main()
