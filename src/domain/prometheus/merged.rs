//! Targets that differ, and whose samples do not any more: metric relabelling took away what told them apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::prometheus::relabel::{self, Labels, Relabelled};
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::targets;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;

/// Two targets of one job after its `metric_relabel_configs`.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Their URLs.
    pub(crate) urls: [String; 2],
    /// How many targets the job has.
    pub(crate) targets: usize,
    /// Labels that told them apart and are gone.
    pub(crate) lost: Vec<String>,
}

/// The first two targets of a job whose samples bear the same labels, though the targets do not.
pub(crate) fn find(snap: &Snapshot, job: &str) -> Option<Merged> {
    // Without the configuration the samples are judged as the target gives them.
    let config = running_config::document(snap)?;
    let jobs = config.get("scrape_configs").and_then(Node::items)?;
    let own = jobs.iter().find(|j| j.get("job_name").and_then(Node::as_str) == Some(job))?;
    let rules = relabel::read(own.get("metric_relabel_configs").and_then(Node::items)?);
    let mine: Vec<_> = targets::all(snap).iter().filter(|t| t.job() == job).collect();
    let relabelled = |labels: &Labels| {
        let mut sample = labels.clone();
        // Any metric of its own labels: what a rule does to one name alone tells nothing of all.
        sample.insert("__name__".to_owned(), "any_metric".to_owned());
        match relabel::apply_read(&rules, &sample) {
            Relabelled::Kept(labels) => Some(labels),
            _ => None,
        }
    };
    let differ = |a: &Labels, b: &Labels| -> BTreeSet<String> {
        a.keys().chain(b.keys()).filter(|k| a.get(*k) != b.get(*k)).cloned().collect()
    };
    // The first target of each set of labels that is left.
    let mut met = BTreeMap::new();
    for &target in &mine {
        let Some(labels) = relabelled(&target.labels) else { continue };
        let first = *met.entry(labels).or_insert(target);
        let lost = differ(&first.labels, &target.labels);
        if !lost.is_empty() {
            let urls = [first.scrape_url.clone(), target.scrape_url.clone()];
            return Some(Merged { urls, targets: mine.len(), lost: lost.into_iter().collect() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lost(rules: &str) -> Option<Vec<String>> {
        let mut snap = Snapshot::empty("2026-11-21T02:00:00Z".parse().expect("a time"));
        let target = |ip: &str| json!({"labels": {"instance": format!("{ip}:80"), "job": "web", "pod": ip}, "scrapeUrl": format!("http://{ip}/metrics"), "scrapePool": "web", "health": "up"});
        *snap.prometheus_targets =
            Ok(serde_json::from_value(json!([target("10.0.0.1"), target("10.0.0.2")])).expect("targets"));
        *snap.prometheus_config = Ok(format!("scrape_configs:\n- job_name: web\n  metric_relabel_configs:\n{rules}"));
        find(&snap, "web").map(|m| m.lost)
    }

    #[test]
    fn labels_that_go_for_all_metrics_merge_targets() {
        let both = "  - {action: labeldrop, regex: instance}\n  - {action: labeldrop, regex: 'pod|service'}\n";
        assert_eq!(lost(both), Some(vec!["instance".to_owned(), "pod".to_owned()]));
        assert_eq!(lost("  - {action: labeldrop, regex: pod}\n"), None, "instance tells them apart");
        assert_eq!(lost("  - {action: drop, source_labels: [__name__], regex: go_.*}\n"), None);
        assert_eq!(
            lost("  - {action: labelkeep, regex: '__name__|job'}\n"),
            Some(vec!["instance".to_owned(), "pod".to_owned()])
        );
    }
}
