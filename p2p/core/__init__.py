"""Pure rules and types: no I/O, no clock but :mod:`p2p.core.clock`, no event loop."""
