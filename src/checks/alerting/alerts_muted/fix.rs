//! What lets alerts reach somebody, and what its commands hold.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::View;
use crate::checks::support::amtool::Amtool;
use crate::domain::alertmanager::config::{self, config_source};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::owner::{operator_resource, workload_name};
use crate::lint::yaml::{self, Node};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    #[serde(flatten)]
    amtool: Amtool,
    /// The URL that amtool asks.
    url: String,
    /// The alerts by receiver, through the API server, and those of them that nothing holds back.
    alerts_path: String,
    sent_path: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Label {
        /// The ConfigMap of Prometheus' configuration, its key, and who keeps it.
        map: String,
        key: String,
        managed: String,
        prometheus_namespace: String,
        workload: Option<String>,
        #[serde(flatten)]
        change: LabelChange,
    },
    Reload {
        map: String,
        prometheus_namespace: String,
        workload: Option<String>,
        label: String,
        value: String,
        /// The value in the file.
        in_file: String,
    },
    LabelOperator {
        /// The operator's Prometheus.
        object: String,
        prometheus_namespace: String,
        #[serde(flatten)]
        change: LabelChange,
    },
    LabelUnknown {
        label: String,
        pair: String,
        route: String,
    },
    Silence {
        id: String,
        matchers: Vec<String>,
    },
    Interval {
        interval: String,
        /// It mutes while it holds; else outside of itself.
        mutes: bool,
        #[serde(flatten)]
        edit: Edit,
    },
    Unrouted {
        labels: Vec<String>,
        matcher: String,
        sender: String,
        senders: String,
        config_kind: &'static str,
        config_name: String,
        am_operator: bool,
    },
    Shadowed {
        labels: Vec<String>,
        receiver: String,
        matchers: Vec<String>,
        /// The route that takes its alerts.
        before: String,
        before_matchers: Vec<String>,
        /// Where the route stands that both are below; none below the root.
        above: Option<String>,
        #[serde(flatten)]
        edit: Edit,
    },
    Relabelled {
        /// The labels that are taken or changed, and the rule that does.
        changed: String,
        rule: String,
        secret: Option<String>,
        secret_key: Option<String>,
        secret_namespace: Option<String>,
        map: Option<String>,
        map_key: Option<String>,
        map_namespace: Option<String>,
        /// The ConfigMap has no such rule: Prometheus has not read it since.
        file_is_right: bool,
        workload: Option<String>,
        /// Something lets Prometheus read a new file.
        reloads: bool,
    },
    MutedNow {
        interval: String,
        receiver: String,
        /// The place of the cluster's region, where the interval lacks one; else empty.
        zone: String,
        /// The interval as it is.
        entries: Vec<Entry>,
        #[serde(flatten)]
        edit: Edit,
    },
    Inhibit(InhibitRule),
    InhibitWeaker(InhibitRule),
    Nobody {
        receiver: String,
        sender: String,
        any_sender: bool,
        #[serde(flatten)]
        edit: Edit,
    },
    Namespace {
        /// The operator adds the namespace.
        operated: bool,
        object: String,
        object_namespace: String,
        /// The patch with which it adds none.
        strategy: &'static str,
        namespaces: String,
    },
}

/// One entry of an interval.
#[derive(Serialize, JsonSchema)]
pub(super) struct Entry {
    times: Vec<Times>,
    /// Its weekdays, days, months and years.
    others: Vec<Values>,
}

#[derive(Serialize, JsonSchema)]
struct Times {
    start: String,
    end: String,
}

#[derive(Serialize, JsonSchema)]
struct Values {
    key: &'static str,
    wanted: Vec<String>,
}

impl Entry {
    /// The entries of an interval of a configuration, where all of them can be told as they are.
    pub(super) fn of(config: Option<&str>, interval: &str) -> Vec<Self> {
        let Some(root) = config.and_then(|text| yaml::document(text).ok().flatten()) else { return Vec::new() };
        let list = |node: &Node, key: &str| node.get(key).and_then(Node::items).unwrap_or_default().to_vec();
        let all = ["time_intervals", "mute_time_intervals"].into_iter().flat_map(|key| list(&root, key));
        let named = all.into_iter().find(|i| i.get("name").and_then(Node::as_str) == Some(interval));
        let text = |node: &Node, key: &str| node.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
        let entry = |node: &Node| Self {
            times: list(node, "times")
                .iter()
                .map(|t| Times { start: text(t, "start_time"), end: text(t, "end_time") })
                .collect(),
            others: ["weekdays", "days_of_month", "months", "years"]
                .into_iter()
                .map(|key| Values {
                    key,
                    wanted: list(node, key).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
                })
                .filter(|v| !v.wanted.is_empty())
                .collect(),
        };
        named.map(|i| list(&i, "time_intervals").iter().map(entry).collect()).unwrap_or_default()
    }
}

/// An inhibit rule that mutes too much.
#[derive(Serialize, JsonSchema)]
pub(super) struct InhibitRule {
    /// Where it stands in the configuration.
    pub(super) place: String,
    /// Its matchers, as they should be.
    pub(super) source: Vec<String>,
    pub(super) target: Vec<String>,
    /// The labels that it should compare; none where its alerts share none.
    pub(super) equal: Vec<String>,
    /// The file has no such rule: Alertmanager has not read it since.
    pub(super) gone: bool,
    #[serde(flatten)]
    pub(super) edit: Edit,
}

/// An external label, as it is and as it should be.
#[derive(Serialize, JsonSchema)]
pub(super) struct LabelChange {
    pub(super) label: String,
    pub(super) value: String,
    /// `label=value`.
    pub(super) pair: String,
    /// Empty where nothing tells.
    pub(super) meant: String,
    /// Routes name other values, and these are they.
    pub(super) named: bool,
    pub(super) others: String,
    /// The receivers that alerts reach then.
    pub(super) reach: String,
}

/// A change of Alertmanager's configuration: the values of the shared steps `alertmanager-edit` and `alertmanager-read`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Edit {
    /// `configmap` or `secret`; empty where it is not known.
    config_kind: &'static str,
    config_name: String,
    config_key: String,
    am_operator: bool,
    am_workload: Option<String>,
    /// The file in the ConfigMap has other receivers than the configuration that runs.
    differs: bool,
    /// The configuration that runs, through the API server.
    running_path: String,
}

impl View<'_> {
    pub(super) fn fix(&self, way: Way) -> Fix {
        let amtool = Amtool::of_stack(self.snap);
        Fix {
            url: amtool.url(),
            amtool,
            alerts_path: self.path("/api/v2/alerts/groups"),
            // Alertmanager shows what is silenced too, unless it is told not to.
            sent_path: self.path("/api/v2/alerts/groups?silenced=false&inhibited=false"),
            way,
        }
    }

    pub(super) fn edit(&self) -> Edit {
        let pod = alertmanager_pods(self.snap).into_iter().next();
        let source = pod.and_then(|(pod, container)| config_source(self.snap, pod, container));
        Edit {
            config_kind: source.as_ref().map_or("", |s| s.kind),
            config_name: source.as_ref().map(|s| s.name.clone()).unwrap_or_default(),
            config_key: source.map_or_else(|| "alertmanager.yml".to_owned(), |s| s.key),
            am_operator: pod.is_some_and(|(pod, _)| operator_resource(self.snap, pod).is_some()),
            am_workload: pod.and_then(|(pod, _)| workload_name(self.snap, pod)),
            differs: self.differs(),
            running_path: self.path("/api/v2/status"),
        }
    }

    /// A restart would load another configuration than the one that was judged.
    fn differs(&self) -> bool {
        let receivers = |text: &str| -> Option<BTreeSet<String>> {
            let root = yaml::document(text).ok()??;
            let all = root.get("receivers")?.items()?.iter();
            Some(all.filter_map(|r| r.get("name")?.as_str().map(str::to_owned)).collect())
        };
        let running = self.snap.alertmanager_status.as_ref().ok().and_then(|s| receivers(&s.config.original));
        let in_file = config::file(self.snap).and_then(receivers);
        running.zip(in_file).is_some_and(|(running, in_file)| running != in_file)
    }

    pub(super) fn unrouted_way(&self, labels: Vec<String>, matcher: String, sender: &str, senders: &[&str]) -> Way {
        let Edit { config_kind, config_name, am_operator, .. } = self.edit();
        Way::Unrouted {
            labels,
            matcher,
            sender: sender.to_owned(),
            senders: senders.join(", "),
            config_kind,
            config_name,
            am_operator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_shown_with_all_its_hours() {
        let text = "time_intervals:\n- name: off\n  time_intervals:\n  - times:\n    - {start_time: '18:00', end_time: '24:00'}\n    - {start_time: '00:00', end_time: '09:00'}\n    weekdays: ['monday:friday']\n";
        let entries = Entry::of(Some(text), "off");
        let hours: Vec<_> = entries[0].times.iter().map(|t| format!("{}-{}", t.start, t.end)).collect();
        assert_eq!((entries.len(), hours.join(" ")), (1, "18:00-24:00 00:00-09:00".to_owned()));
        assert_eq!(entries[0].others[0].wanted, ["monday:friday"]);
        assert!(Entry::of(Some(text), "other").is_empty() && Entry::of(None, "off").is_empty());
    }
}
