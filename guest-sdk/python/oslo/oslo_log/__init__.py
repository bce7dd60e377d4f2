"""What endpoints take of oslo.log: the service's log."""
