//! Talks to the outside, and is the only part that does besides the bundle: gathers the facts that the selected checks
//! need into a [`Snapshot`].
//!
//! The collectors form a small fixed graph: cluster-scoped lists → the stack's namespaces → Prometheus and
//! Alertmanager → the scraped namespaces → namespaced lists → Grafana → logs; beside it AWS: cluster → VPC, add-ons, IAM.

pub mod aws;
pub mod client;
pub mod eks_token;
mod extensions;
pub(crate) mod files;
mod grafana;
mod kinds;
mod kubernetes;
pub mod layer;
pub mod live;
mod logs;
pub mod manifests;
pub mod memory;
mod monitoring;
pub mod probe;
mod scope;
pub mod source;
pub mod until;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::aws::access;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::manifests::ManifestFile;
use crate::snapshot::{ApiRefusal, Component, Listing, Platform, Snapshot};
use client::Client;
use source::{FetchError, Known, Request};

/// What to gather.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Facts that the selected checks need or use.
    pub facts: BTreeSet<Fact>,
    /// The stack's namespace, if the user named it.
    pub namespace: Option<String>,
    /// Storage, workloads and network are judged in every namespace.
    pub all_namespaces: bool,
    /// Everything that is read is judged, and these namespaces are read beside the stack's.
    pub beside: Option<BTreeSet<String>>,
    /// Whether active probes may run; `None`: they were not asked for.
    pub probe: Option<probe::Consent>,
    /// When; the snapshot's only clock.
    pub collected_at: Timestamp,
    /// Manifests that the user gave; else those of the bundle.
    pub manifests: Option<Listing<ManifestFile>>,
    /// The stack is not there yet, so that an empty namespace is no mistake.
    pub before_install: bool,
    /// The Kubernetes that manifests are for, where that is not the cluster's.
    pub kubernetes_version: Option<String>,
}

impl Plan {
    /// These facts of the stack, wherever it is.
    pub fn new(facts: BTreeSet<Fact>, collected_at: Timestamp) -> Self {
        Self {
            facts,
            namespace: None,
            all_namespaces: false,
            beside: None,
            probe: None,
            collected_at,
            manifests: None,
            before_install: false,
            kubernetes_version: None,
        }
    }

    fn wants(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }
}

/// Gathers a snapshot. Whatever fails becomes a gap of it.
///
/// # Errors
/// A gap, if the cluster cannot be asked at all.
pub async fn gather(client: &Client, plan: &Plan) -> Result<Snapshot, Gap> {
    let known = client.source().known();
    let mut snap = Snapshot::empty(plan.collected_at);
    snap.target.context = known.context.clone();
    let version = match version(client).await {
        Ok(version) => version,
        Err(gap) => return refused(client, plan, snap, &known, gap).await,
    };
    kubernetes::cluster_scope(client, plan, &mut snap).await;
    scope::find(client, plan, &mut snap).await;
    match version {
        Ok(version) => snap.set_kubernetes_version(version),
        Err(gap) => snap.kubernetes_version = Err(gap).into(),
    }
    snap.platform = platform(&snap, known.is_eks);
    snap.target.platform = match snap.platform {
        Platform::Eks => "eks".into(),
        Platform::Other => "kubernetes".into(),
        Platform::Unknown => String::new(),
    };

    // AWS and the cluster are asked at the same time; only the roles need both.
    let target = snap.aws_target(&known);
    let cluster = async {
        monitoring::gather(client, plan, &mut snap).await;
        extensions::operator_resources(client, plan, &mut snap).await;
        kubernetes::namespaced(client, plan, &mut snap).await;
        // Many lists at once make a large future: not on the stack of whoever waits.
        Box::pin(extensions::gather(client, plan, &mut snap)).await;
        grafana::gather(client, plan, &mut snap).await;
        monitoring::ask_targets(client, plan, &mut snap).await;
        logs::logs(client, plan, &mut snap).await;
        if let Some(consent) = plan.probe.as_ref().filter(|_| plan.wants(Fact::Probes)) {
            snap.probes = probe::run(client, &snap, consent).await;
        }
    };
    let (aws_facts, ()) = futures::join!(aws::gather(client, plan, &target), cluster);
    aws_facts.store(&mut snap);
    // They may name roles that are to be read.
    if plan.wants(Fact::Manifests) {
        let of_bundle = || manifests::recorded(client.source());
        manifests::store(&mut snap, plan.manifests.clone().unwrap_or_else(of_bundle));
    }
    aws::roles_of_associations(client, &mut snap).await;
    aws::roles(client, plan, &mut snap).await;
    aws::certificates(client, plan, &mut snap).await;
    kubernetes::maps_below(client, plan, &mut snap).await;
    if let Some(version) = &plan.kubernetes_version {
        snap.set_kubernetes_version(version.clone());
    }
    match no_such_namespace(&snap, plan) {
        Some(gap) => Err(gap),
        None => Ok(snap),
    }
}

/// The Service through which Loki is asked.
pub fn loki_service(snap: &Snapshot) -> Option<Component> {
    scope::loki(snap.services.items().unwrap_or_default(), &snap.scope.stack)
}

/// A namespace that the user named, that is not known to exist and holds nothing: a slip of the pen. That nothing is there
/// where the stack usually is does not keep anybody from looking at the cluster below.
fn no_such_namespace(snap: &Snapshot, plan: &Plan) -> Option<Gap> {
    let name = plan.namespace.as_ref().filter(|_| !plan.before_install && !snap.scope.discovered)?;
    let exists = snap.namespaces.items().unwrap_or_default().iter().any(|n| n.metadata.name == *name);
    macro_rules! none_in {
        ($($list:ident),*) => {
            [$({
                let here = snap.$list.items().unwrap_or_default().iter().any(|o| o.metadata.namespace == *name);
                // What no check asked for, and what could not be read, says nothing.
                !here && (snap.$list.gaps().is_empty() || snap.$list.gaps().iter().all(Gap::is_not_collected))
            }),*].into_iter().all(|none| none)
        };
    }
    if exists || !none_in!(services, pods, workloads, persistent_volume_claims) {
        return None;
    }
    let message = "it does not exist, or holds neither Services nor pods nor claims";
    let gap = Gap::new(format!("namespace {name}"), GapCause::NotConfigured, message);
    Some(gap.hint("check the name given with -n (kubectl get namespaces)"))
}

/// What is known of a cluster that does not let anybody in: what AWS says of it.
async fn refused(client: &Client, plan: &Plan, mut snap: Snapshot, known: &Known, gap: Gap) -> Result<Snapshot, Gap> {
    if !plan.wants(Fact::CallerIdentity) {
        return Err(gap);
    }
    if known.is_eks == Some(true) {
        snap.platform = Platform::Eks;
        snap.target.platform = "eks".into();
    }
    let target = snap.aws_target(known);
    aws::gather(client, plan, &target).await.store(&mut snap);
    for fact in Fact::ALL.iter().filter(|f| !f.is_aws() && plan.wants(**f)) {
        snap.forget(*fact, &gap);
    }
    snap.api_refusal = Some(ApiRefusal { gap: gap.clone(), server: known.server.clone() });
    // Why it cannot be reached may be anything; only what AWS tells of the endpoint is more than the error itself.
    if access::refusal(&snap).is_some() { Ok(snap) } else { Err(gap) }
}

/// The server's version: also the proof that the cluster can be asked at all.
async fn version(client: &Client) -> Result<Result<String, Gap>, Gap> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    match client.json::<Version>(&Request::kubernetes("/version")).await {
        Ok(version) => Ok(Ok(version.git_version)),
        Err(FetchError::Gap(gap))
            if matches!(gap.cause, GapCause::Unreachable | GapCause::Unauthorized | GapCause::Timeout) =>
        {
            Err(gap)
        }
        // Some clusters close /version to ordinary users; the lists will tell.
        Err(error) => Ok(Err(error.into_gap("GET /version"))),
    }
}

/// EKS or not: by the kubeconfig, the server's version or the nodes' labels.
fn platform(snap: &Snapshot, known: Option<bool>) -> Platform {
    if let Some(eks) = known {
        return if eks { Platform::Eks } else { Platform::Other };
    }
    let is_eks = |version: &str| version.contains("-eks-");
    if snap.target.kubernetes_version.as_deref().is_some_and(is_eks) {
        return Platform::Eks;
    }
    let Ok(nodes) = snap.nodes() else { return Platform::Unknown };
    let eks_node = nodes.iter().any(|n| {
        n.metadata.labels.keys().any(|k| k.starts_with("eks.amazonaws.com/") || k.starts_with("alpha.eksctl.io/"))
            || is_eks(&n.status.node_info.kubelet_version)
    });
    if eks_node { Platform::Eks } else { Platform::Other }
}
