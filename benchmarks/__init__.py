"""How fast the stores are, beside what people would use instead: ``python -m benchmarks``."""
