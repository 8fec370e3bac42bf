//! Argo CD or Flux does not manage to bring the stack's objects into the cluster.

mod fix;
mod unfetched;

use fix::{Fix, gone, unread, unserved};

use crate::checks::support::pipeline::{release_ref, sync_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::flux_source;
use crate::domain::kubernetes::gitops::{self, Cause, Failing};
use crate::domain::kubernetes::webhooks;
use crate::domain::prometheus::operator::crd_of;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Longest part of a message that is shown in the sentence.
const QUOTED: usize = 260;

check! {
    /// See the check's page.
    GitOpsSync {
        id: "gitops-sync", suite: Pipeline, severity: Warning,
        title: "Argo CD or Flux does not bring the stack up to date",
        requires: [GitOps],
        uses: [Crds, ApiServices, FluxSources, Pods, Jobs, Webhooks, Events, MonitoringResources],
        fix: Fix,
    }
}

impl Check for GitOpsSync {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.git_ops()?.is_empty() {
            return Ok(Diagnosis::NotApplicable("neither Argo CD nor Flux brings objects here".into()));
        }
        let found = gitops::failing(snap);
        let sources = unfetched::findings(snap, &found);
        Ok(Diagnosis::Findings(found.iter().map(|f| finding(snap, f)).chain(sources).collect()))
    }
}

fn finding(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let object = failing.object;
    let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
    let text = redact(&failing.text.split_whitespace().collect::<Vec<_>>().join(" "));
    let why = match failing.fault {
        Cause::TooLong => {
            "client-side apply keeps a copy of the object in an annotation, and this object is too large for that"
        }
        Cause::StoredVersion => "a definition is to lose a version in which objects were once written",
        Cause::Immutable => "a field that cannot be changed is changed",
        Cause::NoKind if unserved(snap, failing).is_some() => {
            "a kind is there, but not in the version that the manifests name"
        }
        Cause::NoKind if gone(&failing.text).is_some() => {
            "the manifests name a version of a kind that Kubernetes has removed"
        }
        Cause::NoKind => "a kind is not there yet",
        Cause::NoVersion => "the chart has no such version",
        Cause::KubeVersion => "the chart is not made for this version of Kubernetes",
        Cause::Decrypt => "its secrets cannot be decrypted",
        Cause::Hook => "a job of a hook failed",
        Cause::Source => "its manifests cannot be made",
        Cause::Conflict => "another field manager holds a field",
        Cause::Refused => "an object is refused",
        Cause::Project => "its project does not admit it",
        Cause::NoField => "the cluster does not know a field of it",
        Cause::Schema => "Argo CD cannot compare it, for the schema that it knows lacks a field",
        Cause::Live => "Argo CD cannot read what is in the cluster",
        Cause::HookWaits => "the sync waits for a hook that does not end",
        Cause::Unhealthy => "the sync waits for an object that Argo CD does not take for healthy",
        Cause::Fight => "something changes it back",
        Cause::Shared => "two applications have the same object, and each writes over the other's",
        Cause::Stalled => "Flux has used up its tries and makes no more, although all that runs there is ready",
        Cause::Other => "it fails",
    };
    let message = format!(
        "{} {namespace}/{name} does not bring namespace {} up to date, and what is changed in its repository does not arrive: {why}: {}",
        object.kind,
        gitops::place(snap, object),
        shorten(&text, QUOTED)
    );
    let message = match &gitops::waiting_for(snap, object)[..] {
        [] => message,
        [only] => format!("{message}; {} {} waits for it", only.kind, only.metadata.name),
        [first, more @ ..] => {
            format!("{message}; {} {} and {} more wait for it", first.kind, first.metadata.name, more.len())
        }
    };
    let subject = gitops::reference(object);
    let resource = gitops::resource(object);
    let seen = sync_evidence(object, shorten(&text, 600));
    let mut made = Finding::new(GitOpsSync::META.id, Severity::Warning, subject.clone(), message)
        .key(format!("{} {:?}", subject.key(), failing.fault).to_ascii_lowercase())
        // A check that knows the refusal better says that it does not come.
        .depends_on(subject.clone())
        .breaks(subject)
        .evidence(seen)
        .fix(Fix::of(snap, failing, resource));
    if object.kind == "HelmRelease" {
        let (home, release) = gitops::release(object);
        made = made.depends_on(release_ref(&home, &release));
        // What Helm was refused says why.
        made = made.depends_on(ResourceRef::kubernetes("helm.sh", "HelmOperation", &home, &release));
    }
    if let Some(of) = unfetched::source(snap, failing) {
        made = made.depends_on(flux_source::reference(of.source));
    }
    // A webhook that cannot be called, or a conversion, says more.
    made = webhooks::blamed(snap, &failing.text).into_iter().fold(made, Finding::depends_on);
    if failing.fault == Cause::Live
        && let Some(crd) = unread(&failing.text)
    {
        made = made.depends_on(ResourceRef::crd(&crd));
    }
    if let Some(refused) = failing.resource {
        let of = ResourceRef::kubernetes(&refused.group, &refused.kind, &refused.namespace, &refused.name);
        made = made.depends_on(of);
        // What the operator makes of it is what is not ready.
        if crd_of(&refused.kind).is_some() && failing.fault == Cause::Unhealthy {
            let set = format!("{}-{}", refused.kind.to_ascii_lowercase(), refused.name);
            made = made.depends_on(ResourceRef::workload("StatefulSet", &refused.namespace, &set));
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::GitOpsObject;

    fn synced(kind: &str) -> String {
        let refused = json!({"group": "apps", "kind": kind, "namespace": "monitoring", "name": "grafana",
            "status": "SyncFailed", "message": "spec.selector: Invalid value: {}: field is immutable"});
        let object = json!({"metadata": {"name": "stack", "namespace": "argocd"},
            "spec": {"destination": {"namespace": "monitoring"}},
            "status": {"sync": {"status": "OutOfSync"},
                "operationState": {"phase": "Failed", "syncResult": {"resources": [refused]}}}});
        let mut object: GitOpsObject = serde_json::from_value(object).expect("an application");
        object.kind = "Application".into();
        let mut snap = snapshot(json!({}));
        snap.git_ops = Listing::cluster(vec![object]);
        steps(&findings(&GitOpsSync, &snap)[0])
    }

    #[test]
    fn only_a_stateful_set_takes_its_pods_on_again() {
        let text = synced("StatefulSet");
        assert!(text.contains("kubectl delete statefulset/grafana -n monitoring --cascade=orphan"), "{text}");
        let text = synced("Deployment");
        assert!(text.contains("kubectl delete deployment/grafana -n monitoring"), "{text}");
        assert!(!text.contains("orphan"), "pods of the old selector would run beside the new ones: {text}");
        assert!(!synced("Service").contains("kubectl delete"), "nobody knows what hangs on it");
        let text = synced("PersistentVolumeClaim");
        assert!(text.contains("never deleted for this") && !text.contains("Delete the object"), "{text}");
    }
}
