//! SQLite: one writer, many readers.
