//! What came in, went out and was not used, stage by stage.
