//! What a printed command of kubectl does, and to which objects.

use crate::model::{ResourceRef, Step, StepKind};

/// One call of kubectl that names its objects.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// `patch`, `rollout restart`, `set image`.
    pub(super) verb: String,
    /// As kubectl takes it.
    pub(super) kind: String,
    /// Empty where none is given.
    pub(super) namespace: String,
    pub(super) names: Vec<String>,
    /// It takes all replicas away.
    pub(super) stops: bool,
}

impl Call {
    /// The calls of a step.
    pub(super) fn of_step(step: &Step) -> Vec<Self> {
        if step.kind != StepKind::Command {
            return Vec::new();
        }
        step.command.split(['\n', '&', '|', ';']).filter_map(Self::of).collect()
    }

    fn of(line: &str) -> Option<Self> {
        let words = shlex::split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (verb, rest) = match words.as_slice() {
            ["kubectl", first @ ("rollout" | "set"), second, rest @ ..] => (format!("{first} {second}"), rest),
            ["kubectl", verb, rest @ ..] => ((*verb).to_owned(), rest),
            _ => return None,
        };
        let after = rest.iter().position(|w| *w == "-n").and_then(|at| rest.get(at + 1));
        // Pairs are what is set, not what it is set on.
        let objects = rest.iter().take_while(|w| !w.starts_with('-')).filter(|w| !w.contains('=')).copied();
        let objects: Vec<&str> = objects.collect();
        let (kind, names) = match objects.as_slice() {
            [one, ..] if one.contains('/') => {
                let kind = one.split_once('/')?.0;
                let same = objects.iter().filter_map(|o| o.strip_prefix(kind)?.strip_prefix('/'));
                (kind, same.map(str::to_owned).collect())
            }
            [kind, names @ ..] if !names.is_empty() => (*kind, names.iter().map(|n| (*n).to_owned()).collect()),
            _ => return None,
        };
        Some(Self {
            verb,
            kind: kind.to_ascii_lowercase(),
            namespace: after.map(|n| (*n).to_owned()).unwrap_or_default(),
            names,
            stops: rest.contains(&"--replicas=0"),
        })
    }

    /// Its objects, where they are of a kind that people describe in charts and manifests.
    pub(super) fn described(&self) -> Vec<ResourceRef> {
        let (group, kind) = match self.kind.as_str() {
            "deployment" => ("apps", "Deployment"),
            "statefulset" => ("apps", "StatefulSet"),
            "daemonset" => ("apps", "DaemonSet"),
            "prometheus" => ("monitoring.coreos.com", "Prometheus"),
            "alertmanager" => ("monitoring.coreos.com", "Alertmanager"),
            "servicemonitor" => ("monitoring.coreos.com", "ServiceMonitor"),
            "podmonitor" => ("monitoring.coreos.com", "PodMonitor"),
            "prometheusrule" => ("monitoring.coreos.com", "PrometheusRule"),
            "configmap" => ("", "ConfigMap"),
            "service" => ("", "Service"),
            "serviceaccount" => ("", "ServiceAccount"),
            "resourcequota" => ("", "ResourceQuota"),
            "networkpolicy" => ("networking.k8s.io", "NetworkPolicy"),
            "storageclass" => ("storage.k8s.io", "StorageClass"),
            "hpa" => ("autoscaling", "HorizontalPodAutoscaler"),
            _ => return Vec::new(),
        };
        self.names.iter().map(|name| ResourceRef::kubernetes(group, kind, &self.namespace, name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_its_objects() {
        for (line, verb, kind, names) in [
            ("kubectl delete pod a b -n m --wait=false", "delete", "pod", vec!["a", "b"]),
            ("kubectl rollout restart deployment/grafana -n m", "rollout restart", "deployment", vec!["grafana"]),
            ("kubectl set image deployment/grafana c=x:1 -n m", "set image", "deployment", vec!["grafana"]),
            ("kubectl label configmap a grafana_dashboard=1 -n m --overwrite", "label", "configmap", vec!["a"]),
            ("kubectl edit prometheus k8s -n m", "edit", "prometheus", vec!["k8s"]),
        ] {
            let call = Call::of(line).expect("a call");
            let found: Vec<&str> = call.names.iter().map(String::as_str).collect();
            assert_eq!((call.verb.as_str(), call.kind.as_str(), found), (verb, kind, names), "{line}");
            assert_eq!(call.namespace, "m", "{line}");
        }
        for line in ["helm upgrade a b -n m", "kubectl get pods -n m", "kubectl apply -f x.yaml"] {
            assert_eq!(Call::of(line), None, "{line}");
        }
    }
}
