//! What the tests stand on: the demo's scene once per test binary, a gate in front of it, and
//! clients that can also say what no decent client would.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use gateward::demo::kubernetes::programs::{Places, find};
use gateward::demo::kubernetes::{Options, quiet};
use gateward::demo::scene::{
    AGENTS_AUDIENCE, APPROVER, CLUSTER, HUMANS_AUDIENCE, PRINCIPAL, RunningGate, Scene,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// Outlives every test: the gate and the issuer run on it.
pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

static WORLD: LazyLock<World> = LazyLock::new(|| RUNTIME.block_on(World::start()));

/// The shared scene and the gate most tests use.
pub struct World {
    pub scene: Scene,
    pub gate: RunningGate,
    pub dir: PathBuf,
}

/// The world, started by whoever comes first.
pub fn world() -> &'static World {
    &WORLD
}

/// Runs a test on the shared runtime, in the world, which cannot be started from within.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    world();
    RUNTIME.block_on(test)
}

impl World {
    async fn start() -> Self {
        // The sweeper removes it when this process ends.
        let dir = tempfile::Builder::new()
            .prefix("gateward-it-")
            .tempdir()
            .unwrap()
            .keep();
        let programs = find(&Places::from_environment().unwrap(), &mut |step| {
            println!("{step}");
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let scene = Scene::start(&programs, &dir, Options { sweep: true }, &mut quiet)
            .await
            .unwrap();
        let configuration = dir.join("gate.yaml");
        let document = scene.configuration(&dir.join("data"));
        std::fs::write(&configuration, document.to_string()).unwrap();
        let gate = RunningGate::start(&configuration).await.unwrap();
        Self { scene, gate, dir }
    }

    /// A namespace of the test's own.
    pub fn namespace(&self, test: &str) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{test}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.scene
            .control
            .kubectl(&["create", "namespace", &name])
            .unwrap();
        name
    }

    /// Makes an object as the cluster's administrator, past the gate.
    pub fn admin_creates(&self, namespace: &str, object: &Value) {
        let file = self.dir.join(format!("{}.json", uuid::Uuid::new_v4()));
        std::fs::write(&file, object.to_string()).unwrap();
        let file = file.to_str().unwrap();
        self.scene
            .control
            .kubectl(&["-n", namespace, "create", "-f", file])
            .unwrap();
    }

    /// Another gate on the same scene, its configuration changed by `change`.
    pub async fn another_gate(&self, change: impl FnOnce(&mut Value)) -> (RunningGate, PathBuf) {
        let (configuration, data) = self.configured(change);
        (RunningGate::start(&configuration).await.unwrap(), data)
    }

    /// A configuration file of its own, and its data directory.
    pub fn configured(&self, change: impl FnOnce(&mut Value)) -> (PathBuf, PathBuf) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gate-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let data = self.dir.join(&name).join("data");
        std::fs::create_dir(self.dir.join(&name)).unwrap();
        let mut document = self.scene.configuration(&data);
        change(&mut document);
        let configuration = self.dir.join(&name).join("gate.yaml");
        std::fs::write(&configuration, document.to_string()).unwrap();
        (configuration, data)
    }

    /// The claims of a good agent's token: alice's triage-bot.
    pub fn agent_claims(&self) -> Value {
        self.claims(
            AGENTS_AUDIENCE,
            PRINCIPAL,
            json!({"groups": ["agents"], "act": {"sub": "triage-bot"}}),
        )
    }

    /// The claims of a token.
    pub fn claims(&self, audience: &str, subject: &str, more: Value) -> Value {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.scene.issuer.url(), "aud": audience, "sub": subject, "iat": now, "nbf": now, "exp": now + 300,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        claims
    }

    pub fn agent_token(&self) -> String {
        self.mint(&self.agent_claims())
    }

    pub fn approver_token(&self) -> String {
        self.mint(&self.claims(
            HUMANS_AUDIENCE,
            APPROVER,
            json!({"groups": ["approvers", "auditors"]}),
        ))
    }

    pub fn mint(&self, claims: &Value) -> String {
        self.scene.issuer.mint(claims).unwrap()
    }

    /// An HTTPS client that trusts the gate.
    pub fn client(&self) -> reqwest::Client {
        let pem = std::fs::read(self.scene.file("gate-ca.pem")).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap()
    }

    /// A request to the agents' door of the shared gate, with a good token.
    pub fn ask(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.ask_at(&self.gate, method, path)
    }

    pub fn ask_at(&self, gate: &RunningGate, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!(
            "https://localhost:{}/clusters/{CLUSTER}{path}",
            gate.agents.port()
        );
        self.client()
            .request(method.parse().unwrap(), url)
            .bearer_auth(self.agent_token())
    }

    /// A request to the humans' door as the approver.
    pub fn human(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.human_at(&self.gate, method, path, &self.approver_token())
    }

    pub fn human_at(
        &self,
        gate: &RunningGate,
        method: &str,
        path: &str,
        token: &str,
    ) -> reqwest::RequestBuilder {
        let url = format!("https://localhost:{}{path}", gate.humans.port());
        self.client()
            .request(method.parse().unwrap(), url)
            .bearer_auth(token)
    }

    /// A hold that waits at this gate for a request whose path contains `part`.
    pub async fn hold_for(&self, gate: &RunningGate, part: &str) -> String {
        let begun = Instant::now();
        loop {
            let list = json_of(self.human_at(
                gate,
                "GET",
                "/api/v1/holds?state=pending",
                &self.approver_token(),
            ))
            .await
            .1;
            let found = list["items"]
                .as_array()
                .unwrap()
                .iter()
                .find(|hold| hold["path"].as_str().unwrap().contains(part));
            if let Some(hold) = found {
                return hold["id"].as_str().unwrap().to_owned();
            }
            assert!(
                begun.elapsed() < Duration::from_secs(15),
                "no hold for {part}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// kubectl through the shared gate, with `gateward credential` as its plugin.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        let kubeconfig = self.agent_kubeconfig(&self.gate);
        self.scene
            .control
            .kubectl_command(&kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// A kubeconfig as `gateward kubeconfig` writes it.
    pub fn agent_kubeconfig(&self, gate: &RunningGate) -> PathBuf {
        self.agent_kubeconfig_at(gate.agents.port())
    }

    /// The same for the agents' door at this port.
    pub fn agent_kubeconfig_at(&self, port: u16) -> PathBuf {
        let file = self.dir.join(format!("agent-{port}.kubeconfig"));
        if !file.exists() {
            let output = Command::new(gateward())
                .arg("kubeconfig")
                .arg(format!("--gate=https://localhost:{port}"))
                .arg(format!(
                    "--gate-ca={}",
                    self.scene.file("gate-ca.pem").display()
                ))
                .arg(format!("--cluster={CLUSTER}"))
                .args(self.scene.credential_arguments("triage-bot"))
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let aside = self
                .dir
                .join(format!("kubeconfig-{}", uuid::Uuid::new_v4()));
            std::fs::write(&aside, output.stdout).unwrap();
            std::fs::rename(aside, &file).unwrap();
        }
        file
    }

    /// Everything the gate keeps on disk: ledger, index, blobs.
    pub fn kept(&self, data: &Path) -> Vec<u8> {
        loop {
            match crate::canaries::files(data) {
                Ok(files) => return files.into_iter().flat_map(|(_, bytes)| bytes).collect(),
                // A running gate renames and removes files: what was in them is elsewhere now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => panic!("{}: {error}", data.display()),
            }
        }
    }

    /// Sends bytes as they are over TLS to the agents' door and returns all that comes back
    /// until the gate closes or two seconds pass.
    pub async fn raw(&self, gate: &RunningGate, request: &[u8]) -> String {
        let mut stream = self.tls(gate.agents).await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub async fn tls(
        &self,
        address: SocketAddr,
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        self.tls_for(address, &[]).await
    }

    /// The same for a client that speaks HTTP/2.
    pub async fn tls_h2(
        &self,
        address: SocketAddr,
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        self.tls_for(address, &[b"h2".to_vec()]).await
    }

    async fn tls_for(
        &self,
        address: SocketAddr,
        protocols: &[Vec<u8>],
    ) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.scene.file("gate-ca.pem")).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.to_vec();
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect("localhost".try_into().unwrap(), tcp)
            .await
            .unwrap()
    }
}

/// The program under test.
pub fn gateward() -> &'static str {
    env!("CARGO_BIN_EXE_gateward")
}

/// Status and JSON body of an answer.
pub async fn json_of(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let document =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: not JSON: {text}"));
    (status, document)
}

/// A pod's manifest for the scene's node.
pub fn pod(name: &str, privileged: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"nodeName": "node-0", "containers": [
            {"name": "main", "image": "registry.example.com/app:1", "securityContext": {"privileged": privileged}}]},
    })
}

/// An upstream that keeps what reaches it, byte for byte, and answers what it is told to.
pub struct Capture {
    pub requests: Arc<Mutex<Vec<String>>>,
    pub kubeconfig: PathBuf,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Capture {
    pub async fn start(dir: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let name = format!("capture-{}", uuid::Uuid::new_v4());
        let file = |suffix: &str| dir.join(format!("{name}.{suffix}"));
        std::fs::write(file("pem"), made.cert.pem()).unwrap();
        std::fs::write(file("key"), made.signing_key.serialize_pem()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": format!("https://localhost:{}", listener.local_addr().unwrap().port()),
                "certificate-authority": file("pem")}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
            "users": [{"name": "c", "user": {}}],
        });
        std::fs::write(file("kubeconfig"), kubeconfig.to_string()).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(Self::ok(
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#,
        )));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
        )
        .unwrap();
        let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (kept, told) = (requests.clone(), answer.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, kept, told) = (tls.clone(), kept.clone(), told.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else {
                        return;
                    };
                    let mut request = Vec::new();
                    let mut buffer = [0; 16384];
                    while !complete(&request) {
                        match stream.read(&mut buffer).await {
                            Ok(0) | Err(_) => return,
                            Ok(read) => request.extend_from_slice(&buffer[..read]),
                        }
                    }
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if !text.starts_with("GET /version ") {
                        kept.lock().unwrap().push(text);
                    }
                    let answer = told.lock().unwrap().clone();
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self {
            requests,
            kubeconfig: file("kubeconfig"),
            answer,
        }
    }

    /// What to answer from now on, as bytes on the wire.
    pub fn answer(&self, bytes: Vec<u8>) {
        *self.answer.lock().unwrap() = bytes;
    }

    pub fn ok(body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    pub fn last(&self) -> Option<String> {
        self.requests.lock().unwrap().last().cloned()
    }
}

/// Whether a request with a Content-Length (or none) is all there.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|row| {
            row.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|n| n.trim().parse::<usize>().unwrap())
        })
        .unwrap_or(0);
    body.len() >= length
}
