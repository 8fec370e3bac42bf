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
    /// It changes nothing but the number of replicas.
    pub(super) counts: bool,
    /// As it is written.
    pub(super) text: String,
}

impl Call {
    /// The calls of a step.
    pub(super) fn of_step(step: &Step) -> Vec<Self> {
        if step.kind != StepKind::Command {
            return Vec::new();
        }
        parts(&step.command).into_iter().filter_map(Self::of).collect()
    }

    fn of(line: &str) -> Option<Self> {
        let words = shlex::split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (verb, rest) = match words.as_slice() {
            ["kubectl", first @ ("rollout" | "set"), second, rest @ ..] => (format!("{first} {second}"), rest),
            ["kubectl", verb, rest @ ..] => ((*verb).to_owned(), rest),
            _ => return None,
        };
        let after = rest.iter().position(|w| matches!(*w, "-n" | "--namespace")).and_then(|at| rest.get(at + 1));
        let objects = objects(rest);
        let (kind, names) = match objects.as_slice() {
            [one, ..] if one.contains('/') => {
                let kind = one.split_once('/')?.0;
                let same = objects.iter().filter_map(|o| o.strip_prefix(kind)?.strip_prefix('/'));
                (kind, same.map(str::to_owned).collect())
            }
            [kind, names @ ..] if !names.is_empty() => (*kind, names.iter().map(|n| (*n).to_owned()).collect()),
            _ => return None,
        };
        let counts = verb == "scale" || verb == "patch" && rest.iter().any(|word| sets_replicas_alone(word));
        Some(Self {
            verb,
            counts,
            kind: normal(kind),
            namespace: after.map(|n| (*n).to_owned()).unwrap_or_default(),
            names,
            stops: rest.contains(&"--replicas=0"),
            text: line.trim().to_owned(),
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

/// The patch of an operator's resource that does what `kubectl scale` does to a workload.
fn sets_replicas_alone(patch: &str) -> bool {
    let patch: serde_json::Value = serde_json::from_str(patch).unwrap_or_default();
    let alone = |value: &serde_json::Value| value.as_object().is_some_and(|fields| fields.len() == 1);
    alone(&patch) && alone(&patch["spec"]) && patch["spec"]["replicas"].is_number()
}

/// Flags that have their value behind them.
const VALUED: &[&str] = &[
    "-n",
    "--namespace",
    "-c",
    "--container",
    "-f",
    "--filename",
    "-l",
    "--selector",
    "-o",
    "--output",
    "-p",
    "--patch",
    "--type",
    "--replicas",
    "--timeout",
    "--context",
    "--to-revision",
];

/// What a call names: without flags, and without pairs and removals, which are what is set, not what it is set on.
fn objects<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut words = words.iter().copied().take_while(|w| *w != "--");
    while let Some(word) = words.next() {
        if VALUED.contains(&word) {
            words.next();
        } else if !word.starts_with('-') && !word.contains('=') && !word.ends_with('-') {
            found.push(word);
        }
    }
    found
}

/// The commands of a text: what stands in quotes is one word of theirs.
fn parts(text: &str) -> Vec<&str> {
    let (mut found, mut begin, mut quote, mut escaped) = (Vec::new(), 0, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '\n' | '&' | '|' | ';') => {
                found.push(&text[begin..at]);
                begin = at + c.len_utf8();
            }
            _ => {}
        }
    }
    found.push(&text[begin..]);
    found
}

/// A kind in the singular, without its group: `deployments.apps` and `deploy` are `deployment`.
fn normal(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    let bare = kind.split('.').next().unwrap_or_default();
    let full = match bare {
        "po" => "pod",
        "deploy" => "deployment",
        "sts" => "statefulset",
        "ds" => "daemonset",
        "cm" => "configmap",
        "svc" => "service",
        "sa" => "serviceaccount",
        "quota" => "resourcequota",
        "netpol" | "networkpolicies" => "networkpolicy",
        "sc" | "storageclasses" => "storageclass",
        "horizontalpodautoscaler" | "horizontalpodautoscalers" => "hpa",
        "prometheuses" => "prometheus",
        "prometheus" => bare,
        _ => bare.strip_suffix('s').filter(|one| !one.ends_with('s')).unwrap_or(bare),
    };
    full.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_does_not_end_a_call() {
        let text = "kubectl patch cm a -n m -p '{\"x\": \"a | b; c\"}' && kubectl get pods\nkubectl scale sts b";
        let found: Vec<&str> = parts(text).into_iter().map(str::trim).filter(|p| !p.is_empty()).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("c\"}'"), "{found:?}");
        assert_eq!(Call::of(found[2]).map(|c| c.kind).as_deref(), Some("statefulset"));
    }

    #[test]
    fn a_call_names_its_objects() {
        for (line, verb, kind, names) in [
            ("kubectl delete pod a b -n m --wait=false", "delete", "pod", vec!["a", "b"]),
            ("kubectl rollout restart deployment/grafana -n m", "rollout restart", "deployment", vec!["grafana"]),
            ("kubectl set image deployment/grafana c=x:1 -n m", "set image", "deployment", vec!["grafana"]),
            ("kubectl label configmap a grafana_dashboard=1 -n m --overwrite", "label", "configmap", vec!["a"]),
            ("kubectl patch --type merge -p '{\"a\": 1}' deployments.apps x -n m", "patch", "deployment", vec!["x"]),
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
        let counts = |patch: &str| {
            let line = format!("kubectl patch prometheus k8s -n m --type=merge -p '{patch}'");
            Call::of(&line).is_some_and(|call| call.counts)
        };
        assert!(counts(r#"{"spec":{"replicas":0}}"#));
        assert!(!counts(r#"{"spec":{"replicas":0,"paused":true}}"#) && !counts(r#"{"spec":{"paused":true}}"#));
    }
}
