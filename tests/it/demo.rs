//! The README's first command, played as a user plays it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{gateward, world};

/// Only processes and files of this test: their temporary directory is its own.
fn demo(temporary: &std::path::Path) -> Command {
    let mut command = Command::new(gateward());
    command
        .arg("demo")
        .env("TMPDIR", temporary)
        .stdin(Stdio::null());
    command
}

#[test]
fn the_demo_keeps_every_promise_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    world(); // programs are there, and nothing is built twice
    let output = demo(temporary.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("20 of 20 promises kept"), "{text}");
    assert!(
        !text.contains("correct-horse-battery-staple"),
        "a secret was shown"
    );
    assert_eq!(
        std::fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "files were left behind"
    );
    assert_eq!(processes_in(temporary.path()), Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_the_demo_without_a_process_or_a_file_left() {
    ends_without_a_trace("-INT");
}

#[test]
fn a_killed_demo_leaves_no_process_and_no_file_either() {
    ends_without_a_trace("-KILL");
}

/// Sends the signal once the gate is about to start.
fn ends_without_a_trace(signal: &str) {
    let temporary = tempfile::tempdir().unwrap();
    world();
    let mut child = demo(temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let configured = || {
        let mut entries = std::fs::read_dir(temporary.path()).unwrap();
        entries.any(|entry| entry.unwrap().path().join("gate.yaml").exists())
    };
    until(configured, "the cluster did not start");
    assert!(processes_in(temporary.path()).len() >= 3);
    let sent = Command::new("kill")
        .arg(signal)
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
    assert!(!child.wait().unwrap().success());
    let empty = || std::fs::read_dir(temporary.path()).unwrap().count() == 0;
    until(
        || empty() && processes_in(temporary.path()).is_empty(),
        "processes or files were left",
    );
}

fn until(met: impl Fn() -> bool, otherwise: &str) {
    let begun = Instant::now();
    while !met() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{otherwise}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Command lines of running processes that name this directory.
fn processes_in(dir: &std::path::Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|line| line.contains(dir))
        .collect()
}
