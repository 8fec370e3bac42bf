//! What lets alerts reach somebody, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::View;
use crate::domain::alertmanager::config::config_source;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::owner::{operator_resource, workload_name};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    am_namespace: String,
    /// The alerts by receiver, through the API server.
    alerts_path: String,
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
        #[serde(flatten)]
        amtool: Amtool,
    },
    Silence {
        id: String,
        matchers: Vec<String>,
        #[serde(flatten)]
        amtool: Amtool,
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
        #[serde(flatten)]
        amtool: Amtool,
    },
    Shadowed {
        labels: Vec<String>,
        receiver: String,
        matchers: Vec<String>,
        /// The route that takes its alerts.
        before: String,
        before_matchers: Vec<String>,
        /// The line of the route that both are below; none below the root.
        above: Option<usize>,
        #[serde(flatten)]
        amtool: Amtool,
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
    },
    MutedNow {
        interval: String,
        receiver: String,
        /// The place of the cluster's region, where the interval lacks one; else empty.
        zone: String,
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
        amtool: Amtool,
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
        #[serde(flatten)]
        amtool: Amtool,
    },
}

/// An inhibit rule that mutes too much.
#[derive(Serialize, JsonSchema)]
pub(super) struct InhibitRule {
    pub(super) line: usize,
    /// The labels that it should compare.
    pub(super) equal: Vec<String>,
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
    #[serde(flatten)]
    pub(super) amtool: Amtool,
}

/// Where amtool is run.
#[derive(Serialize, JsonSchema)]
pub(super) struct Amtool {
    am_pod: String,
    am_container: String,
    url: String,
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
}

impl View<'_> {
    pub(super) fn fix(&self, way: Way) -> Fix {
        Fix { am_namespace: self.alertmanager_namespace(), alerts_path: self.path("/api/v2/alerts/groups"), way }
    }

    pub(super) fn amtool(&self) -> Amtool {
        let pod = alertmanager_pods(self.snap).into_iter().next();
        Amtool {
            am_pod: pod.map_or("<alertmanager-pod>", |(pod, _)| pod.metadata.name.as_str()).to_owned(),
            am_container: pod.map_or("alertmanager", |(_, name)| name).to_owned(),
            url: self.url(),
        }
    }

    pub(super) fn edit(&self) -> Edit {
        let pod = alertmanager_pods(self.snap).into_iter().next();
        let source = pod.and_then(|(pod, name)| {
            let container = pod.spec.containers.iter().find(|c| c.name == name)?;
            config_source(self.snap, pod, container)
        });
        Edit {
            config_kind: source.as_ref().map_or("", |s| s.kind),
            config_name: source.as_ref().map(|s| s.name.clone()).unwrap_or_default(),
            config_key: source.map_or_else(|| "alertmanager.yml".to_owned(), |s| s.key),
            am_operator: pod.is_some_and(|(pod, _)| operator_resource(self.snap, pod).is_some()),
            am_workload: pod.and_then(|(pod, _)| workload_name(self.snap, pod)),
        }
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
            amtool: self.amtool(),
        }
    }

    fn url(&self) -> String {
        let prefix = self.snap.scope.alertmanager.as_ref().map_or("", |c| c.prefix.as_str());
        format!("http://localhost:9093{prefix}")
    }
}
