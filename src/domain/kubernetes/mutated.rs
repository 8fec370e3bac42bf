//! What a pod has that its template has not: something changed it when it was made.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Meta, Pod, annotation};

/// A container as the template of a pod's ReplicaSet has it, which never changes; `None` where the pod has another owner, for
/// their templates may have changed since.
pub(crate) fn written<'a>(snap: &'a Snapshot, pod: &Pod, container: &str) -> Option<&'a Container> {
    let set = pod.metadata.controller().filter(|o| o.kind == "ReplicaSet")?;
    let set = snap.replica_sets.find(&pod.metadata.namespace, &set.name).ok().flatten()?;
    let spec = &set.spec.template.spec;
    spec.init_containers.iter().chain(&spec.containers).find(|c| c.name == container)
}

/// Rule and policy of Kyverno that changed a field of a container, where it says so: by the field's path
/// (`rule.policy.kyverno.io: replaced /spec/containers/0/image`).
pub(crate) fn rule(pod: &Pod, container: &str, field: &str) -> Option<(String, String)> {
    let at = |list: &[Container]| list.iter().position(|c| c.name == container);
    let path = match (at(&pod.spec.containers), at(&pod.spec.init_containers)) {
        (Some(at), _) => format!(" /spec/containers/{at}{field}"),
        (None, Some(at)) => format!(" /spec/initContainers/{at}{field}"),
        (None, None) => return None,
    };
    let patches = pod.metadata.annotations.get(annotation::KYVERNO_PATCHES).map_or("", String::as_str);
    patches.lines().filter(|l| l.trim_end().ends_with(&path)).find_map(|l| {
        let (rule, policy) = l.split_once(": ")?.0.trim().strip_suffix(".kyverno.io")?.split_once('.')?;
        Some((rule.to_owned(), policy.to_owned()))
    })
}

/// Rule, policy and field of each change that Kyverno made to an object on its way in, where it says so.
pub(crate) fn changes(meta: &Meta) -> Vec<(String, String, String)> {
    let patches = meta.annotations.get(annotation::KYVERNO_PATCHES).map_or("", String::as_str);
    let of_line = |line: &str| {
        let (by, what) = line.split_once(": ")?;
        let (rule, policy) = by.trim().strip_suffix(".kyverno.io")?.split_once('.')?;
        let field = what.split_whitespace().find(|w| w.starts_with('/'))?;
        Some((rule.to_owned(), policy.to_owned(), field.to_owned()))
    };
    patches.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    #[test]
    fn kyverno_says_what_it_changed() {
        let pod = json!({"metadata": {"name": "web-1", "namespace": "monitoring",
            "annotations": {"policies.kyverno.io/last-applied-patches":
                "harden.base.kyverno.io: added /spec/containers/0/securityContext/readOnlyRootFilesystem\nmirror.images.kyverno.io: replaced /spec/containers/0/image\n"}},
            "spec": {"containers": [{"name": "web"}, {"name": "other"}]}});
        let snap = snapshot(json!({"pods": [pod]}));
        let pod = &snap.pods.items().expect("pods")[0];
        assert_eq!(rule(pod, "web", "/image"), Some(("mirror".into(), "images".into())));
        assert_eq!(rule(pod, "web", "/securityContext/readOnlyRootFilesystem"), Some(("harden".into(), "base".into())));
        assert_eq!(rule(pod, "web", "/runAsUser"), None);
        assert_eq!(rule(pod, "other", "/image"), None, "of the first");
        assert!(written(&snap, pod, "web").is_none(), "nobody made it");
        let all = changes(&pod.metadata);
        assert_eq!(all[1], ("mirror".into(), "images".into(), "/spec/containers/0/image".into()));
    }
}
