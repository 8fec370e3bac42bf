//! Volume claim templates of the stack: of StatefulSets and of the operator's resources.

use crate::domain::kubernetes::index::group_of;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;

/// A template from which no claim has been made yet that works.
pub(crate) struct Template<'a> {
    /// Who makes claims from it.
    pub(crate) owner: ResourceRef,
    /// The class that it names; `Some("")` asks for none.
    pub(crate) class: Option<&'a str>,
}

/// Templates of the stack of which no claim is Bound.
pub(crate) fn of_stack(snap: &Snapshot) -> Vec<Template<'_>> {
    let bound = |namespace: &str, prefix: &str| {
        let claims = snap.persistent_volume_claims.items().unwrap_or_default().iter();
        let mut same = claims.filter(|c| c.metadata.namespace == namespace && c.metadata.name.starts_with(prefix));
        same.any(|c| c.status.phase == "Bound")
    };
    let mut found = Vec::new();
    for set in snap.workloads.items().unwrap_or_default().iter().filter(|w| snap.scope.is_judged(&w.metadata.namespace))
    {
        // Scaled to zero on purpose: nothing is asked for.
        let templates = if set.desired() == 0 { &[][..] } else { &set.spec.volume_claim_templates };
        for template in templates {
            let prefix = format!("{}-{}-", template.metadata.name, set.metadata.name);
            if !bound(&set.metadata.namespace, &prefix) {
                let owner = ResourceRef::kubernetes("apps", &set.kind, &set.metadata.namespace, &set.metadata.name);
                found.push(Template { owner, class: template.class() });
            }
        }
    }
    for resource in snap.monitoring_resources.items().unwrap_or_default() {
        let Some(template) = resource.spec.storage.as_ref().and_then(|s| s.volume_claim_template.as_ref()) else {
            continue;
        };
        let meta = &resource.metadata;
        // The operator names claims prometheus-<name>-db-prometheus-<name>-0.
        let kind = resource.kind.to_ascii_lowercase();
        let named = Some(template.metadata.name.as_str()).filter(|n| !n.is_empty());
        let own = format!("{kind}-{}-db", meta.name);
        let prefix = format!("{}-{kind}-{}-", named.unwrap_or(&own), meta.name);
        let scaled_away = resource.spec.replicas == Some(0);
        if snap.scope.is_judged(&meta.namespace) && !scaled_away && !bound(&meta.namespace, &prefix) {
            let kind = resource.kind.as_str();
            let owner = ResourceRef::kubernetes(group_of(kind), kind, &meta.namespace, &meta.name);
            found.push(Template { owner, class: template.class() });
        }
    }
    found
}

/// Namespace of a Kubernetes object.
pub(crate) fn namespace_of(owner: &ResourceRef) -> &str {
    match owner {
        ResourceRef::Kubernetes { namespace, .. } => namespace,
        _ => "",
    }
}
