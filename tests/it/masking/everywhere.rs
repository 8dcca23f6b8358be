//! Secrets where they do not belong, in whatever an agent can read of them.
