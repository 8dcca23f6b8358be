//! Kubernetes' own code as a judge: small Go programs of the wrapper module
//! (`dev/kubernetes/<name>`), run with the module's pinned versions.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a program of the wrapper module says.
pub fn run(program: &str, arguments: &[&str], stdin: &[u8]) -> String {
    let mut child = go()
        // As the control plane is built, so that its compiled packages serve here too.
        .args(["run", "-mod=readonly", "-trimpath"])
        .arg(format!("./{program}"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Go, to ask Kubernetes' own code");
    let (mut pipe, stdin) = (child.stdin.take().unwrap(), stdin.to_vec());
    // Beside the reading, for a program may answer before it has read all.
    let writer = std::thread::spawn(move || pipe.write_all(&stdin));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Where the sources of a module of the wrapper's are, with their test data.
pub fn module(name: &str) -> PathBuf {
    let output = go()
        .args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", name])
        .output()
        .expect("Go, to find a module");
    assert!(output.status.success(), "{name}: {}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().into()
}

fn go() -> Command {
    let mut go = Command::new("go");
    go.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/kubernetes"))
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .stderr(Stdio::inherit());
    for variable in ["GOOS", "GOARCH", "GOFLAGS"] {
        go.env_remove(variable);
    }
    go
}
