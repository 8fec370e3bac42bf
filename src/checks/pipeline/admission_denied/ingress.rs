//! What ingress-nginx objects to in an Ingress, and what has it taken.

use super::Fix;
use crate::domain::kubernetes::denied::Denied;
use crate::domain::kubernetes::ingress_refused::Objection;
use crate::domain::kubernetes::webhooks;
use crate::model::Placeholder;
use crate::snapshot::Snapshot;

/// ingress-nginx objects to an Ingress.
pub(super) fn fix(snap: &Snapshot, denied: &Denied, objection: Objection, namespace: &str) -> Fix {
    const CHALLENGE: &str = "/.well-known/acme-challenge/";
    /// Admits all annotations that the controller knows; snippets have a switch of their own.
    const RISKY: &str = r#"{"data":{"annotations-risk-level":"Critical"}}"#;
    const ALL: &str = r#"{"data":{"annotations-risk-level":"Critical","allow-snippet-annotations":"true"}}"#;
    const ANY_PATH: &str = r#"{"data":{"strict-validate-path-type":"false"}}"#;
    let own = webhooks::all(snap).find(|h| h.webhook.name == denied.webhook);
    let service = own.and_then(|h| h.webhook.client_config.service.as_ref());
    let controller_namespace = service.map_or("ingress-nginx", |s| s.namespace.as_str()).to_owned();
    let (mut path_type, mut by) = (String::new(), String::new());
    let (why, what, settings) = match objection {
        Objection::Annotation { group } => {
            let settings = if group.to_ascii_lowercase().contains("snippet") { ALL } else { RISKY };
            ("annotation", group, settings)
        }
        Objection::Path { path, path_type: of } => {
            path_type = of;
            ("path", path, ANY_PATH)
        }
        Objection::Taken { host, path, by: of } => {
            by = of;
            ("taken", format!("{host}{path}"), "")
        }
        Objection::Configuration { says } => ("configuration", says, ""),
    };
    let (by_namespace, by) = by.split_once('/').unwrap_or(("", &by));
    Fix::Ingress {
        acme: what.starts_with(CHALLENGE),
        why,
        what,
        path_type,
        by_namespace: by_namespace.to_owned(),
        by: by.to_owned(),
        // The Service of the webhook is called as the controller is, and so is its ConfigMap.
        config_map: Placeholder::new("config-map")
            .how("the ConfigMap that the controller's argument --configmap names")
            .candidates(service.and_then(|s| s.name.strip_suffix("-admission")).map(str::to_owned)),
        controller_namespace,
        settings,
        namespace: namespace.to_owned(),
    }
}
