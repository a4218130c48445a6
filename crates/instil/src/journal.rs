//! What a model has answered before.
