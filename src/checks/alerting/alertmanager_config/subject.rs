//! One configuration with all that is known of it.

use super::AlertmanagerConfig;
use super::fix::{Fix, Held, Way};
use super::words::{advice, corrected};
use crate::domain::alertmanager::config::{Source, keeper};
use crate::domain::alertmanager::load::{Refusal, refusal};
use crate::domain::kubernetes::chart::{Installed, release_of};
use crate::domain::kubernetes::image::tag_of;
use crate::domain::kubernetes::owner::{operator_resource, workload_name};
use crate::domain::kubernetes::proxy;
use crate::domain::text::redact::redact;
use crate::lint::Problem;
use crate::lint::alertmanager::Version;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// The pods that read one configuration.
pub(super) struct Reading<'a> {
    pub(super) source: Source,
    pub(super) pods: Vec<(&'a Pod, &'a Container)>,
}

/// One configuration with all that is known of it.
pub(super) struct Subject<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) namespace: &'a str,
    pub(super) reading: &'a Reading<'a>,
    pub(super) version: Option<Version>,
    pub(super) refusal: Option<Refusal>,
    /// `alertmanager_config_last_reload_successful`.
    pub(super) loaded: Option<bool>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(snap: &'a Snapshot, namespace: &'a str, reading: &'a Reading<'a>) -> Self {
        // A file that is not there is a fault of the mount, not of the configuration.
        let unread = |r: &Refusal| {
            ["no such file or directory", "is a directory", "permission denied"].iter().any(|w| r.why.ends_with(w))
        };
        let refusal = reading.pods.iter().find_map(|(pod, _)| refusal(snap, pod)).filter(|r| !unread(r));
        let samples = snap.alertmanager_metrics.iter().flatten();
        let mut samples = samples.filter(|s| s.name == "alertmanager_config_last_reload_successful");
        let running = snap.alertmanager_status.iter().map(|s| s.version_info.version.as_str());
        let images = reading.pods.iter().filter_map(|(_, c)| tag_of(&c.image));
        // What the pod's image is comes first: the API may be answered by a replica of an older image.
        let version = images.chain(running).find_map(Version::parse);
        Self { snap, namespace, reading, version, refusal, loaded: samples.next().map(|s| s.value != 0.0) }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some() || self.loaded == Some(false)
    }

    pub(super) fn holder(&self) -> ResourceRef {
        let source = &self.reading.source;
        match source.kind {
            "configmap" => ResourceRef::config_map(self.namespace, &source.name),
            _ => ResourceRef::kubernetes("", "Secret", self.namespace, &source.name),
        }
    }

    /// What distinguishes a finding from others of this holder, and from those of other holders.
    pub(super) fn key(&self, what: &str) -> String {
        format!("{} {what}", self.holder().key())
    }

    /// A finding about the holder of the configuration.
    pub(super) fn finding(&self, severity: Severity, message: String) -> Finding {
        let holder = self.holder();
        let mut finding = Finding::new(AlertmanagerConfig::META.id, severity, holder.clone(), message).breaks(holder);
        let operator = self.reading.pods.first().and_then(|(pod, _)| operator_resource(self.snap, pod));
        if let Some((_, name)) = operator {
            finding =
                finding.breaks(ResourceRef::kubernetes("monitoring.coreos.com", "Alertmanager", self.namespace, name));
        }
        if let Some(refusal) = &self.refusal
            && let Some((pod, container)) = self.reading.pods.first()
        {
            let previous = if refusal.previous { " before its last restart" } else { "" };
            let template = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=50{% if previous %} --previous{% endif %}";
            let last = refusal.at.map(|t| format!(" (at {t:.0})")).unwrap_or_default();
            finding = finding.evidence(
                Evidence::new(
                    format!("log of pod {}/{}{previous}", self.namespace, pod.metadata.name),
                    format!("{}{last}", redact(&refusal.why)),
                    template,
                )
                .with("namespace", self.namespace)
                .with("pod", &pod.metadata.name)
                .with("container", &container.name)
                .with("previous", refusal.previous),
            );
        }
        if self.loaded == Some(false) {
            let (path, known) = self.metrics_path();
            if known {
                finding = finding.evidence(
                    Evidence::new("alertmanager_config_last_reload_successful", "0", "kubectl get --raw {{ path }}")
                        .with("path", path),
                );
            }
        }
        finding
    }

    fn metrics_path(&self) -> (String, bool) {
        let at = self.snap.scope.alertmanager.as_ref();
        let path = at.map(|c| proxy::of_component(c, "/metrics"));
        (path.clone().unwrap_or_default(), path.is_some())
    }

    pub(super) fn fix(&self, way: Way) -> Fix {
        let first = self.reading.pods.first();
        Fix {
            namespace: self.namespace.to_owned(),
            pod: first.map(|(pod, _)| pod.metadata.name.clone()).unwrap_or_default(),
            container: first.map_or("alertmanager", |(_, c)| c.name.as_str()).to_owned(),
            workload: first.and_then(|(pod, _)| workload_name(self.snap, pod)).unwrap_or_default(),
            way,
        }
    }

    pub(super) fn held(&self, source: &str) -> Held {
        Held { source: source.to_owned(), key_path: self.reading.source.key.replace('.', "\\.") }
    }

    /// Who keeps the object that holds the configuration.
    pub(super) fn managed(&self) -> String {
        let first = self.reading.pods.first();
        first.map(|(pod, _)| keeper(self.snap, pod, Some(&self.reading.source))).unwrap_or_default()
    }

    /// The fix of a line in a ConfigMap.
    pub(super) fn edit(&self, source: &str, key: &str, text: &str, first: &Problem, problem: String) -> Fix {
        let (line, corrected) = corrected(text, first);
        self.fix(Way::ConfigMap {
            held: self.held(source),
            key: key.to_owned(),
            managed: self.managed(),
            problem,
            place: format!("line {}", first.place.line),
            advice: advice(first),
            line,
            corrected,
        })
    }

    /// The Helm release that brought the operator's resource, whose values hold the configuration.
    pub(super) fn release(&self) -> Option<Installed> {
        let (pod, _) = self.reading.pods.first()?;
        let (_, name) = operator_resource(self.snap, pod)?;
        let mut all = self.snap.monitoring_resources.items().unwrap_or_default().iter();
        let own =
            all.find(|r| r.kind == "Alertmanager" && r.metadata.namespace == self.namespace && r.metadata.name == name);
        release_of(self.snap, &own?.metadata)
    }

    /// What follows from an invalid file.
    pub(super) fn effect(&self) -> &'static str {
        let up = self.reading.pods.iter().any(|(pod, _)| pod.is_ready());
        if up {
            "Alertmanager goes on with the configuration it loaded before, and will not start again with this one"
        } else {
            "Alertmanager does not start with it"
        }
    }
}
