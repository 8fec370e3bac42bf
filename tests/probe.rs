//! Active probes against a served cluster: exec and port-forward over real WebSockets.

mod support;

use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::api_server::{ApiServer, ServerOptions};
use support::fixtures::fixture;
use support::kdoctor;
use support::real::{Answer, Target};
use support::streams::Ran;

const NOW: &str = "2026-11-21T02:50:53Z";

struct Served {
    server: ApiServer,
    dir: tempfile::TempDir,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Served {
    /// A cluster in whose containers `run` decides what a command does.
    fn start(name: &str, run: fn(&str, &[String]) -> Ran, change: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let commands = Arc::<Mutex<Vec<String>>>::default();
        let log = commands.clone();
        let options = ServerOptions::bundle(fixture(name)).runner(move |_, pod, command| {
            log.lock().expect("no holder of the lock panics").push(format!("{pod}: {}", command.join(" ")));
            run(pod, command)
        });
        Self { server: ApiServer::start(change(options)), dir: tempfile::tempdir().expect("a folder"), commands }
    }

    fn kdoctor(&self, args: &[&str]) -> std::process::Output {
        let mut command = kdoctor();
        command.args([
            "monitoring",
            "--now",
            NOW,
            "--only",
            "target-down,alertmanager-notify",
            "-o",
            "json",
            "--kubeconfig",
        ]);
        command.arg(self.server.kubeconfig(self.dir.path())).args(args);
        command.output().expect("kdoctor runs")
    }

    fn commands(&self) -> Vec<String> {
        self.commands.lock().expect("no holder of the lock panics").clone()
    }
}

fn report(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn evidence(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    let all = findings.iter().flat_map(|f| f["evidence"].as_array().expect("evidence"));
    all.map(|e| {
        format!(
            "{}: {} $ {}",
            e["source"].as_str().unwrap_or_default(),
            e["value"].as_str().unwrap_or_default(),
            e["reproduce"].as_str().unwrap_or_default()
        )
    })
    .collect()
}

/// BusyBox in Prometheus' image; Alertmanager's way out is closed.
fn busybox(pod: &str, command: &[String]) -> Ran {
    match (command[0].as_str(), pod.starts_with("alertmanager")) {
        ("wget", true) => Ran::exit(1, "wget: download timed out\n"),
        ("wget", false) => {
            Ran::exit(1, "  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found\n")
        }
        ("nslookup", _) => Ran { stdout: "Name:\tx\nAddress: 172.20.0.9\n".into(), ..Ran::exit(0, "") },
        (other, _) => Ran::no_such_program(other),
    }
}

#[test]
fn nothing_runs_in_a_pod_unless_it_was_asked_for() {
    let served = Served::start("incidents/targets-down", busybox, |o| o);
    let output = served.kdoctor(&[]);
    assert!(!report(&output)["findings"].as_array().expect("findings").is_empty());
    assert_eq!(served.commands(), Vec::<String>::new());
    let streamed =
        served.server.requests().iter().filter(|r| r.line.contains("/exec") || r.line.contains("/portforward")).count();
    assert_eq!(streamed, 0);
}

#[test]
fn without_a_terminal_nobody_can_be_asked() {
    let served = Served::start("incidents/targets-down", busybox, |o| o);
    let output = served.kdoctor(&["--probe"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--probe=yes"));
    assert!(served.commands().is_empty());
}

#[test]
fn probes_say_what_a_failing_target_answers_from_inside() {
    let served = Served::start("incidents/targets-down", busybox, |o| o);
    let output = served.kdoctor(&["--probe=yes"]);
    let all = evidence(&report(&output));
    let probed: Vec<&String> = all.iter().filter(|e| e.starts_with("probe from pod monitoring/prometheus-")).collect();
    assert!(probed.iter().any(|e| e.contains("GET http://") && e.contains("answered 404")), "{all:#?}");
    assert!(probed.iter().any(|e| e.contains("lookup of") && e.contains("resolved")), "{all:#?}");
    assert!(
        probed.iter().any(|e| e.contains(" exec -n monitoring prometheus-") && e.contains(" -- wget -S")),
        "{all:#?}"
    );
    assert!(served.commands().iter().all(|c| !c.contains("post")), "nothing is ever posted");
}

#[test]
fn an_image_without_tools_teaches_nothing() {
    let served = Served::start("incidents/targets-down", |_, command| Ran::no_such_program(&command[0]), |o| o);
    let output = served.kdoctor(&["--probe=yes"]);
    assert!(!evidence(&report(&output)).iter().any(|e| e.starts_with("probe")));
    let tried = served.commands();
    for tool in ["wget", "curl", "nc", "nslookup", "getent"] {
        assert!(tried.iter().any(|c| c.contains(&format!(": {tool} "))), "{tool} was not tried: {tried:?}");
    }
}

#[test]
fn whoever_may_not_exec_is_told_so() {
    let bundle = ServerOptions::bundle(fixture("incidents/targets-down"));
    let server = ApiServer::start(bundle);
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = kdoctor();
    command.args(["monitoring", "--now", NOW, "--only", "target-down", "-o", "json", "--probe=yes", "--kubeconfig"]);
    let output = command.arg(server.kubeconfig(dir.path())).output().expect("kdoctor runs");
    let report = report(&output);
    assert!(report["gaps"].to_string().contains("exec"), "{}", report["gaps"]);
    assert_eq!(output.status.code(), Some(1), "the findings stand without the probes");
}

#[test]
fn the_applications_are_reached_by_port_forward_where_the_proxy_is_refused() {
    const BODY: &str = r#"{"status":"success","data":{"activeTargets":[]}}"#;
    let target = Target::start(&[("/api/v1/targets", Answer::Json(BODY))]);
    let served = Served::start("healthy/plain", busybox, |o| {
        let refused = |path: &str| {
            support::wire::Fault::on(
                path,
                support::wire::Action::Status {
                    code: 403,
                    reason: "Forbidden".into(),
                    message: "services \"prometheus\" is forbidden: cannot get resource \"services/proxy\"".into(),
                    retry_after: None,
                },
            )
        };
        o.fault(refused("/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/")).listener(
            "prometheus-",
            9090,
            target.addr(),
        )
    });
    let output = served.kdoctor(&["--only", "target-down"]);
    let report = report(&output);
    let forwarded = served.server.requests().iter().filter(|r| r.line.contains("/portforward")).count();
    assert!(forwarded > 0, "{:?}", served.server.requests());
    let run =
        report["runs"].as_array().expect("runs").iter().find(|r| r["check"] == "target-down").expect("ran").clone();
    assert_eq!(run["outcome"], "pass", "{run}");
}

/// A question is left as anything else is.
#[test]
fn ctrl_c_at_the_question_ends_the_run() {
    let served = Served::start("incidents/targets-down", busybox, |o| o);
    let mut command = support::kdoctor_process();
    command.args(["monitoring", "--probe", "--now", NOW, "--only", "target-down", "--kubeconfig"]);
    command.arg(served.server.kubeconfig(served.dir.path()));
    let mut session = rexpect::session::spawn_command(command, Some(20_000)).expect("starts");
    session.exp_string("[y]es, [N]o").expect("it asks");
    session.send_control('c').expect("sends");
    let began = std::time::Instant::now();
    let last = session.exp_eof().expect("ends");
    let status = format!("{:?}", session.process().wait().expect("has ended"));
    assert!(status.ends_with(", 130)"), "{status}: {last}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(served.commands().is_empty(), "{:?}", served.commands());
}

/// What a cluster says does not steer a terminal, in no format.
#[test]
fn json_at_a_terminal_is_letters_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let bundle = dir.path().join("bundle");
    support::fixtures::copy(&fixture("incidents/targets-down"), &bundle);
    let path = bundle.join("prometheus/api/v1/targets.json");
    let text = std::fs::read_to_string(&path).expect("the targets");
    let wild = text.replace("connection refused", "\u{9b}2J\u{202e}\u{1b}[31m refused");
    assert_ne!(text, wild, "an error to change");
    std::fs::write(&path, wild.replace('\u{1b}', "\\u001b")).expect("writable");
    let mut command = support::kdoctor_process();
    command.args(["monitoring", "-o", "json", "--from"]).arg(&bundle);
    let options = rexpect::reader::Options::new().timeout_ms(Some(20_000)).strip_ansi_escape_codes(false);
    let mut session = rexpect::session::spawn_with_options(command, options).expect("starts");
    let seen = session.exp_eof().expect("ends");
    // Each byte is a letter here: U+009B is C2 9B, U+202E is E2 80 AE.
    assert!(seen.contains("refused"), "{seen}");
    for raw in ["\u{c2}\u{9b}", "\u{e2}\u{80}\u{ae}", "\u{1b}"] {
        assert!(!seen.contains(raw), "{raw:?}");
    }
}
