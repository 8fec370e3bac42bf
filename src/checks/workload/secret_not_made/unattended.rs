//! Makers of Secrets at which nobody has looked: their controller does not run.

use std::collections::BTreeMap;

use super::{Fix, Of, SecretNotMade, is_missed, resource};
use crate::domain::aws::secret_makers;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, SecretMaker};

/// One finding for each maker that a pod of the stack waits for.
pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let makers = secret_makers::unattended(snap).into_iter();
    let judged = makers.filter(|(maker, _)| snap.scope.is_judged(&maker.metadata.namespace));
    let mut controllers: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    let found = judged.filter_map(|(maker, secret)| {
        let of_kind = || secret_makers::controllers(snap, &maker.kind).collect();
        let pods = controllers.entry(&maker.kind).or_insert_with(of_kind);
        finding(snap, maker, secret, pods)
    });
    found.collect()
}

fn finding(snap: &Snapshot, maker: &SecretMaker, secret: &str, pods: &[&Pod]) -> Option<Finding> {
    let meta = &maker.metadata;
    let all = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == meta.namespace);
    let missed = all.filter(|p| !p.is_ready()).any(|p| is_missed(snap, p, secret));
    if !missed || pods.iter().any(|p| p.is_ready()) {
        return None;
    }
    // Where it runs nobody knows, unless all pods were read.
    if pods.is_empty() && !snap.pods.is_whole() {
        return None;
    }
    let owner = pods.first().map(|p| snap.owner_ref(p));
    let why = match &owner {
        Some(owner) => format!("no pod of its controller, {owner}, is ready"),
        None => "no pod of its controller is seen".to_owned(),
    };
    let who = format!("{} {}/{}", maker.kind, meta.namespace, meta.name);
    let message = format!("{who} does not make Secret {secret}: nobody has looked at it since it was made, for {why}");
    let seen = Evidence::new(
        format!("{} {}, status", maker.kind, secret_makers::reference(maker).name()),
        "no conditions",
        "kubectl describe {{ resource }} {{ name }} -n {{ namespace }}",
    )
    .with("resource", resource(maker))
    .with("name", &meta.name)
    .with("namespace", &meta.namespace);
    let wanted = ResourceRef::secret(&meta.namespace, secret);
    let of = Of {
        resource: resource(maker),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        secret: secret.to_owned(),
    };
    let first = pods.first();
    let fix = Fix::Unattended {
        of,
        pod: first.map(|p| p.metadata.name.clone()),
        controller: owner.as_ref().map(ResourceRef::kubectl_name).unwrap_or_default(),
        controller_namespace: first.map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
    };
    let mut made = Finding::new(SecretNotMade::META.id, Severity::Error, secret_makers::reference(maker), message)
        .also(wanted.clone())
        .breaks(wanted)
        .key("unattended")
        .evidence(seen)
        .fix(fix);
    for pod in pods {
        made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    Some(owner.into_iter().fold(made, Finding::depends_on))
}
