//! Task data from the text itself, by programs.
