//! The one HTTP client that reaches out, and the guard in front of it.
