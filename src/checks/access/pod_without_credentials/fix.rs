//! What is wrong with a program's credentials, and the fix.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::PodWithoutCredentials;
use crate::checks::support::configuration::Configuration;
use crate::checks::support::kept::Kept;
use crate::checks::support::place::Place;
use crate::checks::support::seen::{event_evidence, log_evidence};
use crate::domain::aws::addon::{POD_IDENTITY_AGENT, lacks_agent};
use crate::domain::aws::credentials::{self, Fault, Metadata, Source};
use crate::domain::aws::denied::{By, Denied};
use crate::domain::aws::oidc_provider;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::trust::{self, Mismatch};
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::ingress;
use crate::model::{Evidence, Finding, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Instance, Role};
use crate::snapshot::kubernetes::{Event, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::text::glob::fits;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    HopLimit {
        #[serde(flatten)]
        of: InCluster,
        account: String,
        instance: String,
        /// The agent of Pod Identity is not installed: an association alone gives nothing.
        without_agent: bool,
    },
    OwnRole {
        #[serde(flatten)]
        of: InCluster,
        account: String,
        policy: String,
        without_agent: bool,
        /// The instance whose metadata reaches its pods; empty where that is not known.
        instance: String,
    },
    Restart {
        #[serde(flatten)]
        of: Of,
    },
    Trust {
        #[serde(flatten)]
        of: Of,
        role: String,
        denied: String,
        added_trust: String,
        statement: String,
    },
    RoleAbsent {
        #[serde(flatten)]
        of: Of,
        account: String,
        role: String,
    },
    Provider {
        #[serde(flatten)]
        of: InCluster,
    },
    OtherIssuer {
        #[serde(flatten)]
        of: Of,
        pod: String,
    },
    Refused {
        #[serde(flatten)]
        of: Of,
    },
    Associated {
        #[serde(flatten)]
        of: InCluster,
        account: String,
        role: Placeholder,
    },
    Audience {
        #[serde(flatten)]
        of: Of,
        account: String,
        provider: String,
    },
    Agent {
        #[serde(flatten)]
        of: InCluster,
        installed: bool,
    },
    Sdk {
        #[serde(flatten)]
        of: InCluster,
        without_agent: bool,
    },
    Thumbprint {
        #[serde(flatten)]
        of: Of,
        provider: String,
        issuer_host: String,
    },
    Token {
        #[serde(flatten)]
        of: Of,
        /// What gives the pod a group that may read the token; empty for a pod or a Job, which cannot be changed.
        patch: String,
        group: i64,
        #[serde(flatten)]
        kept: Kept,
    },
    Endpoint {
        #[serde(flatten)]
        of: Of,
        asked: String,
        region: String,
        #[serde(flatten)]
        configuration: Configuration,
    },
    Sts {
        #[serde(flatten)]
        of: Of,
        host: String,
        region: String,
        vpc: Placeholder,
    },
    Permission {
        #[serde(flatten)]
        of: Of,
        role: Placeholder,
        policy: String,
        policy_name: String,
        /// The policy is all that the program's documentation asks for.
        is_documented: bool,
        denied: bool,
        /// ARN of the managed policy that is made for the program; empty where there is none.
        managed_policy: String,
    },
}

/// The program.
#[derive(Serialize, JsonSchema)]
pub(super) struct Of {
    namespace: String,
    /// `daemonset/fluent-bit`.
    workload: String,
}

/// The program and the cluster.
#[derive(Serialize, JsonSchema)]
pub(super) struct InCluster {
    #[serde(flatten)]
    of: Of,
    cluster: String,
    region: String,
}

/// What of a fault makes two lines the same.
pub(super) fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::None => "none",
        Fault::NotTrusted => "not-trusted",
        Fault::NoProvider(_) => "no-provider",
        Fault::Audience => "audience",
        Fault::NotAssumed => "not-assumed",
        Fault::Agent => "agent",
        // The end of the search for credentials says less of the same.
        Fault::Sdk => "none",
        Fault::Thumbprint => "thumbprint",
        Fault::Unreadable(_) => "unreadable",
        Fault::Endpoint(_) => "endpoint",
        Fault::Sts(_) => "sts",
        Fault::Denied(_) => "denied",
    }
}

/// The pods of one owner that say the same.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) owner: ResourceRef,
    pub(super) pods: Vec<&'a Pod>,
    pub(super) said: Said<'a>,
    pub(super) fault: Fault,
}

/// What tells of it.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    Log(&'a ContainerLog, &'a str),
    Event(&'a Event),
}

impl<'a> Said<'a> {
    /// The container that says it; an event tells of the pod alone.
    pub(super) fn container(self) -> Option<&'a str> {
        match self {
            Self::Log(log, _) => Some(&log.container),
            Self::Event(_) => None,
        }
    }

    fn evidence(self) -> Evidence {
        match self {
            Self::Log(log, line) => log_evidence(&log.namespace, &log.pod, &log.container, log.previous, line.trim()),
            Self::Event(event) => event_evidence(event),
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

    fn account(&self) -> &'a str {
        self.pod().spec.account()
    }

    pub(super) fn who(&self) -> String {
        format!("ServiceAccount {}/{}", self.pod().metadata.namespace, self.account())
    }

    pub(super) fn finding(&self) -> Finding {
        let Verdict { fix, why, evidence, role } = self.verdict();
        let needs_agent = self.fault == Fault::Agent || matches!(fix, Fix::Sdk { without_agent: true, .. });
        let is_cut_off = matches!(self.fault, Fault::Sts(_));
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
        if matches!(self.fault, Fault::NoProvider(_) | Fault::Audience)
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

    fn account_evidence(&self) -> Evidence {
        let value = match credentials::source(self.snap, self.pod()) {
            Source::Irsa { role, injected: true } => format!("role {role} (IRSA)"),
            Source::Irsa { role, injected: false } => format!("role {role} (IRSA), and the pod has no AWS_ROLE_ARN"),
            Source::PodIdentity { role: Some(role), .. } => format!("Pod Identity association, role {role}"),
            Source::PodIdentity { role: None, .. } => "Pod Identity association".to_owned(),
            Source::Node => "no role of its own: the node's is left".to_owned(),
        };
        Evidence::new(self.who(), value, "kubectl get serviceaccount {{ name }} -n {{ namespace }} -o yaml")
            .with("namespace", &self.pod().metadata.namespace)
            .with("name", self.account())
    }

    /// What of the stack suffers, where that is another thing than the program itself.
    fn effect(&self) -> String {
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
    fn is_program(&self, name: &str) -> bool {
        self.pod().spec.containers.iter().any(|c| base_of(&c.image) == name)
    }

    /// What its documentation asks for as a whole: one action after the other would be refused otherwise.
    fn documented(&self) -> Option<Value> {
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

    fn in_cluster(&self) -> InCluster {
        let place = Place::of(self.snap);
        InCluster { of: self.of(), cluster: place.cluster, region: place.region }
    }

    fn own_role(&self, policy: String, instance: &str) -> Fix {
        Fix::OwnRole {
            of: self.in_cluster(),
            account: self.account().to_owned(),
            policy,
            without_agent: lacks_agent(self.snap),
            instance: instance.to_owned(),
        }
    }

    /// The issuer of the token, where it is not the cluster's.
    fn other_issuer(&self) -> Option<&str> {
        let Fault::NoProvider(Some(issuer)) = &self.fault else { return None };
        let own = self.snap.eks_cluster().ok()?.issuer_host_path();
        (!own.is_empty() && own != issuer).then_some(issuer)
    }

    fn verdict(&self) -> Verdict {
        let source = credentials::source(self.snap, self.pod());
        match (&self.fault, source) {
            (Fault::Denied(denied), source) => self.denied(denied, &source),
            (Fault::NotAssumed, source) => {
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
            (Fault::Audience, _) => self.plain(
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
            (Fault::NoProvider(_), _) => self.issuer(),
            (Fault::Thumbprint, _) => self.thumbprint(),
            (Fault::Unreadable(file), _) => self.unreadable(file),
            (Fault::Endpoint(host), _) => self.endpoint(host.as_deref()),
            (Fault::Sts(host), _) => self.sts(host),
            (_, source @ (Source::Irsa { injected: false, .. } | Source::PodIdentity { injected: false, .. })) => {
                let role = source.role().unwrap_or("of its association");
                let why = format!(
                    "runs without the role that {} names ({role}): its pods get it only when they are made",
                    self.who()
                );
                self.plain(Fix::Restart { of: self.of() }, why)
            }
            (Fault::Agent, _) => self.agent(),
            (Fault::Sdk, _) | (Fault::None, Source::PodIdentity { .. }) => self.sdk(),
            (Fault::NotTrusted | Fault::None, Source::Irsa { role, .. }) => self.role(&role),
            (Fault::None | Fault::NotTrusted, _) => self.node(),
        }
    }

    pub(super) fn plain(&self, fix: Fix, why: String) -> Verdict {
        Verdict { fix, why, evidence: None, role: None }
    }

    /// STS does not know the issuer of the token.
    fn issuer(&self) -> Verdict {
        let own = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        if let Some(other) = self.other_issuer() {
            let pod = self.pod().metadata.name.clone();
            return self.plain(
                Fix::OtherIssuer { of: self.of(), pod },
                format!("gets no credentials: its token is of issuer {other}, which is not this cluster's ({own})"),
            );
        }
        let providers = self.snap.iam_oidc_providers();
        if !own.is_empty() && providers.is_ok_and(|all| oidc_provider::fault(&own, all).is_none()) {
            return self.plain(
                Fix::Refused { of: self.of() },
                format!(
                    "got no credentials: STS did not know the cluster's OIDC issuer, which IAM has a provider for now ({})",
                    self.who()
                ),
            );
        }
        self.plain(
            Fix::Provider { of: self.in_cluster() },
            format!("gets no credentials: STS does not know the cluster's OIDC issuer ({})", self.who()),
        )
    }

    /// An association that the program does not use.
    fn sdk(&self) -> Verdict {
        let without_agent = lacks_agent(self.snap);
        let why = match (&self.fault, without_agent) {
            (Fault::Sdk, _) => "its AWS SDK is older than Pod Identity, and refuses the agent's address 169.254.170.23",
            (_, true) => {
                "its AWS SDK may be older than Pod Identity, and the agent of EKS Pod Identity is not installed"
            }
            (_, false) => "its AWS SDK may be older than Pod Identity",
        };
        self.plain(
            Fix::Sdk { of: self.in_cluster(), without_agent },
            format!("has a Pod Identity association, and finds no credentials: {why}"),
        )
    }

    /// No role of its own, and the node's cannot be had.
    fn node(&self) -> Verdict {
        match credentials::metadata(self.snap, self.pod()) {
            Metadata::OutOfReach(instance) => Verdict {
                fix: Fix::HopLimit {
                    of: self.in_cluster(),
                    account: self.account().to_owned(),
                    instance: instance.instance_id.clone(),
                    without_agent: lacks_agent(self.snap),
                },
                why: format!(
                    "gets no credentials: the metadata of instance {} (node {}) {}, and {} has no role of its own",
                    instance.instance_id,
                    self.pod().spec.node_name.as_deref().unwrap_or_default(),
                    if is_off(instance) { "is turned off" } else { "does not reach pods, with a hop limit of 1" },
                    self.who()
                ),
                evidence: Some(metadata_evidence(instance, Place::of(self.snap).region)),
                role: None,
            },
            Metadata::InReach(instance) => Verdict {
                evidence: Some(metadata_evidence(instance, Place::of(self.snap).region)),
                ..self.plain(
                    self.own_role(String::new(), &instance.instance_id),
                    format!(
                        "gets no AWS credentials: {} has no role of its own, and the pod got none from the node's metadata either, although instance {} lets pods reach it{}",
                        self.who(),
                        instance.instance_id,
                        hops(instance).map(|n| format!(" (hop limit {n})")).unwrap_or_default()
                    ),
                )
            },
            Metadata::Unseen => self.plain(
                self.own_role(String::new(), ""),
                format!(
                    "gets no AWS credentials: {} has no role of its own, and whether the node's metadata reaches the pod was not seen",
                    self.who()
                ),
            ),
        }
    }

    fn agent(&self) -> Verdict {
        let installed = !lacks_agent(self.snap);
        let what = if installed { "does not answer it" } else { "is not installed" };
        self.plain(
            Fix::Agent { of: self.in_cluster(), installed },
            format!("gets no credentials: the agent of EKS Pod Identity {what}"),
        )
    }

    /// The role that the ServiceAccount names: absent, or it does not trust it.
    fn role(&self, arn: &str) -> Verdict {
        let name = arn.rsplit('/').next().unwrap_or(arn).to_owned();
        let read = self.snap.iam_roles.as_ref().ok().and_then(|all| all.get(arn));
        match read {
            Some(Ok(None)) => Verdict {
                fix: Fix::RoleAbsent { of: self.of(), account: self.account().to_owned(), role: name.clone() },
                why: format!("gets no credentials: role {arn}, which {} names, does not exist", self.who()),
                evidence: None,
                role: Some(name),
            },
            Some(Ok(Some(role))) => self.trusting(role),
            _ => Verdict {
                why: format!("gets no credentials: STS does not let {} have role {arn}", self.who()),
                fix: self.trust(&name, None, ""),
                evidence: None,
                role: Some(name),
            },
        }
    }

    fn trusting(&self, role: &Role) -> Verdict {
        let place = Place::of(self.snap);
        let issuer = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        let mismatch = trust::irsa(&role.trust_policy, &place.provider_arn(&issuer), &issuer, &self.subject());
        let Some(mismatch) = mismatch else {
            let registered = self.snap.iam_oidc_providers().map(|all| oidc_provider::fault(&issuer, all).is_none());
            let (fix, left) = match registered {
                Ok(true) => (
                    Fix::Refused { of: self.of() },
                    "it was set right just now, or a policy of the organization denies it",
                ),
                _ => (
                    Fix::Provider { of: self.in_cluster() },
                    "the cluster's OIDC issuer has to be registered in IAM as well",
                ),
            };
            return self.plain(
                fix,
                format!("was refused role {}, although the role trusts {}: {left}", role.name, self.who()),
            );
        };
        let words = mismatch.words();
        let Mismatch { part, found, expected } = mismatch;
        let found = if found.is_empty() { "absent".to_owned() } else { found };
        Verdict {
            fix: self.trust(&role.name, Some(role), if part == "Deny" { &found } else { "" }),
            why: format!(
                "gets no credentials: the trust policy of role {} does not admit {}: {words}",
                role.name,
                self.who()
            ),
            evidence: Some(
                Evidence::new(
                    format!("iam:GetRole {}, AssumeRolePolicyDocument", role.name),
                    format!("found    {found}\nexpected {expected}"),
                    "aws iam get-role --role-name {{ role }} --query Role.AssumeRolePolicyDocument",
                )
                .with("role", &role.name),
            ),
            role: Some(role.name.clone()),
        }
    }

    fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.pod().metadata.namespace, self.account())
    }

    /// The role's policy with a statement that admits this ServiceAccount and nobody else; what it has already stays.
    fn trust(&self, name: &str, role: Option<&Role>, denied: &str) -> Fix {
        let issuer = self.snap.eks_cluster().map(|c| c.issuer_host_path().to_owned()).unwrap_or_default();
        let provider = Place::of(self.snap).provider_arn(&issuer);
        let namespace = &self.pod().metadata.namespace;
        let statement = trust::irsa_statement(&provider, &issuer, namespace, self.account());
        let text = statement.to_string();
        let added = role.map(|r| trust::with_statement(&r.trust_policy, statement).to_string());
        Fix::Trust {
            of: self.of(),
            role: name.to_owned(),
            denied: denied.to_owned(),
            added_trust: added.unwrap_or_default(),
            statement: text,
        }
    }

    /// The policy of AWS that is made for the program.
    fn managed_policy(&self) -> String {
        const KNOWN: &[(&str, &str)] = &[
            ("aws-node", "AmazonEKS_CNI_Policy"),
            ("efs-csi-controller", "service-role/AmazonEFSCSIDriverPolicy"),
            ("cloudwatch-agent", "CloudWatchAgentServerPolicy"),
        ];
        let workload = self.owner.kubectl_name();
        let name = workload.rsplit('/').next().unwrap_or_default();
        let found = KNOWN.iter().find(|(known, _)| *known == name);
        found.map_or_else(String::new, |(_, policy)| Place::of(self.snap).policy_arn(policy))
    }

    /// The role of the pod's node, where it is known.
    fn node_role(&self) -> Option<&'a str> {
        const GROUP: &str = "eks.amazonaws.com/nodegroup";
        let groups = self.snap.eks_nodegroups().ok()?;
        let name = self.snap.node_of(self.pod()).and_then(|n| n.metadata.label(GROUP));
        // A node of no group (Karpenter, self-managed) has a role of its own.
        let all_grouped =
            || self.snap.nodes.items().is_ok_and(|all| all.iter().all(|n| n.metadata.label(GROUP).is_some()));
        let mut roles: Vec<&str> = match name {
            Some(name) => groups.iter().filter(|g| g.nodegroup_name == name).map(|g| g.node_role.as_str()).collect(),
            None if all_grouped() => groups.iter().map(|g| g.node_role.as_str()).collect(),
            None => return None,
        };
        roles.sort_unstable();
        roles.dedup();
        let [one] = roles.as_slice() else { return None };
        one.rsplit('/').next().filter(|r| !r.is_empty())
    }

    fn denied(&self, denied: &Denied, source: &Source) -> Verdict {
        let action = denied.action.clone().unwrap_or_default();
        // What does not name the caller has the role that it is meant to have.
        let meant = || source.role().map(|r| r.rsplit('/').next().unwrap_or(r)).or_else(|| self.node_role());
        let role = denied.role().or_else(meant).unwrap_or_default().to_owned();
        let is_node = self.snap.eks_nodegroups.iter().flatten().any(|g| g.node_role.rsplit('/').next() == Some(&role));
        let on = denied.resource.as_deref().filter(|r| !r.is_empty()).unwrap_or("*").to_owned();
        let asked = || json!([{"Effect": "Allow", "Action": action, "Resource": on}]);
        // What it does beside that is asked for alone.
        let documented = self.documented().filter(|all| action.is_empty() || covers(all, &action, &on));
        let is_documented = documented.is_some();
        let statements = documented.unwrap_or_else(asked);
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        match source {
            Source::Irsa { injected: false, .. } | Source::PodIdentity { injected: false, .. } if is_node => {
                let own = source.role().unwrap_or("that of its association");
                let why = format!(
                    "works with the node's role {role}, which may not {action}, and not with {own} that {} names: its pods get it only when they are made",
                    self.who()
                );
                self.plain(Fix::Restart { of: self.of() }, why)
            }
            // The CNI is made to work with the node's role.
            Source::Node if is_node && self.managed_policy().is_empty() => {
                let why = format!(
                    "works with the node's role {role}, which may not {action}: {} has no role of its own",
                    self.who()
                );
                self.plain(self.own_role(policy, ""), why)
            }
            _ => {
                let forbidden =
                    matches!(denied.by, By::ControlPolicy | By::ExplicitDeny | By::Boundary | By::EndpointPolicy);
                let by = if forbidden {
                    "a policy denies it, whatever the role is allowed"
                } else {
                    "no policy of the role allows it"
                };
                let who = if role.is_empty() { "its identity".to_owned() } else { format!("role {role}") };
                Verdict {
                    why: format!("is refused by AWS: {who} may not {action} ({by})"),
                    fix: Fix::Permission {
                        of: self.of(),
                        role: Placeholder::new("role-name")
                            .how("aws iam list-roles --query 'Roles[].RoleName' --output text")
                            .candidates(Some(role.clone()).filter(|r| !r.is_empty())),
                        policy,
                        policy_name: match is_documented {
                            true => {
                                format!("allow-{}", self.owner.kubectl_name().rsplit('/').next().unwrap_or_default())
                            }
                            false => format!("allow-{}", action.replace(':', "-")),
                        },
                        is_documented,
                        denied: forbidden,
                        managed_policy: self.managed_policy(),
                    },
                    evidence: None,
                    role: Some(role).filter(|r| !r.is_empty()),
                }
            }
        }
    }
}

/// Statements that allow an action on a resource.
fn covers(statements: &Value, action: &str, on: &str) -> bool {
    statements.as_array().into_iter().flatten().any(|statement| {
        let mut actions = statement["Action"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let resource = statement["Resource"].as_str().unwrap_or_default();
        actions.any(|a| a.eq_ignore_ascii_case(action)) && (on == "*" || fits(resource, on))
    })
}

fn is_off(instance: &Instance) -> bool {
    instance.metadata_options.as_ref().is_some_and(|o| o.http_endpoint.as_deref() == Some("disabled"))
}

fn hops(instance: &Instance) -> Option<i64> {
    instance.metadata_options.as_ref().and_then(|o| o.http_put_response_hop_limit).map(i64::from)
}

fn metadata_evidence(instance: &Instance, region: String) -> Evidence {
    let options = instance.metadata_options.clone().unwrap_or_default();
    let hops = hops(instance).map_or_else(|| "?".to_owned(), |n| n.to_string());
    Evidence::new(
        format!("ec2:DescribeInstances {}, MetadataOptions", instance.instance_id),
        format!("HttpTokens {}, HttpPutResponseHopLimit {hops}", options.http_tokens.unwrap_or_default()),
        "aws ec2 describe-instances --instance-ids {{ instance }} --region {{ region }} --query 'Reservations[].Instances[].MetadataOptions'",
    )
    .with("instance", &instance.instance_id)
    .with("region", region)
}
