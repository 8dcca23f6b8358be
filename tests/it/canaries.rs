//! What a hunt for planted values needs: a gate as a process of its own, whose log can be read,
//! and eyes that know a value in every form in which it may come along.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::harness::gateward;

/// `gateward serve` as a process of its own, logging all that it can.
pub struct Served {
    child: Child,
    /// The doors for agents, for people and for operators.
    pub ports: Vec<u16>,
}

impl Served {
    pub fn start(configuration: &Path, log: &Path) -> Self {
        let mut child = Command::new(gateward())
            .arg("serve")
            .arg("--config")
            .arg(configuration)
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut ports = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let port = line.split("127.0.0.1:").nth(1);
            ports.extend(port.map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<u16>().unwrap()
            }));
            if line == "ready" {
                break;
            }
        }
        assert_eq!(ports.len(), 3, "{}", std::fs::read_to_string(log).unwrap());
        Self { child, ports }
    }

    pub fn agents(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports[0])
    }

    pub fn humans(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports[1])
    }

    pub fn stop(mut self) {
        let told = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(told.unwrap().success());
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it does not stop"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value as it is, in hexadecimal, and in base64 wherever it may begin.
pub fn forms(canary: &str) -> Vec<String> {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![canary.to_owned(), hex.to_uppercase(), hex];
    for before in 0..3 {
        let text = [&vec![0; before], canary.as_bytes()].concat();
        let whole = text.len() * 8 / 6;
        for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            forms.push(encoded[[0, 2, 3][before]..whole].to_owned());
        }
    }
    forms
}

pub fn found(forms: &[String], place: &[u8]) -> Option<String> {
    let hit = |form: &&String| memchr::memmem::find(place, form.as_bytes()).is_some();
    forms.iter().find(hit).cloned()
}

/// What was found and some text before, for the one who must mend it.
pub fn around(bytes: &[u8], form: &str) -> String {
    let at = memchr::memmem::find(bytes, form.as_bytes()).unwrap_or_default();
    let end = (at + form.len()).min(bytes.len());
    let near = &bytes[at.saturating_sub(300)..end];
    near.escape_ascii().to_string()
}

/// Every file below a directory, with its path.
pub fn files(dir: &Path) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else {
            all.push((path.display().to_string(), std::fs::read(path)?));
        }
    }
    Ok(all)
}
