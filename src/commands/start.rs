//! `kdoctor` alone at a terminal: where one is, what is there, and what to do next.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::last::{self, Last};
use super::run::{self, wait_for};
use crate::cli::Monitoring;
use crate::collect::live;
use crate::companion::transcript::{self, Kept};
use crate::history::lasted;
use crate::model::{Fact, Silent};
use crate::snapshot::Snapshot;
use crate::term::{Printer, sanitize};

/// Longest time for a look at the cluster: what is not known then is left out.
const GLANCE: Duration = Duration::from_secs(1);

/// Prints the page.
///
/// # Errors
/// stdout cannot be written.
pub(super) fn run(program: &str, printer: &Printer) -> anyhow::Result<u8> {
    let (_, context) = live::contexts(None);
    let snap = context.as_ref().and_then(|_| run::at_most(GLANCE, glance));
    let talk = transcript::all().unwrap_or_default().into_iter().next();
    let known = context.as_deref().map(last::cluster);
    let last = last::read().filter(|last| known.as_ref().is_some_and(|of| last.is_of(of)));
    let past = Past { run: last.as_ref(), talk: talk.as_ref(), now: Timestamp::now() };
    printer.stdout(&text(program, context.as_deref(), snap.as_ref(), &past))?;
    Ok(0)
}

/// The Services of the cluster.
fn glance() -> Option<Snapshot> {
    let args = Monitoring::of_words::<&str>([]).ok()?;
    let plan = run::plan([Fact::Services, Fact::MonitoringResources].into(), None, false);
    wait_for(async move {
        let opened = run::open(&args.source, false).await?;
        Ok(run::gather(opened, plan, Arc::new(Silent)).await?.snapshot)
    })
    .ok()
}

/// What is known of before.
struct Past<'a> {
    run: Option<&'a Last>,
    talk: Option<&'a Kept>,
    now: Timestamp,
}

fn text(program: &str, context: Option<&str>, snap: Option<&Snapshot>, past: &Past<'_>) -> String {
    let mut lines =
        vec![format!("kdoctor {}: the doctor for monitoring stacks on Kubernetes and EKS", env!("CARGO_PKG_VERSION"))];
    lines.push(String::new());
    let Some(context) = context else {
        lines.push("no cluster: there is no kubeconfig with a current context".to_owned());
        lines.extend(next(
            &[("monitoring --demo", "a recorded incident: a tour"), ("monitoring --kubeconfig FILE", "a cluster")],
            program,
        ));
        lines.push(format!("\n{program} --help shows everything"));
        return finish(&lines);
    };
    lines.push(format!("context {}", sanitize(context)));
    let parts = snap.map(parts).unwrap_or_default();
    if let Some(snap) = snap {
        let version = snap.target.kubernetes_version.as_ref().map(|v| format!("Kubernetes {}, ", sanitize(v)));
        let stack = match (parts.is_empty(), snap.target.namespaces.first()) {
            (false, Some(namespace)) => format!("{} in namespace {}", parts.join(", "), sanitize(namespace)),
            _ if !snap.services.gaps().is_empty() => "the Services could not be read".to_owned(),
            _ => "no monitoring stack found".to_owned(),
        };
        lines.push(format!("{}{stack}", version.unwrap_or_default()));
    }
    if let Some(run) = past.run {
        let ago = lasted((past.now.as_second() - run.at.as_second()).max(0));
        lines.push(format!("last run: {}, {ago} ago", sanitize(&run.verdict)));
    }
    if let Some(talk) = past.talk {
        let told = format!("{}, {} ({program} transcript last)", talk.about, talk.ending);
        lines.push(format!("last transcript: {}", sanitize(&told)));
    }
    let mut commands = vec![("monitoring", "what is wrong, and how to fix it")];
    if past.run.is_some_and(|run| !run.roots.is_empty()) {
        commands.push(("fix", "through the fix of what was found, step by step"));
    }
    commands.push(("watch", "the same as a live view"));
    let connect =
        parts.iter().find(|p| **p == "Grafana").or(parts.first()).map(|p| format!("connect {}", p.to_lowercase()));
    if let Some(connect) = &connect {
        commands.push((connect, "a local port to it that survives restarts"));
    }
    lines.extend(next(&commands, program));
    lines.push(format!("\n{program} --help shows everything"));
    finish(&lines)
}

fn parts(snap: &Snapshot) -> Vec<&'static str> {
    let scope = &snap.scope;
    let all = [("Prometheus", &scope.prometheus), ("Alertmanager", &scope.alertmanager), ("Grafana", &scope.grafana)];
    all.into_iter().filter(|(_, at)| at.is_some()).map(|(name, _)| name).collect()
}

fn next(commands: &[(&str, &str)], program: &str) -> Vec<String> {
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let line = |(command, what): &(&str, &str)| format!("  {program} {command:<width$}   {what}");
    std::iter::once(String::new()).chain(commands.iter().map(line)).collect()
}

fn finish(lines: &[String]) -> String {
    format!("{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Component, Listing};

    const NOTHING: Past<'static> = Past { run: None, talk: None, now: Timestamp::UNIX_EPOCH };

    #[test]
    fn the_page_names_what_is_there_and_what_comes_next() {
        let nowhere = text("kdoctor", None, None, &NOTHING);
        assert!(nowhere.contains("kdoctor monitoring --demo "), "{nowhere}");
        let slow = text("kubectl kdoctor", Some("prod"), None, &NOTHING);
        assert!(slow.contains("context prod\n\n  kubectl kdoctor monitoring   what is wrong"), "{slow}");
        let mut snap = Snapshot::empty(Timestamp::UNIX_EPOCH);
        snap.target.namespaces = vec!["monitoring".into()];
        snap.target.kubernetes_version = Some("v1.36.2".into());
        let unseen = text("kdoctor", Some("prod"), Some(&snap), &NOTHING);
        assert!(unseen.contains("Kubernetes v1.36.2, the Services could not be read"), "{unseen}");
        snap.services = Listing::cluster(Vec::new());
        let empty = text("kdoctor", Some("prod"), Some(&snap), &NOTHING);
        assert!(empty.contains("Kubernetes v1.36.2, no monitoring stack found"), "{empty}");
        snap.scope.grafana = Some(Component {
            namespace: "monitoring".into(),
            service: "grafana".into(),
            port: 3000,
            scheme: "http",
            prefix: String::new(),
        });
        let page = text("kdoctor", Some("prod"), Some(&snap), &NOTHING);
        assert!(page.contains("Kubernetes v1.36.2, Grafana in namespace monitoring\n"), "{page}");
        assert!(page.contains("  kdoctor connect grafana   a local port"), "{page}");
        let last = Kept {
            name: "n".into(),
            path: "n.md".into(),
            about: "shop".into(),
            ending: "ended 2026-11-28 10:00:00 utc".into(),
        };
        let run = Last::sample("✗ 1 root cause: pvc-pending");
        let now = run.at.checked_add(jiff::SignedDuration::from_mins(5)).expect("a time");
        let page = text("kdoctor", Some("prod"), None, &Past { run: Some(&run), talk: Some(&last), now });
        assert!(page.contains("last run: ✗ 1 root cause: pvc-pending, 5m ago\n"), "{page}");
        assert!(page.contains("  kdoctor fix          through the fix"), "{page}");
        assert!(
            page.contains("last transcript: shop, ended 2026-11-28 10:00:00 utc (kdoctor transcript last)\n"),
            "{page}"
        );
    }
}
