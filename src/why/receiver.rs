//! A receiver: routes → integrations → delivery.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::pod::QUOTED;
use super::shown;
use super::words::{count, few};
use crate::domain::alertmanager::config::{self, is_silent};
use crate::domain::alertmanager::log::recent_failures;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::tree::Tree;
use crate::domain::text::shorten::shorten;
use crate::lint::alertmanager::matcher::{Matcher, Op};
use crate::model::{Program, ResourceRef};
use crate::snapshot::{Fetched, Snapshot};

const ROUTES: &[&str] = &[
    "alertmanager-config",
    "alertmanagerconfig-namespace",
    "alertmanagerconfig-receivers",
    "alertmanagerconfig-unselected",
    "alerts-muted",
];
const SHOWN: usize = 3;

/// The chain of a receiver.
pub(super) fn chain(b: &mut Builder<'_>, name: &str) {
    let snap = b.snap;
    let own = vec![ResourceRef::receiver(name)];
    b.link("routes", own, Claims::Of(ROUTES), || routes(snap, name));
    delivery(b, name);
}

/// From a receiver to the people behind it.
pub(super) fn delivery(b: &mut Builder<'_>, name: &str) {
    let snap = b.snap;
    b.link("receiver", Vec::new(), Claims::Of(&[]), || integrations(snap, name));
    let kinds = kinds(snap, name);
    let about = kinds.iter().map(String::as_str).chain([name]).map(ResourceRef::receiver).collect();
    b.link("delivery", about, Claims::Of(&["alertmanager-notify", "alertmanager-storage"]), || {
        delivered(snap, name, &kinds)
    });
}

fn tree(snap: &Snapshot) -> Fetched<Option<Tree>> {
    match config::loaded(snap) {
        Some(text) => Ok(Tree::read(text)),
        None => snap.alertmanager_status().map(|_| None),
    }
}

fn kinds(snap: &Snapshot, name: &str) -> Vec<String> {
    let tree = tree(snap).ok().flatten();
    tree.and_then(|t| t.receivers.get(name).cloned()).unwrap_or_default()
}

fn routes(snap: &Snapshot, name: &str) -> Fetched<Seen> {
    let shown = shown::api(snap.scope.alertmanager.as_ref(), "/api/v2/status");
    let Some(tree) = tree(snap)? else {
        return Ok(untold("the configuration of Alertmanager cannot be followed").with(shown));
    };
    let own: Vec<String> = tree
        .paths()
        .into_iter()
        .filter(|(_, route)| route.receiver == name)
        .map(|(path, route)| match path.as_slice() {
            [] => format!("the root route (line {})", route.line),
            all => format!("{} (line {})", matchers(all), route.line),
        })
        .collect();
    Ok(match own.as_slice() {
        [] if is_silent(name) => idle("no route leads to it").with(shown),
        [] => broken("no route leads to it").with(shown),
        all => {
            right(format!("{}: {}", count(all.len(), "route"), few(all.iter().map(String::as_str), SHOWN))).with(shown)
        }
    })
}

fn matchers(all: &[Matcher]) -> String {
    let one = |m: &Matcher| {
        let op = match m.op {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Regex => "=~",
            Op::NotRegex => "!~",
        };
        format!("{}{op}{:?}", m.name, m.value)
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn integrations(snap: &Snapshot, name: &str) -> Fetched<Seen> {
    let shown = shown::api(snap.scope.alertmanager.as_ref(), "/api/v2/status");
    let Some(tree) = tree(snap)? else {
        return Ok(untold("the configuration of Alertmanager cannot be followed").with(shown));
    };
    Ok(match tree.receivers.get(name).map(Vec::as_slice) {
        None => broken(format!("no receiver is called {name}")).with(shown),
        Some([]) if is_silent(name) => idle(format!("{name} sends nothing, as its name says")).with(shown),
        Some([]) => broken(format!("{name} has no integration: it sends nothing")).with(shown),
        Some(kinds) => right(format!("{name} sends by {}", few(kinds.iter().map(String::as_str), SHOWN))).with(shown),
    })
}

fn delivered(snap: &Snapshot, name: &str, kinds: &[String]) -> Fetched<Seen> {
    if kinds.is_empty() {
        return Ok(idle("it sends nothing"));
    }
    let pod = alertmanager_pods(snap).into_iter().next();
    let log = pod.map(|(pod, container)| shown::log(&pod.metadata, &container.name, false));
    let own = |receiver: &str, integration: &str| {
        receiver == name || receiver.is_empty() && kinds.iter().any(|k| k == integration)
    };
    let failures: Vec<_> = recent_failures(snap).into_iter().filter(|f| own(&f.receiver, &f.integration)).collect();
    if let Some(last) = failures.last() {
        let what = match failures.iter().filter(|f| f.lost).count() {
            0 => "attempts fail and are tried again".to_owned(),
            lost => format!("{} lost in the last hour", count(lost, "notification")),
        };
        let seen = broken(format!("{what}, by {}: {}", last.integration, shorten(&last.cause, QUOTED)));
        return Ok(log.into_iter().fold(seen, Seen::with));
    }
    // Without its log nobody knows whether the failures that are counted are of now.
    snap.logs_of(Program::Alertmanager)?;
    let counted = counters(snap, name, kinds)?;
    let shown = shown::api(snap.scope.alertmanager.as_ref(), "/metrics");
    Ok(match counted {
        None => untold("no counter tells whether it sent anything").with(shown),
        Some((0, _)) => idle("it has sent nothing since Alertmanager started").with(shown),
        Some((sent, 0)) => {
            right(format!("{} since Alertmanager started, none failed", count(sent, "notification"))).with(shown)
        }
        Some((sent, failed)) if failed >= sent => untold(format!(
            "{} since Alertmanager started, and {} failed; its log has no failure of the last hour",
            count(sent, "notification"),
            if failed == sent { "all of them".to_owned() } else { count(failed, "attempt") },
        ))
        .with(shown),
        Some((sent, failed)) => {
            let text = format!(
                "{}, of which {failed} failed; its log has no failure of the last hour",
                count(sent, "notification")
            );
            right(text).with(shown)
        }
    })
}

/// Notifications since the start: sent, failed. Those of all receivers with such integrations, where Alertmanager does not
/// count them apart.
fn counters(snap: &Snapshot, name: &str, kinds: &[String]) -> Fetched<Option<(usize, usize)>> {
    let metrics = snap.alertmanager_metrics()?;
    let of = |metric: &str| {
        let own = metrics.iter().filter(|s| {
            s.name == metric
                && s.labels.get("integration").is_some_and(|i| kinds.contains(i))
                && s.labels.get("receiver_name").is_none_or(|r| r == name)
        });
        own.map(|s| s.value as usize).reduce(|a, b| a + b)
    };
    let failed = of("alertmanager_notifications_failed_total").unwrap_or(0);
    Ok(of("alertmanager_notifications_total").map(|sent| (sent, failed)))
}
