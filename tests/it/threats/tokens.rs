//! Attacks by the credential: tokens that nobody should believe, and names that nobody may have.
