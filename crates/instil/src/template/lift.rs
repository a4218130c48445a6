//! From rendered text back to the fields of the row, given the template (spec/uit.md 8.1).
