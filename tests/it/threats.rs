//! threats
