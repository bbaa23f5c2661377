"""Measures quickspine beside plain PyTorch and plain Keras: `python -m benchmarks`."""
