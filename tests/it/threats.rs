//! The attacks that the gate must survive, each tried on the whole gate.
//!
//! A test's name opens with the number of its attack (`threat_10_…`), in unit tests too. Each
//! was seen to fail with the defence removed. The numbers:
//!
//! | # | attack |
//! |---|---|
//! | 1 | a `Connection` header that names an identity header, so that a hop drops ours |
//! | 2 | the same on the path of an upgrade |
//! | 3 | the client's own identity headers, merged instead of replaced |
//! | 4 | a token that is empty, absent, expired, forged, huge, or for somebody else |
//! | 5 | an empty name, under which the request would run as the gate |
//! | 6 | a failed upgrade or a redirect that leaves an authenticated pipe |
//! | 7 | a WebSocket's GET on exec, attach or port-forward, taken for a read |
//! | 8 | an upgrade on a watch or a log, to slip past the mask |
//! | 9 | `nodes/proxy` and its like, which reach the kubelet or anything |
//! | 10 | a path that two readers read differently |
//! | 11 | a query that two readers read differently |
//! | 12 | a body that two readers read differently |
//! | 13 | a dry run that is none |
//! | 14 | a privileged pod inside of something else, or by a patch |
//! | 15 | an approval that is replayed, stretched, stolen, or given to oneself |
//! | 16 | one request that files many holds |
//! | 17 | a stream that begins before its approval, or outlives it |
//! | 18 | an answer, or a form of it, that gets past the mask |
//! | 19 | a stream that gets past its recording |
//! | 20 | secrets in what the gate itself keeps and says |
//! | 21 | sessions read by whoever is logged in |
//! | 22 | a credential at the wrong door; hostile names in front of people |
//! | 23 | a decision, connection or approval that crosses clusters |
//! | 24 | floods: slow, huge, endless or too many |
//! | 25 | one request hidden in another |
//! | 26 | the gate led to a server of the attacker's choice |
//! | 27 | access that outlives its end: a rotated key, a disabled user |
//! | 28 | credentials minted through the cluster |
//! | 29 | a ledger edited, cut, reordered or forked; a full disk; a power cut |
//!
//! | attacks | file |
//! |---|---|
//! | 1, 3, 8: headers and upgrades | `requests` |
//! | 7: channels into pods | `channels` |
//! | 9, 10: proxies and paths | `targets` |
//! | 4: tokens that are none, and those that nobody signed | `tokens`, `forgeries` |
//! | 4, 5: what a token may say | `claims` |
//! | 25: one request hidden in another | `desync`, `smuggling` |
//! | 11, 12: queries and bodies | `objects` |
//! | 10, 11: thousands of both, beside the API server's own code | `request_info`, of the parse |
//! | 13: dry runs | `dry_runs` |
//! | 14: privilege | `privilege` |
//! | 15: holds and approvals | `approvals` |
//! | 20: what is kept and told | `disclosure` |
//! | 22: the two doors | `doors` |
//! | 23, 26: one cluster or another, or none | `clusters`, `astray` |
//! | 28: credentials | `minting` |

mod approvals;
mod astray;
mod channels;
mod claims;
mod clusters;
mod desync;
mod disclosure;
mod doors;
mod dry_runs;
mod forgeries;
mod minting;
mod objects;
mod privilege;
mod requests;
mod smuggling;
mod stage;
mod targets;
mod tokens;
mod trap;
