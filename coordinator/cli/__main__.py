"""``python -m coordinator.cli``."""

from __future__ import annotations

from coordinator.cli import main

main()
