//! What would explain a crash: the resources that its finding depends on, and the place in its file.

use crate::checks::support::located::Text;
use crate::checks::support::reach::way_to_services;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::datasources;
use crate::domain::aws::identity::Identity;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::{credentials, ebs, endpoints};
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::mounts::Origin;
use crate::domain::kubernetes::network_policy::egress_policies;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::service_host::asked;
use crate::domain::kubernetes::{foundation, own_store, webhooks};
use crate::domain::prometheus::operator;
use crate::domain::text::api_host::ApiHost;
use crate::domain::traffic::attempts;
use crate::model::{Evidence, Finding, ResourceRef};
use crate::snapshot::kubernetes::Node;

impl Case<'_> {
    /// The finding with its causes and its place.
    pub(super) fn finish(&self, made: Finding) -> Finding {
        self.excerpt(self.depends_on(made))
    }

    fn depends_on(&self, mut made: Finding) -> Finding {
        let namespace = self.namespace();
        if self.times_out() {
            for policy in egress_policies(self.snap, self.failing.pod) {
                made = made.depends_on(policy);
            }
        }
        if matches!(self.failing.cause, Cause::Probe(_)) {
            made = made.depends_on(attempts::probed(self.failing.pod));
        }
        // Credentials that do not work are told of by the ServiceAccount that has them.
        let unsaid = self.failing.cause.class().is_none() && foundation::is_part(self.failing.pod);
        let by_store = self.failing.cause.class() == Some(Class::Store);
        if unsaid || by_store || self.is_about_credentials() {
            let account = self.failing.pod.spec.account();
            made = made.depends_on(ResourceRef::service_account(namespace, account));
            if self.failing.pod.spec.containers.iter().any(|c| c.image.contains("ebs-csi-driver")) {
                made = made.depends_on(ebs::credentials_ref(self.snap));
            }
        }
        // The VPC CNI waits for EC2, and keeps what it meets in a log of the node.
        if unsaid && self.failing.container.image.contains("amazon-k8s-cni") {
            let region = Identity::of(self.snap).region.unwrap_or_default();
            for service in ["ec2", "sts"] {
                let name = endpoints::service_name(region, service);
                made = made.depends_on(ResourceRef::aws("ec2", "vpc-endpoint", name));
            }
        }
        let Some(class) = self.failing.cause.class() else { return made };
        if class == Class::Store
            && let Some(store) = own_store::of(self.snap, self.failing.pod, self.failing.container)
        {
            made = made.depends_on(ResourceRef::service(&store.namespace, &store.service));
            if let Some(job) = own_store::failed_maker(self.snap, &store) {
                made = made.depends_on(ResourceRef::kubernetes(
                    "batch",
                    "Job",
                    &job.metadata.namespace,
                    &job.metadata.name,
                ));
            }
        }
        if class == Class::Certificate
            && let Some((host, _)) = self.crash.as_ref().and_then(Crash::unreached)
            && let Some(service) = asked(self.snap, host, namespace)
        {
            made = made.depends_on(ResourceRef::service(&service.namespace, &service.service));
        }
        if matches!(class, Class::Unreached | Class::Plugin | Class::Database) {
            made = self.unreached(made);
        }
        match &self.origin {
            Origin::ConfigMap { name, .. } => made = made.depends_on(ResourceRef::config_map(namespace, name)),
            Origin::Secret { name, .. } => {
                made = made.depends_on(ResourceRef::kubernetes("", "Secret", namespace, name));
            }
            Origin::Claim { name, .. } => made = made.depends_on(ResourceRef::pvc(namespace, name)),
            Origin::Volume | Origin::Image => {}
        }
        if class.is_configuration() {
            if let Some(operator) = self.target.operator_ref(namespace) {
                made = made.depends_on(operator);
            }
            if let Some((namespace, name)) = self.rule_object() {
                made = made.depends_on(ResourceRef::kubernetes(
                    "monitoring.coreos.com",
                    "PrometheusRule",
                    namespace,
                    name,
                ));
            }
        }
        if class == Class::ApiServer {
            made = made.depends_on_all(way_to_services(self.snap, self.failing.pod));
        }
        if class == Class::CrdMissing {
            for plural in operator::RESOURCES {
                made = made.depends_on(ResourceRef::crd(&format!("{plural}.monitoring.coreos.com")));
            }
        }
        // What makes the certificate is a program of its own.
        if class == Class::Webhook {
            for pod in webhooks::beside(self.snap, self.failing.pod).filter(|p| !p.is_ready()) {
                made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
            }
        }
        if class == Class::Forbidden {
            let account = self.failing.pod.spec.account();
            made = made.depends_on(ResourceRef::service_account(namespace, account));
        }
        if class == Class::SecondDefault {
            for source in datasources::defaults(self.snap) {
                made = made.depends_on(ResourceRef::config_map(&source.namespace, &source.map));
            }
        }
        made
    }

    /// Its log says that AWS gives it no credentials, or denies what they are used for.
    fn is_about_credentials(&self) -> bool {
        self.log().any(|text| text.lines().any(|l| credentials::Cause::read(l).is_some()))
    }

    /// What would explain that something is not reached: its Service and pods, the DNS, the way out of the pod's subnet.
    fn unreached(&self, mut made: Finding) -> Finding {
        let said = self.crash.as_ref().map(|c| format!("{} {}", c.reason, c.said)).unwrap_or_default();
        let (host, port) = self.crash.as_ref().and_then(Crash::unreached).unzip();
        let is_it = |n: &&Node| n.internal_ip() == host;
        if port.flatten() == Some("10250")
            && let Some(node) = host.and_then(|_| self.snap.nodes.items().ok()?.iter().find(is_it))
        {
            return made.depends_on(ResourceRef::port(&node.metadata.name, KUBELET_PORT));
        }
        if let Some(service) = host.and_then(|h| self.snap.service_by_host(h)) {
            return made.depends_on(ResourceRef::service(&service.metadata.namespace, &service.metadata.name));
        }
        if let Some(pod) = host.and_then(|h| self.snap.pod_by_ip(h)) {
            return made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        if let Some(api) = host.and_then(ApiHost::of) {
            let region = api.region.as_deref().or(Identity::of(self.snap).region).unwrap_or_default();
            let endpoint = endpoints::service_name(region, &api.service);
            made = made.depends_on(ResourceRef::aws("ec2", "vpc-endpoint", endpoint));
        }
        if said.contains("DNS") || said.contains("lookup ") {
            made = made.depends_on(ResourceRef::service("kube-system", "kube-dns"));
        }
        if let Some(subnet) = Placement::new(self.snap).of_pod(self.failing.pod) {
            made = made.depends_on(ResourceRef::aws("ec2", "subnet", subnet));
        }
        made
    }

    /// Its log says that a connection got no answer.
    fn times_out(&self) -> bool {
        self.log().any(|text| text.contains("i/o timeout"))
    }

    /// The place in the file, as it is now.
    fn excerpt(&self, made: Finding) -> Finding {
        let (Some(crash), Some(text)) = (&self.crash, self.text) else { return made };
        let (Some(line), Origin::ConfigMap { name, key }, false) = (crash.line, &self.origin, self.is_corrected) else {
            return made;
        };
        let map = ResourceRef::config_map(self.namespace(), name);
        let Some(place) = (Text { map: &map, key, text }).line(line) else { return made };
        let source = format!("ConfigMap {}/{name}, {key} line {line}", self.namespace());
        let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
        let shown = place.excerpt.clone();
        let made = made.location(place);
        made.evidence(Evidence::new(source, shown, show).with("name", name).with("namespace", self.namespace()))
    }
}
