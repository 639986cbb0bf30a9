"""Pure rules: matching, pricing, metering, leases, the ledger. Neither trio nor any I/O in here."""
