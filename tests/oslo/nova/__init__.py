"""Stands in for nova, whose exceptions its clients rebuild; nova itself is 400 MB."""
