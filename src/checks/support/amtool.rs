//! How Alertmanager is asked from within its own pod.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::own_address::{self, OwnAddress};
use crate::domain::kubernetes::owner;
use crate::model::{Evidence, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, MonitoringResource, Pod};

/// The command that shows the configuration that runs, as evidence has it.
pub(crate) const SHOW_CONFIG: &str =
    "kubectl exec -n {{ am_namespace }} {{ am_pod }} -c {{ am_container }} -- {{ amtool|arguments }} config show";

/// Values of the shared steps `amtool-config` and `amtool-routes`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Amtool {
    am_namespace: String,
    am_pod: String,
    am_container: String,
    #[serde(skip)]
    url: String,
    /// The program with the address that it asks, as words of a command.
    amtool: Vec<String>,
}

impl Amtool {
    /// In a container of Alertmanager.
    pub(crate) fn of(pod: &Pod, container: &Container) -> Self {
        let meta = &pod.metadata;
        Self::at(&meta.namespace, &meta.name, &container.name, &OwnAddress::of_pod(pod, container))
    }

    /// In a pod whose log was read, and which may be gone.
    pub(crate) fn of_log(namespace: &str, pod: &str, at: Option<(&Pod, &Container)>) -> Self {
        let usual = || Self::at(namespace, pod, "alertmanager", &OwnAddress::usual(Program::Alertmanager));
        at.map_or_else(usual, |(pod, container)| Self::of(pod, container))
    }

    /// In the first pod of the stack; placeholders where there is none.
    pub(crate) fn of_stack(snap: &Snapshot) -> Self {
        Self::in_stack(snap).unwrap_or_else(|| {
            let component = snap.scope.alertmanager.as_ref();
            let address = OwnAddress {
                prefix: component.map(|c| c.prefix.clone()).unwrap_or_default(),
                ..OwnAddress::usual(Program::Alertmanager)
            };
            let namespace = component.map_or("<namespace>", |c| c.namespace.as_str());
            Self::at(namespace, "<alertmanager-pod>", "alertmanager", &address)
        })
    }

    fn in_stack(snap: &Snapshot) -> Option<Self> {
        alertmanager_pods(snap).into_iter().next().map(|(pod, container)| Self::of(pod, container))
    }

    /// In the first pod that the operator makes of its resource.
    pub(crate) fn of_server(snap: &Snapshot, server: &MonitoringResource) -> Self {
        let meta = &server.metadata;
        let workloads = snap.workloads.items().unwrap_or_default().iter();
        let mut own = workloads.filter(|w| {
            w.metadata.namespace == meta.namespace
                && owner::operator_owner(&w.metadata) == Some(("alertmanager", meta.name.as_str()))
        });
        let container = own
            .next()
            .and_then(|w| w.spec.template.spec.containers.iter().find(|c| c.program() == Some(Program::Alertmanager)));
        let address = container.map_or_else(
            || OwnAddress {
                prefix: own_address::bare(server.spec.route_prefix.as_deref().unwrap_or_default()),
                ..OwnAddress::usual(Program::Alertmanager)
            },
            |c| OwnAddress::of(c, None),
        );
        Self::at(&meta.namespace, &format!("alertmanager-{}-0", meta.name), "alertmanager", &address)
    }

    fn at(namespace: &str, pod: &str, container: &str, address: &OwnAddress) -> Self {
        let url = format!("--alertmanager.url={}", address.url());
        // It takes the certificate of a file alone, which is not for this address.
        let trusting = format!(
            "echo tls_config: {{insecure_skip_verify: true}} | amtool --http.config.file=/dev/stdin {url} \"$@\""
        );
        let words = if address.tls {
            vec!["sh".to_owned(), "-c".to_owned(), trusting, "amtool".to_owned()]
        } else {
            vec!["amtool".to_owned(), url]
        };
        Self {
            am_namespace: namespace.to_owned(),
            am_pod: pod.to_owned(),
            am_container: container.to_owned(),
            url: address.url(),
            amtool: words,
        }
    }

    /// The URL that is asked.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The configuration that runs, as evidence.
    pub(crate) fn config_seen(self, title: &str, value: String) -> Evidence {
        Evidence::new(title, value, SHOW_CONFIG)
            .with("am_namespace", self.am_namespace)
            .with("am_pod", self.am_pod)
            .with("am_container", self.am_container)
            .with("amtool", self.amtool)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(container: serde_json::Value) -> String {
        let made = json!({"metadata": {"name": "am-0", "namespace": "m"}, "spec": {"containers": [container]}});
        let pod: Pod = serde_json::from_value(made).expect("a pod");
        Amtool::of(&pod, &pod.spec.containers[0]).amtool.join(" ")
    }

    #[test]
    fn it_asks_where_alertmanager_answers() {
        let own = json!({"name": "alertmanager", "image": "prom/alertmanager:v0.28.1",
            "args": ["--web.listen-address=:9095", "--web.route-prefix=/am"]});
        assert_eq!(words(own), "amtool --alertmanager.url=http://localhost:9095/am");
    }

    #[test]
    fn a_certificate_for_another_name_is_taken() {
        let probe = json!({"httpGet": {"path": "/-/ready", "port": 9093, "scheme": "HTTPS"}});
        let own = json!({"name": "alertmanager", "image": "prom/alertmanager:v0.28.1", "readinessProbe": probe});
        let said = words(own);
        assert!(said.starts_with("sh -c echo tls_config: {insecure_skip_verify: true} | amtool "), "{said}");
        assert!(said.ends_with("--alertmanager.url=https://localhost:9093 \"$@\" amtool"), "{said}");
    }
}
