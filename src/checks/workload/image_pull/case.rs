//! One image that cannot be pulled, and what is known of it.

use std::collections::BTreeSet;

use super::Failure;
use crate::domain::aws::endpoints;
use crate::domain::aws::identity::Identity;
use crate::domain::kubernetes::image::{Image, Retired};
use crate::domain::kubernetes::mutated;
use crate::domain::kubernetes::owner::{self, Target};
use crate::domain::kubernetes::pull_error;
use crate::domain::text::windows::RECENT;
use crate::model::Evidence;
use crate::snapshot::kubernetes::{Container, Node, Pod};
use crate::snapshot::{Platform, Snapshot};

/// What has to be done about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The registry was closed, or the repository moved.
    Retired,
    /// The old image of metrics-server, which EKS offers as an add-on.
    MetricsServer,
    /// The mirror of the nodes does not answer.
    Mirror,
    /// Something on the pod's way in has put it in the place of the template's.
    Rewritten,
    /// The registry does not have it.
    NotFound,
    /// The repository of ECR does not have it.
    EcrNotFound,
    /// The same of one that looks like a pull-through cache.
    EcrCached,
    /// ECR's cache leads the node on to where the image comes from, and that is not reached.
    EcrLedOn,
    /// A login is missing or refused.
    Unauthorized,
    /// A login of ECR is missing, or past its time.
    EcrToken,
    /// The repository of another account does not let the nodes pull.
    EcrOtherAccount,
    /// The role of the nodes may not pull.
    EcrAuth,
    /// ECR is not reached without VPC endpoints.
    EcrEndpoints,
    /// The registry is not reached.
    Network,
    /// Its name does not resolve.
    Dns,
    /// The name of the image is none.
    InvalidName,
    /// The kubelet is told not to pull.
    Never,
    /// The registry counts pulls.
    RateLimit,
    /// There is no build for the node.
    Platform,
    /// It is stored in a format of former times.
    Format,
    /// The registry's certificate is not accepted.
    Tls,
    Html,
    /// The registry has a fault of its own.
    Server,
    /// The node's disk is full.
    Disk,
    /// The node's runtime has lost a layer.
    Layers,
    /// The kubelet has more pulls to do than it starts at once.
    PullRate,
    /// Nothing that is known.
    Other,
}

pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) reason: pull_error::Cause,
    pub(super) image: Option<Image>,
    pub(super) retired: Option<Retired>,
    pub(super) target: Target<'a>,
    pub(super) node: Option<&'a Node>,
    /// The login that was sent is past its time.
    pub(super) is_late: bool,
    /// The host that was asked last.
    pub(super) asked: Option<String>,
    /// The mirror of the nodes that was asked instead of the registry.
    pub(super) mirror: Option<String>,
    /// What the template names instead, and who changed it.
    pub(super) rewritten: Option<Rewritten>,
}

/// An image that the template does not name: something wrote it into the pod on its way in.
pub(super) struct Rewritten {
    /// The image of the template.
    pub(super) written: String,
    /// Rule and policy of Kyverno, where it says so.
    pub(super) rule: Option<(String, String)>,
}

impl Rewritten {
    /// By the ReplicaSet that made the pod: its template never changes.
    fn of(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<Self> {
        let written = mutated::written(snap, pod, &container.name)?;
        let name = |image: &str| Image::parse(image).map(|i| (i.host, i.repository));
        // The same repository by a digest is what the template means.
        let same = written.image == container.image || name(&written.image) == name(&container.image);
        if written.image.is_empty() || same {
            return None;
        }
        Some(Self { written: written.image.clone(), rule: mutated::rule(pod, &container.name, "/image") })
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(snap: &'a Snapshot, failures: &[Failure<'a>]) -> Self {
        let Failure { pod, container, reason, .. } = failures[0];
        let image = Image::parse(&container.image);
        // A closed registry answers in many ways, or the events that would say how are gone.
        let closed = matches!(
            reason,
            pull_error::Cause::NotFound
                | pull_error::Cause::Denied
                | pull_error::Cause::Unauthorized
                | pull_error::Cause::Server
                | pull_error::Cause::Other
                | pull_error::Cause::Dns
        );
        let retired = image.as_ref().filter(|_| closed).and_then(Image::retired);
        let is_late = pull_error::Cause::is_expired(&failures[0].said);
        let mirror = pull_error::Cause::mirror(&failures[0].said).filter(|_| reason.is_of_the_way()).map(str::to_owned);
        Self {
            rewritten: Rewritten::of(snap, pod, container),
            is_late,
            asked: pull_error::Cause::asked(&failures[0].said).map(str::to_owned),
            mirror,
            snap,
            pod,
            container,
            reason,
            image,
            retired,
            target: Target::of(snap, pod),
            node: snap.node_of(pod),
        }
    }

    pub(super) fn cause(&self) -> Cause {
        if self.retired.is_some() {
            let metrics_server = self.image.as_ref().is_some_and(|i| i.base() == "metrics-server");
            let offered = metrics_server && self.snap.platform == Platform::Eks;
            return if offered { Cause::MetricsServer } else { Cause::Retired };
        }
        if self.mirror.is_some() {
            return Cause::Mirror;
        }
        let ecr = self.image.as_ref().and_then(Image::ecr);
        match self.reason {
            // Where a login is missing, it is the same for either name.
            pull_error::Cause::NotFound if self.rewritten.is_some() => Cause::Rewritten,
            pull_error::Cause::NotFound if self.cache_prefix().is_some() => Cause::EcrCached,
            pull_error::Cause::NotFound if ecr.is_some() => Cause::EcrNotFound,
            pull_error::Cause::NotFound => Cause::NotFound,
            // A slip in the name of a public repository reads like a private one.
            pull_error::Cause::Denied if self.proposed().is_some() => Cause::NotFound,
            pull_error::Cause::Denied | pull_error::Cause::Unauthorized => match ecr {
                Some(_) if self.snap.platform == Platform::Other || self.is_expired() => Cause::EcrToken,
                Some(ecr) if self.is_foreign(ecr.account) => Cause::EcrOtherAccount,
                Some(_) => Cause::EcrAuth,
                None => Cause::Unauthorized,
            },
            pull_error::Cause::Network | pull_error::Cause::Dns if self.led_on().is_some() => Cause::EcrLedOn,
            pull_error::Cause::Network | pull_error::Cause::Dns
                if ecr.is_some() && !self.missing_endpoints().is_empty() =>
            {
                Cause::EcrEndpoints
            }
            pull_error::Cause::Network => Cause::Network,
            pull_error::Cause::Dns => Cause::Dns,
            pull_error::Cause::InvalidName => Cause::InvalidName,
            pull_error::Cause::NeverPulled => Cause::Never,
            pull_error::Cause::RateLimit => Cause::RateLimit,
            pull_error::Cause::Platform => Cause::Platform,
            pull_error::Cause::Format => Cause::Format,
            pull_error::Cause::Tls => Cause::Tls,
            pull_error::Cause::Page => Cause::Html,
            pull_error::Cause::Server => Cause::Server,
            pull_error::Cause::Disk => Cause::Disk,
            pull_error::Cause::Layers => Cause::Layers,
            pull_error::Cause::Kubelet => Cause::PullRate,
            pull_error::Cause::Other => Cause::Other,
        }
    }

    /// What the repository begins with, where that looks like the prefix of a pull-through cache of ECR: the name of the registry
    /// for which it stands, and the repository there.
    pub(super) fn cache_prefix(&self) -> Option<&str> {
        const SIGNS: &[&str] = &[
            "docker-hub",
            "dockerhub",
            "docker.io",
            "quay",
            "ghcr",
            "ecr-public",
            "registry.k8s",
            "registry-k8s",
            "pull-through",
            "cache",
        ];
        // Repositories of one's own may begin so as well.
        const WORDS: &[&str] = &["docker", "github", "gitlab", "k8s", "kubernetes"];
        let image = self.image.as_ref().filter(|i| i.ecr().is_some())?;
        // EKS' own registries have no caches.
        if self.is_foreign(self.account()) || self.cluster_account().is_none_or(|own| own != self.account()) {
            return None;
        }
        let (prefix, rest) = image.repository.split_once('/')?;
        let lower = prefix.to_ascii_lowercase();
        let is_sign = SIGNS.iter().any(|sign| lower.contains(sign));
        let is_word = WORDS.contains(&lower.as_str()) && rest.contains('/');
        (!rest.is_empty() && (is_sign || is_word)).then_some(prefix)
    }

    /// The host to which ECR leads the node on.
    pub(super) fn led_on(&self) -> Option<&str> {
        let image = self.image.as_ref().filter(|i| i.ecr().is_some())?;
        self.asked.as_deref().filter(|host| !host.contains(".amazonaws.com") && *host != image.host)
    }

    /// The pull secret holds a login of ECR that is past its twelve hours.
    pub(super) fn is_expired(&self) -> bool {
        self.is_late && !self.secrets().is_empty()
    }

    /// The kubelet's word that a pull secret is not there.
    pub(super) fn missing_secret(&self) -> Option<Evidence> {
        let meta = &self.pod.metadata;
        let events = self.snap.events_about("Pod", meta, RECENT);
        let event = events.iter().find(|e| e.reason == "FailedToRetrieveImagePullSecret")?;
        let show = "kubectl get events -n {{ namespace }} --field-selector {{ field }}";
        let seen = Evidence::new(
            format!("Event {} of Pod {}/{}", event.reason, meta.namespace, meta.name),
            event.message.clone(),
            show,
        );
        let field = format!("involvedObject.name={},reason=FailedToRetrieveImagePullSecret", meta.name);
        Some(seen.with("namespace", &meta.namespace).with("field", field))
    }

    pub(super) fn secrets(&self) -> Vec<&str> {
        self.pod.spec.image_pull_secrets.iter().map(|s| s.name.as_str()).collect()
    }

    pub(super) fn node_name(&self) -> &str {
        self.pod.spec.node_name.as_deref().unwrap_or("<node>")
    }

    pub(super) fn arch(&self) -> &str {
        self.node.and_then(Node::architecture).unwrap_or_default()
    }

    /// Another architecture of which the cluster has nodes.
    pub(super) fn other_arch(&self) -> Option<&str> {
        let all = self.snap.nodes.items().unwrap_or_default();
        let mut others =
            all.iter().filter_map(|n| n.metadata.label("kubernetes.io/arch")).filter(|a| *a != self.arch());
        others.clone().find(|a| *a == "amd64").or_else(|| others.next())
    }

    pub(super) fn account(&self) -> &str {
        self.image.as_ref().and_then(Image::ecr).map_or("", |e| e.account)
    }

    pub(super) fn cluster_account(&self) -> Option<&str> {
        Identity::of(self.snap).account
    }

    /// Another account's registry; EKS' own registries let every account pull.
    pub(super) fn is_foreign(&self, account: &str) -> bool {
        !self.is_of_eks() && self.is_another(account)
    }

    /// The registry is not the cluster's own account's, which may list what is in it.
    pub(super) fn is_another(&self, account: &str) -> bool {
        self.cluster_account().is_some_and(|own| own != account)
    }

    /// An image of AWS's own registries, from which everybody may pull.
    fn is_of_eks(&self) -> bool {
        self.image.as_ref().is_some_and(|i| {
            i.repository.starts_with("eks/")
                || i.repository.starts_with("amazon-k8s-cni")
                || i.repository.starts_with("amazon/")
        })
    }

    /// Services of VPC endpoints that a pull from ECR takes and that are missing, where the VPC has some of its own, or
    /// no way to the internet shows that it is meant to be private.
    pub(super) fn missing_endpoints(&self) -> Vec<String> {
        let Some(ecr) = self.image.as_ref().and_then(Image::ecr) else { return Vec::new() };
        let Ok(endpoints) = self.snap.vpc_endpoints() else { return Vec::new() };
        let named = |service: &str| {
            endpoints
                .iter()
                .any(|e| e.state == "available" && e.service_name.ends_with(&format!(".{}.{service}", ecr.region)))
        };
        if !["ecr.api", "ecr.dkr", "s3", "sts", "ec2"].iter().any(|s| named(s)) {
            return Vec::new();
        }
        let missing = ["ecr.api", "ecr.dkr", "s3"].iter().filter(|s| !named(s));
        missing.map(|s| endpoints::service_name(ecr.region, s)).collect()
    }

    /// The image that is likely meant.
    pub(super) fn proposed(&self) -> Option<String> {
        match &self.image {
            Some(image) => image.likely(),
            None => {
                let lower = self.container.image.trim().to_ascii_lowercase();
                let plain = lower.trim_start_matches("https://").trim_start_matches("docker://").trim_end_matches(':');
                Image::parse(plain).map(|_| plain.to_owned())
            }
        }
    }

    /// The workload still names the image: a pod that is older than its template needs no way back.
    pub(super) fn is_of_template(&self) -> bool {
        let Some(workload) = owner::workload(self.snap, &self.target.owner) else { return true };
        let spec = &workload.spec.template.spec;
        let mut own = spec.init_containers.iter().chain(&spec.containers);
        own.find(|c| c.name == self.container.name).is_none_or(|c| c.image == self.container.image)
    }

    /// The image that another, ready pod of the same owner runs.
    pub(super) fn running(&self) -> Option<&'a str> {
        let all = self.snap.pods.items().unwrap_or_default().iter();
        let mut same = all.filter(|p| p.is_ready() && self.snap.owner_ref(p) == self.target.owner);
        same.find_map(|p| {
            let twin = p.all_containers().find(|c| c.name == self.container.name)?;
            (twin.image != self.container.image).then_some(twin.image.as_str())
        })
    }

    /// Name of the IAM role of the pod's node.
    pub(super) fn node_role(&self) -> Option<&str> {
        let groups = self.snap.eks_nodegroups().ok()?;
        let name = self.node.and_then(|n| n.metadata.label("eks.amazonaws.com/nodegroup"));
        let mine = groups.iter().find(|g| name == Some(g.nodegroup_name.as_str()));
        let roles: BTreeSet<&str> = groups.iter().map(|g| g.node_role.as_str()).collect();
        // Fargate and Karpenter have roles of their own.
        let own = self.node.is_some_and(|n| n.is_fargate() || n.is_karpenter());
        let only = (roles.len() == 1 && !own).then(|| roles.iter().next().copied()).flatten();
        let arn = mine.map(|g| g.node_role.as_str()).or(only).filter(|arn| !arn.is_empty())?;
        arn.rsplit('/').next()
    }
}
