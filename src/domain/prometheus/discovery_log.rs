//! Reads failures of service discovery from Prometheus' log: its own lines, and those of client-go, which come in klog's
//! format or within a field of Prometheus'.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::text::log_line;
use crate::domain::text::windows::RECENT;
use crate::model::{Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Discovery tries again within this many seconds: a failure that is silent for longer is over.
const RETRIED: i64 = 300;

/// A permission that the API server refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Denied {
    /// `system:serviceaccount:monitoring:prometheus`.
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    /// `None`: at the scope of the cluster.
    pub(crate) namespace: Option<String>,
}

/// What is wrong with a file of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileCause {
    Missing,
    Unreadable,
    Invalid,
}

/// Why a discovery fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// RBAC.
    Denied(Denied),
    /// The token of the service account, or the API server's address, is not in the pod.
    NotInCluster,
    /// The API server does not take the token.
    Unauthorized,
    /// The API server's certificate is not signed by the CA that is mounted.
    Certificate,
    /// The API server cannot be reached.
    Unreachable,
    /// `file_sd_configs`.
    File(FileCause, String),
    /// No AWS credentials.
    AwsCredentials,
    /// AWS refuses the role that the service account names.
    AwsRole,
    /// AWS refuses the call: this action.
    AwsDenied(String),
    /// Another discovery fails: in these words.
    Other(String),
}

impl Cause {
    /// Fails now and then in a healthy cluster too: one line proves nothing.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Other(_) | Self::Unauthorized)
    }
}

/// One failure: all lines that say the same.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) reason: Cause,
    /// `kubernetes`, `file`, `ec2`, `dns` …
    pub(crate) mechanism: String,
    /// The job, where the line names it.
    pub(crate) job: Option<String>,
    /// The error itself.
    pub(crate) error: String,
    /// The last line.
    pub(crate) line: String,
    pub(crate) lines: usize,
    /// It is said once, when the configuration is loaded, and holds until the next.
    at_load: bool,
    last: Option<Timestamp>,
    longest_pause: i64,
    /// Namespace, pod and container that said so.
    pub(crate) pod: (String, String, String),
}

impl Failure {
    /// The API server that does not answer, where the log says nothing of it.
    pub(crate) fn silent(pod: (String, String, String)) -> Self {
        Self {
            reason: Cause::Unreachable,
            mechanism: "kubernetes".to_owned(),
            job: None,
            error: String::new(),
            line: String::new(),
            lines: 0,
            at_load: false,
            last: None,
            longest_pause: 0,
            pod,
        }
    }
}

type Key = (Cause, String, Option<String>);

/// What fails now, by all logs of Prometheus.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failures(snap: &Snapshot) -> Result<Vec<Failure>, Gap> {
    let mut all = Vec::new();
    for log in snap.logs_of(Program::Prometheus)? {
        all.extend(of_log(snap, log).into_values().filter(|f| is_current(snap, f)));
    }
    Ok(all)
}

fn of_log(snap: &Snapshot, log: &ContainerLog) -> BTreeMap<Key, Failure> {
    let mut found: BTreeMap<Key, Failure> = BTreeMap::new();
    for line in log.text.lines() {
        let fields = log_line::fields(line);
        if fields.get("msg").is_some_and(|m| m.starts_with("Loading configuration file")) {
            found.retain(|_, f| !f.at_load);
        }
        let Some((mechanism, reason, error)) = read(line, &fields) else { continue };
        let at = log_line::written_at(line, snap.collected_at);
        let field = |key: &str| fields.get(key).filter(|v| !v.is_empty()).cloned();
        let job = field("config").filter(|_| !is_notify(&fields));
        let key = (reason.clone(), mechanism.clone(), job.clone());
        let failure = found.entry(key).or_insert_with(|| Failure {
            reason,
            mechanism,
            job,
            error: String::new(),
            line: String::new(),
            lines: 0,
            at_load: false,
            last: at,
            longest_pause: 0,
            pod: (log.namespace.clone(), log.pod.clone(), log.container.clone()),
        });
        if let (Some(before), Some(now)) = (failure.last, at) {
            failure.longest_pause = failure.longest_pause.max(now.as_second() - before.as_second());
        }
        failure.at_load = field("msg").is_some_and(|m| m == "Cannot create service discovery");
        failure.last = at.or(failure.last);
        failure.lines += 1;
        failure.error = error;
        line.clone_into(&mut failure.line);
    }
    found
}

/// Discovery of Alertmanagers, whose `config` is no scrape job.
fn is_notify(fields: &BTreeMap<String, String>) -> bool {
    fields.get("component").is_some_and(|c| c.ends_with("manager notify"))
}

fn is_current(snap: &Snapshot, failure: &Failure) -> bool {
    if failure.at_load {
        // The counter is of now, the line may be older.
        let failed = snap.prometheus_metrics().ok().and_then(|all| {
            let mine = all.iter().filter(|s| s.name == "prometheus_sd_failed_configs");
            mine.map(|s| s.value).reduce(|a, b| a + b)
        });
        return failed != Some(0.0);
    }
    let Some(last) = failure.last else { return true };
    let silent = snap.seconds_since(last);
    let over = failure.lines > 1 && silent > RETRIED.max(3 * failure.longest_pause);
    silent <= RECENT && !over
}

/// The mechanism, the reason and the error of a line that tells of a failed discovery.
fn read(line: &str, fields: &BTreeMap<String, String>) -> Option<(String, Cause, String)> {
    let field = |key: &str| fields.get(key).map_or("", String::as_str);
    let (message, error) = (field("msg"), field("err"));
    if error.ends_with("context canceled") {
        return None;
    }
    // client-go: in its own format, or passed on in Prometheus' message.
    let said = [error, message, line].into_iter().find_map(|text| {
        let at = text.find("ailed to list *")?;
        // "… failed to list *v1.Pod: <why>"; a watch that ended is no failure, it starts over.
        text[at..].split_once(": ").map(|(_, why)| why)
    });
    if let Some(why) = said {
        return Some(("kubernetes".to_owned(), of_api_server(why), why.to_owned()));
    }
    if error.is_empty() || !field("component").starts_with("discovery manager") {
        return None;
    }
    let is_error = matches!(field("level").to_ascii_lowercase().as_str(), "error" | "warn" | "err");
    if !is_error {
        return None;
    }
    let mechanism = [field("discovery"), field("type")].into_iter().find(|m| !m.is_empty()).unwrap_or("service");
    let reason = match mechanism {
        "kubernetes" => of_api_server(error),
        "file" => Cause::File(file_fault(message, error)?, field("path").trim_end_matches('/').to_owned()),
        "ec2" | "lightsail" | "ecs" | "msk" | "rds" | "elasticache" | "aws" => of_aws(error),
        _ => of_other(error),
    };
    Some((mechanism.to_owned(), reason, error.to_owned()))
}

fn of_api_server(error: &str) -> Cause {
    let has = |part: &str| error.contains(part);
    if let Some(denied) = denied(error) {
        return if denied.user == "system:anonymous" { Cause::Unauthorized } else { Cause::Denied(denied) };
    }
    if has("in-cluster configuration") || (has("serviceaccount/token") && has("no such file")) {
        return Cause::NotInCluster;
    }
    if has("Unauthorized") || has("provide credentials") {
        return Cause::Unauthorized;
    }
    match ScrapeFailure::classify(error) {
        ScrapeFailure::Certificate | ScrapeFailure::Tls | ScrapeFailure::TlsMismatch => Cause::Certificate,
        ScrapeFailure::Timeout
        | ScrapeFailure::Refused
        | ScrapeFailure::NoRoute
        | ScrapeFailure::Reset
        | ScrapeFailure::Dns
        | ScrapeFailure::NoSuchHost(_) => Cause::Unreachable,
        _ => Cause::Other(short(error)),
    }
}

/// `User "system:serviceaccount:ns:name" cannot list resource "pods" in API group "" in the namespace "x"`; before
/// Kubernetes 1.12 `cannot list pods in the namespace "x"`.
fn denied(error: &str) -> Option<Denied> {
    let pattern = pattern!(
        r#"User \\?"([^"\\]+)\\?" cannot (?:get|list|watch) (?:resource \\?"([^"\\]+)\\?"(?: in API group \\?"([^"\\]*)\\?")?|([a-z]+)(?:\.([a-z0-9.]+))?)(?: in the namespace \\?"([^"\\]+)\\?")?"#
    );
    let found = pattern.captures(error)?;
    let text = |at: usize| found.get(at).map(|m| m.as_str().to_owned());
    Some(Denied {
        user: text(1)?,
        group: text(3).or_else(|| text(5)).unwrap_or_default(),
        resource: text(2).or_else(|| text(4))?,
        namespace: text(6),
    })
}

/// A folder or file of `file_sd_configs`. That changes in it cannot be watched is no fault: it is read every five minutes.
fn file_fault(message: &str, error: &str) -> Option<FileCause> {
    if error.contains("no such file or directory") {
        Some(FileCause::Missing)
    } else if error.contains("permission denied") {
        Some(FileCause::Unreadable)
    } else {
        message.contains("reading file").then_some(FileCause::Invalid)
    }
}

fn of_aws(error: &str) -> Cause {
    let has = |part: &str| error.contains(part);
    if has("AssumeRole") || has("WebIdentityErr") || has("InvalidIdentityToken") {
        return Cause::AwsRole;
    }
    if has("UnauthorizedOperation") || has("AccessDenied") || has("not authorized to perform") {
        let action = error.split("perform: ").nth(1).and_then(|rest| rest.split([' ', '"']).next());
        return Cause::AwsDenied(action.unwrap_or("ec2:DescribeInstances").trim_end_matches('.').to_owned());
    }
    let credentials = [
        "NoCredentialProviders",
        "no valid providers in chain",
        "failed to refresh cached credentials",
        "get credentials",
        "no EC2 IMDS role found",
        "static credentials are empty",
        "AuthFailure",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredToken",
        "RequestExpired",
    ];
    if credentials.iter().any(|c| has(c)) { Cause::AwsCredentials } else { of_other(error) }
}

fn of_other(error: &str) -> Cause {
    Cause::Other(match ScrapeFailure::classify(error) {
        ScrapeFailure::Other => short(error),
        ScrapeFailure::Credentials => "a file with credentials cannot be read".to_owned(),
        failure => failure.words(),
    })
}

/// The first line of an error, not too long. Numbers and addresses in it may differ from line to line.
fn short(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let cause = line.rsplit_once("\": ").map_or(line, |(_, cause)| cause);
    cause.chars().take(120).collect()
}
