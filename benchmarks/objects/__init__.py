"""What the object store costs, in requests, bytes and time: ``python -m benchmarks objects``."""
