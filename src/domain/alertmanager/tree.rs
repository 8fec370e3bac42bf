//! Alertmanager's routing tree: which receivers can be reached by alerts of which only some labels are known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::lint::alertmanager as lint;
use crate::lint::alertmanager::Interval;
use crate::lint::alertmanager::matcher::{self, Matcher, Op};
use crate::lint::yaml::Node;

/// Days without a break after which a mute is no maintenance any more.
pub(crate) const LONG: i64 = 7;

/// Labels of alerts that are the same for all of them.
pub(crate) type Labels = BTreeMap<String, String>;

/// A route with what it inherits.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Its receiver, or its parent's.
    pub(crate) receiver: String,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) continues: bool,
    /// Names of intervals that mute it.
    pub(crate) mutes: Vec<String>,
    /// Names of intervals outside which it is mute.
    pub(crate) actives: Vec<String>,
    pub(crate) routes: Vec<Route>,
    /// Line in the configuration, from 1.
    pub(crate) line: usize,
}

/// The tree, and what it ends in.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) root: Route,
    /// Kinds of integrations by receiver: `slack`, `webhook`; none: a receiver that sends nothing.
    pub(crate) receivers: BTreeMap<String, Vec<String>>,
    intervals: BTreeMap<String, Vec<Interval>>,
}

/// Routes by which alerts with known labels end at a receiver that sends nothing.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    /// What the known labels decided.
    pub(crate) decided: Vec<Matcher>,
    /// What else an alert must match to come there.
    pub(crate) conditions: Vec<Matcher>,
    /// The receiver without integrations.
    pub(crate) receiver: String,
    /// Line of the route.
    pub(crate) line: usize,
}

/// A route that takes nothing, because one before it takes the same alerts.
#[derive(Debug, Clone)]
pub(crate) struct Shadowed<'t> {
    pub(crate) route: &'t Route,
    /// Its matchers and those on the way to it.
    pub(crate) path: Vec<Matcher>,
    /// The route before it.
    pub(crate) by: &'t Route,
    /// The route that both are below, where that is not the root.
    pub(crate) above: Option<&'t Route>,
}

/// A route that is muted by an interval without end.
#[derive(Debug, Clone)]
pub(crate) struct Muted {
    pub(crate) interval: String,
    /// An interval that mutes, or one that would have to be active.
    pub(crate) mutes: bool,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) receiver: String,
    pub(crate) line: usize,
}

fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::items).unwrap_or_default()
}

fn texts(node: &Node, key: &str) -> Vec<String> {
    items(node, key).iter().filter_map(|n| n.as_str().map(str::to_owned)).collect()
}

impl Tree {
    /// Reads a configuration; `None` where it cannot be read as a whole: a part of a tree would mislead.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let root = lint::read(text).ok()??;
        let route = route(root.get("route")?, "")?;
        let receivers = items(&root, "receivers").iter().filter_map(|receiver| {
            let kinds = receiver.entries()?.iter().filter_map(|(key, list)| {
                let kind = key.as_str()?.strip_suffix("_configs")?;
                list.items().is_some_and(|l| l.iter().any(|entry| !entry.is_null())).then(|| kind.to_owned())
            });
            Some((receiver.get("name")?.as_str()?.to_owned(), kinds.collect()))
        });
        let intervals = ["time_intervals", "mute_time_intervals"].into_iter().flat_map(|key| items(&root, key));
        let intervals = intervals.filter_map(|interval| {
            let times = items(interval, "time_intervals").iter().map(Interval::read).collect();
            Some((interval.get("name")?.as_str()?.to_owned(), times))
        });
        let tree = Self { root: route, receivers: receivers.collect(), intervals: intervals.collect() };
        // A file that names what it does not define is not what Alertmanager runs with.
        let defined = tree.paths().iter().all(|(_, route)| tree.receivers.contains_key(&route.receiver));
        defined.then_some(tree)
    }

    /// Whether a receiver sends anything.
    pub(crate) fn sends(&self, receiver: &str) -> bool {
        self.receivers.get(receiver).is_some_and(|kinds| !kinds.is_empty())
    }

    /// Whether some alert with these labels may reach a receiver that sends, other than the alerts that only prove
    /// that alerting works.
    pub(crate) fn may_notify(&self, known: &Labels) -> bool {
        self.route_may_notify(&self.root, known)
    }

    fn route_may_notify(&self, route: &Route, known: &Labels) -> bool {
        for child in &route.routes {
            let Some(open) = open(child, known) else { continue };
            if is_about_itself(&open) {
                continue;
            }
            if self.route_may_notify(child, known) {
                return true;
            }
            if open.is_empty() && !child.continues {
                return false;
            }
        }
        let taken = route.routes.iter().any(|c| open(c, known).is_some_and(|o| o.is_empty()));
        !taken && self.sends(&route.receiver)
    }

    /// Receivers that send and that alerts with these labels may reach.
    pub(crate) fn reachable(&self, known: &Labels) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.collect(&self.root, known, &mut found);
        found
    }

    fn collect(&self, route: &Route, known: &Labels, found: &mut BTreeSet<String>) {
        let mut taken = false;
        for child in &route.routes {
            let Some(open) = open(child, known) else { continue };
            self.collect(child, known, found);
            taken |= open.is_empty();
            if open.is_empty() && !child.continues {
                return;
            }
        }
        if !taken && self.sends(&route.receiver) {
            found.insert(route.receiver.clone());
        }
    }

    /// Routes that take alerts because of their known labels, and lead to no receiver that sends.
    pub(crate) fn sinks(&self, known: &Labels) -> Vec<Sink> {
        let mut found = Vec::new();
        self.find_sinks(&self.root, known, &mut Vec::new(), &mut found);
        found
    }

    fn find_sinks(&self, route: &Route, known: &Labels, conditions: &mut Vec<Matcher>, found: &mut Vec<Sink>) {
        for child in &route.routes {
            let Some(open) = open(child, known) else { continue };
            let decided: Vec<Matcher> =
                child.matchers.iter().filter(|m| known.contains_key(&m.name)).cloned().collect();
            let takes = open.is_empty() && !decided.is_empty() && !child.continues;
            if takes && !self.route_may_notify(child, known) {
                if !is_about_one_alert(conditions) {
                    found.push(Sink {
                        decided,
                        conditions: conditions.clone(),
                        receiver: child.receiver.clone(),
                        line: child.line,
                    });
                }
                return;
            }
            let before = conditions.len();
            conditions.extend(open.iter().copied().cloned());
            self.find_sinks(child, known, conditions, found);
            conditions.truncate(before);
            if open.is_empty() && !child.continues {
                return;
            }
        }
    }

    /// Values of a label that routes to receivers that send ask for.
    pub(crate) fn values_that_notify(&self, label: &str, known: &Labels) -> Vec<String> {
        let mut values = BTreeSet::new();
        named_values(&self.root, label, &mut values);
        let notifies = |value: &String| {
            let mut other = known.clone();
            other.insert(label.to_owned(), value.clone());
            self.may_notify(&other) && self.sinks(&other).is_empty()
        };
        values.into_iter().filter(notifies).collect()
    }

    /// Routes that an interval mutes from now on for longer than [`LONG`] days without a break.
    pub(crate) fn muted(&self, now: Timestamp) -> Vec<Muted> {
        let mut found = Vec::new();
        self.find_muted(&self.root, &[], now, &mut found);
        found
    }

    fn find_muted(&self, route: &Route, path: &[Matcher], now: Timestamp, found: &mut Vec<Muted>) {
        let path: Vec<Matcher> = path.iter().chain(&route.matchers).cloned().collect();
        let muting =
            route.mutes.iter().find(|name| self.always(std::slice::from_ref(name), now, true)).map(|n| (n, true));
        let closed = || {
            (!route.actives.is_empty() && self.always(&route.actives, now, false)).then(|| (&route.actives[0], false))
        };
        if let Some((interval, mutes)) = muting.or_else(closed)
            && self.sends(&route.receiver)
            && !is_about_one_alert(&path)
        {
            found.push(Muted {
                interval: interval.clone(),
                mutes,
                matchers: path.clone(),
                receiver: route.receiver.clone(),
                line: route.line,
            });
        }
        for child in &route.routes {
            self.find_muted(child, &path, now, found);
        }
    }

    /// Whether the intervals hold (or do not hold) at each quarter of an hour of the next days.
    fn always(&self, names: &[String], now: Timestamp, holds: bool) -> bool {
        let all: Vec<&Interval> = names.iter().filter_map(|n| self.intervals.get(n)).flatten().collect();
        let steps = LONG * 24 * 4;
        (0..=steps).all(|step| {
            let at = now.checked_add(SignedDuration::from_mins(step * 15)).unwrap_or(now);
            all.iter().any(|i| i.contains(at)) == holds
        })
    }

    /// An interval all of whose times are those of UTC.
    pub(crate) fn is_in_utc(&self, interval: &str) -> bool {
        self.intervals.get(interval).is_some_and(|all| all.iter().all(Interval::is_in_utc))
    }

    /// Whether a moment is in an interval.
    pub(crate) fn covers(&self, interval: &str, at: Timestamp) -> bool {
        self.intervals.get(interval).is_some_and(|all| all.iter().any(|i| i.contains(at)))
    }

    /// Routes to receivers that send, which take nothing, because one before them takes the same alerts for another
    /// receiver and does not go on.
    pub(crate) fn shadowed(&self) -> Vec<Shadowed<'_>> {
        let mut found = Vec::new();
        self.find_shadowed(&self.root, &[], &mut found);
        found
    }

    fn find_shadowed<'t>(&'t self, route: &'t Route, path: &[Matcher], found: &mut Vec<Shadowed<'t>>) {
        let path: Vec<Matcher> = path.iter().chain(&route.matchers).cloned().collect();
        for (at, child) in route.routes.iter().enumerate() {
            let all: Vec<Matcher> = path.iter().chain(&child.matchers).cloned().collect();
            let takes = |r: &&Route| !r.continues && r.matchers.iter().all(|m| is_implied(m, &all));
            match route.routes[..at].iter().find(takes) {
                Some(by) if self.sends(&child.receiver) && !leads_to(by, &child.receiver) => {
                    let above = Some(route).filter(|r| !std::ptr::eq(*r, &self.root));
                    found.push(Shadowed { route: child, path: all, by, above });
                }
                Some(_) => {}
                None => self.find_shadowed(child, &path, found),
            }
        }
    }

    /// Receivers of routes that something can reach.
    pub(crate) fn reached(&self) -> BTreeSet<&str> {
        let dead: Vec<*const Route> = self.shadowed().iter().map(|s| std::ptr::from_ref(s.route)).collect();
        let alive = self.paths().into_iter().filter(|(_, r)| !dead.contains(&std::ptr::from_ref(*r)));
        alive.map(|(_, route)| route.receiver.as_str()).collect()
    }

    /// Receivers of an alert all of whose labels are known.
    pub(crate) fn receivers_of(&self, labels: &Labels) -> Vec<&str> {
        let mut found = Vec::new();
        deliver(&self.root, labels, &mut found);
        found
    }

    /// All routes with the matchers on their way.
    pub(crate) fn paths(&self) -> Vec<(Vec<Matcher>, &Route)> {
        let mut found = Vec::new();
        walk(&self.root, &[], &mut found);
        found
    }
}

fn walk<'a>(route: &'a Route, path: &[Matcher], found: &mut Vec<(Vec<Matcher>, &'a Route)>) {
    let path: Vec<Matcher> = path.iter().chain(&route.matchers).cloned().collect();
    found.push((path.clone(), route));
    for child in &route.routes {
        walk(child, &path, found);
    }
}

fn leads_to(route: &Route, receiver: &str) -> bool {
    route.receiver == receiver || route.routes.iter().any(|child| leads_to(child, receiver))
}

/// Whether each alert that fulfils the others fulfils this one.
fn is_implied(matcher: &Matcher, others: &[Matcher]) -> bool {
    if matcher.matches_all_values() && (matcher.name == "alertname" || matcher.matches("") == Some(true)) {
        return true;
    }
    others.iter().filter(|o| o.name == matcher.name).any(|other| match other.op {
        _ if other == matcher => true,
        Op::Equal => matcher.matches(&other.value) == Some(true),
        Op::Regex => alternatives(&other.value).is_some_and(|all| all.iter().all(|v| matcher.matches(v) == Some(true))),
        Op::NotEqual | Op::NotRegex => false,
    })
}

/// The words of `a|b|c`; `None` of another expression.
fn alternatives(regex: &str) -> Option<Vec<&str>> {
    let inner = regex.trim_start_matches(['^', '(']).trim_end_matches(['$', ')']);
    let plain = |v: &&str| !v.is_empty() && v.chars().all(|c| c.is_alphanumeric() || "-_/".contains(c));
    let all: Vec<&str> = inner.split('|').collect();
    all.iter().all(plain).then_some(all)
}

fn deliver<'a>(route: &'a Route, labels: &Labels, found: &mut Vec<&'a str>) {
    let before = found.len();
    for child in &route.routes {
        let value = |m: &Matcher| labels.get(&m.name).map_or("", String::as_str);
        if child.matchers.iter().all(|m| m.matches(value(m)).unwrap_or(false)) {
            deliver(child, labels, found);
            if !child.continues {
                break;
            }
        }
    }
    if found.len() == before {
        found.push(&route.receiver);
    }
}

fn route(node: &Node, inherited: &str) -> Option<Route> {
    let own = node.get("receiver").and_then(Node::as_str).filter(|r| !r.is_empty());
    let receiver = own.unwrap_or(inherited).to_owned();
    let map = |key: &str| -> BTreeMap<String, String> {
        let entries = node.get(key).and_then(Node::entries).unwrap_or_default();
        let text = |n: &Node| n.as_str().unwrap_or_default().to_owned();
        entries.iter().map(|(name, value)| (text(name), text(value))).collect()
    };
    let mut matchers = matcher::of_maps(&map("match"), &map("match_re")).ok()?;
    for line in items(node, "matchers") {
        matchers.extend(matcher::matchers(line.as_str().unwrap_or_default()).ok()?);
    }
    let routes = items(node, "routes").iter().map(|child| route(child, &receiver)).collect::<Option<Vec<_>>>()?;
    let continues = node.get("continue").and_then(Node::as_str).is_some_and(|t| t.eq_ignore_ascii_case("true"));
    let (mutes, actives) = (texts(node, "mute_time_intervals"), texts(node, "active_time_intervals"));
    Some(Route { receiver, matchers, continues, mutes, actives, routes, line: node.place.line })
}

/// Matchers of a route that the known labels do not decide; `None` where they decide against it.
fn open<'r>(route: &'r Route, known: &Labels) -> Option<Vec<&'r Matcher>> {
    let mut open = Vec::new();
    for matcher in &route.matchers {
        match known.get(&matcher.name) {
            Some(value) => match matcher.matches(value) {
                Some(true) => {}
                Some(false) => return None,
                None => open.push(matcher),
            },
            // Every alert has a name.
            None if matcher.matches_all_values()
                && (matcher.name == "alertname" || matcher.matches("") == Some(true)) => {}
            None => open.push(matcher),
        }
    }
    Some(open)
}

/// Names of alerts that only prove that alerting works, or only inhibit others.
pub(crate) fn proves_alerting(alertname: &str) -> bool {
    let name = alertname.to_ascii_lowercase();
    ["watchdog", "deadman", "dead_man", "deadmans", "infoinhibitor", "heartbeat"].iter().any(|w| name.contains(w))
}

/// Only for such alerts.
fn is_about_itself(open: &[&Matcher]) -> bool {
    open.iter().any(|m| m.name == "alertname" && matches!(m.op, Op::Equal | Op::Regex) && proves_alerting(&m.value))
}

/// For named alerts only: whoever writes that knows what is muted.
pub(crate) fn is_about_one_alert(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|m| m.name == "alertname" && matches!(m.op, Op::Equal | Op::Regex) && !m.matches_all_values())
}

fn named_values(route: &Route, label: &str, found: &mut BTreeSet<String>) {
    for matcher in route.matchers.iter().filter(|m| m.name == label) {
        let plain = |v: &str| !v.is_empty() && v.chars().all(|c| c.is_alphanumeric() || "-_/".contains(c));
        match matcher.op {
            Op::Equal | Op::NotEqual => found.extend(Some(matcher.value.clone()).filter(|v| !v.is_empty())),
            Op::Regex | Op::NotRegex => {
                let inner = matcher.value.trim_start_matches(['^', '(']).trim_end_matches(['$', ')']);
                found.extend(inner.split('|').filter(|v| plain(v)).map(str::to_owned));
            }
        }
    }
    for child in &route.routes {
        named_values(child, label, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVERS: &str = "receivers:\n  - name: 'null'\n  - name: slack\n    slack_configs: [{channel: a}]\n  - name: pager\n    pagerduty_configs: [{routing_key: a}]\n";

    fn tree(route: &str) -> Tree {
        Tree::read(&format!("{route}{RECEIVERS}")).expect("reads")
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_external_label_that_leads_to_nobody_is_found() {
        let tree = tree(
            "route:\n  receiver: slack\n  routes:\n    - matchers: [env = test]\n      receiver: 'null'\n    - match: {severity: critical}\n      receiver: pager\n",
        );
        let test = labels(&[("env", "test")]);
        assert!(!tree.may_notify(&test));
        let sinks = tree.sinks(&test);
        assert_eq!((sinks.len(), sinks[0].receiver.as_str(), sinks[0].line), (1, "null", 4));
        let prod = labels(&[("env", "prod")]);
        assert!(tree.may_notify(&prod) && tree.sinks(&prod).is_empty());
        assert_eq!(tree.reachable(&prod).len(), 2);
        assert!(tree.sinks(&Labels::new()).is_empty());
    }

    #[test]
    fn old_syntax_inheritance_continue_and_negation_count() {
        let test = labels(&[("env", "staging")]);
        let muted = tree(
            "route:\n  receiver: slack\n  routes:\n    - match_re: {env: 'test|staging'}\n      receiver: 'null'\n      routes: [{match: {severity: critical}}]\n",
        );
        assert_eq!(muted.sinks(&test).len(), 1, "a child inherits the receiver");
        let goes_on = tree(
            "route:\n  receiver: slack\n  routes:\n    - match: {env: staging}\n      receiver: 'null'\n      continue: true\n    - matchers: [severity=~\".*\"]\n      receiver: pager\n",
        );
        assert!(goes_on.sinks(&test).is_empty());
        let negated =
            tree("route:\n  receiver: slack\n  routes:\n    - matchers: ['env!=\"prod\"']\n      receiver: 'null'\n");
        assert_eq!(negated.sinks(&test).len(), 1);
        assert_eq!(negated.values_that_notify("env", &test), ["prod"]);
    }

    #[test]
    fn routes_for_single_alerts_are_meant() {
        let tree = tree(
            "route:\n  receiver: slack\n  routes:\n    - matchers: [alertname = Watchdog]\n      receiver: 'null'\n    - matchers: [alertname = Foo]\n      routes: [{matchers: [env=test], receiver: 'null'}]\n",
        );
        assert!(tree.sinks(&labels(&[("env", "test")])).is_empty());
        assert!(tree.may_notify(&labels(&[("env", "test")])));
        let none = Tree::read("route:\n  receiver: 'null'\n  routes: [{matchers: [alertname=Watchdog], receiver: slack}]\nreceivers: [{name: 'null'}, {name: slack, slack_configs: [{channel: a}]}]").expect("reads");
        assert!(!none.may_notify(&Labels::new()));
    }

    #[test]
    fn an_interval_without_end_mutes_and_a_night_does_not() {
        let now: Timestamp = "2026-11-21T03:18:41Z".parse().expect("a time");
        let with = |times: &str, key: &str| {
            let text = format!(
                "route:\n  receiver: slack\n  routes: [{{matchers: [severity=critical], receiver: pager, {key}: [x]}}]\n{RECEIVERS}time_intervals: [{{name: x, time_intervals: [{times}]}}]\n"
            );
            Tree::read(&text).expect("reads").muted(now).len()
        };
        assert_eq!(with("{times: [{start_time: '00:00', end_time: '24:00'}]}", "mute_time_intervals"), 1);
        assert_eq!(with("{weekdays: ['sunday:saturday']}", "mute_time_intervals"), 1);
        assert_eq!(with("{times: [{start_time: '00:00', end_time: '06:00'}]}", "mute_time_intervals"), 0);
        assert_eq!(with("{weekdays: ['saturday:saturday']}", "mute_time_intervals"), 0);
        assert_eq!(with("{years: ['2020:2021']}", "active_time_intervals"), 1);
        assert_eq!(with("{weekdays: ['monday:friday']}", "active_time_intervals"), 0);
    }

    #[test]
    fn a_route_behind_one_that_takes_the_same_is_dead() {
        let dead = |routes: &str| {
            let tree = tree(&format!("route:\n  receiver: 'null'\n  routes:\n{routes}"));
            tree.shadowed().iter().map(|s| (s.route.receiver.clone(), s.by.line)).collect::<Vec<_>>()
        };
        let wide = "    - matchers: ['severity=~\"critical|warning\"']\n      receiver: slack\n";
        let narrow = "    - matchers: [severity = critical]\n      receiver: pager\n";
        assert_eq!(dead(&format!("{wide}{narrow}")), [("pager".to_owned(), 4)]);
        assert!(dead(&format!("{narrow}{wide}")).is_empty());
        assert!(
            dead(&format!("{}{narrow}", wide.replace("receiver: slack", "receiver: slack\n      continue: true")))
                .is_empty()
        );
        assert!(
            dead(&format!("    - matchers: [severity = critical, team = a]\n      receiver: slack\n{narrow}"))
                .is_empty()
        );
        assert!(dead(&format!("    - matchers: [severity != critical]\n      receiver: slack\n{narrow}")).is_empty());
        let all = "    - matchers: ['alertname=~\".+\"']\n      receiver: slack\n";
        assert_eq!(dead(&format!("{all}{narrow}")).len(), 1);
        assert!(dead(&format!("{all}{}", narrow.replace("pager", "slack"))).is_empty(), "the same receiver");
    }

    #[test]
    fn delivers_like_alertmanager() {
        let tree = tree(
            "route:\n  receiver: slack\n  routes:\n    - matchers: [severity = critical]\n      receiver: pager\n      continue: true\n    - matchers: [env = test]\n      receiver: 'null'\n",
        );
        assert_eq!(tree.receivers_of(&labels(&[("severity", "critical"), ("env", "test")])), ["pager", "null"]);
        assert_eq!(tree.receivers_of(&labels(&[("severity", "warning")])), ["slack"]);
    }
}
