//! Gateward: the gate between autonomous agents and the Kubernetes API.
//!
//! The modules are rooms, in the order in which one request walks them; [`journey`] tells
//! that walk from top to bottom. Each room's output is a type that only this room can
//! make, and the next room accepts nothing else:
//! `Arrival → Caller → Ask → Permit → Written<Permit> → Response → Masked`.

pub mod journey;

pub mod accept;
pub mod answer;
pub mod approve;
pub mod decide;
pub mod foresee;
pub mod forward;
pub mod identify;
pub mod mask;
pub mod parse;
pub mod record;

pub mod cel;
pub mod refusal;

pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod demo;
pub mod metrics;
pub(crate) mod output;
pub mod review;
pub mod store;
pub mod suppose;
