"""The wire contract in Python: generated protobuf in ``gen``, and the codec to and from core types."""
