//! Attacks by what stands around a request: its header fields, its path, its upgrade.
