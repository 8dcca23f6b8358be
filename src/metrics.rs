//! Counters for operators, in OpenMetrics text. No label ever holds what a stranger chose.

use std::fmt::Write;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the gate counts while it works.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    policy_loads: Family<Read, Counter>,
    policy_current: Gauge,
    ledger_healthy: Gauge,
    ledger_entries: Gauge,
    ledger_syncs: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Read {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("gateward");
        let (policy_loads, policy_current): (Family<Read, Counter>, Gauge) = Default::default();
        policy_current.set(1);
        let (answers, ledger_healthy, ledger_entries, ledger_syncs) = Default::default();
        registry.register(
            "answers",
            "Answers at the agents' door by status code",
            Family::clone(&answers),
        );
        registry.register(
            "policy_loads",
            "How often the policy files were read again, by outcome",
            Family::clone(&policy_loads),
        );
        registry.register(
            "policy_current",
            "1 while the policy in force is that of the files",
            Gauge::clone(&policy_current),
        );
        registry.register(
            "ledger_healthy",
            "1 while the ledger can be written",
            Gauge::clone(&ledger_healthy),
        );
        registry.register(
            "ledger_entries",
            "Entries in the ledger",
            Gauge::clone(&ledger_entries),
        );
        registry.register(
            "ledger_syncs",
            "How often the ledger was made durable since the gate started; one sync serves all who wait",
            Gauge::clone(&ledger_syncs),
        );
        Self {
            registry,
            answers,
            policy_loads,
            policy_current,
            ledger_healthy,
            ledger_entries,
            ledger_syncs,
        }
    }
}

impl Metrics {
    /// Counts one answer.
    pub fn answered(&self, code: u16) {
        self.answers.get_or_create(&Answered { code }).inc();
    }

    /// The policy files were read again, and are in force now or could not be used.
    pub fn policy_read(&self, in_force: bool) {
        let outcome = if in_force { "loaded" } else { "invalid" };
        self.policy_loads.get_or_create(&Read { outcome }).inc();
        self.policy_current.set(i64::from(in_force));
    }

    /// Everything, as OpenMetrics text.
    pub fn text(&self, ledger_healthy: bool, ledger_entries: u64, ledger_syncs: u64) -> String {
        let gauge = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.ledger_healthy.set(i64::from(ledger_healthy));
        self.ledger_entries.set(gauge(ledger_entries));
        self.ledger_syncs.set(gauge(ledger_syncs));
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            let _ = write!(text, "# {error}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn answers_are_counted_by_code() {
        let metrics = Metrics::default();
        metrics.answered(403);
        metrics.answered(403);
        let text = metrics.text(true, 7, 3);
        assert!(
            text.contains("gateward_answers_total{code=\"403\"} 2"),
            "{text}"
        );
        assert!(text.contains("gateward_ledger_entries 7"), "{text}");
        assert!(text.contains("gateward_ledger_syncs 3"), "{text}");
    }
}
