"""The messages that peers exchange, as plain frozen dataclasses.

Each has a protobuf message of the same name and the same fields in ``proto/cyxwiz/v1``;
:mod:`p2p.wire.codec` maps between them and a test holds the two together.
"""
