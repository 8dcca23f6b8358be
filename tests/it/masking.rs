//! What reaches an agent of what the cluster says: the real API server, the real kubectl.

mod everywhere;
mod logs;
