//! Real servers as child processes (Prometheus, Alertmanager, moto) and a small scrape target.
//!
//! A missing program fails the test: `.ci/run` installs them all.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tempfile::TempDir;

use super::names::{Names, Table, loopback};
use super::wire::{Ask, Handler, Reply, Server};

/// How long a server may take to start. Generous: tests run beside a compiler.
const START: Duration = Duration::from_secs(60);
/// Lines of a server's log that are kept for messages.
const LOG: usize = 200;

/// A child process that listens on a port it chose itself; killed when dropped.
struct Daemon {
    child: Child,
    url: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Daemon {
    /// Starts it, and waits until its log names the address: the text behind `marker` up to a space.
    fn start(mut command: Command, what: &str, marker: &'static str) -> Self {
        let run = format!("{what} cannot be started: run .ci/run, it installs everything the tests need");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{run} ({e})"));
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let log = Arc::<Mutex<VecDeque<String>>>::default();
        let (found, address) = std::sync::mpsc::channel();
        let kept = log.clone();
        // Reads to the end, so that the child never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once(marker) {
                    let _ = found.send(rest.split_whitespace().next().unwrap_or_default().to_owned());
                }
                let mut kept = kept.lock().expect("no holder of the lock panics");
                if kept.len() == LOG {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        let mut daemon = Self { child, url: String::new(), log };
        // The sender goes with the child's last line: an early end is seen at once.
        match address.recv_timeout(START) {
            Ok(address) => daemon.url = format!("http://{}", address.trim_matches('"')),
            Err(_) => panic!("{what} did not listen; its log:\n{}", daemon.log()),
        }
        daemon
    }

    fn wait(self, what: &str, path: &str) -> Self {
        let url = format!("{}{path}", self.url);
        let ready = until(START, || get(&url).ok().filter(|(status, _)| *status == 200));
        assert!(ready.is_some(), "{what} did not become ready; its log:\n{}", self.log());
        self
    }

    fn log(&self) -> String {
        let lines = self.log.lock().expect("no holder of the lock panics");
        lines.iter().map(|l| format!("{l}\n")).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer or the time is over.
pub fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = ask() {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// GETs a plain `http://` URL: status and body.
pub fn get(url: &str) -> std::io::Result<(u16, String)> {
    send(url, "GET", "", "")
}

/// One HTTP/1.0 exchange over the standard library, so that tests need neither a runtime nor a client.
fn send(url: &str, method: &str, headers: &str, body: &str) -> std::io::Result<(u16, String)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| std::io::Error::other("not a plain http:// URL"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let head = format!("{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no HTTP answer"))?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.map(|s| (s, body.to_owned())).ok_or_else(|| std::io::Error::other("no HTTP status"))
}

fn json(url: &str) -> Value {
    let (status, body) = get(url).unwrap_or_else(|e| panic!("{url}: {e}"));
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{url}: {status}: {e}: {body}"))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A real Prometheus on a loopback port.
pub struct Prometheus {
    daemon: Daemon,
    names: Option<Names>,
    _dir: TempDir,
}

impl Prometheus {
    /// Starts it with this `prometheus.yml`. Other files that it names belong in `files`: `("rules.yml", "groups: …")`.
    pub fn start(config: &str, files: &[(&str, &str)]) -> Self {
        Self::launch(config, files, None)
    }

    /// As [`Prometheus::start`], with names of its own.
    pub fn with_names(config: &str, files: &[(&str, &str)], table: &Table) -> Self {
        Self::launch(config, files, Some(table))
    }

    fn launch(config: &str, files: &[(&str, &str)], table: Option<&Table>) -> Self {
        const PROGRAM: &str = "/usr/bin/prometheus";
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: run .ci/run, it installs it");
        let dir = folder();
        for (name, text) in [("prometheus.yml", config)].iter().chain(files) {
            write(&dir.path().join(name), text);
        }
        let names = table.map(|table| Names::start(dir.path(), table));
        let mut command = names.as_ref().map_or_else(|| Command::new(PROGRAM), |n| n.wrap(PROGRAM));
        command
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"]);
        let daemon = Daemon::start(command, PROGRAM, "msg=\"Listening on\" address=").wait(PROGRAM, "/-/ready");
        Self { daemon, names, _dir: dir }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.daemon.url
    }

    /// Address of its DNS server, if it has one of its own.
    pub fn dns(&self) -> Option<Ipv4Addr> {
        self.names.as_ref()?.server()
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// One JSON answer: `/api/v1/targets`.
    pub fn json(&self, path: &str) -> Value {
        json(&format!("{}{path}", self.daemon.url))
    }

    /// The active targets, once each was scraped. The first scrape comes up to 5 s (service discovery) plus one scrape
    /// interval after the start: use a `scrape_interval` of 1 s.
    pub fn scraped_targets(&self, count: usize) -> Vec<Value> {
        let scraped = until(START, || {
            let targets = self.json("/api/v1/targets")["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
            let done = targets.len() >= count && targets.iter().all(|t| t["health"] != "unknown");
            done.then_some(targets)
        });
        scraped.unwrap_or_else(|| panic!("not {count} scraped targets; the log:\n{}", self.log()))
    }
}

/// A real Alertmanager on a loopback port.
pub struct Alertmanager {
    daemon: Daemon,
    _dir: TempDir,
}

impl Alertmanager {
    /// Starts it with this `alertmanager.yml`, without a cluster of peers.
    pub fn start(config: &str) -> Self {
        const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: run .ci/run, it installs it");
        let dir = folder();
        let file = dir.path().join("alertmanager.yml");
        write(&file, config);
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        let daemon = Daemon::start(command, PROGRAM, "msg=\"Listening on\" address=").wait(PROGRAM, "/-/ready");
        Self { daemon, _dir: dir }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.daemon.url
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// One JSON answer: `/api/v2/status`.
    pub fn json(&self, path: &str) -> Value {
        json(&format!("{}{path}", self.daemon.url))
    }

    /// Fires alerts: the body of `POST /api/v2/alerts`.
    pub fn fire(&self, alerts: &Value) {
        let url = format!("{}/api/v2/alerts", self.daemon.url);
        let answer = send(&url, "POST", "Content-Type: application/json\r\n", &alerts.to_string());
        let (status, body) = answer.unwrap_or_else(|e| panic!("{url}: {e}"));
        assert_eq!(status, 200, "{body}");
    }
}

/// A moto server: EC2, IAM and STS that keep what they are told, in account 123456789012.
pub struct Moto {
    daemon: Daemon,
}

impl Moto {
    /// Starts `$KDOCTOR_MOTO`, or `moto_server` on the PATH.
    pub fn start() -> Self {
        let program = std::env::var("KDOCTOR_MOTO").unwrap_or_else(|_| "moto_server".into());
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let daemon = Daemon::start(command, &program, "Running on http://").wait(&program, "/moto-api/data.json");
        Self { daemon }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.daemon.url
    }

    /// One call of the query protocol, to set a scene up: `call("ec2", "ap-northeast-2", "CreateVpc",
    /// &[("CidrBlock", "10.0.0.0/16")])`. The answer as XML; panics if moto refuses.
    pub fn call(&self, service: &str, region: &str, action: &str, fields: &[(&str, &str)]) -> String {
        let version = match service {
            "ec2" => "2016-11-15",
            "iam" => "2010-05-08",
            _ => "2011-06-15",
        };
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", version)])
            .extend_pairs(fields)
            .finish();
        // moto reads service and region from the credential scope and checks no signature.
        let headers = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/\
             {region}/{service}/aws4_request, SignedHeaders=host, Signature=none\r\n"
        );
        let answer = send(&format!("{}/", self.daemon.url), "POST", &headers, &body);
        let (status, body) = answer.unwrap_or_else(|e| panic!("moto {action}: {e}"));
        assert_eq!(status, 200, "moto {action}: {body}");
        body
    }
}

/// The text of the first element of that name: an id in one of moto's answers.
pub fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let found = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
    found.map(|(text, _)| text).unwrap_or_else(|| panic!("no <{name}> in {xml}"))
}

/// What a scrape target answers on one path.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Metrics in the Prometheus text format.
    Metrics(&'static str),
    /// JSON, as a health endpoint answers.
    Json(&'static str),
    /// A web page.
    Html(&'static str),
    /// An error page.
    Status(u16),
    /// Nothing, ever: a scrape ends in `context deadline exceeded`.
    Never,
}

/// A small HTTP server to scrape; other paths are 404. Ends when dropped.
pub struct Target {
    server: Server,
}

struct Pages(Vec<(String, Answer)>);

impl Target {
    /// Answers these paths on a free port of 127.0.0.1.
    pub fn start(pages: &[(&str, Answer)]) -> Self {
        Self::bind(SocketAddr::from(([127, 0, 0, 1], 0)), pages)
    }

    /// Answers these paths on this very port, at a loopback address of its own: with a host table, a target keeps the
    /// port that it has in the cluster.
    pub fn on_port(port: u16, pages: &[(&str, Answer)]) -> Self {
        Self::bind(SocketAddr::from((loopback(port), port)), pages)
    }

    fn bind(address: SocketAddr, pages: &[(&str, Answer)]) -> Self {
        let pages = pages.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
        Self { server: Server::start(address, None, Vec::new(), Arc::new(Pages(pages))) }
    }

    /// `127.0.0.1:port`.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Its address without the port.
    pub fn ip(&self) -> Ipv4Addr {
        match self.server.addr.ip() {
            std::net::IpAddr::V4(ip) => ip,
            std::net::IpAddr::V6(_) => unreachable!("a target binds an IPv4 address"),
        }
    }
}

impl Handler for Pages {
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Reply> {
        async move {
            match self.0.iter().find(|(path, _)| *path == ask.path).map(|(_, answer)| answer) {
                Some(Answer::Metrics(text)) => Reply::new(200, "text/plain; version=0.0.4; charset=utf-8", *text),
                Some(Answer::Json(text)) => Reply::new(200, "application/json; charset=utf-8", *text),
                Some(Answer::Html(text)) => Reply::new(200, "text/html; charset=utf-8", *text),
                Some(Answer::Status(status)) => Reply::text(*status, "error\n"),
                Some(Answer::Never) => std::future::pending().await,
                None => Reply::text(404, "404 page not found\n"),
            }
        }
        .boxed()
    }

    fn refusal(&self, _ask: &Ask, status: u16, _reason: &str, message: &str) -> Reply {
        Reply::text(status, message)
    }
}
