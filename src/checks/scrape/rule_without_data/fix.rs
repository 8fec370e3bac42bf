//! What lets a rule have a result.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::helm::Release;
use crate::checks::support::origin::ChangeJob;
use crate::checks::support::rule::ChangeRule;
use crate::domain::kubernetes::chart::release_of;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::exposed::{DENIED, Hidden, RESOURCES, Shown, key_of};
use crate::domain::prometheus::no_result::{Nothing, Why};
use crate::domain::prometheus::targets;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{Rule, RuleGroup};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Correct {
        corrections: Vec<Correction>,
        expr: String,
        /// A query that has a result once the rule reads what is there.
        query_path: Option<String>,
        rules_path: Option<String>,
        #[serde(flatten)]
        at: Box<ChangeRule>,
    },
    Record {
        name: String,
        expr: String,
        rules_path: Option<String>,
        /// The API server has the operator's kinds.
        operated: bool,
        operated_by: Option<String>,
    },
    Expose {
        argument: String,
        value: String,
        /// As the chart's values have it.
        field: &'static str,
        /// The chart is a part of another one.
        is_part: bool,
        resource: String,
        entry: String,
        target: String,
        namespace: String,
        managed: String,
        rules_path: Option<String>,
        #[serde(flatten)]
        release: Box<Release>,
    },
    LetIn {
        metric: String,
        argument: &'static str,
        /// What it has to list.
        value: String,
        entries: Vec<String>,
        field: &'static str,
        /// The chart is a part of another one.
        is_part: bool,
        target: String,
        namespace: String,
        managed: String,
        rules_path: Option<String>,
        #[serde(flatten)]
        release: Box<Release>,
    },
    HonorLabels {
        pool: String,
        /// The job that a rule asks for; none where it is about the labels of kube-state-metrics.
        asked: Option<String>,
        rules_path: Option<String>,
        #[serde(flatten)]
        at: Box<ChangeJob>,
    },
    Supply {
        rules: Vec<String>,
        names_path: Option<String>,
        rules_path: Option<String>,
        pattern: String,
        /// How metrics begin of which others are there: `node_memory_`.
        siblings: BTreeSet<String>,
        /// Some are counters, which begin when it happens for the first time.
        counted: bool,
    },
}

/// What is written and what it should be.
#[derive(Serialize, JsonSchema)]
pub(super) struct Correction {
    old: String,
    new: String,
}

pub(super) fn correct(
    snap: &Snapshot,
    group: &RuleGroup,
    rule: &Rule,
    lacks: &[&Nothing],
    corrections: Vec<Correction>,
) -> Fix {
    Fix::Correct {
        query_path: lacks.iter().find_map(|n| query(n)).and_then(|q| {
            let asked: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
            targets::prometheus_path(snap, &format!("/api/v1/query?query={asked}"))
        }),
        corrections,
        rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
        expr: rule.query.clone(),
        at: Box::new(ChangeRule::of(snap, group, &rule.name)),
    }
}

/// What is to be changed where the rule is right.
pub(super) fn elsewhere(snap: &Snapshot, nothing: &Nothing) -> Option<Fix> {
    let rules_path = targets::prometheus_path(snap, "/api/v1/rules");
    match &nothing.why {
        Why::Hidden(hidden) => {
            let shown = Shown::of(snap)?;
            let meta = &shown.workload.metadata;
            let release = release_of(snap, meta);
            let value = shown.with(hidden, &key(snap, hidden));
            let entry = value.split_inclusive(']').next_back().unwrap_or_default().trim_start_matches(',').to_owned();
            let is_labels = hidden.argument == "metric-labels-allowlist";
            Some(Fix::Expose {
                argument: hidden.argument.to_owned(),
                entry,
                value,
                field: if is_labels { "metricLabelsAllowlist" } else { "metricAnnotationsAllowList" },
                is_part: release.as_ref().is_some_and(|r| !r.chart.ends_with("/kube-state-metrics")),
                resource: hidden.resource.clone(),
                target: shown.workload.reference().kubectl_name(),
                namespace: meta.namespace.clone(),
                managed: if release.is_some() { String::new() } else { managed_by(meta) },
                rules_path,
                release: Box::new(Release::of(release.as_ref())),
            })
        }
        Why::LeftOut(argument) => let_in(snap, &nothing.metric, argument),
        Why::Exported { job, pool, .. } => Some(Fix::HonorLabels {
            pool: pool.clone(),
            asked: Some(job.clone()),
            rules_path,
            at: Box::new(ChangeJob::of(snap, pool)),
        }),
        _ => None,
    }
}

/// kube-state-metrics has to be told of the metric.
fn let_in(snap: &Snapshot, metric: &str, argument: &'static str) -> Option<Fix> {
    let shown = Shown::of(snap)?;
    let meta = &shown.workload.metadata;
    let release = release_of(snap, meta);
    let entries = shown.letting_in(argument, metric);
    Some(Fix::LetIn {
        metric: metric.to_owned(),
        argument,
        value: entries.join(","),
        entries,
        field: match argument {
            DENIED => "metricDenylist",
            RESOURCES => "collectors",
            _ => "metricAllowlist",
        },
        is_part: release.as_ref().is_some_and(|r| !r.chart.ends_with("/kube-state-metrics")),
        target: shown.workload.reference().kubectl_name(),
        namespace: meta.namespace.clone(),
        managed: if release.is_some() { String::new() } else { managed_by(meta) },
        rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
        release: Box::new(Release::of(release.as_ref())),
    })
}

/// The key of the objects' label that is to be shown.
pub(super) fn key(snap: &Snapshot, hidden: &Hidden) -> String {
    key_of(snap, &hidden.label).unwrap_or_else(|| match hidden.label.split_once('_') {
        Some((_, rest)) => rest.to_owned(),
        None => "<label>".to_owned(),
    })
}

pub(super) fn correction(nothing: &Nothing) -> Option<Correction> {
    let (old, new) = match &nothing.why {
        Why::Unrecorded(Some(near)) | Why::Near(near) | Why::Suffixed(near) => (nothing.metric.clone(), near.clone()),
        Why::Renamed(now) => (nothing.metric.clone(), (*now).to_owned()),
        Why::Whole { label, value, .. } => {
            // Both forms: blocks of the time before the upgrade keep the old one.
            (format!("{label}={value:?}"), format!("{label}=~\"{value}(\\\\.0)?\""))
        }
        Why::Label { label, now } => (label.clone(), (*now).to_owned()),
        Why::Job { job, near } => (format!("job={job:?}"), format!("job={near:?}")),
        Why::Unrecorded(None) | Why::Absent | Why::Hidden(_) | Why::LeftOut(_) | Why::Exported { .. } => return None,
    };
    Some(Correction { old, new })
}

/// What to ask Prometheus for, to see that the corrected selector selects something.
pub(super) fn query(nothing: &Nothing) -> Option<String> {
    let metric = &nothing.metric;
    let selector = match &nothing.why {
        Why::Unrecorded(Some(near)) | Why::Near(near) | Why::Suffixed(near) => near.clone(),
        Why::Renamed(now) => (*now).to_owned(),
        Why::Whole { label, kept, .. } => format!("{metric}{{{label}={kept:?}}}"),
        Why::Label { now, .. } => format!("{metric}{{{now}!=\"\"}}"),
        Why::Job { near, .. } => format!("{metric}{{job={near:?}}}"),
        Why::Unrecorded(None) | Why::Absent | Why::Hidden(_) | Why::LeftOut(_) | Why::Exported { .. } => return None,
    };
    Some(format!("count({selector})"))
}
