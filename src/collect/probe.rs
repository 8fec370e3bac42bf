//! Active probes (`--probe`): DNS and HTTP from inside the stack's pods with the tools that their images have, and a real
//! port-forward. Each is named and needs consent; nothing is ever posted.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures::future::join_all;
use serde::Deserialize;
use url::Url;

use super::client::Client;
use super::source::{FetchError, Request};
use crate::domain::kubernetes::service_port;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::model::{Gap, GapCause, Program};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::probe::{Probe, Trial, Verdict};
use crate::snapshot::{Component, Listing, Snapshot};

/// Scrape URLs that are tried at most.
const MAX_TARGETS: usize = 5;
/// Seconds that a tool waits; below the deadline of a call, so that the tool's own words come back.
const TOOL_SECONDS: &str = "5";
/// Hosts of integrations whose URL Alertmanager hides.
const HIDDEN_HOSTS: &[(&str, &str)] = &[
    ("slack_configs", "hooks.slack.com"),
    ("pagerduty_configs", "events.pagerduty.com"),
    ("opsgenie_configs", "api.opsgenie.com"),
];

/// Asks a person, or a flag, whether a probe may run.
#[derive(Clone)]
pub struct Consent(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Consent {
    /// Consent that `ask` gives for a probe by its name.
    pub fn new(ask: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Consent to everything, given beforehand.
    pub fn given() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consent")
    }
}

/// A probe that could run.
struct Planned<'a> {
    program: Program,
    pod: &'a Pod,
    container: String,
    trial: Trial,
}

impl Planned<'_> {
    /// What a person is asked.
    fn name(&self) -> String {
        let place = format!("{}/{}", self.pod.metadata.namespace, self.pod.metadata.name);
        match &self.trial {
            Trial::Http { url } => format!("GET {url} from inside pod {place} (exec in container {})", self.container),
            Trial::Dns { host } => {
                format!("look up {host} from inside pod {place} (exec in container {})", self.container)
            }
            Trial::PortForward { port } => format!("port-forward to port {port} of pod {place}, and GET / through it"),
        }
    }
}

/// Plans, asks and runs the probes. Those that nobody allows are left out.
pub(super) async fn run(client: &Client, snap: &Snapshot, consent: &Consent) -> Listing<Probe> {
    let allowed: Vec<Planned<'_>> = plan(snap).into_iter().filter(|p| (consent.0)(&p.name())).collect();
    let mut found = Vec::new();
    let mut first = None;
    for result in join_all(allowed.iter().map(|planned| planned.run(client))).await {
        match result {
            Ok(probe) => found.push(probe),
            Err(gap) => first = first.or(Some(gap)),
        }
    }
    match first {
        Some(gap) if found.is_empty() => Listing::missing(gap),
        first => Listing::cluster(found).with_gap(first),
    }
}

/// What would settle something: what fails now, what notifications need, and the way in for a person.
fn plan(snap: &Snapshot) -> Vec<Planned<'_>> {
    let mut all = Vec::new();
    if let Some((pod, container)) = pod_of(snap, Program::Prometheus) {
        for url in failing_urls(snap) {
            let host = Url::parse(&url).ok().and_then(|u| u.host_str().map(str::to_owned));
            let named = host.filter(|h| h.parse::<std::net::IpAddr>().is_err() && !h.starts_with('['));
            let add = |trial| Planned { program: Program::Prometheus, pod, container: container.clone(), trial };
            all.extend(named.map(|host| add(Trial::Dns { host })));
            all.push(add(Trial::Http { url }));
        }
    }
    if let Some((pod, container)) = pod_of(snap, Program::Alertmanager) {
        for host in receiver_hosts(snap) {
            let add = |trial| Planned { program: Program::Alertmanager, pod, container: container.clone(), trial };
            all.push(add(Trial::Dns { host: host.clone() }));
            all.push(add(Trial::Http { url: format!("https://{host}/") }));
        }
    }
    if let (Some((pod, container)), Some(at)) = (pod_of(snap, Program::Grafana), &snap.scope.prometheus) {
        let url = format!("{}://{}.{}.svc:{}{}/-/ready", at.scheme, at.service, at.namespace, at.port, at.prefix);
        all.push(Planned { program: Program::Grafana, pod, container, trial: Trial::Http { url } });
    }
    let parts = [(Program::Prometheus, &snap.scope.prometheus), (Program::Alertmanager, &snap.scope.alertmanager)];
    for (program, at) in parts {
        let Some(at) = at else { continue };
        let Some((pod, port)) = forward_target(snap, at) else { continue };
        all.push(Planned { program, pod, container: String::new(), trial: Trial::PortForward { port } });
    }
    all
}

/// A running pod of a program, with the container that runs it.
fn pod_of(snap: &Snapshot, program: Program) -> Option<(&Pod, String)> {
    let pods = snap.pods().unwrap_or_default().iter();
    let mut running = pods.filter(|p| snap.scope.is_stack(&p.metadata.namespace) && p.status.phase == "Running");
    running.find_map(|pod| {
        let container = pod.spec.containers.iter().find(|c| c.program() == Some(program))?;
        let up = pod.status.container_statuses.iter().any(|s| s.name == container.name && s.state.running.is_some());
        up.then(|| (pod, container.name.clone()))
    })
}

/// One URL of each job whose targets cannot be reached; what answers needs no probe.
fn failing_urls(snap: &Snapshot) -> Vec<String> {
    let mut jobs = BTreeSet::new();
    let targets = snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter();
    let down = targets.filter(|t| t.health == "down").filter(|t| {
        matches!(
            ScrapeFailure::classify(&t.last_error),
            ScrapeFailure::Timeout
                | ScrapeFailure::Refused
                | ScrapeFailure::NoRoute
                | ScrapeFailure::Dns
                | ScrapeFailure::NoSuchHost(_)
                | ScrapeFailure::Reset
        )
    });
    down.filter(|t| jobs.insert(t.job().to_owned())).take(MAX_TARGETS).map(|t| t.scrape_url.clone()).collect()
}

/// Hosts that Alertmanager sends to: hidden ones by their integration.
fn receiver_hosts(snap: &Snapshot) -> BTreeSet<String> {
    let Ok(status) = snap.alertmanager_status() else { return BTreeSet::new() };
    let text = &status.config.original;
    HIDDEN_HOSTS.iter().filter(|(key, _)| text.contains(key)).map(|(_, host)| (*host).to_owned()).collect()
}

/// A running pod behind a Service, and the port of it that the Service means.
fn forward_target<'a>(snap: &'a Snapshot, at: &Component) -> Option<(&'a Pod, u16)> {
    let service = snap.services.find(&at.namespace, &at.service).ok().flatten()?;
    let pod = snap.pods_of_service(service).find(|p| p.status.phase == "Running")?;
    let (_, port) = service_port::find(service, at.port)?;
    Some((pod, service_port::target(port, pod)?))
}

/// What a command in a container printed, and how it ended.
#[derive(Debug, Deserialize)]
struct Run {
    exit_code: Option<i32>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

impl Planned<'_> {
    async fn run(&self, client: &Client) -> Result<Probe, Gap> {
        let (verdict, said, command) = match &self.trial {
            Trial::Http { url } => self.tools(client, &http_tools(url), read_http).await?,
            Trial::Dns { host } => self.tools(client, &dns_tools(host), read_dns).await?,
            Trial::PortForward { port } => self.forward(client, *port).await?,
        };
        Ok(Probe {
            program: self.program,
            namespace: self.pod.metadata.namespace.clone(),
            pod: self.pod.metadata.name.clone(),
            container: self.container.clone(),
            trial: self.trial.clone(),
            verdict,
            said,
            command,
        })
    }

    /// The first tool that the image has.
    async fn tools(
        &self,
        client: &Client,
        tools: &[Vec<String>],
        read: fn(&Run) -> Verdict,
    ) -> Result<(Verdict, String, Vec<String>), Gap> {
        let mut last = (Verdict::NotTried, "the image has no tool for it".to_owned(), Vec::new());
        for command in tools {
            let request = Request::Exec {
                namespace: self.pod.metadata.namespace.clone(),
                pod: self.pod.metadata.name.clone(),
                container: self.container.clone(),
                command: command.clone(),
            };
            let run: Run = match client.json(&request).await {
                Ok(run) => run,
                // No answer from the kubelet says nothing of the network that the tool would have tried.
                Err(error) => return Err(error.into_gap(&request.label())),
            };
            if is_absent(&run) {
                continue;
            }
            let verdict = read(&run);
            let said = last_line(&run);
            if verdict != Verdict::NotTried {
                return Ok((verdict, said, command.clone()));
            }
            last = (verdict, said, command.clone());
        }
        Ok(last)
    }

    async fn forward(&self, client: &Client, port: u16) -> Result<(Verdict, String, Vec<String>), Gap> {
        #[derive(Deserialize)]
        struct Forwarded {
            status: u16,
        }
        let (namespace, pod) = (self.pod.metadata.namespace.clone(), self.pod.metadata.name.clone());
        let command = ["kubectl", "port-forward", "-n", &namespace, &format!("pod/{pod}"), &format!("{port}:{port}")];
        let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
        let request = Request::PortForward { namespace, pod, port };
        match client.json::<Forwarded>(&request).await {
            Ok(answer) => Ok((Verdict::Answered(Some(answer.status)), String::new(), command)),
            Err(FetchError::Gap(gap)) => match gap.cause {
                GapCause::Timeout => Ok((Verdict::TimedOut, gap.message, command)),
                GapCause::Unreachable if gap.message.contains("refused") => {
                    Ok((Verdict::Refused, gap.message, command))
                }
                GapCause::Unreachable => Ok((Verdict::Failed, gap.message, command)),
                _ => Err(gap),
            },
            Err(error) => Err(error.into_gap(&request.label())),
        }
    }
}

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|w| (*w).to_owned()).collect()
}

/// BusyBox's wget is in the images of Prometheus, Alertmanager and Grafana; newer Grafana has curl, some have neither.
fn http_tools(url: &str) -> Vec<Vec<String>> {
    let mut all = vec![
        words(&["wget", "-S", "-q", "-T", TOOL_SECONDS, "-O", "/dev/null", url]),
        words(&["curl", "-sS", "-o", "/dev/null", "-w", "HTTP/1.1 %{http_code}", "-m", TOOL_SECONDS, url]),
    ];
    // A connection alone tells whether there is a way out.
    if let Some((host, port)) =
        Url::parse(url).ok().and_then(|u| Some((u.host_str()?.to_owned(), u.port_or_known_default()?)))
    {
        all.push(words(&["nc", "-z", "-w", TOOL_SECONDS, &host, &port.to_string()]));
    }
    all
}

fn dns_tools(host: &str) -> Vec<Vec<String>> {
    vec![words(&["nslookup", host]), words(&["getent", "hosts", host])]
}

/// The container has no such program.
fn is_absent(run: &Run) -> bool {
    let text = &run.stderr;
    matches!(run.exit_code, Some(126 | 127))
        || text.contains("executable file not found")
        || text.contains("no such file or directory")
        || text.contains("applet not found")
}

fn read_http(run: &Run) -> Verdict {
    let text = format!("{}\n{}", run.stderr, run.stdout);
    let has = |part: &str| text.contains(part);
    if let Some(status) = text.lines().filter_map(status_of).next_back() {
        return Verdict::Answered(Some(status));
    }
    if run.exit_code == Some(0) {
        return Verdict::Answered(None);
    }
    if has("onnection refused") {
        return Verdict::Refused;
    }
    if has("bad address") || has("Could not resolve host") || has("bad host") {
        return Verdict::NoSuchName;
    }
    if has("timed out") || has("Connection timeout") || has("Host is unreachable") || has("No route to host") {
        return Verdict::TimedOut;
    }
    // Without a word: nc gave up waiting.
    if text.trim().is_empty() {
        return Verdict::TimedOut;
    }
    // A BusyBox without TLS learns nothing of an https URL.
    if has("not an http or ftp url") || has("ssl_client") {
        return Verdict::NotTried;
    }
    if has("TLS") || has("SSL") || has("certificate") {
        return Verdict::TlsFailed;
    }
    Verdict::Failed
}

/// The status of a header line: `  HTTP/1.1 200 OK`, or of an error that quotes it.
fn status_of(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("HTTP/")?;
    let status = rest.split_whitespace().nth(1)?.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}

fn read_dns(run: &Run) -> Verdict {
    let text = format!("{}\n{}", run.stderr, run.stdout);
    let has = |part: &str| text.contains(part);
    if has("timed out") || has("no servers could be reached") {
        return Verdict::TimedOut;
    }
    if has("NXDOMAIN") || has("can't resolve") || has("can't find") {
        return Verdict::NoSuchName;
    }
    match run.exit_code {
        Some(0) => Verdict::Resolved,
        // getent says nothing at all.
        Some(2) if text.trim().is_empty() => Verdict::NoSuchName,
        _ => Verdict::Failed,
    }
}

fn last_line(run: &Run) -> String {
    let mut all = run.stderr.lines().chain(run.stdout.lines()).map(str::trim).filter(|l| !l.is_empty());
    let line = all.next_back().unwrap_or_default();
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(exit_code: i32, stderr: &str, stdout: &str) -> Run {
        Run { exit_code: Some(exit_code), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn the_words_of_the_tools_are_read() {
        for (code, stderr, verdict) in [
            (0, "  HTTP/1.1 200 OK\n  Content-Type: text/plain\n", Verdict::Answered(Some(200))),
            (
                1,
                "  HTTP/1.1 404 Not Found\nwget: server returned error: HTTP/1.1 404 Not Found",
                Verdict::Answered(Some(404)),
            ),
            (1, "wget: can't connect to remote host (10.0.0.1): Connection refused", Verdict::Refused),
            (1, "wget: bad address 'nope.svc'", Verdict::NoSuchName),
            (1, "wget: download timed out", Verdict::TimedOut),
            (28, "curl: (28) Connection timed out after 5001 milliseconds", Verdict::TimedOut),
            (1, "", Verdict::TimedOut),
            (1, "wget: not an http or ftp url: https://hooks.slack.com/", Verdict::NotTried),
            (35, "curl: (35) OpenSSL/3.0: error:0A00010B:SSL routines::wrong version number", Verdict::TlsFailed),
        ] {
            assert_eq!(read_http(&run(code, stderr, "")), verdict, "{stderr}");
        }
        assert_eq!(read_http(&run(0, "", "HTTP/1.1 302")), Verdict::Answered(Some(302)));
    }

    #[test]
    fn lookups_are_read() {
        assert_eq!(read_dns(&run(0, "", "Name:\tx.svc\nAddress: 172.20.1.1\n")), Verdict::Resolved);
        assert_eq!(read_dns(&run(1, "", "** server can't find x.svc: NXDOMAIN\n")), Verdict::NoSuchName);
        assert_eq!(read_dns(&run(1, ";; connection timed out; no servers could be reached\n", "")), Verdict::TimedOut);
    }

    #[test]
    fn a_tool_that_is_not_there_is_no_result() {
        assert!(is_absent(&run(127, "", "")));
        assert!(is_absent(&run(1, "exec: \"wget\": executable file not found in $PATH", "")));
        assert!(!is_absent(&run(1, "wget: download timed out", "")));
    }
}
