//! Which of the operator's servers a Service is for, read from the labels that the operator gives their pods.

use crate::domain::prometheus::operator::selection;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{MonitoringResource, Service};

/// The servers whose pods a Service selects; of a Service for all servers of a kind each of them.
pub(crate) fn servers_behind<'a>(snap: &'a Snapshot, service: &Service) -> Vec<&'a MonitoringResource> {
    let all = selection::all_servers(snap).unwrap_or_default();
    all.into_iter().filter(|server| is_before(service, server)).collect()
}

/// The Service selects pods of the server: a label says so, and none says something else.
pub(crate) fn is_before(service: &Service, server: &MonitoringResource) -> bool {
    if service.metadata.namespace != server.metadata.namespace {
        return false;
    }
    let (kind, name) = (word(server), server.metadata.name.as_str());
    let own = ["operator.prometheus.io/name", kind, "app.kubernetes.io/instance"];
    let selector = &service.spec.selector;
    let is = |key: &str, value: &str| selector.get(key).map(|found| found == value);
    let kinds = [is("app.kubernetes.io/name", kind), is("app", kind)];
    let names = own.map(|key| is(key, name));
    // Labels that name the kind alone are of the Service that the operator makes for all of them.
    let says = names[..2].contains(&Some(true)) || kinds.contains(&Some(true));
    says && !kinds.contains(&Some(false)) && !names.contains(&Some(false))
}

/// The Prometheus whose `spec.alerting` names the Service.
pub(crate) fn sender<'a>(snap: &'a Snapshot, service: &Service) -> Option<&'a MonitoringResource> {
    let meta = &service.metadata;
    let names = |server: &&MonitoringResource| {
        let all = server.spec.alerting.as_ref().map(|a| a.alertmanagers.as_slice()).unwrap_or_default();
        let own = server.metadata.namespace.as_str();
        all.iter().any(|a| a.name == meta.name && a.namespace.as_deref().unwrap_or(own) == meta.namespace)
    };
    selection::all_servers(snap).unwrap_or_default().into_iter().find(names)
}

/// The kind as the operator writes it in labels.
fn word(server: &MonitoringResource) -> &'static str {
    match server.kind.as_str() {
        "Alertmanager" => "alertmanager",
        "ThanosRuler" => "thanos-ruler",
        "PrometheusAgent" => "prometheus-agent",
        _ => "prometheus",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fits(selector: Value) -> bool {
        let service = json!({"metadata": {"namespace": "monitoring", "name": "s"}, "spec": {"selector": selector}});
        let service: Service = serde_json::from_value(service).expect("a Service");
        let server: MonitoringResource =
            serde_json::from_value(json!({"metadata": {"namespace": "monitoring", "name": "main"}})).expect("a server");
        is_before(&service, &MonitoringResource { kind: "Alertmanager".into(), ..server })
    }

    #[test]
    fn the_labels_of_its_pods_say_whose_service_it_is() {
        // kube-prometheus, kube-prometheus-stack, and the Service that the operator makes.
        assert!(fits(json!({"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main",
            "app.kubernetes.io/component": "alert-router"})));
        assert!(fits(json!({"app.kubernetes.io/name": "alertmanager", "alertmanager": "main"})));
        assert!(fits(json!({"app.kubernetes.io/name": "alertmanager"})));
        assert!(fits(json!({"app": "alertmanager", "alertmanager": "main"})));
    }

    #[test]
    fn a_service_of_something_else_is_not() {
        assert!(!fits(json!({"app.kubernetes.io/name": "alertmanager", "alertmanager": "other"})));
        assert!(!fits(json!({"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": "main"})));
        assert!(!fits(json!({"app.kubernetes.io/instance": "main"})));
        assert!(!fits(json!({})));
    }
}
