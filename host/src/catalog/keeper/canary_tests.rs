//! Versions on trial, from their beginning to their end.
