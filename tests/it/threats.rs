//! The attacks that the gate must survive, each tried on the whole gate.
//!
//! A test's name opens with the number of its attack (`threat_10_…`); the numbering is kept in
//! unit tests too. Each of these was seen to fail with the defence removed.
//!
//! | attacks | file |
//! |---|---|
//! | 1, 3, 8, 9, 10: headers, upgrades, proxies, paths | `requests` |
//! | 4, 5: tokens, and whom they make the caller | `tokens` |
//! | 25: one request hidden in another | `desync` |
//! | 11, 12, 15, 20, 22: queries, bodies, holds, what is kept, doors | `objects` |

mod desync;
mod objects;
mod requests;
mod tokens;
