"""The coordinator: registry, queue and escrow ledger, and nothing that carries data."""
