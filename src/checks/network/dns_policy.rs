//! A pod asks the resolver of its node for names that only the cluster's DNS knows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::seen::log_evidence;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::cluster_dns;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::proxy;
use crate::domain::traffic::flows;
use crate::domain::traffic::misled::{self, Misled, Why};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    DnsPolicy {
        id: "dns-policy", suite: Network, severity: Error,
        title: "a pod does not ask the cluster's DNS",
        requires: [ComponentLogs, Services],
        uses: [PartLogs, Pods, PrometheusTargets, GrafanaDatasourceHealth, Workloads, MonitoringResources, EksAddons],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// Who cannot resolve names: `deployment/grafana`, and the container whose log says so; empty where no log does.
    said_namespace: String,
    said_by: String,
    said_in: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Policy {
        namespace: String,
        pod: String,
        /// `deployment/grafana`; empty where the operator or nobody keeps a template.
        target: String,
        patch: String,
        /// `prometheus` or `alertmanager`, the operator's resource; empty else.
        custom: String,
        custom_name: String,
        custom_patch: String,
        policy: &'static str,
        managed: String,
        has_rollout: bool,
    },
    Own {
        namespace: String,
        pod: String,
        target: String,
        dns: String,
        asked: String,
        /// It asks the cluster's DNS first: its dnsPolicy is not None.
        beside: bool,
        managed: String,
    },
    Kubelet {
        node: String,
        configz: String,
        dns: String,
        asked: String,
    },
}

impl Check for DnsPolicy {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.component_logs()?;
        let mut all: BTreeMap<(ResourceRef, Why), Vec<Misled<'_>>> = BTreeMap::new();
        for one in misled::all(snap) {
            let about = match (one.why, &one.pod.spec.node_name) {
                (Why::Kubelet, Some(node)) => ResourceRef::node(node),
                _ => snap.owner_ref(one.pod),
            };
            all.entry((about, one.why)).or_default().push(one);
        }
        Ok(Diagnosis::Findings(all.into_iter().map(|((about, _), found)| finding(snap, about, &found)).collect()))
    }
}

fn finding(snap: &Snapshot, about: ResourceRef, found: &[Misled<'_>]) -> Finding {
    let first = &found[0];
    let (namespace, name) = (&first.pod.metadata.namespace, &first.pod.metadata.name);
    let dns = dns_address(snap);
    let why = match first.why {
        Why::Default => "its dnsPolicy is Default".to_owned(),
        Why::HostNetwork => {
            "it is on the network of its node, and its dnsPolicy is not ClusterFirstWithHostNet".to_owned()
        }
        Why::Own if asks_first(first) => {
            "its dnsConfig names that one beside the cluster's DNS, which had not answered".to_owned()
        }
        Why::Own => "its dnsPolicy is None, and its dnsConfig names another".to_owned(),
        Why::Kubelet => format!("the kubelet of its node gives that to pods instead of {dns}"),
    };
    let message = match first.outside {
        true => format!(
            "pod {namespace}/{name} asks resolver {} for {} and gets no answer: that is the DNS of other clusters, and not this one's ({dns}): {why}",
            first.resolver, first.host
        ),
        false => format!(
            "pod {namespace}/{name} asks resolver {} for {}, which only the cluster's DNS knows: {why}",
            first.resolver, first.host
        ),
    };
    let severity = severity_of(snap, first.pod, Severity::Error);
    let mut made = Finding::new(DnsPolicy::META.id, severity, about.clone(), message).breaks_nothing();
    for one in found {
        let meta = &one.pod.metadata;
        let owner = snap.owner_ref(one.pod);
        let reference = ResourceRef::pod(&meta.namespace, &meta.name);
        // Who is not answered is told of by the connection as well.
        made = flows::connection(&owner, one.said).into_iter().fold(made, Finding::breaks);
        made = made.also(owner.clone()).breaks(reference).breaks(owner);
        made = made.evidence(match one.container {
            "" => Evidence::new(
                format!("what pod {}/{} says", meta.namespace, meta.name),
                one.said,
                "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.spec.dnsPolicy}{\" hostNetwork=\"}{.spec.hostNetwork}{\"\\n\"}'",
            )
            .with("namespace", &meta.namespace)
            .with("pod", &meta.name),
            container => log_evidence(&meta.namespace, &meta.name, container, false, one.said.trim()),
        });
    }
    made.fix(Fix {
        said_namespace: namespace.clone(),
        said_by: snap.owner_ref(first.pod).kubectl_name(),
        said_in: first.container.to_owned(),
        way: way(snap, first, dns),
    })
}

/// The cluster's DNS is the first of its resolvers.
fn asks_first(one: &Misled<'_>) -> bool {
    one.pod.spec.dns_policy.as_deref() != Some("None")
}

fn dns_address(snap: &Snapshot) -> String {
    let address = cluster_dns::service(snap).and_then(|s| s.spec.cluster_ip.clone());
    address.unwrap_or_else(|| "<cluster-dns>".to_owned())
}

fn way(snap: &Snapshot, one: &Misled<'_>, dns: String) -> Way {
    let target = Target::of(snap, one.pod);
    let (namespace, pod) = (one.pod.metadata.namespace.clone(), one.pod.metadata.name.clone());
    let own = if target.in_place() { target.name.clone() } else { String::new() };
    match one.why {
        Why::Kubelet => {
            let node = one.pod.spec.node_name.clone().unwrap_or_else(|| "<node>".to_owned());
            Way::Kubelet { configz: proxy::of_node(&node, "/configz"), node, dns, asked: one.resolver.to_string() }
        }
        Why::Own => Way::Own {
            namespace,
            pod,
            target: own,
            dns,
            asked: one.resolver.to_string(),
            beside: asks_first(one),
            managed: target.managed_by,
        },
        Why::Default | Why::HostNetwork => {
            let policy = if one.pod.spec.host_network { "ClusterFirstWithHostNet" } else { "ClusterFirst" };
            let of_pod = json!({"dnsPolicy": policy});
            Way::Policy {
                namespace,
                pod,
                patch: json!({"spec": {"template": {"spec": of_pod}}}).to_string(),
                custom: target.operator_kind().to_owned(),
                custom_name: target.operator_name().to_owned(),
                custom_patch: json!({"spec": of_pod}).to_string(),
                policy,
                has_rollout: target.has_rollout,
                target: own,
                managed: target.managed_by,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{applicable, findings, steps};
    use crate::domain::testing::workload::{pod, snapshot};
    use crate::model::Program;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::Workload;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::Value;

    fn with(spec: Value, resolver: &str) -> Snapshot {
        of_pods(&[("prom-6d5f9c7b8-x2x2x", spec)], resolver)
    }

    fn of_pods(pods_of: &[(&str, Value)], resolver: &str) -> Snapshot {
        let pods = pods_of.iter().map(|(name, spec)| {
            let mut made = pod(json!({"name": "prometheus", "ready": true}));
            made["metadata"]["name"] = json!(name);
            for (key, value) in spec.as_object().expect("an object") {
                made["spec"][key] = value.clone();
            }
            made
        });
        let mut snap = snapshot(pods.collect());
        let service = |namespace: &str, name: &str, ip: &str| json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip}});
        let mut all = json!([
            service("kube-system", "kube-dns", "172.20.0.10"),
            service("monitoring", "alertmanager", "172.20.1.1")
        ]);
        all[0]["spec"]["clusterIPs"] = json!(["172.20.0.10", "fd00:10:96::a"]);
        snap.services = Listing::cluster(serde_json::from_value(all).expect("services"));
        let line = format!(
            "time=2026-11-21T11:58:00Z level=ERROR err=\"dial tcp: lookup alertmanager.monitoring.svc on {resolver}:53: no such host\"\n"
        );
        let log = |(name, _): &(&str, Value)| ContainerLog {
            program: Some(Program::Prometheus),
            namespace: "monitoring".into(),
            pod: (*name).into(),
            container: "prometheus".into(),
            image: "prom/prometheus:v3.5.0".into(),
            previous: false,
            text: line.clone().into(),
        };
        *snap.component_logs = Ok(pods_of.iter().map(log).collect());
        snap
    }

    #[test]
    fn the_policy_of_the_pod_says_whom_it_asks() {
        let found = findings(&DnsPolicy, &with(json!({"dnsPolicy": "Default"}), "10.0.0.2"));
        assert!(found[0].message.ends_with("its dnsPolicy is Default"), "{}", found[0].message);
        assert!(steps(&found[0]).contains(r#"{"dnsPolicy":"ClusterFirst"}"#), "{}", steps(&found[0]));
        let found = findings(&DnsPolicy, &with(json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), "10.0.0.2"));
        assert!(steps(&found[0]).contains(r#"{"dnsPolicy":"ClusterFirstWithHostNet"}"#));
        let found = findings(&DnsPolicy, &with(json!({"dnsPolicy": "Default", "hostNetwork": true}), "10.0.0.2"));
        assert!(steps(&found[0]).contains(r#"{"dnsPolicy":"ClusterFirstWithHostNet"}"#), "{}", steps(&found[0]));
    }

    #[test]
    fn two_pods_of_a_node_have_their_resolver_of_its_kubelet() {
        let first = || json!({"dnsPolicy": "ClusterFirst"});
        let found = findings(&DnsPolicy, &of_pods(&[("a", first()), ("b", first())], "10.100.0.10"));
        assert_eq!(found[0].subject(), &ResourceRef::node("node-a"));
        assert_eq!(applicable(&DnsPolicy, &with(first(), "10.100.0.10")), []);
        let other = json!({"dnsPolicy": "ClusterFirst", "nodeName": "node-b"});
        assert_eq!(applicable(&DnsPolicy, &of_pods(&[("a", first()), ("b", other)], "10.100.0.10")), []);
    }

    #[test]
    fn the_dns_of_another_cluster_answers_for_no_name() {
        let of = |resolver: &str| {
            let mut snap = with(json!({"dnsPolicy": "ClusterFirst"}), resolver);
            let line = format!(
                "time=2026-11-21T11:58:00Z level=ERROR err=\"dial tcp: lookup hooks.slack.com on {resolver}:53: read udp 10.0.1.5:4242->{resolver}:53: i/o timeout\"\n"
            );
            if let Ok(logs) = snap.component_logs.as_mut() {
                logs[0].text = line.as_str().into();
            }
            snap
        };
        let found = findings(&DnsPolicy, &of("10.100.0.10"));
        assert_eq!(found[0].subject(), &ResourceRef::node("node-a"));
        assert!(found[0].message.contains("not this one's (172.20.0.10)"), "{}", found[0].message);
        assert_eq!(applicable(&DnsPolicy, &of("172.20.0.10")), []);
        assert_eq!(applicable(&DnsPolicy, &of("10.0.0.2")), [], "it may be anybody");
    }

    #[test]
    fn a_resolver_beside_the_clusters_is_of_the_pod() {
        let spec = json!({"dnsPolicy": "ClusterFirst", "dnsConfig": {"nameservers": ["1.1.1.1"]}});
        let found = findings(&DnsPolicy, &with(spec, "1.1.1.1"));
        assert!(found[0].message.contains("beside the cluster's DNS"), "{}", found[0].message);
        assert_ne!(found[0].subject(), &ResourceRef::node("node-a"));
    }

    #[test]
    fn whoever_asks_the_clusters_dns_or_its_cache_is_well() {
        for resolver in ["172.20.0.10", "fd00:10:96::a", "169.254.20.10"] {
            assert_eq!(applicable(&DnsPolicy, &with(json!({"dnsPolicy": "Default"}), resolver)), [], "{resolver}");
        }
        let mut snap = with(json!({"dnsPolicy": "Default"}), "192.0.2.53");
        let cache = json!({"metadata": {"name": "node-local-dns", "namespace": "kube-system"}, "spec": {"template":
            {"spec": {"containers": [{"name": "node-cache", "args": ["-localip", "192.0.2.53,172.20.0.10"]}]}}}});
        let cache: Workload = serde_json::from_value(cache).expect("a workload");
        snap.workloads = Listing::cluster(vec![Workload { kind: "DaemonSet".into(), ..cache }]);
        assert_eq!(applicable(&DnsPolicy, &snap), []);
    }
}
