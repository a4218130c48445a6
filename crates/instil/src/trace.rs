//! Where one example came from.
