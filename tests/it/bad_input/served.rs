//! `gateward serve` as a process, and a wire that can be cut, held up and mended.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use gateward::demo::scene::CLUSTER;
use gateward::record::entry::{Entry, Event, Outcome, Refused};
use gateward::record::{Ledger, LedgerError};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::harness::{RUNTIME, World, gateward, json_of};

/// A running gate; killed when it goes out of scope.
pub struct Served {
    pub agents: SocketAddr,
    pub humans: SocketAddr,
    pub operators: SocketAddr,
    child: Child,
    dir: PathBuf,
}

impl Served {
    /// Starts `gateward serve` and waits until its doors are open.
    pub fn start(configuration: &Path) -> Self {
        let mut command = Command::new(gateward());
        command.arg("serve").arg("--config").arg(configuration);
        Self::run(command, configuration)
    }

    /// The same, in a shell that first does `before`.
    pub fn start_after(before: &str, configuration: &Path) -> Self {
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("{before}; exec \"$0\" serve --config \"$1\""),
            ])
            .arg(gateward())
            .arg(configuration);
        Self::run(command, configuration)
    }

    fn run(mut command: Command, configuration: &Path) -> Self {
        let dir = configuration.parent().unwrap().to_owned();
        let file = |name| std::fs::File::create(dir.join(name)).unwrap();
        let child = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gate = Self {
            agents: nowhere,
            humans: nowhere,
            operators: nowhere,
            child,
            dir,
        };
        let begun = Instant::now();
        while gate.operators == nowhere {
            assert!(
                begun.elapsed() < Duration::from_secs(20)
                    && gate.child.try_wait().unwrap().is_none(),
                "the gate does not start: {}",
                gate.log()
            );
            std::thread::sleep(Duration::from_millis(20));
            let said = std::fs::read_to_string(gate.dir.join("stdout")).unwrap();
            let at = |door: &str| {
                let line = said.lines().find_map(|line| line.strip_prefix(door))?;
                line.split("//").nth(1)?.split(' ').next()?.parse().ok()
            };
            gate.agents = at("agents' door:").unwrap_or(nowhere);
            gate.humans = at("humans' door:").unwrap_or(nowhere);
            gate.operators = at("operators:").unwrap_or(nowhere);
        }
        gate
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("stderr")).unwrap()
    }

    pub fn ask(&self, world: &World, method: &str, path: &str) -> reqwest::RequestBuilder {
        let port = self.agents.port();
        let url = format!("https://localhost:{port}/clusters/{CLUSTER}{path}");
        let client = world.client();
        client
            .request(method.parse().unwrap(), url)
            .bearer_auth(world.agent_token())
    }

    pub fn human(&self, world: &World, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("https://localhost:{}{path}", self.humans.port());
        let client = world.client();
        client
            .request(method.parse().unwrap(), url)
            .bearer_auth(world.approver_token())
    }

    /// Whether `/readyz` says so, and what is wrong with the part of this name.
    pub async fn readyz(&self, part: &str) -> (bool, Option<String>) {
        let url = format!("http://{}/readyz", self.operators);
        let (status, document) = json_of(reqwest::Client::new().get(url)).await;
        let ready = document["ready"].as_bool().unwrap();
        assert_eq!(status, if ready { 200 } else { 503 });
        let parts = document["parts"].as_array().unwrap();
        let named = |found: &&Value| found["name"].as_str().unwrap().starts_with(part);
        let problems = parts.iter().filter(named);
        let problem = problems.filter_map(|part| part["problem"].as_str()).next();
        (ready, problem.map(str::to_owned))
    }

    /// Waits until `/readyz` says yes.
    pub async fn becomes_ready(&self) {
        let begun = Instant::now();
        loop {
            let (ready, problem) = self.readyz("").await;
            if ready {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{problem:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has ended, at most for `limit`.
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < limit, "still running: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the gate in order and reads its ledger, verified.
    pub fn stop(mut self) -> Vec<Entry> {
        self.signal("TERM");
        let status = self.ended(Duration::from_secs(20));
        assert_eq!(status.code(), Some(0), "{}", self.log());
        ledger(&self.dir.join("data"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every entry of a ledger that no gate uses, after `gateward audit verify` found it intact.
pub fn ledger(data: &Path) -> Vec<Entry> {
    let verified = Command::new(gateward())
        .args(["audit", "verify", "--ledger"])
        .arg(data.join("ledger"))
        .arg("--key")
        .arg(data.join("ledger/ledger.vkey"))
        .output()
        .unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    let open = || {
        Ledger::open(
            &data.join("ledger"),
            &data.join("ledger.key"),
            "gateward.dev/ledger",
        )
    };
    let ledger = match open() {
        Err(LedgerError::Locked(_)) => panic!("the gate runs still"),
        opened => opened.unwrap(),
    };
    let records = ledger.read(0, usize::MAX).unwrap();
    records
        .iter()
        .map(|(_, bytes)| Entry::parse(bytes).unwrap())
        .collect()
}

/// The outcome of the request with this verb and a path that contains `part`.
pub fn outcome(entries: &[Entry], method: &str, part: &str) -> Option<Outcome> {
    let intent = entries.iter().find(|entry| match &entry.event {
        Event::Intent(intent) => intent.what.method == method && intent.what.path.contains(part),
        _ => false,
    })?;
    entries.iter().find_map(|entry| match &entry.event {
        Event::Outcome(outcome) if entry.id == intent.id => Some((**outcome).clone()),
        _ => None,
    })
}

/// The record of the request that got no further than a refusal.
pub fn refused(entries: &[Entry], part: &str) -> Option<Refused> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Refused(refused) if refused.what.path.contains(part) => Some((**refused).clone()),
        _ => None,
    })
}

/// All that a program said.
pub fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(all).unwrap()
}

/// An address that is taken, and at which nobody listens yet.
pub struct Wire {
    pub address: SocketAddr,
    socket: Option<TcpSocket>,
    frozen: watch::Sender<bool>,
}

impl Wire {
    pub fn cut() -> Self {
        let _inside = RUNTIME.enter();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            socket: Some(socket),
            frozen: watch::Sender::new(false),
        }
    }

    /// A wire to the port of this URL.
    pub fn to(url: &str) -> Self {
        let mut wire = Self::cut();
        wire.mend(url);
        wire
    }

    /// From now on it leads to the port of this URL.
    pub fn mend(&mut self, url: &str) {
        let _inside = RUNTIME.enter();
        let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
        let listener = self.socket.take().unwrap().listen(64).unwrap();
        let frozen = self.frozen.subscribe();
        RUNTIME.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((near_in, mut near_out), (mut far_in, mut far_out)) =
                    (near.into_split(), far.into_split());
                let mut near_in = near_in;
                tokio::spawn(async move { tokio::io::copy(&mut near_in, &mut far_out).await });
                let mut frozen = frozen.clone();
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65536];
                    while let Ok(read @ 1..) = far_in.read(&mut buffer).await {
                        let _ = frozen.wait_for(|frozen| !frozen).await;
                        if near_out.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }

    /// Whether answers are held up.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// The gate's kubeconfig, by way of this wire.
    pub fn kubeconfig(&self, world: &World, dir: &Path) -> PathBuf {
        let text = std::fs::read_to_string(world.scene.control.gate_kubeconfig()).unwrap();
        let direct = world.scene.control.server_url();
        assert!(text.contains(direct), "{text}");
        let file = dir.join(format!("wire-{}.kubeconfig", self.address.port()));
        let url = format!("https://127.0.0.1:{}", self.address.port());
        std::fs::write(&file, text.replace(direct, &url)).unwrap();
        file
    }
}
