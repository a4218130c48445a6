//! Examples to rows.
