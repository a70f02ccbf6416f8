"""What the PostgreSQL store costs beside SQL by hand: ``python -m benchmarks postgres``."""
