//! Inputs: fetched through the guard, shared by all tasks of an input.
