//! Attacks by what a request asks for: its query, its body, its hold, its door.
