"""What endpoints take of oslo.utils."""
