"""The test kit: a clock, a network and hardware that tests control."""
