//! Routes of an AlertmanagerConfig that no alert can take, because the operator adds the object's own namespace.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::checks::support::amtool::Amtool;
use crate::checks::support::operator::{self, Server, StackRelease, server_text};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::lint::alertmanager::matcher::{Matcher, Op};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{AlertmanagerConfigResource, MonitoringResource};

check! {
    /// See the check's page.
    AlertmanagerConfigNamespace {
        id: "alertmanagerconfig-namespace", suite: Operator, severity: Error,
        title: "routes of an AlertmanagerConfig match no alert",
        requires: [MonitoringResources, AlertmanagerConfigResources],
        uses: [Namespaces, Workloads, AlertmanagerAlerts],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Namespace {
        config: String,
        namespace: String,
        /// The namespace whose alerts it asks for, and more of them.
        target: String,
        others: Vec<String>,
        managed: String,
        /// The filter of jq that moves the object there.
        move_filter: String,
        secrets: Vec<String>,
        strategy: &'static str,
        /// The operator's version, where it knows no strategy at all.
        too_old: Option<String>,
        /// The operator can leave out the matcher for Alertmanager's own namespace alone.
        except: bool,
        patch: String,
        /// The value of the chart that holds the strategy.
        values: String,
        /// Labels of an alert that would take the route.
        labels: Vec<String>,
        #[serde(flatten)]
        amtool: Amtool,
        #[serde(flatten)]
        server: Server,
        #[serde(flatten)]
        stack: StackRelease,
    },
}

/// The operator that can leave out the matcher.
const STRATEGY: deployment::Version = (0, 61, 0);
/// The operator that can leave out the matcher for Alertmanager's own namespace.
const EXCEPT_OWN: deployment::Version = (0, 84, 0);

impl Check for AlertmanagerConfigNamespace {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if selection::servers(snap, Kind::AlertmanagerConfig)?.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Alertmanager of the Prometheus Operator".into()));
        }
        let mut findings = Vec::new();
        for config in snap.alertmanager_config_resources()? {
            let servers = selection::selecting(snap, Kind::AlertmanagerConfig, &config.metadata)?;
            let forcing = servers.into_iter().find(|s| forces(s, config));
            findings.extend(forcing.and_then(|server| contradiction(snap, server, config)));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Whether the operator adds `namespace="…"` to the routes of an object.
fn forces(server: &MonitoringResource, config: &AlertmanagerConfigResource) -> bool {
    let global = server.spec.alertmanager_configuration.as_ref().is_some_and(|g| g.name == config.metadata.name)
        && server.metadata.namespace == config.metadata.namespace;
    let strategy = server.spec.alertmanager_config_matcher_strategy.as_ref().map_or("", |s| s.kind.as_str());
    match strategy {
        "None" => false,
        "OnNamespaceExceptForAlertmanagerNamespace" => server.metadata.namespace != config.metadata.namespace,
        _ => !global,
    }
}

/// A route that asks for another namespace than the one that is added.
struct Asked<'a> {
    receiver: &'a str,
    namespace: &'a str,
    /// Labels of an alert that would take it, as far as equality asks for them.
    labels: BTreeMap<&'a str, &'a str>,
    /// What it asks for besides the namespace.
    others: Vec<Matcher>,
}

impl Asked<'_> {
    /// Whether an alert of its namespace takes it.
    fn takes(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        value("namespace") == self.namespace && self.others.iter().all(|m| m.matches(value(&m.name)) == Some(true))
    }

    /// What it asks for.
    fn text(&self) -> String {
        let others = self.others.iter().map(|m| format!(", {m}"));
        format!("namespace={:?}{} → {}", self.namespace, others.collect::<String>(), self.receiver)
    }
}

/// What holds on the way to a route.
#[derive(Clone, Default)]
struct Way<'a> {
    receiver: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    others: Vec<Matcher>,
}

/// All routes below one that ask for a namespace which is not `own`, by equality.
fn asked<'a>(route: &'a Value, own: &str, mut way: Way<'a>, out: &mut Vec<Asked<'a>>) {
    way.receiver = route.get("receiver").and_then(Value::as_str).filter(|r| !r.is_empty()).unwrap_or(way.receiver);
    let matchers = route.get("matchers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    way.labels.extend(matchers.iter().filter_map(equality));
    way.others
        .extend(matchers.iter().filter(|m| equality(m).is_none_or(|(n, _)| n != "namespace")).filter_map(matcher));
    if let Some(namespace) = way.labels.get("namespace").copied().filter(|n| *n != own) {
        out.push(Asked { receiver: way.receiver, namespace, labels: way.labels, others: way.others });
        return;
    }
    for route in route.get("routes").and_then(Value::as_array).into_iter().flatten() {
        asked(route, own, way.clone(), out);
    }
}

/// The label and the value of a matcher that asks for just that.
fn equality(matcher: &Value) -> Option<(&str, &str)> {
    let text = |key: &str| matcher.get(key).and_then(Value::as_str).unwrap_or_default();
    let regex = matcher.get("regex").and_then(Value::as_bool).unwrap_or(false);
    let equal = !regex && matches!(text("matchType"), "" | "=");
    equal.then(|| (text("name"), text("value")))
}

/// A matcher of the resource; none where its regular expression cannot be read.
fn matcher(matcher: &Value) -> Option<Matcher> {
    let text = |key: &str| matcher.get(key).and_then(Value::as_str).unwrap_or_default();
    let regex = matcher.get("regex").and_then(Value::as_bool).unwrap_or(false);
    let op = match text("matchType") {
        "=~" => Op::Regex,
        "!~" => Op::NotRegex,
        "!=" => Op::NotEqual,
        _ if regex => Op::Regex,
        _ => Op::Equal,
    };
    Matcher::new(text("name"), op, text("value")).ok()
}

/// `name=value` for a test of the routes: the way to the route, and an alert's name where it asks for none.
fn labels(route: &Asked<'_>, firing: &BTreeSet<String>) -> Vec<String> {
    let mut labels = route.labels.clone();
    labels.entry("alertname").or_insert_with(|| firing.first().map_or("Test", String::as_str));
    labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn contradiction(snap: &Snapshot, server: &MonitoringResource, config: &AlertmanagerConfigResource) -> Option<Finding> {
    let meta = &config.metadata;
    let own = meta.namespace.as_str();
    let mut routes = Vec::new();
    asked(&config.spec.route, own, Way::default(), &mut routes);
    let first = routes.first()?;
    let namespaces: BTreeSet<&str> = routes.iter().map(|r| r.namespace).filter(|n| !n.is_empty()).collect();
    let receivers: BTreeSet<&str> = routes.iter().map(|r| r.receiver).collect();
    let target = *namespaces.first()?;
    let firing = firing(snap, &routes, target);
    let now = if firing.is_empty() {
        String::new()
    } else {
        format!(
            "; firing now in namespace {target}, for these routes: {}",
            firing.iter().cloned().collect::<Vec<_>>().join(", ")
        )
    };
    let message = format!(
        "AlertmanagerConfig {own}/{} routes alerts of namespace {} to {}, and {} adds namespace={own:?} to its routes: no alert has both, so that none reaches the receiver{now}",
        meta.name,
        namespaces.iter().copied().collect::<Vec<_>>().join(", "),
        receivers.into_iter().collect::<Vec<_>>().join(", "),
        server_text(server)
    );
    let strategy = server
        .spec
        .alertmanager_config_matcher_strategy
        .as_ref()
        .map_or("OnNamespace, the default", |s| s.kind.as_str());
    let version = deployment::operators(snap).iter().filter_map(deployment::Operator::version).max();
    let except = own == server.metadata.namespace && version.is_some_and(|v| v >= EXCEPT_OWN);
    let strategy_to = if except { "OnNamespaceExceptForAlertmanagerNamespace" } else { "None" };
    let fix = Fix::Namespace {
        config: meta.name.clone(),
        namespace: own.to_owned(),
        target: target.to_owned(),
        others: namespaces.iter().skip(1).map(|n| (*n).to_owned()).collect(),
        managed: managed_by(meta),
        move_filter: format!(
            "del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.managedFields, .metadata.ownerReferences, .metadata.finalizers, .metadata.annotations) | .metadata.namespace = \"{target}\""
        ),
        secrets: secrets(&config.spec.receivers),
        strategy: strategy_to,
        too_old: version.filter(|v| *v < STRATEGY).map(deployment::version_text),
        except,
        patch: serde_json::json!({"spec": {"alertmanagerConfigMatcherStrategy": {"type": strategy_to}}}).to_string(),
        values: format!("{}.alertmanagerConfigMatcherStrategy.type", operator::values_base(server)),
        labels: labels(routes.iter().find(|r| r.namespace == target)?, &firing),
        amtool: Amtool::of_server(snap, server),
        server: Server::of(server),
        stack: StackRelease::of(server),
    };
    let made = Finding::new(
        AlertmanagerConfigNamespace::META.id,
        Severity::Error,
        Kind::AlertmanagerConfig.reference(own, &meta.name),
        message,
    )
    .key(format!("{own}/{} contradiction", meta.name))
    .breaks(Kind::AlertmanagerConfig.reference(own, &meta.name))
    .breaks(ResourceRef::Receiver { name: format!("{own}/{}/{}", meta.name, first.receiver) })
    .evidence(config_seen(config, &routes))
    .evidence(server_seen(server, strategy))
    .fix(fix);
    Some(made)
}

/// Names of active alerts of a namespace that would take one of the routes.
fn firing(snap: &Snapshot, routes: &[Asked<'_>], namespace: &str) -> BTreeSet<String> {
    let groups = snap.alertmanager_alerts.as_ref().map(Vec::as_slice).unwrap_or_default();
    let alerts = groups.iter().flat_map(|g| &g.alerts).filter(|a| a.status.state != "suppressed");
    let of_it = alerts.filter(|a| routes.iter().any(|r| r.namespace == namespace && r.takes(&a.labels)));
    of_it.filter_map(|a| a.labels.get("alertname").cloned()).collect()
}

/// Names of the Secrets that the receivers take their credentials from.
fn secrets(receivers: &[Value]) -> Vec<String> {
    fn walk(value: &Value, out: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let (Some(Value::String(name)), Some(Value::String(_)), true) =
                    (map.get("name"), map.get("key"), map.len() <= 3)
                {
                    out.insert(name.clone());
                }
                map.values().for_each(|v| walk(v, out));
            }
            Value::Array(all) => all.iter().for_each(|v| walk(v, out)),
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    receivers.iter().for_each(|r| walk(r, &mut out));
    out.into_iter().collect()
}

fn config_seen(config: &AlertmanagerConfigResource, routes: &[Asked<'_>]) -> Evidence {
    let meta = &config.metadata;
    let lines: Vec<String> = routes.iter().take(5).map(Asked::text).collect();
    Evidence::new(
        format!("AlertmanagerConfig {}/{} spec.route", meta.namespace, meta.name),
        lines.join("\n"),
        "kubectl get alertmanagerconfig {{ name }} -n {{ namespace }} -o jsonpath='{.spec.route}'",
    )
    .with("name", &meta.name)
    .with("namespace", &meta.namespace)
}

fn server_seen(server: &MonitoringResource, strategy: &str) -> Evidence {
    Evidence::new(
        format!("{} spec.alertmanagerConfigMatcherStrategy", server_text(server)),
        strategy,
        "kubectl get alertmanager {{ name }} -n {{ namespace }} -o jsonpath='{.spec.alertmanagerConfigMatcherStrategy}'",
    )
    .with("name", &server.metadata.name)
    .with("namespace", &server.metadata.namespace)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_takes_a_route_only_if_it_has_all_that_is_asked_for() {
        let route = json!({"receiver": "slack", "matchers": [
            {"name": "namespace", "value": "shop"},
            {"name": "alertname", "value": "KubePod.*", "matchType": "=~"},
            {"name": "severity", "value": "info", "matchType": "!="},
        ]});
        let mut routes = Vec::new();
        asked(&route, "monitoring", Way::default(), &mut routes);
        assert_eq!(routes[0].text(), "namespace=\"shop\", alertname=~\"KubePod.*\", severity!=\"info\" → slack");
        let takes = |namespace: &str, name: &str| {
            let labels = [("namespace", namespace), ("alertname", name)];
            routes[0].takes(&labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into())
        };
        assert!(takes("shop", "KubePodCrashLooping"));
        assert!(!takes("shop", "KubeDeploymentReplicasMismatch"));
        assert!(!takes("web", "KubePodCrashLooping"));
    }
}
