//! Attacks that hide one request in another: whatever two parsers could cut differently.
