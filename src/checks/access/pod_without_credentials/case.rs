//! A program without credentials: its pods, what it says, and the finding made of it.

use super::PodWithoutCredentials;
use super::fix::{Fix, InCluster, Of};
use crate::checks::support::place::Place;
use crate::checks::support::seen::{event_evidence, line_evidence};
use crate::domain::aws::addon::{POD_IDENTITY_AGENT, lacks_agent};
use crate::domain::aws::credentials::{self, Cause, Source};
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::ingress;
use crate::model::{Evidence, Finding, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod};
use crate::snapshot::monitoring::ContainerLog;
use serde_json::{Value, json};

/// What of a fault makes two lines the same.
pub(super) fn kind(fault: &Cause) -> &'static str {
    match fault {
        Cause::None => "none",
        Cause::NotTrusted => "not-trusted",
        Cause::NoProvider(_) => "no-provider",
        Cause::Audience => "audience",
        Cause::NotAssumed => "not-assumed",
        Cause::Agent => "agent",
        // The end of the search for credentials says less of the same.
        Cause::Sdk => "none",
        Cause::Thumbprint => "thumbprint",
        Cause::Unreadable(_) => "unreadable",
        Cause::Endpoint(_) => "endpoint",
        Cause::Sts(_) => "sts",
        Cause::Denied(_) => "denied",
    }
}

/// The pods of one owner that say the same.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) owner: ResourceRef,
    pub(super) pods: Vec<&'a Pod>,
    pub(super) said: Said<'a>,
    pub(super) fault: Cause,
}

/// What tells of it.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    Log(&'a ContainerLog, &'a str),
    Event(&'a Event),
    /// Nothing does: a container of the pod ends, which is told where its credentials are.
    Ends(&'a Pod, &'a str),
}

impl<'a> Said<'a> {
    /// The container that says it; an event tells of the pod alone.
    pub(super) fn container(self) -> Option<&'a str> {
        match self {
            Self::Log(log, _) => Some(&log.container),
            Self::Event(_) => None,
            Self::Ends(_, container) => Some(container),
        }
    }

    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Log(_, line) => line,
            Self::Event(event) => &event.message,
            Self::Ends(..) => "",
        }
    }

    pub(super) fn evidence(self) -> Evidence {
        match self {
            Self::Log(log, line) => line_evidence(log, line.trim()),
            Self::Event(event) => event_evidence(event),
            Self::Ends(pod, container) => Evidence::new(
                format!("Pod {}/{}, container {container}", pod.metadata.namespace, pod.metadata.name),
                "ends again and again; its environment has AWS_CONTAINER_CREDENTIALS_FULL_URI, the address of the agent",
                "kubectl describe pod {{ pod }} -n {{ namespace }}",
            )
            .with("pod", &pod.metadata.name)
            .with("namespace", &pod.metadata.namespace),
        }
    }
}

/// What is concluded.
pub(super) struct Verdict {
    pub(super) fix: Fix,
    pub(super) why: String,
    pub(super) evidence: Option<Evidence>,
    /// The role that is at fault.
    pub(super) role: Option<String>,
}

impl<'a> Case<'a> {
    pub(super) fn add(&mut self, pod: &'a Pod) {
        self.pods.push(pod);
    }

    pub(super) fn pod(&self) -> &'a Pod {
        self.pods[0]
    }

    pub(super) fn account(&self) -> &'a str {
        self.pod().spec.account()
    }

    pub(super) fn who(&self) -> String {
        format!("ServiceAccount {}/{}", self.pod().metadata.namespace, self.account())
    }

    pub(super) fn finding(&self) -> Finding {
        let Verdict { fix, why, evidence, role } = self.verdict();
        let needs_agent = self.fault == Cause::Agent || matches!(fix, Fix::Sdk { without_agent: true, .. });
        let is_cut_off = matches!(self.fault, Cause::Sts(_));
        let namespace = &self.pod().metadata.namespace;
        let account = ResourceRef::service_account(namespace, self.account());
        let mut made = Finding::new(
            PodWithoutCredentials::META.id,
            Severity::Error,
            self.owner.clone(),
            format!("{} {why}{}", self.owner, self.effect()),
        )
        .key(format!("{} {}", self.owner.key(), kind(&self.fault)))
        .breaks(self.owner.clone())
        .breaks(account)
        .fix(fix)
        .evidence(self.said.evidence());
        for pod in &self.pods {
            made = made.breaks(ResourceRef::pod(namespace, &pod.metadata.name));
        }
        if let Some(role) = role {
            made = made.breaks(ResourceRef::aws("iam", "role", role));
        }
        if matches!(self.fault, Cause::NoProvider(_) | Cause::Audience)
            && self.other_issuer().is_none()
            && let Ok(cluster) = self.snap.eks_cluster()
        {
            made = made.depends_on(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
        }
        if needs_agent {
            made = made.depends_on(ResourceRef::aws("eks", "addon", POD_IDENTITY_AGENT));
        }
        if is_cut_off {
            let place = Placement::new(self.snap);
            for subnet in self.pods.iter().filter_map(|p| place.of_pod(p)) {
                made = made.depends_on(ResourceRef::aws("ec2", "subnet", subnet));
            }
            made = made.depends_on(ResourceRef::service("kube-system", "kube-dns"));
        }
        made.evidence_all(evidence).evidence(self.account_evidence())
    }

    /// The ARN of the cluster's OIDC provider in IAM.
    pub(super) fn provider(&self) -> Option<String> {
        let cluster = self.snap.eks_cluster().ok()?;
        Some(Place::of(self.snap).provider_arn(cluster.issuer_host_path()))
    }

    /// What gives the pod its role: an association is none of the ServiceAccount's own.
    pub(super) fn account_evidence(&self) -> Evidence {
        if let Source::PodIdentity { role, .. } = credentials::source(self.snap, self.pod()) {
            let Place { cluster, .. } = Place::of(self.snap);
            const SHOW: &str = "aws eks list-pod-identity-associations --cluster-name {{ cluster }} --namespace {{ namespace }} --service-account {{ name }}";
            let role = role.map_or_else(|| "a role that was not read".to_owned(), |role| format!("role {role}"));
            return Evidence::new(format!("Pod Identity of {}", self.who()), format!("associated with {role}"), SHOW)
                .with("cluster", cluster)
                .with("namespace", &self.pod().metadata.namespace)
                .with("name", self.account());
        }
        let value = match credentials::source(self.snap, self.pod()) {
            Source::Irsa { role, injected: true } => format!("role {role} (IRSA)"),
            Source::Irsa { role, injected: false } => format!("role {role} (IRSA), and the pod has no AWS_ROLE_ARN"),
            Source::PodIdentity { .. } | Source::Node => "no role of its own: the node's is left".to_owned(),
        };
        Evidence::new(self.who(), value, "kubectl get serviceaccount {{ name }} -n {{ namespace }} -o yaml")
            .with("namespace", &self.pod().metadata.namespace)
            .with("name", self.account())
    }

    /// What of the stack suffers, where that is another thing than the program itself.
    pub(super) fn effect(&self) -> String {
        if !self.is_program("external-dns") {
            return String::new();
        }
        let ingresses =
            ingress::of_stack(self.snap).map(|i| format!("Ingress {}/{}", i.metadata.namespace, i.metadata.name));
        let services =
            ingress::balanced(self.snap).map(|s| format!("Service {}/{}", s.metadata.namespace, s.metadata.name));
        match ingresses.chain(services).take(3).collect::<Vec<_>>() {
            named if named.is_empty() => String::new(),
            named => format!("; DNS records of {} are not kept", named.join(", ")),
        }
    }

    /// It runs an image of this name.
    pub(super) fn is_program(&self, name: &str) -> bool {
        self.pod().spec.containers.iter().any(|c| base_of(&c.image) == name)
    }

    /// What its documentation asks for as a whole: one action after the other would be refused otherwise.
    pub(super) fn documented(&self) -> Option<Value> {
        let allow = |actions: &[&str], on: &str| json!({"Effect": "Allow", "Action": actions, "Resource": on});
        if self.is_program("external-dns") {
            let zones = format!("arn:{}:route53:::hostedzone/*", Place::of(self.snap).partition);
            return Some(json!([
                allow(
                    &[
                        "route53:ChangeResourceRecordSets",
                        "route53:ListResourceRecordSets",
                        "route53:ListTagsForResources"
                    ],
                    &zones
                ),
                allow(&["route53:ListHostedZones"], "*"),
            ]));
        }
        let tag = format!("aws:ResourceTag/k8s.io/cluster-autoscaler/{}", Place::of(self.snap).cluster);
        self.is_program("cluster-autoscaler").then(|| {
            json!([
                allow(&[
                    "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances",
                    "autoscaling:DescribeLaunchConfigurations", "autoscaling:DescribeScalingActivities",
                    "autoscaling:DescribeTags", "ec2:DescribeImages", "ec2:DescribeInstanceTypes",
                    "ec2:DescribeLaunchTemplateVersions", "ec2:GetInstanceTypesFromInstanceRequirements",
                    "eks:DescribeNodegroup",
                ], "*"),
                {"Effect": "Allow", "Resource": "*",
                    "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
                    "Condition": {"StringEquals": {tag: "owned"}}},
            ])
        })
    }

    pub(super) fn of(&self) -> Of {
        Of { namespace: self.pod().metadata.namespace.clone(), workload: self.owner.kubectl_name() }
    }

    pub(super) fn in_cluster(&self) -> InCluster {
        let place = Place::of(self.snap);
        InCluster { of: self.of(), cluster: place.cluster }
    }

    pub(super) fn own_role(&self, policy: String, instance: &str) -> Fix {
        Fix::OwnRole {
            of: self.in_cluster(),
            account: self.account().to_owned(),
            policy,
            without_agent: lacks_agent(self.snap),
            instance: instance.to_owned(),
        }
    }

    /// The issuer of the token, where it is not the cluster's.
    pub(super) fn other_issuer(&self) -> Option<&str> {
        let Cause::NoProvider(Some(issuer)) = &self.fault else { return None };
        let own = self.snap.eks_cluster().ok()?.issuer_host_path();
        (!own.is_empty() && own != issuer).then_some(issuer)
    }

    pub(super) fn verdict(&self) -> Verdict {
        let source = credentials::source(self.snap, self.pod());
        match (&self.fault, source) {
            (Cause::Denied(denied), source) => self.denied(denied, &source),
            (Cause::NotAssumed, source) => {
                let name = source.role().and_then(|r| r.rsplit('/').next());
                let role = Placeholder::new("role-name")
                    .how("the role of the association")
                    .candidates(name.map(str::to_owned));
                let why = format!(
                    "gets no credentials: EKS Pod Identity may not assume the role of the association of {}",
                    self.who()
                );
                self.plain(Fix::Associated { of: self.in_cluster(), account: self.account().to_owned(), role }, why)
            }
            (Cause::Audience, _) => self.plain(
                Fix::Audience {
                    of: self.of(),
                    account: self.account().to_owned(),
                    provider: self.provider().unwrap_or_else(|| "<provider-arn>".to_owned()),
                },
                format!(
                    "gets no credentials: the cluster's OIDC provider does not take the audience of its token ({})",
                    self.who()
                ),
            ),
            (Cause::NoProvider(_), _) => self.issuer(),
            (Cause::Thumbprint, _) => self.thumbprint(),
            (Cause::Unreadable(file), _) => self.unreadable(file),
            (Cause::Endpoint(host), _) => self.endpoint(host.as_deref()),
            (Cause::Sts(host), _) => self.sts(host),
            (_, source @ (Source::Irsa { injected: false, .. } | Source::PodIdentity { injected: false, .. })) => {
                let role = source.role().unwrap_or("of its association");
                let why = format!(
                    "runs without the role that {} names ({role}): its pods get it only when they are made",
                    self.who()
                );
                self.plain(Fix::Restart { of: self.of() }, why)
            }
            (Cause::Agent, _) => self.agent(),
            (Cause::Sdk, _) | (Cause::None, Source::PodIdentity { .. }) => self.sdk(),
            (Cause::NotTrusted | Cause::None, Source::Irsa { role, .. }) => self.role(&role),
            (Cause::None | Cause::NotTrusted, _) => self.node(),
        }
    }

    pub(super) fn plain(&self, fix: Fix, why: String) -> Verdict {
        Verdict { fix, why, evidence: None, role: None }
    }
}
