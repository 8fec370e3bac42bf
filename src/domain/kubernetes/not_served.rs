//! Kinds that programs ask the API server for, and that it does not serve: gone with its version, or of a CRD that is not there.

use crate::domain::text::log_line::age;
use crate::lint::kubernetes::removed::{self, Removed};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which a line tells of now: informers try again every few seconds, and after a while each minute.
const NOW: i64 = 900;
/// Lines of a log without times that are of now.
const LATEST: usize = 60;
/// Lines from which on it is no race with a CRD that is just being installed.
const OFTEN: usize = 3;

/// A kind that is not served.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) kind: String,
    /// `v1beta1`.
    pub(crate) version: String,
    /// Its group; empty where the words do not say it.
    pub(crate) group: String,
    /// `cronjobs.batch`, where the words say it.
    pub(crate) resource: Option<String>,
}

impl Asked {
    /// What a line says was asked for in vain.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let listed = pattern!(
            r"[Ff]ailed to list \*(v\d\w*)\.([A-Z]\w+): the server could not find the requested resource(?: \(get ([a-z0-9.-]+)\))?"
        );
        if let Some(found) = listed.captures(line) {
            let resource = found.get(3).map(|r| r.as_str().to_owned());
            let (version, kind) = (found[1].to_owned(), found[2].to_owned());
            let of_resource = resource.as_deref().and_then(|r| r.split_once('.')).map(|(_, group)| group.to_owned());
            let group = of_resource.or_else(|| removed::group_of(&version, &kind).map(str::to_owned));
            return Some(Self { kind, version, group: group.unwrap_or_default(), resource });
        }
        // Without a type of its own for the kind: `Kind=` of the watch, `Resource=` of the list.
        let untyped = pattern!(
            r"[Ff]ailed to list (?:([a-z0-9.-]+)/)?(v\d\w*), (Kind|Resource)=(\w+): the server could not find the requested resource"
        );
        if let Some(found) = untyped.captures(line) {
            let group = found.get(1).map(|g| g.as_str().to_owned()).unwrap_or_default();
            let (version, kind) = (found[2].to_owned(), found[4].to_owned());
            let resource =
                (&found[3] == "Resource").then(|| format!("{kind}.{group}").trim_end_matches('.').to_owned());
            return Some(Self { kind, version, group, resource });
        }
        let matched = pattern!(r#"no matches for kind \\*"(\w+)\\*" in version \\*"([^"\\]+)\\*""#);
        let found = matched.captures(line)?;
        let (group, version) = found[2].split_once('/').unwrap_or(("", &found[2]));
        Some(Self { kind: found[1].to_owned(), version: version.to_owned(), group: group.to_owned(), resource: None })
    }

    /// `discovery.k8s.io/v1beta1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// With which version of Kubernetes it went, if it was one of its own.
    pub(crate) fn removed(&self) -> Option<Removed> {
        removed::removed(&self.api_version(), &self.kind)
    }
}

/// A definition by its name (`certificates.cert-manager.io`) is that of a kind.
pub(crate) fn defines(definition: &str, group: &str, kind: &str) -> bool {
    let Some((plural, of)) = definition.split_once('.') else { return false };
    let singular = kind.to_ascii_lowercase();
    let ending = plural.strip_prefix(singular.as_str());
    let of_y = singular.strip_suffix('y').is_some_and(|stem| plural.strip_prefix(stem) == Some("ies"));
    of == group && (matches!(ending, Some("" | "s" | "es")) || of_y)
}

/// What one log asks for in vain now: each kind with its last line and how often it was said.
pub(crate) fn of<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<(Asked, &'a str, usize)> {
    let lines: Vec<&str> = log.text.lines().collect();
    let mut found: Vec<(Asked, &str, usize, usize)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(asked) = Asked::read(line) else { continue };
        match found.iter_mut().find(|(known, ..)| *known == asked) {
            Some((_, last, count, place)) => (*last, *count, *place) = (line, *count + 1, at),
            None => found.push((asked, line, 1, at)),
        }
    }
    let now = snap.collected_at;
    let is_now = |line: &str, at: usize| match age(line, now) {
        Some(seconds) => seconds <= NOW,
        None => lines.len() - at <= LATEST,
    };
    let lasting = found.into_iter().filter(|(_, line, count, at)| *count >= OFTEN && is_now(line, *at));
    lasting.map(|(asked, line, count, _)| (asked, line, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_known_by_their_plurals() {
        for (name, group, kind) in [
            ("prometheuses.monitoring.coreos.com", "monitoring.coreos.com", "Prometheus"),
            ("gatewayclasses.gateway.networking.k8s.io", "gateway.networking.k8s.io", "GatewayClass"),
            ("clusterpolicies.kyverno.io", "kyverno.io", "ClusterPolicy"),
        ] {
            assert!(defines(name, group, kind), "{name}");
        }
        assert!(!defines("alertmanagerconfigs.monitoring.coreos.com", "monitoring.coreos.com", "Alertmanager"));
        assert!(!defines("certificates.cert-manager.io", "example.org", "Certificate"));
    }

    fn read(line: &str) -> Option<(String, String)> {
        Asked::read(line).map(|a| (a.api_version(), a.kind))
    }

    #[test]
    fn reads_the_words_of_informers_and_managers() {
        let some = |api: &str, kind: &str| Some((api.to_owned(), kind.to_owned()));
        let old = "E0619 11:28:42.171528       1 reflector.go:138] k8s.io/client-go/informers/factory.go:134: Failed to watch *v1beta1.EndpointSlice: failed to list *v1beta1.EndpointSlice: the server could not find the requested resource";
        assert_eq!(read(old), some("discovery.k8s.io/v1beta1", "EndpointSlice"));
        assert!(Asked::read(old).and_then(|a| a.removed()).is_some_and(|r| r.since == 25));
        let scaler = "E1003 18:35:19.215215       1 reflector.go:138] pkg/mod/k8s.io/client-go@v0.24.1/tools/cache/reflector.go:167: Failed to watch *v2beta2.HorizontalPodAutoscaler: failed to list *v2beta2.HorizontalPodAutoscaler: the server could not find the requested resource";
        assert_eq!(read(scaler), some("autoscaling/v2beta2", "HorizontalPodAutoscaler"));
        assert!(Asked::read(scaler).and_then(|a| a.removed()).is_some_and(|r| r.since == 26));
        assert_eq!(removed::added("v2", "HorizontalPodAutoscaler"), Some(23));
        let older = "E0522 13:57:29.070200       1 reflector.go:156] pkg/mod/k8s.io/client-go@v0.0.0-20191109102209-3c0d1af94be5/tools/cache/reflector.go:108: Failed to list *v1beta2.VerticalPodAutoscaler: the server could not find the requested resource (get verticalpodautoscalers.autoscaling.k8s.io)";
        assert_eq!(read(older), some("autoscaling.k8s.io/v1beta2", "VerticalPodAutoscaler"));
        let snapshots = "W0221 02:22:00.050445       1 reflector.go:424] github.com/kubernetes-csi/external-snapshotter/client/v6/informers/externalversions/factory.go:117: failed to list *v1.VolumeSnapshotContent: the server could not find the requested resource (get volumesnapshotcontents.snapshot.storage.k8s.io)";
        assert_eq!(read(snapshots), some("snapshot.storage.k8s.io/v1", "VolumeSnapshotContent"));
        let manager = r#"{"level":"error","ts":1677101790.50,"msg":"Could not wait for Cache to sync","error":"failed to wait for targetGroupBinding caches to sync: no matches for kind \"EndpointSlice\" in version \"discovery.k8s.io/v1beta1\""}"#;
        assert_eq!(read(manager), some("discovery.k8s.io/v1beta1", "EndpointSlice"));
        let untyped = r#"E1121 02:52:40.000000       1 reflector.go:205] "Failed to watch" err="failed to list autoscaling.k8s.io/v1, Kind=VerticalPodAutoscaler: the server could not find the requested resource" type="autoscaling.k8s.io/v1, Kind=VerticalPodAutoscaler""#;
        assert_eq!(read(untyped), some("autoscaling.k8s.io/v1", "VerticalPodAutoscaler"));
        assert_eq!(read("failed to list *v1.Pod: pods is forbidden: User \"x\" cannot list resource"), None);
    }
}
