//! An exporter answers its scrapes and measures nothing: it does not get into what it measures.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::behind::depends_on_service;
use crate::checks::support::place::Place;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::env_key;
use crate::domain::kubernetes::mounts::{Holder, Mounts};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::prometheus::exporter_log::{self, Failing, Why, exporter, measured, pushed, user};
use crate::domain::prometheus::operator::serves;
use crate::domain::prometheus::targets;
use crate::domain::text::redact::redact;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ScrapeTarget;

check! {
    /// See the check's page.
    ExporterFailing {
        id: "exporter-failing", suite: Scrape, severity: Error,
        title: "an exporter measures nothing, although its target is up",
        requires: [Pods],
        uses: [PartLogs, PrometheusTargets, Services, ConfigMaps, Workloads, NetworkPolicies, Nodes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    owner: String,
    container: String,
    detail: String,
    host: String,
    managed_by: String,
    #[serde(flatten)]
    way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Login {
        user: String,
        secret: String,
        key: String,
        /// The key holds a whole address, with user and password in it.
        whole: bool,
    },
    Rights {
        user: String,
        postgres: bool,
    },
    Reach {
        service: Option<String>,
        service_namespace: Option<String>,
        address: String,
        port: String,
    },
    Tls,
    Module {
        module: String,
        /// Kinds that ask for modules and that the API server has, as kubectl takes them.
        asking: String,
        modules: Vec<String>,
        map: String,
        key: String,
    },
    Socket,
    /// node-exporter may not read what it is to measure.
    Collector {
        collectors: String,
        /// Rights are missing, and no file.
        refused: bool,
        /// Type of SELinux that lets a container read the node, by the system of the nodes; empty where they have none.
        selinux: &'static str,
        system: String,
    },
    /// statsd-exporter throws values away.
    Conflict {
        metric: String,
        map: String,
    },
    Throttled {
        /// The call that is refused, where it is named.
        operation: String,
        yace: bool,
        region: String,
    },
    Snmp {
        module: String,
        auth: String,
    },
    Pushed {
        metric: String,
        groups_path: String,
        /// A filter of jq for the groups that hold the metric.
        holders: String,
        group_path: String,
    },
}

impl Check for ExporterFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods: Vec<&Pod> = snap.pods()?.iter().filter(|p| p.spec.containers.iter().any(exporter)).collect();
        let said = exporter_log::failing(snap);
        if pods.is_empty() && !said.as_ref().is_ok_and(|s| !s.is_empty()) {
            return Ok(Diagnosis::NotApplicable(
                "no exporter of another program runs in the namespaces that were read".into(),
            ));
        }
        let mut groups: BTreeMap<(String, Why), Vec<Failing<'_>>> = BTreeMap::new();
        for failing in said? {
            let pod = snap.pod_of_log(failing.log);
            let owner = pod.map_or_else(|| failing.log.pod.clone(), |p| snap.owner_ref(p).key());
            groups.entry((owner, failing.why)).or_default().push(failing);
        }
        let findings: Vec<Finding> = groups.values().filter_map(|g| finding(snap, g)).collect();
        // Of those that run, one log at least has to be there before all is said to be well.
        let logs = snap.part_logs()?;
        let unread = pods.iter().find(|p| p.status.phase == "Running" && !logs.iter().any(|l| l.is_of(&p.metadata)));
        match unread {
            Some(pod) if findings.is_empty() && logs.iter().all(|l| !exporter_log::is_exporter(&l.image)) => {
                Err(Gap::new(
                    format!("log of pod {}/{}", pod.metadata.namespace, pod.metadata.name),
                    GapCause::NotCollected,
                    "the log was not read",
                ))
            }
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

fn finding(snap: &Snapshot, group: &[Failing<'_>]) -> Option<Finding> {
    let failing = group.iter().max_by_key(|f| f.last)?;
    let log = failing.log;
    let pod = snap.pod_of_log(log)?;
    let container = pod.spec.containers.iter().find(|c| c.name == log.container)?;
    let owner = snap.owner_ref(pod);
    let host = measured(&failing.text);
    let what = host.clone().unwrap_or_else(|| "what it measures".to_owned());
    let name = user(&failing.text);
    let of_user = name.as_ref().map(|u| format!(" of user {u}")).unwrap_or_default();
    let module = module(&failing.line);
    let collectors = match failing.why {
        Why::Collector => exporter_log::collectors(snap, &log.text).join(", "),
        _ => String::new(),
    };
    let why = match failing.why {
        Why::Login => format!("{what} does not accept the login{of_user}"),
        Why::Rights => format!(
            "its user{} may not read what it measures",
            name.as_ref().map(|u| format!(" {u}")).unwrap_or_default()
        ),
        Why::Name => format!("the name of {what} does not resolve"),
        Why::Unreached => format!("{what} cannot be reached"),
        Why::Tls if failing.text.contains("SSL is not enabled on the server") => {
            format!("{what} speaks no TLS, and the exporter asks for it")
        }
        Why::Tls => format!("TLS to {what} fails"),
        Why::Pushed => match pushed(&failing.text) {
            Some((metric, job)) => {
                let of = if job.is_empty() { "pushes".to_owned() } else { format!("the pushes of job {job}") };
                let how = match exporter_log::pushed_types(&failing.text) {
                    Some((held, sent)) => format!("is pushed as {sent}, and another group holds it as {held}"),
                    None => "contradicts what another group holds".to_owned(),
                };
                format!("it refuses {of}: metric {metric} {how}")
            }
            None => "it refuses pushes, which are not valid".to_owned(),
        },
        Why::Snmp => format!("{what} does not answer over SNMP{}", asked_with(&failing.line)),
        Why::Throttled => {
            "AWS answers fewer calls in a second than it makes (Rate exceeded): what it could not ask for is missing"
                .to_owned()
        }
        Why::Socket => "it may not open the sockets that ICMP probes need: all of them fail".to_owned(),
        Why::Collector => format!(
            "collector {collectors} of node-exporter gives nothing: {}",
            failing.said.trim_start_matches("collector failed: ")
        ),
        Why::Conflict => format!(
            "it throws values of metric {} away, which come with other labels, or of another type, than before",
            statsd_metric(&failing.line)
        ),
        Why::Module => format!("probes ask for module {module}, which its configuration does not have"),
    };
    let times: usize = group.iter().map(|f| f.times).sum();
    let up = match failing.why {
        Why::Module | Why::Socket | Why::Snmp | Why::Pushed | Why::Conflict => "",
        _ => "; its own target is up all the same",
    };
    let message =
        format!("exporter {} in {}: {why} ({times} lines within 15 minutes){up}", owner.kubectl_name(), log.namespace);
    // What is throttled gets a part of what it asks for.
    let in_part = matches!(failing.why, Why::Throttled | Why::Collector | Why::Conflict);
    let severity = if in_part { Severity::Warning } else { Severity::Error };
    let mut made = Finding::new(ExporterFailing::META.id, severity, owner.clone(), message)
        .key(format!("{} {:?}", owner.key(), failing.why))
        .evidence(line_evidence(log, &failing.line));
    made = made.breaks(owner.clone());
    if failing.line.contains("no such host") {
        // Whom its pod asks for names is deeper.
        made = made.depends_on(ResourceRef::pod(&log.namespace, &log.pod));
    }
    made = match failing.why {
        Why::Pushed => made,
        Why::Snmp => probed(snap, host.as_deref().unwrap_or_default()).into_iter().fold(made, Finding::breaks),
        Why::Module | Why::Socket => asking(snap, &module).into_iter().fold(made, Finding::breaks),
        _ => jobs(snap, pod).into_iter().fold(made, |made, job| made.breaks(ResourceRef::ScrapeJob { job })),
    };
    let way = way(snap, failing, (pod, container), host.as_deref(), module, collectors);
    if let Way::Reach { service: Some(service), service_namespace: Some(namespace), .. } = &way {
        made = depends_on_service(snap, made, namespace, service);
    }
    let target = Target::of(snap, pod);
    Some(made.fix(Fix {
        namespace: log.namespace.clone(),
        owner: owner.kubectl_name(),
        container: log.container.clone(),
        detail: redact(&failing.said),
        host: host.unwrap_or_else(|| "<host>".to_owned()),
        managed_by: target.managed_by,
        way,
    }))
}

/// Jobs that scrape the pod, or ask it to probe: by their pool and by the label that their series have.
fn jobs(snap: &Snapshot, pod: &Pod) -> Vec<String> {
    let ip = pod.status.pod_ip.as_deref().unwrap_or("-");
    let is_its = |t: &&ScrapeTarget| {
        let host = targets::Address::parse(&t.scrape_url).map(|a| a.host).unwrap_or_default();
        host == ip
            || t.labels.get("pod") == Some(&pod.metadata.name)
            || snap
                .service_by_host(&host)
                .is_some_and(|s| snap.pods_of_service(s).any(|p| p.metadata.name == pod.metadata.name))
    };
    let mut found: Vec<String> = Vec::new();
    for target in targets::all(snap).iter().filter(is_its) {
        found.push(target.job().to_owned());
        found.extend(target.labels.get("job").cloned());
    }
    found.sort();
    found.dedup();
    found
}

/// Targets that are probed by a module, and their jobs.
fn asking(snap: &Snapshot, module: &str) -> Vec<ResourceRef> {
    by_parameter(snap, "module", module)
}

/// Targets by which a device is probed, and their jobs.
fn probed(snap: &Snapshot, device: &str) -> Vec<ResourceRef> {
    by_parameter(snap, "target", device)
}

fn by_parameter(snap: &Snapshot, name: &str, value: &str) -> Vec<ResourceRef> {
    let label = format!("__param_{name}");
    let in_url = |t: &ScrapeTarget| {
        let url = url::Url::parse(&t.scrape_url).ok();
        url.is_some_and(|u| u.query_pairs().any(|(key, of)| key == name && of == value))
    };
    let asks = |t: &&ScrapeTarget| t.discovered_labels.get(&label).is_some_and(|v| v == value) || in_url(t);
    let probed: Vec<&ScrapeTarget> = targets::all(snap).iter().filter(asks).collect();
    let urls = probed.iter().map(|t| ResourceRef::ScrapeUrl { url: t.scrape_url.clone() });
    let jobs: BTreeSet<&str> =
        probed.iter().flat_map(|t| [Some(t.job()), t.labels.get("job").map(String::as_str)]).flatten().collect();
    urls.chain(jobs.into_iter().map(|job| ResourceRef::ScrapeJob { job: job.to_owned() })).collect()
}

/// `module=http_2xx_auth`.
fn module(line: &str) -> String {
    field(line, "module=")
}

fn field(line: &str, name: &str) -> String {
    let rest = line.split_once(name).map_or("", |(_, rest)| rest);
    rest.split([' ', ',']).next().unwrap_or_default().trim_matches('"').to_owned()
}

/// ` (module if_mib, auth public_v2)`.
fn asked_with(line: &str) -> String {
    match (module(line), field(line, "auth=")) {
        (module, _) if module.is_empty() => String::new(),
        (module, auth) if auth.is_empty() => format!(" (module {module})"),
        (module, auth) => format!(" (module {module}, auth {auth})"),
    }
}

fn way(
    snap: &Snapshot,
    failing: &Failing<'_>,
    (pod, container): (&Pod, &Container),
    host: Option<&str>,
    module: String,
    collectors: String,
) -> Way {
    let user = user(&failing.text).unwrap_or_else(|| "<user>".to_owned());
    match failing.why {
        Why::Login => {
            let (secret, key, whole) = login(container).unwrap_or_default();
            Way::Login { user, secret, key, whole }
        }
        Why::Rights => Way::Rights { user, postgres: container.image.contains("postgres") },
        Why::Collector => {
            let system = snap.node_of(pod).map(|n| n.status.node_info.os_image.clone()).unwrap_or_default();
            Way::Collector {
                collectors,
                refused: failing.said.contains("ermission denied"),
                selinux: selinux(&system),
                system,
            }
        }
        Why::Conflict => {
            let files = Mounts::of_pod(snap, pod, container).files();
            let map = files.iter().find(|f| f.text.contains("mappings:"));
            Way::Conflict {
                metric: statsd_metric(&failing.line),
                map: map.map(|f| f.map.metadata.name.clone()).unwrap_or_default(),
            }
        }
        Why::Tls => Way::Tls,
        Why::Socket => Way::Socket,
        Why::Throttled => {
            let quota = match failing.text.split_once("operation error CloudWatch: ") {
                Some((_, rest)) => rest.split(',').next().unwrap_or_default().to_owned(),
                None => String::new(),
            };
            Way::Throttled {
                operation: quota,
                yace: container.image.contains("yet-another"),
                region: Place::of(snap).region,
            }
        }
        Why::Pushed => {
            let (metric, _) = pushed(&failing.text).unwrap_or_default();
            let port = container.ports.first().map_or(9091, |p| p.container_port);
            let at = format!("/api/v1/namespaces/{}/pods/{}:{port}/proxy", pod.metadata.namespace, pod.metadata.name);
            let is_name = !metric.is_empty() && metric.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
            let holders = if is_name {
                format!(r#".data[] | select(has("{metric}")) | [.labels, .["{metric}"].type] | tojson"#)
            } else {
                ".data[] | .labels | tojson".to_owned()
            };
            // The group that contradicts is another one: a push replaces its own before it is compared.
            let group_path = format!("{at}/metrics/job/<job of that group>");
            Way::Pushed { metric, groups_path: format!("{at}/api/v1/metrics"), holders, group_path }
        }
        Why::Snmp => Way::Snmp { module, auth: field(&failing.line, "auth=") },
        Why::Module => {
            let files = Mounts::of_pod(snap, pod, container).files();
            let file = files.iter().find(|f| f.text.contains("modules:"));
            let modules = file.map(|f| modules_of(f.text)).unwrap_or_default();
            let map = file.map(|f| f.map.metadata.name.clone()).unwrap_or_default();
            let key = file.map(|f| f.key.to_owned()).unwrap_or_default();
            let asking: Vec<&str> = ["probes", "scrapeconfigs"].into_iter().filter(|r| serves(snap, r)).collect();
            Way::Module { module, asking: asking.join(","), modules, map, key }
        }
        Why::Name | Why::Unreached => {
            let (address, port) = host.and_then(|h| h.rsplit_once(':')).unwrap_or((host.unwrap_or("<host>"), "<port>"));
            let named = in_cluster(snap, address, &pod.metadata.namespace);
            let (service, service_namespace) = named.map(|s| (s.service, s.namespace)).unzip();
            Way::Reach { service, service_namespace, address: address.to_owned(), port: port.to_owned() }
        }
    }
}

/// Secret and key of the exporter's password, and whether the key holds a whole address with the password in it. A key
/// with the user's name, or with an address without login (`DATA_SOURCE_URI`), is none.
fn login(container: &Container) -> Option<(String, String, bool)> {
    let named = |words: &[&str]| {
        env_key::all(container, Holder::Secret).find(|(variable, _)| {
            let name = variable.name.to_ascii_uppercase();
            name != "DATA_SOURCE_URI" && words.iter().any(|w| name.contains(w))
        })
    };
    let (found, whole) = match named(&["PASS"]) {
        Some(password) => (password, false),
        None => (named(&["DATA_SOURCE_NAME", "URI", "DSN"])?, true),
    };
    Some((found.1.name.clone(), found.1.key.clone(), whole))
}

/// `metric=airflow_dag_processing`, or `metric with name airflow_dag_processing is already registered`.
fn statsd_metric(line: &str) -> String {
    let named = field(line, "metric=");
    if !named.is_empty() {
        return named;
    }
    let name = line.split_once("metric with name ").and_then(|(_, rest)| rest.split([' ', '"']).next());
    name.unwrap_or("<metric>").to_owned()
}

/// Systems that confine containers by SELinux, and the type that may read the node.
fn selinux(system: &str) -> &'static str {
    let of_red_hat = ["Red Hat", "CentOS", "Rocky", "AlmaLinux", "Fedora"];
    match () {
        () if system.contains("Bottlerocket") => "super_t",
        () if of_red_hat.iter().any(|s| system.contains(s)) => "spc_t",
        () => "",
    }
}

/// Names below `modules:`.
fn modules_of(text: &str) -> Vec<String> {
    let root = crate::lint::yaml::document(text).ok().flatten();
    let entries = root.as_ref().and_then(|r| r.get("modules")).and_then(crate::lint::yaml::Node::entries);
    entries.unwrap_or_default().iter().filter_map(|(name, _)| name.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::json;

    fn with(image: &str, line: &str) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "pg-0", "ownerReferences": [{"kind": "StatefulSet", "name": "pg", "controller": true}]},
            "spec": {"containers": [{"name": "exporter", "image": image, "env": [
                {"name": "DATA_SOURCE_PASS", "valueFrom": {"secretKeyRef": {"name": "pg-login", "key": "password"}}}]}]},
            "status": {"phase": "Running"}
        }]}));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "pg-0".into(),
            container: "exporter".into(),
            image: image.into(),
            text: format!("{line}\n").repeat(3).into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn collectors_of_the_node_that_rules_read_are_told_and_others_are_not() {
        let image = "quay.io/prometheus/node-exporter:v1.9.1";
        let line = |name: &str| {
            format!(
                "level=ERROR source=collector.go:168 msg=\"collector failed\" name={name} duration_seconds=0.0005 err=\"open /host/proc/1/mounts: permission denied\""
            )
        };
        let found = findings(&ExporterFailing, &with(image, &line("filesystem")));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["collector"]);
        assert!(
            found[0].message.contains("collector filesystem of node-exporter gives nothing"),
            "{}",
            found[0].message
        );
        let interface = line("netclass").replace(
            "/host/proc/1/mounts: permission denied",
            "/host/sys/class/net/eni1/mtu: no such file or directory",
        );
        for harmless in [line("rapl"), line("pressure"), interface] {
            let other = ExporterFailing.diagnose(&with(image, &harmless));
            assert!(matches!(other, Ok(Diagnosis::NotApplicable(_))), "{harmless}");
        }
        assert_eq!((selinux("Bottlerocket OS 1.40.0"), selinux("Amazon Linux 2023.6")), ("super_t", ""));
    }

    #[test]
    fn values_of_statsd_that_contradict_each_other_are_told() {
        let line = r#"ts=2026-11-21T02:49:05.1Z caller=exporter.go:138 level=info msg="Failed to update metric" metric=dag_processing error="a metric with name dag_processing is already registered""#;
        let found = findings(&ExporterFailing, &with("prom/statsd-exporter:v0.26.1", line));
        assert!(found[0].message.contains("values of metric dag_processing"), "{}", found[0].message);
        assert!(findings(&ExporterFailing, &with("prom/redis-exporter:v1", line)).is_empty());
    }

    #[test]
    fn a_login_that_is_refused_names_the_secret() {
        let image = "quay.io/prometheuscommunity/postgres-exporter:v0.16.0";
        let line = r#"level=error msg="error scraping dsn" err="Error opening connection to database (postgresql://exporter:PASSWORD_REMOVED@db.example:5432/postgres): pq: password authentication failed for user \"exporter\"""#;
        let found = findings(&ExporterFailing, &with(image, line));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["login"]);
        assert!(
            found[0].message.contains("db.example:5432 does not accept the login of user exporter"),
            "{}",
            found[0].message
        );
        assert!(steps(&found[0]).contains("pg-login"), "{}", steps(&found[0]));
        assert!(findings(&ExporterFailing, &with(image, "level=info msg=\"Listening on\" address=:9187")).is_empty());
        let other = ExporterFailing.diagnose(&with("grafana/grafana:11", line));
        assert!(matches!(other, Ok(Diagnosis::NotApplicable(_))), "no exporter");
    }

    /// A push replaces its own group before it is compared with the others.
    #[test]
    fn a_push_that_is_refused_is_not_helped_by_deleting_its_own_group() {
        let line = r#"time=2026-11-21T02:49:05.1Z level=ERROR source=push.go:133 msg="pushed metrics are invalid or inconsistent with existing metrics" method=PUT err="collected metric \"took_seconds\" { label:{name:\"job\" value:\"backup\"} counter:{value:12}} should be a Gauge""#;
        let found = findings(&ExporterFailing, &with("prom/pushgateway:v1.11.0", line));
        assert!(found[0].message.contains("another group holds it as Gauge"), "{}", found[0].message);
        let text = steps(&found[0]);
        assert!(text.contains(r#"select(has("took_seconds"))"#) && !text.contains("/metrics/job/backup"), "{text}");
    }

    #[test]
    fn the_password_goes_to_its_own_key_alone() {
        let of = |env: serde_json::Value| {
            let container = serde_json::from_value(json!({"name": "exporter", "image": "x", "env": env}));
            login(&container.expect("a container"))
        };
        let from =
            |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "pg", "key": key}}});
        let found = |key: &str, whole: bool| Some(("pg".to_owned(), key.to_owned(), whole));
        let user = from("DATA_SOURCE_USER", "username");
        assert_eq!(of(json!([user, from("DATA_SOURCE_PASS", "password")])), found("password", false));
        assert_eq!(of(json!([user, from("DATA_SOURCE_URI", "uri")])), None);
        assert_eq!(of(json!([from("DATA_SOURCE_NAME", "dsn")])), found("dsn", true));
        assert_eq!(of(json!([from("MONGODB_URI", "uri")])), found("uri", true));
    }
}
