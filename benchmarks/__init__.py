"""akosha-snap measured beside its peers: `python -m benchmarks` (see `--help`)."""
