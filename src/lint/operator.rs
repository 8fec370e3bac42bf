//! Custom resources of the Prometheus Operator: slips in the names of their fields, times, relabelling, and what the operator
//! itself refuses. New fields come with every version, so of an unknown one only a slip of a known one is a fault.

use super::go::{duration, regex_fault};
use super::prometheus::relabel;
use super::yaml::{Node, join};
use super::{Problem, is_filled_in};
use crate::text::near::{is_slip, near};

mod known;
mod receiver;

use known::{ALERTMANAGER, ENDPOINT, MONITOR, OF_THE_CHART, PROMETHEUS, RELABELING, ROUTE};
use receiver::{INTEGRATIONS, RECEIVER};

/// Whom a fault keeps from working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The API server refuses the object, by the schema of its kind.
    ByServer,
    /// The operator leaves it out.
    ByOperator,
}

/// What is wrong with a custom resource of the operator, and who refuses it.
pub fn lint(object: &Node) -> Vec<(Refused, Problem)> {
    let text = |key: &str| object.get(key).and_then(Node::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let Some(spec) = object.get("spec").filter(|_| version.starts_with("monitoring.coreos.com/")) else {
        return Vec::new();
    };
    let mut reader = Reader::default();
    match kind {
        "ServiceMonitor" => reader.monitor(spec, "endpoints"),
        "PodMonitor" => reader.monitor(spec, "podMetricsEndpoints"),
        "Probe" => reader.times(spec, "spec"),
        "Prometheus" | "PrometheusAgent" => reader.server(spec, "spec", &[PROMETHEUS]),
        "Alertmanager" => reader.slips(spec, "spec", &[ALERTMANAGER]),
        "AlertmanagerConfig" => reader.routes(spec),
        "PrometheusRule" => reader.slips(spec, "spec", &[&["groups"]]),
        _ => {}
    }
    reader.found.sort_by_key(|(_, p)| p.place);
    reader.found
}

/// The same of `prometheusSpec` in the values of kube-prometheus-stack.
pub fn lint_values(spec: &Node, path: &str) -> Vec<(Refused, Problem)> {
    let mut reader = Reader::default();
    reader.server(spec, path, &[PROMETHEUS, OF_THE_CHART]);
    reader.found
}

#[derive(Default)]
struct Reader {
    found: Vec<(Refused, Problem)>,
}

impl Reader {
    fn say(&mut self, by: Refused, node: &Node, path: &str, message: String, meant: Option<String>) {
        self.found.push((by, Problem::new(node.place, path, message).instead(meant)));
    }

    /// Names of fields that are almost known ones.
    fn slips(&mut self, node: &Node, path: &str, known: &[&[&str]]) {
        let all = || known.iter().copied().flatten().copied();
        for (key, _) in node.entries().unwrap_or_default() {
            let Some(name) = key.as_str().filter(|n| !all().any(|k| k == *n)) else { continue };
            let same = |k: &&str| k.eq_ignore_ascii_case(name);
            let slip = |k: &&str| name.len() > 4 && is_slip(name, k, if name.len() > 9 { 2 } else { 1 });
            let Some(meant) = all().find(same).or_else(|| all().find(slip)) else { continue };
            // Misspelt beside the right one it may be anything.
            if node.get(meant).is_none() {
                let message = format!("unknown field {name:?}");
                self.say(Refused::ByServer, key, &join(path, name), message, Some(meant.to_owned()));
            }
        }
    }

    fn time(&mut self, node: Option<&Node>, path: &str) -> Option<u64> {
        let node = node?;
        let text = node.as_str().filter(|t| !t.is_empty() && !is_filled_in(t))?;
        match duration(text) {
            Ok(millis) => Some(millis),
            Err((message, meant)) => {
                self.say(Refused::ByServer, node, path, message, meant);
                None
            }
        }
    }

    /// Interval and timeout of a scrape.
    fn times(&mut self, node: &Node, path: &str) {
        let interval_key = if node.get("scrapeInterval").is_some() { "scrapeInterval" } else { "interval" };
        let interval = self.time(node.get(interval_key), &join(path, interval_key));
        let own = node.get("scrapeTimeout");
        let timeout = self.time(own, &join(path, "scrapeTimeout"));
        if let (Some(node_of), Some(interval), Some(timeout)) = (own, interval, timeout)
            && timeout > interval
        {
            let of = |key: &str| node.get(key).and_then(Node::as_str).unwrap_or_default();
            let message =
                format!("scrapeTimeout {} is longer than {interval_key} {}", of("scrapeTimeout"), of(interval_key));
            self.say(Refused::ByOperator, node_of, &join(path, "scrapeTimeout"), message, None);
        }
    }

    fn monitor(&mut self, spec: &Node, list: &str) {
        self.slips(spec, "spec", &[MONITOR, &[list]]);
        for (at, endpoint) in spec.get(list).and_then(Node::items).unwrap_or_default().iter().enumerate() {
            let path = format!("spec.{list}[{at}]");
            self.slips(endpoint, &path, &[ENDPOINT]);
            self.times(endpoint, &path);
            for rules in ["relabelings", "metricRelabelings"] {
                self.relabelings(endpoint.get(rules), &join(&path, rules));
            }
        }
    }

    fn relabelings(&mut self, rules: Option<&Node>, path: &str) {
        for (at, rule) in rules.and_then(Node::items).unwrap_or_default().iter().enumerate() {
            let path = format!("{path}[{at}]");
            self.slips(rule, &path, &[RELABELING]);
            if let Some((node, action)) = rule.get("action").and_then(|n| Some((n, n.as_str()?)))
                && !relabel::actions().any(|known| known.eq_ignore_ascii_case(action))
            {
                let meant = near(action, relabel::actions()).map(str::to_owned);
                self.say(Refused::ByServer, node, &join(&path, "action"), format!("unknown action {action:?}"), meant);
            }
            if let Some((node, regex)) = rule.get("regex").and_then(|n| Some((n, n.as_str()?)))
                && let Some(fault) = regex_fault(regex).filter(|_| !regex.contains("${"))
            {
                let message = format!("error parsing regexp: {fault}");
                self.say(Refused::ByOperator, node, &join(&path, "regex"), message, None);
            }
        }
    }

    fn server(&mut self, spec: &Node, path: &str, known: &[&[&str]]) {
        self.slips(spec, path, known);
        self.times(spec, path);
        for key in ["evaluationInterval", "retention"] {
            self.time(spec.get(key), &join(path, key));
        }
        let size = spec.get("retentionSize").and_then(|n| Some((n, n.as_str()?)));
        if let Some((node, text)) = size.filter(|(_, t)| !t.is_empty() && !is_filled_in(t) && !is_size(t)) {
            let meant = text.strip_suffix(['i', 'b']).map(|t| format!("{t}B")).filter(|m| is_size(m));
            let meant = meant.or_else(|| Some(format!("{text}B")).filter(|m| is_size(m)));
            let message = format!("{text:?} is no size such as 40GB");
            self.say(Refused::ByServer, node, &join(path, "retentionSize"), message, meant);
        }
    }

    /// Routes of an AlertmanagerConfig, and the receivers that they send to.
    fn routes(&mut self, spec: &Node) {
        self.slips(spec, "spec", &[&["route", "receivers", "inhibitRules", "muteTimeIntervals"]]);
        let receivers = spec.get("receivers").and_then(Node::items).unwrap_or_default();
        let names: Vec<&str> = receivers.iter().filter_map(|r| r.get("name").and_then(Node::as_str)).collect();
        for (at, receiver) in receivers.iter().enumerate() {
            let path = format!("spec.receivers[{at}]");
            self.slips(receiver, &path, &[RECEIVER]);
            for (list, known) in INTEGRATIONS {
                let items = receiver.get(list).and_then(Node::items).unwrap_or_default();
                for (number, item) in items.iter().enumerate() {
                    self.slips(item, &format!("{path}.{list}[{number}]"), &[known]);
                }
            }
        }
        if let Some(route) = spec.get("route") {
            self.route(route, "spec.route", &names);
        }
    }

    fn route(&mut self, route: &Node, path: &str, receivers: &[&str]) {
        self.slips(route, path, &[ROUTE]);
        for key in ["groupWait", "groupInterval", "repeatInterval"] {
            self.time(route.get(key), &join(path, key));
        }
        if let Some((node, name)) = route.get("receiver").and_then(|n| Some((n, n.as_str()?)))
            && !name.is_empty()
            && !receivers.contains(&name)
        {
            let message = format!("the object has no receiver {name:?}, and only its own can be named");
            let meant = near(name, receivers.iter().copied()).map(str::to_owned);
            self.say(Refused::ByOperator, node, &join(path, "receiver"), message, meant);
        }
        for (at, below) in route.get("routes").and_then(Node::items).unwrap_or_default().iter().enumerate() {
            self.route(below, &format!("{path}.routes[{at}]"), receivers);
        }
    }
}

/// `(0|([0-9]*[.])?[0-9]+((K|M|G|T|E|P)i?)?B)`
fn is_size(text: &str) -> bool {
    let Some(rest) = text.strip_suffix('B') else { return text == "0" };
    let rest = rest.strip_suffix('i').unwrap_or(rest);
    let number = rest.strip_suffix(['K', 'M', 'G', 'T', 'E', 'P']).unwrap_or(rest);
    !number.is_empty() && !number.ends_with('.') && number.parse::<f64>().is_ok()
}
