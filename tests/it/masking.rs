//! What reaches an agent of what the cluster says: the real API server, the real kubectl.

mod aggregated;
mod clients;
mod everywhere;
mod kubectl;
mod logs;
mod packed;
mod planted;
mod rules;
mod stand;
