//! The real binary against servers: the API over TLS with every kind of failure, AWS, and a real Prometheus.

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use support::api_server::{ApiServer, ServerOptions};
use support::fixtures::fixture;
use support::kdoctor;
use support::real::{Answer, Prometheus, Target};
use support::wire::{Action, Ask, Fault, Handler, Reply, Server};
use tempfile::TempDir;

/// When the recorded cluster was recorded: events and ages are judged as of then.
fn recorded_at(fixture: &Path) -> String {
    let text = std::fs::read_to_string(fixture.join("kdoctor.json")).expect("a bundle has a header");
    let header: Value = serde_json::from_str(&text).expect("JSON");
    header["collected_at"].as_str().expect("a time").to_owned()
}

/// A cluster that answers from a bundle, and what is needed to ask it.
struct Cluster {
    server: ApiServer,
    dir: TempDir,
    now: String,
}

impl Cluster {
    fn serve(name: &str) -> Self {
        Self::with(name, |options| options)
    }

    fn with(name: &str, change: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let bundle = fixture(name);
        let now = recorded_at(&bundle);
        let options =
            ServerOptions::bundle(&bundle).token("t0ken").eks("ap-northeast-2", "339712948064", "flash-tickets-eks");
        let server = ApiServer::start(change(options));
        Self { server, dir: tempfile::tempdir().expect("a temporary folder"), now }
    }

    fn command(&self) -> assert_cmd::Command {
        let mut command = kdoctor();
        command.args(["monitoring", "--now", &self.now, "--kubeconfig"]).arg(self.server.kubeconfig(self.dir.path()));
        command
    }

    fn report(&self, args: &[&str]) -> Value {
        json_of(self.command().args(args))
    }
}

fn json_of(command: &mut assert_cmd::Command) -> Value {
    let output = command.args(["-o", "json"]).output().expect("kdoctor runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn root_checks(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().filter(|f| f["root"] == true).map(|f| f["check"].as_str().expect("a check").to_owned()).collect()
}

fn gap_texts(report: &Value) -> String {
    report["gaps"].to_string()
}

/// Checks that need no AWS: these tests also run in a build without it.
const KUBERNETES_ONLY: &[&str] =
    &["--only", "pvc-pending,storage-class-missing,ebs-csi-addon-missing,pod-pending,scrape"];

#[test]
fn a_live_cluster_gives_the_report_of_its_bundle() {
    for name in ["demo/ebs-csi-missing", "incidents/gp3-missing", "incidents/targets-down", "healthy/plain"] {
        let cluster = Cluster::serve(name);
        let live = cluster.report(KUBERNETES_ONLY);
        let offline = json_of(kdoctor().args(["monitoring", "--from"]).arg(fixture(name)).args(KUBERNETES_ONLY));
        for part in ["findings", "runs", "summary", "target"] {
            let without_aws = |report: &Value| match part {
                // Without AWS the live cluster's evidence cannot hold what AWS said.
                "findings" => report["findings"]
                    .as_array()
                    .expect("findings")
                    .iter()
                    .map(|f| format!("{} {} {} {}", f["id"], f["check"], f["subjects"], f["root"]))
                    .collect::<Vec<_>>()
                    .join("\n"),
                // Why a fact is missing differs: never recorded, or refused.
                "runs" => {
                    let runs = report["runs"].as_array().expect("runs");
                    runs.iter().map(|r| format!("{} {}\n", r["check"], r["outcome"])).collect()
                }
                "target" => format!("{} {}", report["target"]["context"], report["target"]["namespaces"]),
                other => report[other].to_string(),
            };
            assert_eq!(without_aws(&live), without_aws(&offline), "{name}: {part}");
        }
        assert_eq!(cluster.server.trespasses(), [], "{name}");
    }
}

#[test]
fn every_request_says_who_asks() {
    let cluster = Cluster::serve("incidents/targets-down");
    cluster.report(KUBERNETES_ONLY);
    let requests = cluster.server.requests();
    let agent = format!("kdoctor/{}", env!("CARGO_PKG_VERSION"));
    assert!(requests.len() > 10, "{}", requests.len());
    assert!(requests.iter().all(|r| r.agent == agent), "{requests:#?}");
}

/// The kubeconfig was given by a flag: the commands need it too.
#[test]
fn commands_reach_the_cluster_that_was_diagnosed() {
    let cluster = Cluster::serve("demo/ebs-csi-missing");
    let report = cluster.report(KUBERNETES_ONLY).to_string();
    let flag = format!("kubectl --kubeconfig {} get ", cluster.server.kubeconfig(cluster.dir.path()).display());
    assert!(report.contains(&flag), "{report}");
    assert!(!report.contains("kubectl get"), "{report}");
}

#[test]
fn each_list_is_read_once_and_in_pages() {
    let cluster = Cluster::serve("incidents/targets-down");
    cluster.report(KUBERNETES_ONLY);
    let requests = cluster.server.requests();
    let mut lists: Vec<&str> = requests.iter().map(|r| r.line.as_str()).filter(|l| l.contains("limit=")).collect();
    assert!(lists.len() > 10, "{lists:?}");
    let all = lists.len();
    lists.sort_unstable();
    lists.dedup();
    assert_eq!(lists.len(), all, "a list was read twice: {requests:#?}");
}

#[test]
fn a_view_only_user_gets_a_useful_partial_report() {
    let forbid = |path: &str| {
        let resource = path.rsplit('/').next().expect("a path has parts");
        Fault::on(
            path,
            Action::status(403, "Forbidden", &format!("{resource} is forbidden: User \"view\" cannot list resource")),
        )
    };
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| {
        o.fault(forbid("/api/v1/nodes")).fault(forbid("/api/v1/persistentvolumes"))
    });
    let report = cluster.report(KUBERNETES_ONLY);
    assert_eq!(root_checks(&report), ["ebs-csi-addon-missing"]);
    let gaps = gap_texts(&report);
    assert!(gaps.contains("list nodes at cluster scope"), "{gaps}");
    assert!(gaps.contains("list persistentvolumes at cluster scope"), "{gaps}");
    let output = cluster.command().args(KUBERNETES_ONLY).output().expect("kdoctor runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("could not be seen") && text.contains("list nodes at cluster scope"), "{text}");
}

#[test]
fn every_failure_of_one_list_is_a_gap_and_not_the_end() {
    let claims = "/api/v1/namespaces/monitoring/persistentvolumeclaims";
    for (action, cause) in [
        (Action::status(403, "Forbidden", "no"), "forbidden"),
        (Action::status(500, "InternalError", "etcdserver: leader changed"), "bad-answer"),
        (Action::status(404, "NotFound", "the server could not find the requested resource"), "bad-answer"),
        (Action::Garbage(200), "bad-answer"),
        (Action::Truncate, "bad-answer"),
        (Action::Hang, "timeout"),
    ] {
        let name = format!("{action:?}");
        let cluster = Cluster::with("demo/ebs-csi-missing", |o| o.fault(Fault::on(claims, action)));
        let report = cluster.report(&["--only", "pvc-pending,pod-pending", "--timeout", "3s"]);
        let gap = report["gaps"]
            .as_array()
            .expect("gaps")
            .iter()
            .find(|g| g["what"].as_str().is_some_and(|w| w.contains(claims)));
        let gap = gap.unwrap_or_else(|| panic!("{name}: {report:#}"));
        assert_eq!(gap["cause"], cause, "{name}: {gap}");
        let run = |check: &str| {
            let runs = report["runs"].as_array().expect("runs");
            runs.iter().find(|r| r["check"] == check).expect("the check ran")["outcome"].clone()
        };
        assert_eq!(run("pvc-pending"), "not_evaluated", "{name}");
        assert_eq!(run("pod-pending"), "findings", "{name}");
    }
}

#[test]
fn a_server_that_repeats_the_request_does_not_spread_the_token() {
    let claims = "/api/v1/namespaces/monitoring/persistentvolumeclaims";
    for message in
        ["GET x HTTP/1.1\r\nauthorization: Bearer t0ken\r\n", "\"t0ken\" is not known here", "no session of t0ken."]
    {
        let echo = Action::status(400, "BadRequest", message);
        let cluster = Cluster::with("demo/ebs-csi-missing", |o| o.fault(Fault::on(claims, echo)));
        for format in ["table", "json", "markdown"] {
            let mut command = cluster.command();
            let output = command.args(["--only", "pvc-pending", "-v", "-o", format]).output().expect("kdoctor runs");
            let text =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(text.contains("persistentvolumeclaims"), "{message}, {format}: {text}");
            assert!(!text.contains("t0ken"), "{message}, {format}: {text}");
        }
    }
}

#[test]
fn a_throttled_list_is_asked_again_after_the_time_the_server_asks_for() {
    let path = "/apis/storage.k8s.io/v1/storageclasses";
    let slow_down = Action::too_many_requests(1);
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| o.fault(Fault::first(path, slow_down)));
    let start = Instant::now();
    let report = cluster.report(KUBERNETES_ONLY);
    assert_eq!(root_checks(&report), ["ebs-csi-addon-missing"]);
    assert_eq!(cluster.server.count(path), 2);
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After was not honoured");
}

#[test]
fn a_continue_token_that_expired_starts_the_list_again() {
    let cluster =
        Cluster::with("incidents/targets-down", |o| o.fault(Fault::first("/api/v1/services", Action::ExpireContinue)));
    let report = cluster.report(KUBERNETES_ONLY);
    assert!(!gap_texts(&report).contains("services"), "{report:#}");
}

#[test]
fn a_cluster_that_cannot_be_asked_ends_with_2_and_says_why() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cluster = Cluster::serve("demo/ebs-csi-missing");
    let output = kdoctor()
        .args(["monitoring", "--kubeconfig"])
        .arg(cluster.server.kubeconfig_as(dir.path(), "wrong"))
        .output()
        .expect("kdoctor runs");
    // Refused credentials are diagnosed like any other fault.
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error[api-access]"), "{text}");
    let kubeconfig = cluster.server.kubeconfig(dir.path());
    drop(cluster);
    let output = kdoctor().args(["monitoring", "--kubeconfig"]).arg(kubeconfig).output().expect("kdoctor runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn a_slow_server_never_holds_kdoctor_beyond_its_deadline() {
    let cluster = Cluster::with("demo/ebs-csi-missing", |o| o.fault(Fault::on("/version", Action::Hang)));
    let start = Instant::now();
    let output = cluster.command().args(["--timeout", "1s"]).output().expect("kdoctor runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

/// What is slow holds up nothing but itself: connections that wait meanwhile are good, or recreated.
#[test]
fn a_url_that_hangs_takes_no_list_with_it() {
    // It takes connections, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let cluster = Cluster::serve("incidents/targets-down");
    let whole = cluster.report(&["--alertmanager-url", "http://127.0.0.1:1"]);
    for _ in 0..3 {
        let report = cluster.report(&["--timeout", "1s", "--alertmanager-url", &url]);
        let gaps = report["gaps"].as_array().expect("gaps");
        let slow: Vec<&Value> = gaps.iter().filter(|g| g["cause"] == "timeout").collect();
        assert!(!slow.is_empty() && slow.iter().all(|g| g["what"].to_string().contains("lertmanager")), "{gaps:#?}");
        assert_eq!(root_checks(&report), root_checks(&whole));
    }
}

/// A run ends when its user wants it to, and says what it did not see by then.
#[test]
fn nothing_is_asked_beyond_the_deadline_of_the_run() {
    let cluster = Cluster::with("incidents/targets-down", |o| {
        o.fault(Fault::on("/api/v1/namespaces/monitoring", Action::Delay(Duration::from_secs(2))))
    });
    let began = Instant::now();
    let report = cluster.report(&["--deadline", "1s"]);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(gap_texts(&report).contains("raise --deadline"), "{report:#}");
    assert_ne!(report["runs"].to_string().matches("not_evaluated").count(), 0);
}

/// The API server has no way to the stack's pods, and neither has the port-forward.
#[test]
fn a_stack_that_runs_and_gives_no_answer_is_a_finding() {
    let proxy = |name: &str| format!("/api/v1/namespaces/monitoring/services/http:{name}");
    let dropped = "error trying to reach service: dial tcp 10.1.2.3:9090: i/o timeout";
    for action in [Action::status(503, "ServiceUnavailable", dropped), Action::Hang] {
        let name = format!("{action:?}");
        let cluster = Cluster::with("healthy/plain", |o| {
            ["prometheus:9090", "alertmanager:9093", "grafana:3000"]
                .into_iter()
                .fold(o, |o, part| o.fault(Fault::on(&proxy(part), action.clone())))
        });
        let report = cluster.report(&["--only", "monitoring-unreachable", "--timeout", "2s"]);
        assert_eq!(root_checks(&report), ["monitoring-unreachable"], "{name}: {report:#}");
        let text = report["findings"][0].to_string();
        assert!(text.contains("Prometheus, Alertmanager and Grafana run and do not answer"), "{name}: {text}");
        assert!(text.contains("by port-forward"), "both ways are told: {name}: {text}");
    }
    // A missing right is no fault of the stack.
    let refused = Action::status(403, "Forbidden", "services is forbidden: User cannot get resource services/proxy");
    let cluster = Cluster::with("healthy/plain", |o| {
        ["prometheus:9090", "alertmanager:9093", "grafana:3000"]
            .into_iter()
            .fold(o, |o, part| o.fault(Fault::on(&proxy(part), refused.clone())))
    });
    let report = cluster.report(&["--only", "monitoring-unreachable", "--timeout", "2s"]);
    assert_eq!(report["findings"], json!([]), "{report:#}");
    assert_eq!(report["runs"][0]["outcome"], "not_evaluated", "{report:#}");
}

#[test]
fn a_url_that_leads_nowhere_is_named() {
    let cluster = Cluster::serve("healthy/plain");
    let report =
        cluster.report(&["--only", "monitoring-unreachable", "--prometheus-url", "http://user:s3cret@127.0.0.1:1/x"]);
    let found = &report["findings"][0];
    assert_eq!(found["severity"], "warning", "{report:#}");
    let text = report.to_string();
    assert!(text.contains("127.0.0.1:1/x") && !text.contains("s3cret"), "{text}");
}

/// A real Prometheus with a JSON health endpoint and a Service that was never deployed, asked through the API server.
#[test]
fn a_real_prometheus_with_broken_targets_is_diagnosed() {
    // The Service's own port: another one would be a fault of its own.
    let port = 4000;
    let api = Target::on_port(
        port,
        &[
            ("/live", Answer::Json(r#"{"status":"ok"}"#)),
            ("/metrics", Answer::Metrics("# TYPE up_total counter\nup_total 1\n")),
        ],
    );
    let host = "flash-api.flash-ticket.svc.cluster.local";
    let config = format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n\
         - job_name: flash-api-health\n  metrics_path: /live\n  static_configs:\n  - targets: ['{host}:{port}']\n\
         - job_name: flash-api\n  static_configs:\n  - targets: ['{host}:{port}']\n\
         - job_name: flash-pay-health\n  metrics_path: /live\n  static_configs:\n  - targets: ['flash-pay.flash-ticket.svc.cluster.local:3100']\n"
    );
    let table = support::names::table([(host, api.ip())]);
    let prometheus = Prometheus::with_names(&config, &[], &table);
    prometheus.scraped_targets(3);
    let cluster = Cluster::with("incidents/targets-down", |o| o.proxy("monitoring", "prometheus", prometheus.url()));
    let report = cluster.report(&["--only", "scrape"]);
    let mut roots = root_checks(&report);
    roots.sort_unstable();
    // What runs is not the configuration of the recorded ConfigMap.
    assert_eq!(roots, ["config-outdated", "target-not-metrics", "target-service-missing"], "{report:#}");
    let text = report["findings"].to_string();
    assert!(text.contains("flash-pay") && text.contains("/live"), "{text}");
    // The same by URL, without the API server's proxy.
    let by_url = cluster.report(&["--only", "scrape", "--prometheus-url", prometheus.url()]);
    let mut by_url = root_checks(&by_url);
    by_url.sort_unstable();
    assert_eq!(by_url, roots);
}

/// A Grafana behind its login, with a datasource that is refused.
struct Grafana {
    asked: Mutex<Vec<(String, Option<String>)>>,
}

impl Handler for Grafana {
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Reply> {
        let login = ask.header("authorization").map(str::to_owned);
        let open = ask.path == "/api/health" || login.as_deref() == Some("Bearer glsa_s3cret");
        self.asked.lock().expect("no panic").push((ask.path.clone(), login));
        let reply = match ask.path.as_str() {
            _ if !open => Reply::json(401, &json!({"message": "Unauthorized"})),
            "/api/health" => Reply::json(200, &json!({"database": "ok", "version": "11.6.0"})),
            "/api/datasources" => Reply::json(
                200,
                &json!([{"uid": "mine", "name": "Mine", "type": "prometheus", "url": "https://prom.example.com", "orgId": 1}]),
            ),
            "/api/datasources/uid/mine/health" => Reply::json(
                400,
                &json!({"status": "ERROR", "message": "401 Unauthorized - querying the Prometheus API"}),
            ),
            "/api/search" => Reply::json(200, &json!([])),
            _ => Reply::text(404, "not found"),
        };
        Box::pin(async move { reply })
    }

    fn refusal(&self, _: &Ask, status: u16, _: &str, message: &str) -> Reply {
        Reply::text(status, message.to_owned())
    }
}

#[test]
fn the_token_reaches_grafana_and_nobody_else() {
    let grafana = Arc::new(Grafana { asked: Mutex::default() });
    let server = Server::local(None, Vec::new(), grafana.clone());
    let url = format!("http://{}", server.addr);
    let cluster = Cluster::serve("healthy/plain");
    let mut command = cluster.command();
    command.env("KDOCTOR_GRAFANA_TOKEN", "glsa_s3cret").args(["--only", "grafana", "--grafana-url", &url, "-v"]);
    let output = command.output().expect("kdoctor runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Grafana cannot use datasource monitoring/Mine"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let asked = grafana.asked.lock().expect("no panic").clone();
    assert!(asked.contains(&("/api/health".into(), None)), "{asked:?}");
    assert!(asked.contains(&("/api/search".into(), Some("Bearer glsa_s3cret".into()))), "{asked:?}");
    assert!(!cluster.server.requests().iter().any(|r| r.line.contains("grafana:")), "Grafana was asked by its URL");
    // A wrong one is told from none at all, and the ConfigMaps are judged either way.
    for (token, hint) in [(Some("wrong"), "Grafana refused the token"), (None, "give --grafana-token")] {
        let mut command = cluster.command();
        if let Some(token) = token {
            command.env("KDOCTOR_GRAFANA_TOKEN", token);
        }
        let report = json_of(command.args(["--only", "grafana", "--grafana-url", &url]));
        assert!(gap_texts(&report).contains(hint), "{report:#}");
        for run in report["runs"].as_array().expect("runs") {
            // Nobody tries a password where nobody is told that it was.
            let expected = if run["check"] == "grafana-admin-password" { "not_applicable" } else { "pass" };
            // What only Grafana's own answers tell is not judged without them.
            let unseen = run["reason"].as_str().is_some_and(|r| r.contains(hint) || r.contains("grafana /api/"));
            assert!(run["outcome"] == expected || (run["outcome"] == "not_evaluated" && unseen), "{run:#}");
        }
    }
}

#[test]
fn grafana_is_asked_through_the_service_proxy() {
    let cluster = Cluster::serve("healthy/plain");
    let report = cluster.report(&["--only", "grafana"]);
    assert!(
        cluster.server.requests().iter().any(|r| r.line.contains("grafana") && r.line.contains("/proxy/api/search"))
    );
    assert!(!gap_texts(&report).contains("grafana /api/"), "{report:#}");
    assert_eq!(cluster.server.trespasses(), []);
}
