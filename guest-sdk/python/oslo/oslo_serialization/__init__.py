"""What endpoints take of oslo.serialization."""
