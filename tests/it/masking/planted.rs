//! Secrets planted all over a namespace, in the formats in which they are really met. None of
//! them stands anywhere else in the world.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::harness::World;

/// The group of the custom resources.
pub const GROUP: &str = "canaries.example.com";

/// What was planted.
#[derive(Default)]
pub struct Planted {
    /// Where, and the parts that must not be seen.
    pub canaries: Vec<(String, Vec<String>)>,
    place: String,
}

impl Planted {
    /// What is planted from now on stands there.
    pub fn at(&mut self, place: &str) -> &mut Self {
        place.clone_into(&mut self.place);
        self
    }

    fn keep(&mut self, format: &str, parts: Vec<String>) {
        let place = format!("{}, {format} {}", self.place, self.canaries.len());
        self.canaries.push((place, parts));
    }

    fn kept(&mut self, format: &str, value: String) -> String {
        self.keep(format, vec![value.clone()]);
        value
    }

    /// Drawn by lot, without anything that tells what it is.
    pub fn word(&mut self) -> String {
        // Letters and digits in turn, as in most of what is drawn; the hunt is for places.
        let lot = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
        let word = lot
            .iter()
            .take(24)
            .enumerate()
            .map(|(at, byte)| match at % 3 {
                2 => char::from(b'0' + byte % 10),
                _ => char::from(b'a' + byte % 26),
            });
        self.kept("word", word.collect())
    }

    pub fn aws(&mut self) -> String {
        let letters: String = Uuid::new_v4()
            .as_bytes()
            .iter()
            .map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]))
            .collect();
        format!("AKIA{}", self.kept("aws-access-key", letters))
    }

    pub fn aws_secret(&mut self) -> String {
        let bytes = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
        self.kept("aws-secret-key", STANDARD.encode(&bytes[..30]))
    }

    pub fn github(&mut self) -> String {
        let long = random() + &random()[..8];
        format!("ghs_{}", self.kept("github-token", long))
    }

    pub fn google(&mut self) -> String {
        let value = random() + "_-A";
        format!("AIza{}", self.kept("google-api-key", value))
    }

    pub fn jwt(&mut self) -> String {
        let [header, payload] = [
            json!({"alg": "HS256", "typ": "JWT"}),
            json!({"sub": random()}),
        ]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signature = random() + &random()[..11];
        self.keep("jwt", vec![payload.clone(), signature.clone()]);
        format!("{header}.{payload}.{signature}")
    }

    /// A private key of several lines.
    pub fn pem(&mut self) -> String {
        let lines: Vec<String> = (0..3)
            .map(|_| STANDARD.encode(random() + &random()[..16]))
            .collect();
        self.keep("private-key", lines.clone());
        let kind = "RSA PRIVATE KEY";
        format!(
            "-----BEGIN {kind}-----\nMIIE{}\n-----END {kind}-----\n",
            lines.join("\n")
        )
    }

    pub fn connection(&mut self) -> String {
        let word = self.word();
        format!("postgres://app:{word}@db.example.com:5432/app?sslmode=require")
    }

    pub fn bootstrap(&mut self) -> String {
        let value = random();
        format!(
            "{}.{}",
            &value[..6],
            self.kept("bootstrap", value[6..22].to_owned())
        )
    }

    pub fn card(&mut self) -> String {
        let number = format!("4{:014}", Uuid::new_v4().as_u128() % 10u128.pow(14));
        let sum: u32 = number
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, digit)| match (u32::from(digit - b'0'), at % 2) {
                (digit, 0) => digit * 2 / 10 + digit * 2 % 10,
                (digit, _) => digit,
            })
            .sum();
        self.kept("card-number", format!("{number}{}", (10 - sum % 10) % 10))
    }

    pub fn iban(&mut self) -> String {
        let account = Uuid::new_v4().as_u128() % 10u128.pow(18);
        let check = 98 - (account * 1_000_000 + 131_400) % 97;
        self.kept("iban", format!("DE{check:02}{account:018}"))
    }

    /// Texts as they stand in configuration, by the names of their files or variables.
    pub fn texts(&mut self, place: &str) -> Map<String, Value> {
        self.at(place);
        let nested = json!({
            "db": {"host": "db", "password": self.word()}, "auth": {"token": self.word()},
            "servers": [{"url": self.connection(), "apiKey": self.word()}],
        });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "users": [
                {"name": "a", "user": {"token": self.word()}},
                {"name": "b", "user": {"client-key-data": STANDARD.encode(self.pem())}},
                {"name": "c", "user": {"username": "c", "password": self.word()}}],
        });
        let docker = format!("app:{}", self.word());
        let docker = json!({"auths": {"registry.example.com": {"auth": STANDARD.encode(docker)}}});
        let texts = json!({
            "app.properties": format!("db.user=app\ndb.password={}\ndb.size=10\n", self.word()),
            "DATABASE_URL": self.connection(),
            "dsn": format!("Server=db;User Id=app;Password={};Database=x", self.word()),
            "id.pem": self.pem(),
            "config.json": nested.to_string(),
            "kubeconfig.json": kubeconfig.to_string(),
            "kubeconfig": format!(
                "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user:\n    token: {}\n- name: b\n  user:\n    client-key-data: {}\n",
                self.word(), STANDARD.encode(self.pem())),
            ".env": format!(
                "DB_PASSWORD={}\nexport API_KEY='{}'\nGITHUB_TOKEN={}\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n",
                self.word(), self.word(), self.github(), self.aws(), self.aws_secret()),
            "credentials": format!(
                "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n", self.aws(), self.aws_secret()),
            "application.yaml": format!(
                "spring:\n  datasource:\n    url: jdbc:x\n    password: \"{}\"\n  redis:\n    url: redis://:{}@cache\n",
                self.word(), self.word()),
            "values": format!("env:\n- name: DB_PASSWORD\n  value: {}\n- name: API_TOKEN\n  value: {}\n", self.word(), self.word()),
            "nginx.conf": format!("proxy_set_header Authorization \"Bearer {}\";\n", self.word()),
            "basic": format!("Authorization: Basic {}", STANDARD.encode(format!("app:{}", self.word()))),
            "job.sh": format!("mysql --password {} -h db\ncurl https://app:{}@git.example.com/x.git\n", self.word(), self.word()),
            "people.txt": format!("card {}, account {}\n", self.card(), self.iban()),
            "settings.xml": format!("<server><password>{}</password></server>", self.word()),
            "docker.json": docker.to_string(),
            "join": format!("kubeadm join --token {} 10.0.0.1:6443", self.bootstrap()),
            "DB_PASSWORD": self.word(),
            "apiToken": self.word(),
            "session": self.jwt(),
            "maps": format!("https://maps.example.com/js?key={}&v=3", self.google()),
            "encoded": STANDARD.encode(format!("user: app\npassword: {}\n", self.word())),
        });
        texts.as_object().unwrap().clone()
    }

    /// What fits into one line.
    pub fn line(&mut self) -> String {
        let (url, password) = (self.connection(), self.word());
        let (token, key) = (self.github(), self.aws());
        format!("cannot reach {url}: password={password} (token {token}, key {key})")
    }

    /// Everything, in this namespace, made by the cluster's administrator.
    pub fn plant(world: &World, namespace: &str) -> Self {
        let mut planted = Self::default();
        let mut objects = planted.secrets();
        objects.extend(planted.config_maps());
        objects.extend(planted.workloads(world.scene.control.node_name()));
        objects.extend(planted.custom());
        // As `kubectl apply` leaves them: with all of it once more in an annotation.
        for object in &mut objects {
            object["metadata"]["namespace"] = json!(namespace);
            object["metadata"]["labels"] = json!({"tier": "gold"});
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        world.scene.control.apply(&list.to_string()).unwrap();
        let events = planted.events(namespace);
        world.admin_creates(
            namespace,
            &json!({"apiVersion": "v1", "kind": "List", "items": events}),
        );
        planted
    }

    fn secrets(&mut self) -> Vec<Value> {
        self.at("Secret");
        let release = self.release();
        vec![
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "db", "annotations": {"example.com/note": self.line()}},
                "data": {"password": STANDARD.encode(self.word()), "a.b": STANDARD.encode(self.word())},
                "stringData": {"plain": self.word(), "id.pem": self.pem()},
            }),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls"}, "type": "kubernetes.io/tls",
                "stringData": {"tls.crt": self.word(), "tls.key": self.pem()},
            }),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sh.helm.release.v1.web.v1"},
                "type": "helm.sh/release.v1", "data": {"release": STANDARD.encode(&release)},
            }),
        ]
    }

    /// A release as Helm keeps it: base64 of gzip of JSON.
    fn release(&mut self) -> String {
        let manifest = format!(
            "apiVersion: v1\nkind: Secret\nstringData:\n  password: {}\n",
            self.word()
        );
        let release = json!({
            "name": "web", "info": {"status": "deployed"}, "manifest": manifest,
            "config": {"db": {"password": self.word()}, "url": self.connection()},
        });
        let encoded = STANDARD.encode(gzip(release.to_string().as_bytes()));
        // Packed, it is not there; so the package itself is looked for.
        self.keep("release", vec![encoded[64..104].to_owned()]);
        encoded
    }

    fn config_maps(&mut self) -> Vec<Value> {
        let mut data = self.texts("ConfigMap");
        data.insert("release".to_owned(), json!(self.release()));
        data.insert("size".to_owned(), json!("10"));
        let binary = format!("password={}\n", self.word());
        vec![
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "app", "annotations": {
                    "example.com/hook": format!("https://bot:{}@hooks.example.com", self.word()),
                    "example.com/token": self.github(), "example.com/api-key": self.word()}},
                "data": data, "binaryData": {"file": STANDARD.encode(binary)},
            }),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "spare"},
                "data": self.texts("ConfigMap, deleted")}),
        ]
    }

    fn pod_spec(&mut self) -> Value {
        json!({
            "initContainers": [{"name": "init", "image": "registry.example.com/app:1",
                "command": ["sh", "-c", format!("curl -H 'Authorization: Bearer {}' https://x", self.word())]}],
            "containers": [{
                "name": "a", "image": "registry.example.com/app:1",
                "args": [format!("--password={}", self.word()), "--token", self.word(),
                    "--dsn", self.connection(), format!("--api-key={}", self.word())],
                "env": [
                    {"name": "DB_PASSWORD", "value": self.word()}, {"name": "API_KEY", "value": self.word()},
                    {"name": "DATABASE_URL", "value": self.connection()}, {"name": "SIZE", "value": "10"},
                    {"name": "GITHUB", "value": self.github()}, {"name": "SESSION", "value": self.jwt()}],
                "livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [
                    {"name": "Authorization", "value": format!("Bearer {}", self.word())},
                    {"name": "X-Api-Key", "value": self.word()}]}},
                "lifecycle": {"postStart": {"exec": {"command": ["login", "--password", self.word()]}}},
            }],
        })
    }

    fn workloads(&mut self, node: &str) -> Vec<Value> {
        self.at("Pod");
        let mut pod = self.pod_spec();
        pod["nodeName"] = json!(node);
        // The node's agent only plays.
        pod.as_object_mut().unwrap().remove("initContainers");
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": pod});
        let template = |spec: Value, note: String| json!({"metadata": {"labels": {"app": "web"}, "annotations": {"example.com/note": note}}, "spec": spec});
        self.at("Deployment");
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"example.com/note": self.line()}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": template(self.pod_spec(), self.line())},
        });
        self.at("Job");
        let (mut spec, note) = (self.pod_spec(), self.line());
        spec["restartPolicy"] = json!("Never");
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"},
            "spec": {"template": template(spec, note)}});
        vec![pod, deployment, job]
    }

    /// Of a kind whose fields a policy hides, and of one that nobody knows.
    fn custom(&mut self) -> Vec<Value> {
        self.at("Vault");
        let vault = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Vault", "metadata": {"name": "v"},
            "spec": {"shelf": self.word(), "pin": self.number(), "url": self.connection(), "size": 3,
                "users": [{"name": "u", "pin": self.word()}, {"name": "w", "pin": self.word()}],
                "deep": {"er": [{"hidden": {"a": [self.word()]}}]}},
        });
        let texts = self.texts("Application");
        let application = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Application", "metadata": {"name": "argo"},
            "spec": {
                "url": self.connection(),
                "source": {"repoURL": format!("https://git:{}@git.example.com/x.git", self.word()), "helm": {
                    "values": format!("db:\n  password: {}\n  size: 3\n", self.word()),
                    "valuesObject": {"db": {"password": self.word()}},
                    "parameters": [{"name": "db.password", "value": self.word()}]}},
                "target": {"template": {"data": texts}},
                "manifests": [json!({"kind": "Secret", "stringData": {"a": self.word()}}), {
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"},
                    "data": {"a": STANDARD.encode(self.word())}}],
            },
        });
        vec![vault, application]
    }

    /// A number of twelve digits.
    fn number(&mut self) -> u64 {
        let number = 100_000_000_000 + (Uuid::new_v4().as_u128() % 899_999_999_999) as u64;
        self.keep("number", vec![number.to_string()]);
        number
    }

    fn events(&mut self, namespace: &str) -> Vec<Value> {
        self.at("Event");
        let now = jiff::Timestamp::now();
        let event = |name: &str, kind: &str, message: String| {
            json!({
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {"apiVersion": "v1", "kind": kind, "name": "web", "namespace": namespace},
                "reason": "Failed", "type": "Warning", "message": message, "count": 1,
                "firstTimestamp": now, "lastTimestamp": now, "source": {"component": "kubelet"},
            })
        };
        vec![
            event("one", "Pod", self.line()),
            event(
                "two",
                "Deployment",
                format!("Authorization: Bearer {} was refused", self.word()),
            ),
        ]
    }
}

/// 32 digits and small letters, drawn by lot.
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    gzip.stdin.take().unwrap().write_all(bytes).unwrap();
    gzip.wait_with_output().unwrap().stdout
}
