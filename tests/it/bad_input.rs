//! Bad input and bad days: each has a clear outcome.
//!
//! The real program (`gateward serve`, `gateward check`) in front of the real API server.
//!
//! | what is bad | file |
//! |---|---|
//! | arguments, configuration, policies | `configuration` |
//! | ports, clusters, credentials and issuers at start | `start` |
//! | heads, bodies and connections of strangers | `limits` |
//! | HTTP/2 in wrong hands | `frames` |
//! | clients that hang up | `hang_up` |
//! | signals, crashes, full disks | `ending` |
//! | what people send to their door | `people` |

mod configuration;
mod ending;
mod frames;
mod hang_up;
mod limits;
mod people;
pub mod served;
mod start;
