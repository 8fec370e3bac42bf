//! An alert that nobody received: rule → series → condition → sent → held → not muted → route → receiver → delivery.

mod route;

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Builder, Claims, Seen, broken, idle, right};
use super::words::{count, few};
use super::{muting, receiver, shown};
use crate::domain::prometheus::reads::reads;
use crate::domain::text::windows::minute;
use crate::model::{ResourceRef, SignalKind};
use crate::snapshot::kubernetes::Meta;
use crate::snapshot::monitoring::{Alert, FiringAlert, Rule, RuleGroup};
use crate::snapshot::{Fetched, Snapshot, journal};
use crate::text::near::near_metric;

const RULES: &[&str] = &[
    "operator-refuses",
    "prometheus-config",
    "reload-refused",
    "rule-failing",
    "rule-invalid",
    "rule-not-loaded",
    "rule-unselected",
];
/// Names of metrics or receivers in a link.
const NAMES: usize = 3;

/// What is known of an alert by its name.
struct Known<'a> {
    name: &'a str,
    rules: Vec<(&'a RuleGroup, &'a Rule)>,
    /// PrometheusRules that have it.
    objects: Vec<&'a Meta>,
    active: Vec<FiringAlert>,
    /// As Alertmanager holds it, each once.
    held: Vec<&'a Alert>,
}

/// The chain of an alert.
pub(super) fn chain(b: &mut Builder<'_>, name: &str) {
    let snap = b.snap;
    let known = Known::of(snap, name);
    b.link("rule", known.about(), Claims::Of(RULES), || known.rule(snap));
    b.link("series", Vec::new(), Claims::Of(&[]), || known.series(snap));
    b.link("condition", Vec::new(), Claims::Of(&[]), || known.condition(snap));
    explained(b, name);
    b.link("sent", Vec::new(), Claims::Check(&["alertmanager-disconnected"]), || known.sent(snap));
    b.link("held", Vec::new(), Claims::Of(&[]), || known.holds(snap));
    let muting = b.these("alerts-muted", &muting::names(name, &known.held));
    b.link("not muted", Vec::new(), Claims::These(muting), || muting::of(snap, &known.held));
    let ends = known.receivers(snap);
    let about = ends.iter().map(ResourceRef::receiver).collect();
    b.link("route", about, Claims::IfBroken(&["alerts-muted"]), || known.route(snap));
    for name in ends.iter().take(NAMES) {
        receiver::delivery(b, name);
    }
}

/// What is known of why it fires.
fn explained(b: &mut Builder<'_>, name: &str) {
    let is_it = |title: &str| title.strip_prefix("pending ").unwrap_or(title) == format!("alert {name}");
    let own = b.report.signals.iter().filter(|s| s.kind == SignalKind::Alert && is_it(&s.title));
    let roots: BTreeSet<usize> = own.filter_map(|s| s.explained_by).collect();
    let findings = roots.into_iter().filter_map(|at| b.report.roots.get(at)).map(|g| g.root).collect();
    b.beside(findings);
}

impl<'a> Known<'a> {
    fn of(snap: &'a Snapshot, name: &'a str) -> Self {
        let groups = snap.prometheus_rules.as_ref().map(Vec::as_slice).unwrap_or_default();
        let rules: Vec<_> = groups.iter().flat_map(|g| g.rules.iter().map(move |r| (g, r))).collect();
        let rules: Vec<_> = rules.into_iter().filter(|(_, r)| r.kind != "recording" && r.name == name).collect();
        let alerts = snap.prometheus_alerts.as_ref().map(Vec::as_slice).unwrap_or_default();
        let mut active: Vec<FiringAlert> = alerts.iter().filter(|a| a.name() == name).cloned().collect();
        if snap.prometheus_alerts.is_err() {
            active = rules.iter().flat_map(|(_, r)| &r.alerts).map(as_alert).collect();
        }
        let mut held: BTreeMap<&str, &Alert> = BTreeMap::new();
        for alert in snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts) {
            if alert.labels.get("alertname").is_some_and(|n| n == name) {
                held.insert(&alert.fingerprint, alert);
            }
        }
        Self { name, rules, objects: objects(snap, name), active, held: held.into_values().collect() }
    }

    fn about(&self) -> Vec<ResourceRef> {
        let of = |group: &str, rule: &str| ResourceRef::Rule { group: group.to_owned(), rule: rule.to_owned() };
        let rules = self.rules.iter().flat_map(|(g, r)| [of(&g.name, &r.name), of(&g.name, "")]);
        let objects = self
            .objects
            .iter()
            .map(|m| ResourceRef::kubernetes("monitoring.coreos.com", "PrometheusRule", &m.namespace, &m.name));
        rules.chain(objects).collect()
    }

    fn rule(&self, snap: &Snapshot) -> Fetched<Seen> {
        snap.prometheus_rules()?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/rules?type=alert");
        if let Some((group, rule)) = self.rules.iter().find(|(_, r)| r.health == "err") {
            let error = rule.last_error.as_deref().unwrap_or_default();
            return Ok(broken(format!("its evaluation in group {} fails: {error}", group.name)).with(shown));
        }
        let Some((group, rule)) = self.rules.first() else {
            return Ok(match self.objects.first() {
                Some(meta) => broken(format!(
                    "PrometheusRule {}/{} has it, and Prometheus has not loaded it",
                    meta.namespace, meta.name
                ))
                .with(shown::written("prometheusrule", meta)),
                None => idle("this Prometheus has no such rule: somebody else raised it").with(shown),
            });
        };
        let waits = match rule.duration as i64 {
            0 => "fires at once".to_owned(),
            seconds => format!("fires after {}", super::words::duration(seconds)),
        };
        let several = if self.rules.len() > 1 {
            format!(", one of {} rules of this name", self.rules.len())
        } else {
            String::new()
        };
        Ok(match rule.health.as_str() {
            "ok" => right(format!("group {}{several}; {waits}: {}", group.name, one_line(&rule.query))).with(shown),
            _ => idle(format!("group {} was not evaluated yet", group.name)).with(shown),
        })
    }

    /// Whether there is anything that its expression reads.
    fn series(&self, snap: &Snapshot) -> Fetched<Seen> {
        if !self.active.is_empty() {
            return Ok(right(format!("its expression holds for {}", count(self.active.len(), "series"))));
        }
        let Some((_, rule)) = self.rules.first() else { return Ok(idle("there is no rule to look at")) };
        let metrics: BTreeSet<String> =
            reads(&rule.query).into_iter().map(|r| r.metric).filter(|m| !m.is_empty() && m != "ALERTS").collect();
        if metrics.is_empty() {
            return Ok(idle("its expression names no metric"));
        }
        let names = snap.prometheus_metric_names()?;
        let missing: Vec<&str> = metrics.iter().map(String::as_str).filter(|m| !names.contains(*m)).collect();
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/label/__name__/values");
        let Some(first) = missing.first() else {
            return Ok(right(format!("Prometheus has {}", few(metrics.iter().map(String::as_str), NAMES))).with(shown));
        };
        // A counter of what did not happen yet is not there either, and `absent` wants it so.
        let lacks = format!("Prometheus has no {}", few(missing.iter().copied(), NAMES));
        Ok(match near_metric(first, names.iter().map(String::as_str)) {
            Some(near) if !rule.query.contains("absent") => broken(format!("{lacks}; there is {near}")).with(shown),
            _ => idle(format!("{lacks}: nothing exports it, or it did not happen yet")).with(shown),
        })
    }

    /// A gap where nobody knows whether it fires: the rules tell the same as the alerts, with what they raised.
    fn is_known(snap: &Snapshot) -> Fetched<()> {
        if journal::aside(|| snap.prometheus_alerts.is_err()) {
            snap.prometheus_rules()?;
        }
        Ok(())
    }

    fn condition(&self, snap: &Snapshot) -> Fetched<Seen> {
        Self::is_known(snap)?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/alerts");
        let firing: Vec<&FiringAlert> = self.active.iter().filter(|a| a.state == "firing").collect();
        let since = |all: &[&FiringAlert]| {
            let first = all.iter().filter_map(|a| a.active_at).min();
            first.map(|t| format!(" since {}", minute(t))).unwrap_or_default()
        };
        if !firing.is_empty() {
            return Ok(right(format!("{}{}", fires(firing.len()), since(&firing))).with(shown));
        }
        let pending: Vec<&FiringAlert> = self.active.iter().collect();
        let wait = self.rules.first().map_or(0, |(_, r)| r.duration as i64);
        Ok(match pending.as_slice() {
            [] if !self.held.is_empty() => idle("it does not hold in this Prometheus").with(shown),
            [] => idle("it does not hold now, so the alert does not fire").with(shown),
            all => {
                idle(format!("pending{}: it fires once it has held for {}", since(all), super::words::duration(wait)))
                    .with(shown)
            }
        })
    }

    fn is_firing(&self) -> bool {
        self.active.iter().any(|a| a.state == "firing")
    }
}

fn as_alert(alert: &crate::snapshot::monitoring::RuleAlert) -> FiringAlert {
    FiringAlert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        state: alert.state.clone(),
        active_at: alert.active_at,
        value: String::new(),
    }
}

fn fires(number: usize) -> String {
    if number == 1 { "it fires".to_owned() } else { format!("it fires for {number} series") }
}

fn one_line(query: &str) -> String {
    crate::domain::text::shorten::shorten(query, super::pod::QUOTED)
}

/// PrometheusRules that have an alert of this name.
fn objects<'a>(snap: &'a Snapshot, name: &str) -> Vec<&'a Meta> {
    let all = snap.prometheus_rule_objects.items().unwrap_or_default();
    all.iter().filter(|r| alerts_of(&r.spec).any(|a| a == name)).map(|r| &r.metadata).collect()
}

/// The alerts of a PrometheusRule.
pub(super) fn alerts_of(spec: &serde_json::Value) -> impl Iterator<Item = &str> {
    let groups = spec.get("groups").and_then(serde_json::Value::as_array).into_iter().flatten();
    let rules = groups.filter_map(|g| g.get("rules")?.as_array()).flatten();
    rules.filter_map(|r| r.get("alert")?.as_str())
}
