"""What endpoints take of oslo.config: options, read from the manifest."""
