//! A real control plane on this machine: etcd, kube-apiserver, and a node without
//! containers (kwok), for the demo and for the tests.
//!
//! `programs` finds or builds them, `launch` starts them below `process`, which sees to it
//! that none outlives us. Nothing here is fit for production: whoever can reach 127.0.0.1
//! can reach the store, and an exec into a pod runs on this machine as this user. There
//! are no controllers and no scheduler: a pod runs when its `nodeName` is [`NODE_NAME`], a
//! Deployment makes no pods, a deleted namespace stays `Terminating`, and the aggregated
//! roles `view`, `edit` and `admin` stay empty.
//!
//! Every function blocks; async callers wrap it in `spawn_blocking`.

mod build;
mod failure;
mod launch;
pub mod pki;
pub mod process;
pub mod programs;
mod progress;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub use failure::Failure;
pub use programs::{Places, Programs};
pub use progress::{Progress, Report, quiet};

use failure::io;
use process::{Child, Sweeper};

/// The name of the one node; pods that are to run name it in `spec.nodeName`.
pub const NODE_NAME: &str = "node-0";
/// The gate's identity in the cluster, as shipped.
const GATE_RBAC: &str = include_str!("../../deploy/rbac.yaml");
/// How often other ports are tried when somebody was quicker.
const ATTEMPTS: usize = 4;
/// What each part gets to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// What can be chosen about a control plane.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Remove the directory when this process ends without having done so, however it
    /// ends. For directories that nobody wants afterwards, held where no destructor runs
    /// (a test binary's `static`, a killed demo).
    pub sweep: bool,
}

/// The running control plane. Dropping it kills every part at once; [`ControlPlane::stop`]
/// is gentler. The directory is the caller's to remove, after that.
pub struct ControlPlane {
    kwok: Child,
    kube_apiserver: Child,
    etcd: Child,
    server_url: String,
    ca_pem: String,
    kubectl: PathBuf,
    dir: PathBuf,
    sweeper: Option<Sweeper>,
}

impl ControlPlane {
    /// Starts everything in `dir` (an empty directory of the caller's, readable by nobody
    /// else) and waits until the API server and the node are ready: about five seconds.
    ///
    /// # Errors
    /// [`Failure::Died`] or [`Failure::Slow`] with the end of the log,
    /// [`Failure::Kubectl`], [`Failure::Io`], [`Failure::Certificate`];
    /// [`Failure::Cancelled`] when the report says stop.
    pub fn start(
        programs: &Programs,
        dir: &Path,
        options: Options,
        report: Report<'_>,
    ) -> Result<Self, Failure> {
        // The parts run elsewhere and must find their files.
        let dir = dir
            .canonicalize()
            .map_err(io(format!("find {}", dir.display())))?;
        let prepared = launch::prepare(&dir)?;
        let mut attempt = 1;
        let parts = loop {
            match launch::launch(programs, &dir, &prepared, report) {
                Err(failure) if failure.is_stolen_port() && attempt < ATTEMPTS => attempt += 1,
                result => break result?,
            }
        };
        let mut control = Self {
            kwok: parts.kwok,
            kube_apiserver: parts.kube_apiserver,
            etcd: parts.etcd,
            server_url: parts.server_url,
            ca_pem: prepared.ca_pem,
            kubectl: programs.kubectl.clone(),
            dir,
            sweeper: None,
        };
        if options.sweep {
            control.sweep(&control.dir.clone())?;
        }
        Ok(control)
    }

    /// Has `dir`, with all that is in it, removed when this process ends without having
    /// stopped the control plane, however it ends.
    ///
    /// # Errors
    /// [`Failure::Io`] when the sweeper cannot be started.
    pub fn sweep(&mut self, dir: &Path) -> Result<(), Failure> {
        let children = [&self.kwok, &self.kube_apiserver, &self.etcd];
        let sweeper = Sweeper::start(dir, &children).map_err(io("start the sweeper"))?;
        self.sweeper = Some(sweeper);
        Ok(())
    }

    /// Ends all parts, node first and store last, and returns when none is left.
    ///
    /// # Errors
    /// The system cannot tell how a part ended.
    pub fn stop(mut self) -> Result<(), Failure> {
        for child in [&mut self.kwok, &mut self.kube_apiserver, &mut self.etcd] {
            child
                .stop(GRACE)
                .map_err(io(format!("stop {}", child.name())))?;
        }
        Ok(())
    }

    /// The API server's address, `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The certificate of the CA that signs everything here, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A kubeconfig that may do everything (context `admin@local`); for preparing the scene.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// The gate's own kubeconfig (context `gateward@local`, user `gateward`); may do
    /// nothing until [`ControlPlane::apply_gate_rbac`].
    #[must_use]
    pub fn gate_kubeconfig(&self) -> PathBuf {
        self.dir.join("gate.kubeconfig")
    }

    /// The kubectl program of the same version.
    #[must_use]
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// The API server's audit log: one JSON event per line, level Metadata. A line is
    /// written when its request is over, which may be just after its answer is read.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    /// The log that every container has, in CRI format; what is appended shows up in
    /// `kubectl logs`.
    #[must_use]
    pub fn pod_log(&self) -> PathBuf {
        self.dir.join("pod.log")
    }

    /// The directory in which everything lives; the parts' output is in `logs/`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The one node's name.
    #[must_use]
    pub fn node_name(&self) -> &'static str {
        NODE_NAME
    }

    /// The process groups of the parts; each number is also its leader's process id.
    #[must_use]
    pub fn pids(&self) -> [u32; 3] {
        [
            self.kwok.group(),
            self.kube_apiserver.group(),
            self.etcd.group(),
        ]
    }

    /// A kubectl for this kubeconfig that reads and leaves nothing in the user's home.
    #[must_use]
    pub fn kubectl_command(&self, kubeconfig: &Path) -> Command {
        kubectl_command(&self.kubectl, &self.dir, kubeconfig)
    }

    /// Runs kubectl as the administrator; returns its standard output.
    ///
    /// # Errors
    /// [`Failure::Kubectl`] with what it said, when it fails.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self
            .kubectl_command(&self.admin_kubeconfig())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(io("run kubectl"))?;
        checked(&args.join(" "), output)
    }

    /// `kubectl apply` as the administrator.
    ///
    /// # Errors
    /// [`Failure::Kubectl`] with what it said, when it fails.
    pub fn apply(&self, manifest: &str) -> Result<String, Failure> {
        apply(&self.kubectl, &self.dir, manifest)
    }

    /// Lets the gate's identity act as others, by the manifest shipped in `deploy/rbac.yaml`.
    ///
    /// # Errors
    /// [`Failure::Kubectl`] with what it said, when it fails.
    pub fn apply_gate_rbac(&self) -> Result<(), Failure> {
        self.apply(GATE_RBAC).map(drop)
    }
}

/// Without the user's cache, preferences (kuberc) and configuration.
fn kubectl_command(kubectl: &Path, dir: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(kubectl);
    command
        .env("KUBECONFIG", kubeconfig)
        .env("KUBECACHEDIR", dir.join("kubectl-cache"))
        .env("KUBERC", "off");
    command
}

fn apply(kubectl: &Path, dir: &Path, manifest: &str) -> Result<String, Failure> {
    let mut child = kubectl_command(kubectl, dir, &dir.join("admin.kubeconfig"))
        .args(["apply", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io("run kubectl"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A kubectl that does not read says why in its own words, below.
        let _ = stdin.write_all(manifest.as_bytes());
    }
    let output = child.wait_with_output().map_err(io("wait for kubectl"))?;
    checked("apply", output)
}

fn checked(args: &str, output: Output) -> Result<String, Failure> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::Kubectl {
        args: args.to_owned(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use nix::sys::signal::killpg;
    use nix::unistd::Pid;

    const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec:
  nodeName: node-0
  initContainers: [{name: first, image: example.test/first:1}]
  containers: [{name: web, image: example.test/web:1}]
";

    const AGENT_READS_PODS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pods, namespace: default}
rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: agent, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pods}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: agent}]
";

    fn programs() -> Programs {
        programs::find(&Places::from_environment().unwrap(), &mut quiet).unwrap()
    }

    /// One plane, one walk: each start costs seconds.
    #[test]
    fn the_control_plane_runs_pods_lets_the_gate_impersonate_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let plane =
            ControlPlane::start(&programs(), dir.path(), Options::default(), &mut quiet).unwrap();
        a_pod_runs_logs_executes_and_goes(&plane);
        the_gate_acts_as_others_and_owns_nothing(&plane);
        the_audit_log_can_be_joined(&plane);
        let mode = plane
            .gate_kubeconfig()
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        let pids = plane.pids();
        let begun = Instant::now();
        plane.stop().unwrap();
        assert!(begun.elapsed() < GRACE, "took {:?}", begun.elapsed());
        for pid in pids {
            assert!(
                killpg(Pid::from_raw(pid.cast_signed()), None).is_err(),
                "{pid} is left"
            );
        }
    }

    fn a_pod_runs_logs_executes_and_goes(plane: &ControlPlane) {
        plane.apply(POD).unwrap();
        plane
            .kubectl(&["wait", "pod/web", "--for=condition=Ready", "--timeout=10s"])
            .unwrap();
        let status = plane
            .kubectl(&["get", "pod", "web", "--no-headers"])
            .unwrap();
        assert!(
            status.contains("1/1") && status.contains("Running"),
            "{status}"
        );
        let ips = "jsonpath={.status.hostIP} {.status.podIP}";
        let ips = plane.kubectl(&["get", "pod", "web", "-o", ips]).unwrap();
        assert!(ips.starts_with("127.0.0.1 10."), "{ips}");
        assert_eq!(
            plane.kubectl(&["logs", "web", "-c", "web"]).unwrap(),
            "the pod says hello\n"
        );
        let said = plane.kubectl(&["exec", "web", "-c", "web", "--", "sh", "-c", "echo in $PWD"]);
        assert_eq!(
            said.unwrap(),
            format!("in {}/node\n", plane.dir().display())
        );
        plane
            .kubectl(&["delete", "pod", "web", "--timeout=10s"])
            .unwrap();
    }

    fn the_gate_acts_as_others_and_owns_nothing(plane: &ControlPlane) {
        let gate = |args: &[&str]| {
            let output = plane
                .kubectl_command(&plane.gate_kubeconfig())
                .args(args)
                .output();
            let output = output.unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(text).unwrap())
        };
        let as_agent = [
            "get",
            "pods",
            "--as=agent",
            "--as-group=team",
            "--as-uid=7",
            "--as-user-extra=gateward.dev/principal=ada",
        ];
        let (done, said) = gate(&as_agent);
        assert!(
            !done && said.contains("User \"gateward\" cannot impersonate"),
            "{said}"
        );

        plane.apply_gate_rbac().unwrap();
        until("the agent is refused in its own name", || {
            let (done, said) = gate(&as_agent);
            !done && said.contains("User \"agent\" cannot list resource \"pods\"")
        });
        plane.apply(AGENT_READS_PODS).unwrap();
        until("the agent may list pods", || gate(&as_agent).0);

        let all = ["auth", "can-i", "--list", "--no-headers"];
        let (_, list) = gate(&all);
        let impersonate = list
            .lines()
            .filter(|line| line.contains("[impersonate]"))
            .count();
        assert_eq!(impersonate, 4, "users, groups, uids, one extra:\n{list}");
        for line in list.lines().filter(|line| !line.contains("[impersonate]")) {
            let harmless = line.starts_with("self") || line.trim_start().starts_with('[');
            assert!(harmless, "the gate itself may: {line}");
        }
        for what in [
            ["list", "pods"],
            ["get", "secrets"],
            ["impersonate", "serviceaccounts"],
        ] {
            let (yes, said) = gate(&["auth", "can-i", what[0], what[1], "--all-namespaces"]);
            assert!(!yes && said.contains("no"), "{what:?}: {said}");
        }
        let (yes, _) = gate(&[
            "auth",
            "can-i",
            "impersonate",
            "userextras/other",
            "--all-namespaces",
        ]);
        assert!(!yes);
    }

    fn the_audit_log_can_be_joined(plane: &ControlPlane) {
        until("an impersonated list is in the audit log", || {
            let log = std::fs::read_to_string(plane.audit_log()).unwrap();
            log.lines()
                .map_while(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .any(|event| {
                    event["user"]["username"] == "gateward"
                        && event["impersonatedUser"]["username"] == "agent"
                        && event["impersonatedUser"]["extra"]["gateward.dev/principal"][0] == "ada"
                        && event["responseStatus"]["code"] == 200
                        && event["auditID"].is_string()
                })
        });
    }

    #[test]
    fn a_program_that_dies_is_named_with_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let etcd = programs::tests::script(&dir.path().join("bin/etcd"), "echo no luck; exit 9");
        let plane = dir.path().join("plane");
        std::fs::create_dir(&plane).unwrap();
        let none = PathBuf::from("/no/such/program");
        let programs = Programs {
            etcd,
            kube_apiserver: none.clone(),
            kubectl: none.clone(),
            kwok: none,
        };
        let failed = ControlPlane::start(&programs, &plane, Options::default(), &mut quiet);
        let failed = failed.err().unwrap().to_string();
        assert!(
            failed.starts_with("etcd ended early (exit status: 9)"),
            "{failed}"
        );
        assert!(failed.ends_with("no luck"), "{failed}");
    }

    #[test]
    fn a_stolen_port_is_tried_again_with_another() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let script = format!(
            "echo x >> {}; echo 'bind: address already in use'; exit 1",
            count.display()
        );
        let etcd = programs::tests::script(&dir.path().join("bin/etcd"), &script);
        let plane = dir.path().join("plane");
        std::fs::create_dir(&plane).unwrap();
        let none = PathBuf::from("/no/such/program");
        let programs = Programs {
            etcd,
            kube_apiserver: none.clone(),
            kubectl: none.clone(),
            kwok: none,
        };
        ControlPlane::start(&programs, &plane, Options::default(), &mut quiet)
            .err()
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(count).unwrap().lines().count(),
            ATTEMPTS
        );
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "not within 10 s: {what}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
