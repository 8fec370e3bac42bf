//! Local ports that stay open whatever becomes of the pods: the real binary against a served cluster, over real WebSockets.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api_server::{ApiServer, ServerOptions};
use support::fixtures;
use support::kdoctor;
use support::kdoctor_process;
use support::real::{Answer, Target};
use support::running::Running;

/// Long enough for any one step on a machine that does other things, too.
const SOON: Duration = Duration::from_secs(30);

/// A cluster with a Prometheus whose pods come and go.
struct Stack {
    server: ApiServer,
    dir: tempfile::TempDir,
    _prometheus: Target,
}

/// A pod of Prometheus.
fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = json!({
        "metadata": {"namespace": "monitoring", "name": name, "uid": format!("uid of {name}"), "labels": {"app": "prometheus"}},
        "spec": {"nodeName": "ip-10-0-2-131.ap-northeast-2.compute.internal",
            "containers": [{"name": "prometheus", "image": "prom/prometheus:v3.0.0", "ports": [{"containerPort": 9090}]}]},
        "status": {"phase": "Running", "podIP": "10.0.2.7", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "prometheus", "ready": true, "restartCount": 0, "image": "x", "imageID": "x",
                "state": {"running": {"startedAt": "2026-11-21T02:00:00Z"}}}]}
    });
    change(&mut pod);
    pod
}

impl Stack {
    fn start(first: &[Value]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let bundle = dir.path().join("bundle");
        fixtures::copy(&fixtures::fixture("healthy/plain"), &bundle);
        std::fs::remove_file(bundle.join("kubernetes/api/v1/pods.json.gz")).expect("the fixture holds pods");
        let prometheus = Target::start(&[("/-/healthy", Answer::Json(r#"{"healthy": true}"#))]);
        let options = ServerOptions::bundle(&bundle).fresh().listener("prometheus-", 9090, prometheus.addr());
        let stack = Self { server: ApiServer::start(options), dir, _prometheus: prometheus };
        stack.pods(first);
        stack
    }

    fn api(&self) -> PathBuf {
        self.dir.path().join("bundle/kubernetes/api/v1")
    }

    /// These are the pods from now on.
    fn pods(&self, pods: &[Value]) {
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods});
        let (file, beside) = (self.api().join("pods.json"), self.api().join("pods.json.new"));
        std::fs::write(&beside, list.to_string()).expect("writable");
        // As a whole: whoever reads meanwhile sees one or the other.
        std::fs::rename(beside, file).expect("writable");
    }

    fn connect(&self, args: &[&str]) -> (Running, u16) {
        let mut command = kdoctor_process();
        command.args(["connect", "prometheus", "--kubeconfig"]).arg(self.server.kubeconfig(self.dir.path())).args(args);
        let mut running = Running::start(&mut command);
        let line = running.expect("Prometheus    http://127.0.0.1:", SOON);
        assert!(line.ends_with("(Service monitoring/prometheus)"), "{line}");
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
        (running, port.parse().expect("a number"))
    }
}

/// What a local port answers; nothing where the connection breaks.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the local port is open");
    stream.set_read_timeout(Some(SOON)).expect("a time");
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: prometheus\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("healthy").then_some(answer)
}

fn answers(port: u16) {
    let end = Instant::now() + SOON;
    while get(port).is_none() {
        assert!(Instant::now() < end, "port {port} does not answer");
    }
}

#[test]
fn the_local_port_stays_through_three_restarts_of_the_pod() {
    let stack = Stack::start(&[pod("prometheus-a", |_| {})]);
    let (mut connect, port) = stack.connect(&["--port", "0"]);
    connect.expect("Prometheus: to pod prometheus-a, port 9090", SOON);
    answers(port);
    for (before, now) in [("a", "b"), ("b", "c"), ("c", "d")] {
        stack.pods(&[pod(&format!("prometheus-{now}"), |_| {})]);
        connect.expect(&format!("Prometheus: pod prometheus-{before} is gone"), SOON);
        connect.expect(&format!("Prometheus: to pod prometheus-{now}, port 9090"), SOON);
        answers(port);
    }
    connect.signal("TERM");
    assert_eq!(connect.end(SOON).code(), Some(130));
    assert_eq!(stack.server.trespasses(), []);
}

#[test]
fn it_says_why_a_connection_ended() {
    let stack = Stack::start(&[pod("prometheus-a", |_| {}), pod("prometheus-b", |_| {})]);
    let (mut connect, port) = stack.connect(&["--port", "0"]);
    connect.expect("to pod prometheus-a", SOON);

    let killed = |p: &mut Value| {
        p["status"]["containerStatuses"][0]["restartCount"] = json!(1);
        p["status"]["containerStatuses"][0]["lastState"] =
            json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
    };
    stack.pods(&[pod("prometheus-a", killed)]);
    connect.expect("pod prometheus-a restarts: container prometheus was OOM-killed", SOON);
    connect.expect("to pod prometheus-a", SOON);
    answers(port);

    let unready = |p: &mut Value| {
        killed(p);
        p["status"]["conditions"][0]["status"] = json!("False");
    };
    stack.pods(&[pod("prometheus-a", unready), pod("prometheus-b", |_| {})]);
    connect.expect("pod prometheus-a is not ready any more", SOON);
    connect.expect("to pod prometheus-b", SOON);
    answers(port);

    stack.pods(&[]);
    connect.expect("pod prometheus-b is gone", SOON);
    connect.expect(&format!("no pod of the Service runs; port {port} stays open and waits for one"), SOON);
    // Whoever connects meanwhile waits for the next one.
    let waiting = std::thread::spawn(move || get(port));
    std::thread::sleep(Duration::from_millis(500));
    stack.pods(&[pod("prometheus-c", |_| {})]);
    connect.expect("to pod prometheus-c", SOON);
    assert!(waiting.join().expect("no panic").is_some());
}

#[test]
fn it_outlives_the_api_server() {
    let mut stack = Stack::start(&[pod("prometheus-a", |_| {})]);
    let (mut connect, port) = stack.connect(&["--port", "0"]);
    connect.expect("to pod prometheus-a", SOON);
    stack.server.stop();
    connect.expect("Prometheus: the cluster cannot be asked (", SOON);
    stack.server.start_again();
    connect.expect("Prometheus: the cluster can be asked again", SOON);
    answers(port);
}

#[test]
fn a_kubelet_that_is_not_reached_is_named_with_the_way_round_it() {
    // Nothing answers for it: the kubelet is not reached.
    let stack = Stack::start(&[pod("other-0", |_| {})]);
    let nodes: Value =
        serde_json::from_slice(&std::fs::read(stack.api().join("nodes.json")).expect("nodes")).expect("JSON");
    let of = |at: usize| &nodes["items"][at];
    let own = of(0)["metadata"]["name"].as_str().expect("a name").to_owned();
    let other =
        of(1)["spec"]["providerID"].as_str().and_then(|id| id.rsplit('/').next()).expect("an instance").to_owned();
    stack.pods(&[pod("other-0", |p| p["spec"]["nodeName"] = json!(own))]);
    let logs = stack.api().join("namespaces/monitoring/pods/other-0/log");
    std::fs::create_dir_all(&logs).expect("writable");
    let said = "Get \"https://10.0.2.131:10250/containerLogs/monitoring/other-0/prometheus\": dial tcp 10.0.2.131:10250: i/o timeout";
    let refused = json!({"code": 500, "reason": "InternalError", "message": said});
    std::fs::write(logs.join("prometheus.error.json"), refused.to_string()).expect("writable");
    let (mut connect, port) = stack.connect(&["--port", "0", "--region", "ap-northeast-2"]);
    connect.expect("to pod other-0", SOON);
    assert!(get(port).is_none());
    let line = connect.expect("Prometheus: the API server cannot talk to the kubelet of node ", SOON);
    assert!(line.contains(&own), "{line}");
    let command = connect.expect("aws ssm start-session --region ap-northeast-2 --target ", SOON);
    assert!(command.contains(&other), "through another node: {command}");
    assert!(command.contains("10.0.2.7") && command.contains("9090"), "{command}");
}

#[test]
fn a_usual_port_that_is_taken_is_not_waited_for() {
    // Taken by somebody else, or by this test.
    let _taken = TcpListener::bind(("127.0.0.1", 9090));
    let stack = Stack::start(&[pod("prometheus-a", |_| {})]);
    let (mut connect, port) = stack.connect(&[]);
    assert_ne!(port, 9090);
    connect.expect("to pod prometheus-a", SOON);
    assert!(
        connect.seen.iter().any(|l| l.contains("port 9090 is taken here, so Prometheus is at ")),
        "{:?}",
        connect.seen
    );
    answers(port);
    let kubeconfig = stack.server.kubeconfig(stack.dir.path());
    for (args, word) in [
        (&["connect", "prometheus", "--port", "9090"][..], "port 9090 of 127.0.0.1 cannot be listened on"),
        (&["connect", "loki"], "no Service of Loki was found"),
        (&["connect", "prometheus", "grafana", "--port", "1"], "--port is for one program"),
        (&["connect", "--demo"], "a bundle has none that run"),
    ] {
        let mut command = kdoctor();
        command.args(args);
        if !args.contains(&"--demo") {
            command.arg("--kubeconfig").arg(&kubeconfig);
        }
        let output = command.output().expect("kdoctor runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(word), "{args:?}: {said}");
    }
}
