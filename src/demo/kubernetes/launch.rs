//! Starts the parts of the control plane in order: store, API server, node.
//!
//! Everything listens on 127.0.0.1 only, on ports that the kernel chose. The store and the
//! node ask nobody who they are, so any process on this machine can reach them: right for
//! a demo and tests, and for nothing else.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::failure::{Failure, io};
use super::pki::{self, Authority, Identity};
use super::process::{Child, tail};
use super::programs::Programs;
use super::progress::{Progress, Report, tell};
use super::{NODE_NAME, apply, kubectl_command};

/// How long each part may take; seconds on an idle machine, more on a busy one.
const LIMIT: Duration = Duration::from_secs(120);
/// How often readiness is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// The node's behaviour; see the file.
const NODE: &str = include_str!("node.yaml");
/// The log of every container, in the format that container runtimes write (CRI).
const POD_LOG: &str = "2026-01-01T00:00:00.000000000Z stdout F the pod says hello\n";
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// The running parts, in the order in which they are ended.
pub(super) struct Parts {
    pub(super) kwok: Child,
    pub(super) kube_apiserver: Child,
    pub(super) etcd: Child,
    pub(super) server_url: String,
}

/// What is made before any port is known.
pub(super) struct Prepared {
    pub(super) ca_pem: String,
    /// Who gets a kubeconfig: file name, user, and the proof of it.
    identities: [(&'static str, &'static str, Identity); 3],
}

/// Writes all files that do not depend on ports.
pub(super) fn prepare(dir: &Path) -> Result<Prepared, Failure> {
    for name in ["pki", "logs", "node"] {
        let path = dir.join(name);
        fs::create_dir_all(&path).map_err(io(format!("create {}", path.display())))?;
    }
    let ca = Authority::new("gateward local cluster")?;
    write(dir, "pki/ca.crt", &ca.pem())?;
    let server = [
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default.svc",
        "10.0.0.1",
    ];
    write_identity(dir, "apiserver", &pki::server_certificate(&ca, &server)?)?;
    write_identity(
        dir,
        "node",
        &pki::server_certificate(&ca, &["127.0.0.1", NODE_NAME])?,
    )?;
    let kubelet_client = pki::client_certificate(&ca, "kube-apiserver", &[])?;
    write_identity(dir, "kubelet-client", &kubelet_client)?;
    let (private, public) = pki::token_key()?;
    write(dir, "pki/tokens.key", &private)?;
    write(dir, "pki/tokens.pub", &public)?;

    write(dir, "audit-policy.yaml", AUDIT_POLICY)?;
    write(dir, "pod.log", POD_LOG)?;
    let quoted = |name: &str| serde_json::Value::from(dir.join(name).to_string_lossy()).to_string();
    let node = NODE
        .replace("@POD_LOG@", &quoted("pod.log"))
        .replace("@EXEC_DIR@", &quoted("node"));
    write(dir, "node.yaml", &node)?;

    let masters = &["system:masters"];
    let identities = [
        (
            "admin.kubeconfig",
            "admin",
            pki::client_certificate(&ca, "admin", masters)?,
        ),
        (
            "kwok.kubeconfig",
            "kwok",
            pki::client_certificate(&ca, "kwok", masters)?,
        ),
        (
            "gate.kubeconfig",
            "gateward",
            pki::client_certificate(&ca, "gateward", &[])?,
        ),
    ];
    Ok(Prepared {
        ca_pem: ca.pem(),
        identities,
    })
}

/// Starts all parts on fresh ports and an empty store, and waits until the node is Ready.
pub(super) fn launch(
    programs: &Programs,
    dir: &Path,
    prepared: &Prepared,
    report: Report<'_>,
) -> Result<Parts, Failure> {
    let [store, server, node] = free_ports().map_err(io("find free ports on 127.0.0.1"))?;
    let server_url = format!("https://127.0.0.1:{server}");
    for (file, user, identity) in &prepared.identities {
        write(
            dir,
            file,
            &pki::kubeconfig(&server_url, &prepared.ca_pem, user, identity),
        )?;
    }
    let data = dir.join("etcd");
    if data.exists() {
        fs::remove_dir_all(&data).map_err(io(format!("remove {}", data.display())))?;
    }

    let mut etcd = start("etcd", etcd(programs, dir, store), dir)?;
    wait(&mut etcd, report, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, store)).is_ok()
    })?;

    let mut kube_apiserver = start(
        "kube-apiserver",
        kube_apiserver(programs, dir, store, server),
        dir,
    )?;
    let admin = dir.join("admin.kubeconfig");
    let says = |args: &[&str]| {
        let output = kubectl_command(&programs.kubectl, dir, &admin)
            .args(args)
            .output();
        output
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
            .unwrap_or_default()
    };
    wait(&mut kube_apiserver, report, || {
        // The namespace is made by a task that readiness does not wait for.
        says(&["get", "--raw", "/readyz"]) == "ok"
            && !says(&["get", "--raw", "/api/v1/namespaces/default"]).is_empty()
    })?;

    let mut kwok = start("kwok", kwok(programs, dir, node), dir)?;
    apply(&programs.kubectl, dir, &node_manifest())?;
    let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
    wait(&mut kwok, report, || {
        says(&["get", "node", NODE_NAME, "-o", ready]) == "True"
            && TcpStream::connect((Ipv4Addr::LOCALHOST, node)).is_ok()
    })?;
    Ok(Parts {
        kwok,
        kube_apiserver,
        etcd,
        server_url,
    })
}

fn etcd(programs: &Programs, dir: &Path, port: u16) -> Command {
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(&programs.etcd);
    command
        .arg("--data-dir")
        .arg(dir.join("etcd"))
        .args([
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
        ])
        .args(["--listen-peer-urls", "http://127.0.0.1:0"])
        // The data is thrown away, and waiting for the disk is most of a write's time.
        .arg("--unsafe-no-fsync");
    command
}

fn kube_apiserver(programs: &Programs, dir: &Path, store: u16, port: u16) -> Command {
    let files = [
        ("--cert-dir", "pki"),
        ("--tls-cert-file", "pki/apiserver.crt"),
        ("--tls-private-key-file", "pki/apiserver.key"),
        ("--client-ca-file", "pki/ca.crt"),
        ("--service-account-key-file", "pki/tokens.pub"),
        ("--service-account-signing-key-file", "pki/tokens.key"),
        ("--kubelet-certificate-authority", "pki/ca.crt"),
        ("--kubelet-client-certificate", "pki/kubelet-client.crt"),
        ("--kubelet-client-key", "pki/kubelet-client.key"),
        ("--audit-policy-file", "audit-policy.yaml"),
        ("--audit-log-path", "audit.log"),
    ];
    let values = [
        ("--etcd-servers", format!("http://127.0.0.1:{store}")),
        ("--secure-port", port.to_string()),
        ("--bind-address", "127.0.0.1".to_owned()),
        // Or it looks for an interface with a default route, which a sandbox may not have.
        ("--advertise-address", "127.0.0.1".to_owned()),
        ("--endpoint-reconciler-type", "none".to_owned()),
        ("--service-cluster-ip-range", "10.0.0.0/24".to_owned()),
        (
            "--service-account-issuer",
            "https://kubernetes.default.svc".to_owned(),
        ),
        ("--authorization-mode", "RBAC".to_owned()),
        ("--allow-privileged", "true".to_owned()),
        // No controller makes default service accounts here, so it would refuse every pod.
        ("--disable-admission-plugins", "ServiceAccount".to_owned()),
        ("--kubelet-preferred-address-types", "InternalIP".to_owned()),
        // A line is in the file when its request is over, not some batch later.
        ("--audit-log-mode", "blocking".to_owned()),
    ];
    let mut command = Command::new(&programs.kube_apiserver);
    for (flag, name) in files {
        command.arg(flag).arg(dir.join(name));
    }
    for (flag, value) in values {
        command.arg(format!("{flag}={value}"));
    }
    command
}

fn kwok(programs: &Programs, dir: &Path, port: u16) -> Command {
    let mut command = Command::new(&programs.kwok);
    command
        .arg("--kubeconfig")
        .arg(dir.join("kwok.kubeconfig"))
        .arg("--config")
        .arg(dir.join("node.yaml"))
        .arg("--tls-cert-file")
        .arg(dir.join("pki/node.crt"))
        .arg("--tls-private-key-file")
        .arg(dir.join("pki/node.key"))
        .args(["--manage-all-nodes=true", "--node-ip=127.0.0.1"])
        .arg(format!("--node-port={port}"))
        .arg(format!("--server-address=127.0.0.1:{port}"));
    command
}

fn node_manifest() -> String {
    format!(
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: {NODE_NAME}\n  labels:\n    \
         kubernetes.io/hostname: {NODE_NAME}\n    kubernetes.io/os: linux\n"
    )
}

fn start(name: &'static str, command: Command, dir: &Path) -> Result<Child, Failure> {
    Child::start(
        name,
        &command,
        &dir.join("logs").join(format!("{name}.log")),
    )
    .map_err(io(format!("start {name}")))
}

/// Waits until `ready` holds, as long as the program lives and the report allows.
fn wait(
    child: &mut Child,
    report: Report<'_>,
    mut ready: impl FnMut() -> bool,
) -> Result<(), Failure> {
    let part = child.name();
    let begun = Instant::now();
    loop {
        let ready = ready();
        // Asked second: what answers on the port of a dead program is somebody else.
        if let Some(status) = child.ended().map_err(io(format!("wait for {part}")))? {
            let (program, log) = (part.to_owned(), child.log().to_owned());
            return Err(Failure::Died {
                program,
                status,
                tail: tail(&log),
                log,
            });
        }
        if ready {
            return tell(
                report,
                Progress::Ready {
                    part,
                    took: begun.elapsed(),
                },
            );
        }
        if begun.elapsed() > LIMIT {
            let (what, log) = (format!("{part} is not ready"), child.log().to_owned());
            return Err(Failure::Slow {
                what,
                waited: LIMIT,
                tail: tail(&log),
                log,
            });
        }
        tell(
            report,
            Progress::Starting {
                part,
                elapsed: begun.elapsed(),
            },
        )?;
        sleep(LOOK);
    }
}

/// Ports that nobody listens on at this moment. All are held until the last is found, so
/// they differ.
fn free_ports<const N: usize>() -> std::io::Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

fn write_identity(dir: &Path, name: &str, identity: &Identity) -> Result<(), Failure> {
    write(dir, &format!("pki/{name}.crt"), &identity.certificate)?;
    write(dir, &format!("pki/{name}.key"), &identity.key)
}

fn write(dir: &Path, name: &str, content: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    pki::write_private(&path, content).map_err(io(format!("write {}", path.display())))
}
