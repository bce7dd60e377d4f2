"""What endpoints take of oslo.context."""
