"""Written by `make proto` from `proto/`; never edited by hand."""
