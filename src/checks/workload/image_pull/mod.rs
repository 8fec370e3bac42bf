//! The image of a container of the stack cannot be pulled.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::aws::endpoints;
use crate::domain::aws::identity::Identity;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::held_update::{self, Field};
use crate::domain::kubernetes::image::{Image, Retired};
use crate::domain::kubernetes::owner::{Settable, Target, in_scope, others_ready};
use crate::domain::kubernetes::pull_error::Reason;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, Node, Pod, Waiting};
use crate::snapshot::{Platform, Snapshot};

/// Longest part of the runtime's message that is shown in the sentence.
const QUOTED: usize = 160;
/// Pods of kube-system that belong to it.
const SYSTEM: &[&str] = &["metrics-server", "ebs-csi-", "coredns-", "aws-node-"];

check! {
    /// See the check's page.
    ImagePull {
        id: "image-pull", suite: Workload, severity: Error,
        title: "the image of a container cannot be pulled",
        requires: [Pods],
        uses: [Events, Nodes, Workloads, MonitoringResources, EksCluster, EksNodegroups, EksAddons, VpcEndpoints, Subnets, Instances],
    }
}

impl Check for ImagePull {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, String, Reason), Vec<Failure<'_>>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| concerns(snap, p)) {
            for failure in failures(snap, pod) {
                let key = (snap.owner_ref(pod), failure.reason.concerns(&failure.container.image), failure.reason);
                groups.entry(key).or_default().push(failure);
            }
        }
        let findings = groups.into_values().map(|failures| Writer::new(snap, &failures).finding(&failures));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn concerns(snap: &Snapshot, pod: &Pod) -> bool {
    let metrics_server = pod.metadata.namespace == "kube-system"
        && pod
            .spec
            .containers
            .iter()
            .any(|c| c.image.contains("/metrics-server:") || c.image.contains("/metrics-server@"));
    let in_scope = in_scope(snap, pod, SYSTEM) || (metrics_server && pod.metadata.deletion_timestamp.is_none());
    in_scope && !pod.is_finished()
}

/// A container whose image could not be pulled.
struct Failure<'a> {
    pod: &'a Pod,
    container: &'a Container,
    reason: Reason,
    /// What the kubelet said.
    said: String,
}

fn failures<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Failure<'a>> {
    let of = |name: &str, waiting: &Waiting| {
        let container = pod.all_containers().find(|c| c.name == name)?;
        let pulls =
            ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"];
        if !pulls.contains(&waiting.reason.as_str()) {
            return None;
        }
        let said = detail(snap, pod, container, waiting);
        let reason = Reason::of(&waiting.reason, &said);
        let passes = matches!(reason, Reason::Network | Reason::Dns | Reason::Server | Reason::Other);
        let young = snap.age_seconds(&pod.metadata) < GRACE && pod.metadata.creation_timestamp.is_some();
        (!(passes && young)).then_some(Failure { pod, container, reason, said })
    };
    pod.statuses().filter_map(|s| of(&s.name, s.state.waiting.as_ref()?)).collect()
}

/// What the kubelet says of the failure: the container's state, or the event of the last attempt.
fn detail(snap: &Snapshot, pod: &Pod, container: &Container, waiting: &Waiting) -> String {
    let message = waiting.message.as_deref().unwrap_or_default();
    // Before 1.30 the back-off says only which image it is.
    let bare = message.is_empty() || (message.starts_with("Back-off pulling image") && !message.contains("Err"));
    if !bare {
        return message.to_owned();
    }
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let about = |e: &&&crate::snapshot::kubernetes::Event| {
        e.message.starts_with("Failed to pull image") && e.message.contains(&format!("\"{}\"", container.image))
    };
    events.iter().find(about).map_or_else(|| message.to_owned(), |e| e.message.clone())
}

struct Writer<'a> {
    snap: &'a Snapshot,
    pod: &'a Pod,
    container: &'a Container,
    reason: Reason,
    image: Option<Image>,
    retired: Option<Retired>,
    target: Target<'a>,
    node: Option<&'a Node>,
    /// The login that was sent is past its time.
    is_late: bool,
    /// The mirror of the nodes that was asked instead of the registry.
    mirror: Option<String>,
}

impl<'a> Writer<'a> {
    fn new(snap: &'a Snapshot, failures: &[Failure<'a>]) -> Self {
        let Failure { pod, container, reason, .. } = failures[0];
        let image = Image::parse(&container.image);
        // A closed registry answers in many ways, or the events that would say how are gone.
        let closed = matches!(
            reason,
            Reason::NotFound | Reason::Denied | Reason::Unauthorized | Reason::Server | Reason::Other | Reason::Dns
        );
        let retired = image.as_ref().filter(|_| closed).and_then(Image::retired);
        let is_late = Reason::is_expired(&failures[0].said);
        let mirror = Reason::mirror(&failures[0].said).filter(|_| reason.is_of_the_way()).map(str::to_owned);
        Self {
            is_late,
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

    fn finding(&self, failures: &[Failure<'a>]) -> Finding {
        let pods: Vec<&Pod> = failures.iter().map(|f| f.pod).collect();
        let owner = &self.target.owner;
        let replaced = others_ready(self.snap, owner, &pods);
        let severity = if replaced { Severity::Warning } else { Severity::Error };
        let severity = severity_of(self.snap, self.pod, severity);
        let variant = self.variant();
        let mut made = Finding::new(ImagePull::META.id, severity, owner.clone(), self.message(variant))
            .key(format!("{} {} {variant}", owner.key(), self.container.name))
            .fix(variant)
            .evidence(self.seen(&failures[0]));
        // A registry refuses all who come with the same credentials, or counts them together.
        let shared = matches!(
            self.reason,
            Reason::Unauthorized | Reason::RateLimit | Reason::Dns | Reason::Tls | Reason::Network
        );
        if let Some(image) = self.image.as_ref().filter(|_| shared) {
            let key = format!("{variant} {} {}", image.host, self.pod.metadata.namespace);
            let text = self.message(variant).split_once(": ").map_or_else(String::new, |(_, why)| format!(": {why}"));
            made = made.cause(Cause::keyed(
                key,
                format!("images of several workloads cannot be pulled from {}{text}", image.host),
            ));
        }
        let others: BTreeSet<&str> = failures.iter().map(|f| f.container.image.as_str()).collect();
        if others.len() > 1 {
            made.message = format!("{}; so do {} other images of it from there", made.message, others.len() - 1);
        }
        if let Some(event) = self.missing_secret() {
            made = made.evidence(event);
        }
        for pod in &pods {
            let reference = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
            made = made.breaks(reference.clone());
            if reference != *owner {
                made = made.also(reference);
            }
            made = held_update::outdated(self.snap, pod, Field::Image).into_iter().fold(made, Finding::depends_on);
        }
        if !replaced {
            made = made.breaks(owner.clone());
        }
        if self.reason.may_be_egress() {
            let at = Placement::new(self.snap);
            let subnets: BTreeSet<&str> = pods.iter().filter_map(|p| at.of_pod(p)).collect();
            made = subnets.into_iter().fold(made, |f, id| f.depends_on(ResourceRef::aws("ec2", "subnet", id)));
        }
        // In a VPC without a way out, the endpoint that is missing is the cause.
        if let Some(ecr) = self.image.as_ref().and_then(Image::ecr) {
            for service in ["ecr.api", "ecr.dkr", "s3"] {
                let name = endpoints::service_name(ecr.region, service);
                made = made.depends_on(ResourceRef::aws("ec2", "vpc-endpoint", name));
            }
        }
        self.with_params(made, replaced)
    }

    fn variant(&self) -> &'static str {
        if self.retired.is_some() {
            let metrics_server = self.image.as_ref().is_some_and(|i| i.base() == "metrics-server");
            return if metrics_server && self.snap.platform == Platform::Eks { "metrics-server" } else { "retired" };
        }
        if self.mirror.is_some() {
            return "mirror";
        }
        let ecr = self.image.as_ref().and_then(Image::ecr);
        match self.reason {
            Reason::NotFound if ecr.is_some() => "ecr-not-found",
            Reason::NotFound => "not-found",
            // A slip in the name of a public repository reads like a private one.
            Reason::Denied if self.proposed().is_some() => "not-found",
            Reason::Denied | Reason::Unauthorized => match ecr {
                Some(_) if self.snap.platform == Platform::Other || self.is_expired() => "ecr-token",
                Some(ecr) if self.is_foreign(ecr.account) => "ecr-other-account",
                Some(_) => "ecr-auth",
                None => "unauthorized",
            },
            Reason::Network | Reason::Dns if ecr.is_some() && !self.missing_endpoints().is_empty() => "ecr-endpoints",
            Reason::Network => "network",
            Reason::Dns => "dns",
            Reason::InvalidName => "invalid-name",
            Reason::NeverPulled => "never",
            Reason::RateLimit => "rate-limit",
            Reason::Platform => "platform",
            Reason::Tls => "tls",
            Reason::Server => "server",
            Reason::Disk => "disk",
            Reason::Other => "other",
        }
    }

    /// The pull secret holds a login of ECR that is past its twelve hours.
    fn is_expired(&self) -> bool {
        self.is_late && !self.secrets().is_empty()
    }

    fn message(&self, variant: &str) -> String {
        let who =
            format!("image {} of container {} in {}", self.container.image, self.container.name, self.target.owner);
        let why = match (variant, &self.retired) {
            (_, Some(retired)) => format!("{} (now {})", retired.why, retired.image),
            ("ecr-other-account", _) => {
                format!("it lies in the registry of account {}, which refuses the cluster's nodes", self.account())
            }
            ("ecr-token", _) if self.is_expired() => format!(
                "the login for Amazon ECR in its pull secret ({}) is older than twelve hours, and is sent instead of the node's own",
                self.secrets().join(", ")
            ),
            ("mirror", _) => {
                let host = self.image.as_ref().map_or("its registry", |i| i.host.as_str());
                let mirror = self.mirror.as_deref().unwrap_or_default();
                format!(
                    "the nodes ask mirror {mirror} for images of {host}, and {}",
                    self.reason.words().replacen("the registry", "it", 1)
                )
            }
            ("ecr-auth", _) => "the node's IAM role may not pull from Amazon ECR".to_owned(),
            ("ecr-endpoints", _) => {
                format!(
                    "the registry cannot be reached, and the VPC has no endpoint for {}",
                    self.missing_endpoints().join(", ")
                )
            }
            ("platform", _) => match self.arch() {
                "" => self.reason.words().to_owned(),
                arch => format!("it has no build for {arch}, the architecture of node {}", self.node_name()),
            },
            ("not-found", _) => match self.proposed() {
                Some(image) => format!("the registry does not have it; {image} is likely meant"),
                None => self.reason.words().to_owned(),
            },
            ("unauthorized", _) if self.missing_secret().is_some() => {
                format!("its pull secret ({}) cannot be read or does not exist", self.secrets().join(", "))
            }
            _ => self.reason.words().to_owned(),
        };
        format!("{who} cannot be pulled: {why}")
    }

    fn seen(&self, failure: &Failure<'_>) -> Evidence {
        let meta = &failure.pod.metadata;
        let said =
            if failure.said.is_empty() { "the kubelet says no more, and its events are gone" } else { &failure.said };
        let short: String = if self.reason == Reason::Other { shorten(said, 4 * QUOTED) } else { said.to_owned() };
        let source = format!("Pod {}/{}, container {}", meta.namespace, meta.name, failure.container.name);
        Evidence::new(source, short, "kubectl describe pod -n {{ namespace }} {{ pod }}")
            .with("namespace", &meta.namespace)
            .with("pod", &meta.name)
    }

    /// The kubelet's word that a pull secret is not there.
    fn missing_secret(&self) -> Option<Evidence> {
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

    fn secrets(&self) -> Vec<&str> {
        self.pod.spec.image_pull_secrets.iter().map(|s| s.name.as_str()).collect()
    }

    fn node_name(&self) -> &str {
        self.pod.spec.node_name.as_deref().unwrap_or("<node>")
    }

    fn arch(&self) -> &str {
        self.node.and_then(Node::architecture).unwrap_or_default()
    }

    /// Another architecture of which the cluster has nodes.
    fn other_arch(&self) -> Option<&str> {
        let all = self.snap.nodes.items().unwrap_or_default();
        let mut others =
            all.iter().filter_map(|n| n.metadata.label("kubernetes.io/arch")).filter(|a| *a != self.arch());
        others.clone().find(|a| *a == "amd64").or_else(|| others.next())
    }

    fn account(&self) -> &str {
        self.image.as_ref().and_then(Image::ecr).map_or("", |e| e.account)
    }

    fn cluster_account(&self) -> Option<&str> {
        Identity::of(self.snap).account
    }

    /// Another account's registry; EKS' own registries let every account pull.
    fn is_foreign(&self, account: &str) -> bool {
        let of_eks = self.image.as_ref().is_some_and(|i| {
            i.repository.starts_with("eks/")
                || i.repository.starts_with("amazon-k8s-cni")
                || i.repository.starts_with("amazon/")
        });
        !of_eks && self.cluster_account().is_some_and(|own| own != account)
    }

    /// Services of VPC endpoints that a pull from ECR takes and that are missing, where the VPC has some of its own, or
    /// no way to the internet shows that it is meant to be private.
    fn missing_endpoints(&self) -> Vec<String> {
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
    fn proposed(&self) -> Option<String> {
        match &self.image {
            Some(image) => image.likely(),
            None => {
                let lower = self.container.image.trim().to_ascii_lowercase();
                let plain = lower.trim_start_matches("https://").trim_start_matches("docker://").trim_end_matches(':');
                Image::parse(plain).map(|_| plain.to_owned())
            }
        }
    }

    /// The image that another, ready pod of the same owner runs.
    fn running(&self) -> Option<&'a str> {
        let all = self.snap.pods.items().unwrap_or_default().iter();
        let mut same = all.filter(|p| p.is_ready() && self.snap.owner_ref(p) == self.target.owner);
        same.find_map(|p| {
            let twin = p.all_containers().find(|c| c.name == self.container.name)?;
            (twin.image != self.container.image).then_some(twin.image.as_str())
        })
    }

    /// Name of the IAM role of the pod's node.
    fn node_role(&self) -> Option<&str> {
        let groups = self.snap.eks_nodegroups().ok()?;
        let name = self.node.and_then(|n| n.metadata.label("eks.amazonaws.com/nodegroup"));
        let mine = groups.iter().find(|g| name == Some(g.nodegroup_name.as_str()));
        let roles: BTreeSet<&str> = groups.iter().map(|g| g.node_role.as_str()).collect();
        let only = (roles.len() == 1).then(|| roles.iter().next().copied()).flatten();
        let arn = mine.map(|g| g.node_role.as_str()).or(only).filter(|arn| !arn.is_empty())?;
        arn.rsplit('/').next()
    }

    fn with_params(&self, made: Finding, replaced: bool) -> Finding {
        let meta = &self.pod.metadata;
        let wanted = self.retired.as_ref().map(|r| r.image.clone()).or_else(|| match self.reason {
            Reason::RateLimit | Reason::Server | Reason::Network => self.image.as_ref().and_then(Image::mirror),
            _ => self.proposed(),
        });
        let image = wanted.clone().unwrap_or_else(|| "<image>".to_owned());
        let main = matches!(self.container.program(), Some(Program::Prometheus | Program::Alertmanager))
            || (self.target.custom.is_some_and(|(kind, _)| kind == self.container.name));
        let policy = serde_json::json!({"spec": {"template": {"spec": {self.list(): [
            {"name": self.container.name, "imagePullPolicy": "IfNotPresent"}]}}}});
        let made = made
            .param("namespace", &meta.namespace)
            .param("pod", &meta.name)
            .param("container", &self.container.name)
            .param("current", &self.container.image)
            .param("target", &self.target.name)
            .param("in_place", self.target.in_place())
            .param("known", wanted.is_some())
            .param("image", &image)
            .param("custom", self.target.custom.filter(|_| main).map(|(kind, _)| kind))
            .param("custom_name", self.target.custom.map(|(_, name)| name))
            .param("custom_patch", serde_json::json!({"spec": {"image": image}}).to_string())
            .param("custom_side", self.target.custom.is_some() && !main)
            .param("addon", self.target.addon)
            .param("fixed", self.target.settable == Settable::No)
            .param("job", self.target.name.starts_with("job/"))
            .param("rolls", self.target.settable != Settable::No)
            .param("has_rollout", self.target.has_rollout)
            .param("managed_by", &self.target.managed_by)
            .param("values_path", self.target.values_path(self.snap, &self.container.name, "image"))
            .param("running", self.running().filter(|_| self.target.in_place() && replaced))
            .param("why", self.retired.as_ref().map(|r| r.why))
            .param("policy_patch", policy.to_string())
            .param("mirror", self.mirror.as_deref().unwrap_or_default())
            .param("instance", self.node.and_then(Node::shell_instance).unwrap_or_default())
            .param("show_hosts", self.show_hosts());
        self.with_registry(made)
    }

    /// Shows on the node which mirrors it has for the registry, and whether this one and the registry itself answer.
    fn show_hosts(&self) -> String {
        let host = self.image.as_ref().map_or("_default", |i| i.host.as_str());
        let mirror = self.mirror.as_deref().unwrap_or_default();
        let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let commands = serde_json::json!([
            format!("cat /etc/containerd/certs.d/{host}/hosts.toml /etc/containerd/certs.d/_default/hosts.toml"),
            format!("curl -sS -m 5 -o /dev/null -w '%{{http_code}} {mirror}\\n' https://{mirror}/v2/"),
            format!("curl -sS -m 5 -o /dev/null -w '%{{http_code}} {server}\\n' https://{server}/v2/"),
        ]);
        serde_json::json!({ "commands": commands }).to_string()
    }

    fn list(&self) -> &'static str {
        let init = self.pod.spec.init_containers.iter().any(|c| c.name == self.container.name);
        if init { "initContainers" } else { "containers" }
    }

    /// Values about registry, node and network.
    fn with_registry(&self, made: Finding) -> Finding {
        let host = self.image.as_ref().map_or("<registry>", |i| i.host.as_str());
        let ecr = self.image.as_ref().and_then(Image::ecr);
        let cluster = self.snap.eks_cluster.as_ref().ok();
        let partition = Identity::of(self.snap).partition;
        let own = self.cluster_account().unwrap_or("<account>");
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{"Sid": "PullFromCluster", "Effect": "Allow",
            "Principal": {"AWS": format!("arn:{partition}:iam::{own}:root")},
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]}]});
        let arch = self.other_arch();
        let selector = serde_json::json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/arch": arch.unwrap_or_default()}}}}});
        let hub = host == "docker.io";
        let secret = self.secrets().first().map_or_else(|| if hub { "docker-hub" } else { "registry-login" }, |s| *s);
        let account = self.pod.spec.account();
        let (interface, gateway): (Vec<String>, Vec<String>) =
            self.missing_endpoints().into_iter().partition(|s| !s.ends_with(".s3"));
        let vpc = cluster.map(|c| &c.resources_vpc_config);
        made.param("host", host)
            .param("server", if hub { "https://index.docker.io/v1/" } else { host })
            .param("repository", self.image.as_ref().map_or("", |i| i.repository.as_str()))
            .param("repository_url", self.repository_url())
            .param("tag", self.image.as_ref().map_or("", |i| i.tag.as_str()))
            .param("account", self.account())
            .param("region", ecr.map_or("", |e| e.region))
            .param(
                "image_id",
                self.image
                    .as_ref()
                    .map(|i| i.digest.as_ref().map_or(format!("imageTag={}", i.tag), |d| format!("imageDigest={d}"))),
            )
            .param("node", self.node_name())
            .param("fargate", self.node.is_some_and(Node::is_fargate))
            .param("node_role", self.node_role().unwrap_or("<node-role>"))
            .param("pull_policy", format!("arn:{partition}:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"))
            .param("repository_policy", policy.to_string())
            .param("own_account", own)
            .param("secret", secret)
            .param("has_secret", !self.secrets().is_empty())
            .param("service_account", account)
            .param("secret_patch", serde_json::json!({"imagePullSecrets": [{"name": secret}]}).to_string())
            .param("arch", if self.arch().is_empty() { "the node's architecture" } else { self.arch() })
            .param("other_arch", arch)
            .param("arch_patch", arch.is_some().then(|| selector.to_string()))
            .param("hub", hub)
            .param("kubectl_image", self.image.as_ref().is_some_and(|i| i.base() == "kubectl"))
            .param("bitnami", self.image.as_ref().is_some_and(|i| i.repository.starts_with("bitnami/")))
            .param("eks", self.snap.platform == Platform::Eks)
            .param("cluster", self.snap.target.cluster.as_deref().unwrap_or("<cluster>"))
            .param("cluster_region", self.snap.target.region.as_deref().unwrap_or_default())
            .param("release", self.release())
            .param("interfaces", interface)
            .param("gateways", gateway)
            .param("vpc", vpc.map_or("<vpc>", |v| v.vpc_id.as_str()))
            .param("subnets", vpc.map(|v| v.subnet_ids.clone()).unwrap_or_default())
            .param("group", vpc.map_or("<security-group>", |v| v.cluster_security_group_id.as_str()))
            .param("subnet", Placement::new(self.snap).of_pod(self.pod))
    }

    /// Where people see which tags a public repository has.
    fn repository_url(&self) -> Option<String> {
        let image = self.image.as_ref()?;
        let path = &image.repository;
        match image.host.as_str() {
            "docker.io" => Some(match path.strip_prefix("library/") {
                Some(official) => format!("https://hub.docker.com/_/{official}/tags"),
                None => format!("https://hub.docker.com/r/{path}/tags"),
            }),
            "quay.io" => Some(format!("https://quay.io/repository/{path}?tab=tags")),
            _ => None,
        }
    }

    /// Release and namespace of Helm, where it made the workload.
    fn release(&self) -> Option<Vec<String>> {
        let workload = crate::domain::kubernetes::owner::workload(self.snap, &self.target.owner)?;
        let (name, namespace) = crate::domain::kubernetes::managed::release(&workload.metadata)?;
        Some(vec![name.into(), "-n".into(), namespace.into()])
    }
}

#[cfg(test)]
mod tests;
