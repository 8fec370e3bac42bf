//! Programs that take Alertmanager's webhooks and pass them on, to Teams, Jira or a phone: why they do not is in their own log.

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::windows::RECENT;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Parts of the names of their images.
const NAMES: &[&str] =
    &["msteams", "prom2teams", "jiralert", "sachet", "alertmanager-", "snmp-notifier", "snmp_notifier"];

/// By its image: it passes on what Alertmanager sends.
pub(crate) fn is_bridge(image: &str) -> bool {
    let base = base_of(image);
    NAMES.iter().any(|name| base.contains(name))
}

/// The last complaint of the pods behind a Service within the hour, and its line.
pub(crate) fn complaint<'a>(snap: &'a Snapshot, namespace: &str, service: &str) -> Option<(&'a ContainerLog, &'a str)> {
    let service = snap.services.find(namespace, service).ok().flatten()?;
    let pods: Vec<&str> = snap.pods_of_service(service).map(|p| p.metadata.name.as_str()).collect();
    let logs = snap.part_logs.iter().flatten().filter(|l| !l.previous && l.namespace == namespace);
    let mut own = logs.filter(|l| is_bridge(&l.image) && pods.contains(&l.pod.as_str()));
    own.find_map(|log| {
        let complains = |raw: &&str| {
            let line = Line::parse(raw);
            let bad = line.level == Level::Error || !line.err.is_empty();
            bad && !line.is_older(snap.collected_at, RECENT)
        };
        Some((log, log.text.lines().rev().find(complains)?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::{pod, service, snapshot};

    #[test]
    fn its_images_have_many_names() {
        for image in [
            "quay.io/prometheusmsteams/prometheus-msteams:v1.5.2",
            "idealista/prom2teams:4.2.1",
            "quay.io/jiralert/jiralert-linux-amd64:latest",
            "benjojo/alertmanager-discord:latest",
        ] {
            assert!(is_bridge(image), "{image}");
        }
        assert!(!is_bridge("quay.io/prometheus/alertmanager:v0.28.0") && !is_bridge("nginx:1.27"));
    }

    #[test]
    fn only_what_is_of_now_is_told() {
        let of = |at: &str| {
            let mut snap = snapshot(json!({
                "services": [service("monitoring", "teams", &[2000])], "pods": [pod("monitoring", "teams", true)]
            }));
            *snap.part_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "teams-5d9-abcde".into(),
                image: "quay.io/prometheusmsteams/prometheus-msteams:v1.5.2".into(),
                text: format!(
                    r#"{{"caller":"logging.go:25","err":"statusCode: 410, resp: Gone","ts":"2026-11-21T{at}Z"}}"#
                )
                .as_str()
                .into(),
                ..ContainerLog::default()
            }]);
            complaint(&snap, "monitoring", "teams").map(|(_, line)| line.to_owned())
        };
        assert!(of("01:55:00").is_some_and(|line| line.contains("410")));
        assert_eq!(of("00:30:00"), None);
    }
}
