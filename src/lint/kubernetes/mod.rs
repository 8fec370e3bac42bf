//! Manifests of built-in kinds, as strict as an API server: fields, their types, what they must agree on.

mod agree;
pub(crate) mod balancer;
mod fields;
mod kinds;
pub mod removed;
mod words;

use super::Problem;
use super::yaml::Node;

pub(crate) use fields::{TWICE, doubled};
pub(crate) use kinds::{is_kind, is_version};
pub use removed::{Removed, removed};

/// What an API server refuses of an object. Kinds that are not built in are judged by their keys alone; `part`: of a patch
/// that Kustomize lays over another manifest, what is there.
pub fn lint(object: &Node, part: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    kinds::check(object, part, &mut problems);
    fields::check(object, part, &mut problems);
    if fields::is_known(object) {
        words::check(object, &mut problems);
    }
    if !part {
        agree::check(object, &mut problems);
        balancer::class(object, &mut problems);
    }
    problems.sort_by_key(|p| p.place);
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn said(text: &str) -> Vec<String> {
        let object = yaml::document(text).expect("is YAML").expect("is no empty document");
        lint(&object, false).into_iter().map(|p| format!("{} {}: {}", p.place, p.path, p.message)).collect()
    }

    const GOOD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, creationTimestamp: null, labels: {app: a}}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a, x: 'y'}}\n    spec:\n      containers:\n      - name: c\n        image: i\n        args: [--a]\n        env: [{name: A, value: '1'}, {name: B, valueFrom: {fieldRef: {fieldPath: x}}}]\n        ports: [{containerPort: 80}]\n        resources: {limits: {cpu: 1, memory: 1Gi}}\n        livenessProbe: {httpGet: {path: /, port: http}}\n        volumeMounts: [{name: v, mountPath: /v}]\n      volumes: [{name: v, emptyDir: {}}]\nstatus: {}\n";

    #[test]
    fn a_good_manifest_is_quiet() {
        assert_eq!(said(GOOD), Vec::<String>::new());
        let headless =
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None, ports: [{port: 80}]}\n";
        assert_eq!(said(headless), Vec::<String>::new());
        let custom =
            "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: a}\nspec: {anything: 1}\n";
        assert_eq!(said(custom), Vec::<String>::new());
        let claims = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n    spec:\n      containers: [{name: c, image: i, volumeMounts: [{name: data, mountPath: /d}]}]\n  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
        assert_eq!(said(claims), Vec::<String>::new());
    }

    #[test]
    fn what_a_server_refuses_is_named_with_its_place() {
        for (from, to, expected) in [
            ("args:", "arg:", "13:9 spec.template.spec.containers[0].arg: unknown field \"arg\" in Container"),
            ("replicas: 1", "replicas: \"1\"", "5:13 spec.replicas: \"1\" is text in quotes; a number is wanted"),
            (
                "value: '1'",
                "value: 1",
                "14:32 spec.template.spec.containers[0].env[0].value: 1 is a number; text is wanted",
            ),
            (
                "matchLabels: {app: a}",
                "matchLabels: {app: b}",
                "6:33 spec.selector.matchLabels.app: app=b is not among the labels of the pod template (app=a)",
            ),
            (
                "volumes: [{name: v,",
                "volumes: [{name: w,",
                " spec.template.spec.containers[0].volumeMounts[0].name: no volume is called \"v\" (there is w)",
            ),
            ("containers:", "container:", "spec.template.spec.container: unknown field \"container\" in PodSpec"),
            ("  replicas: 1", "  replicas: 1\n  replicas: 2", "6:3 spec.replicas: the key \"replicas\" is there twice"),
            (
                "containerPort: 80",
                "containerPort: http",
                "spec.template.spec.containers[0].ports[0].containerPort: \"http\" is text; a number is wanted",
            ),
            ("labels: {app: a}}\nspec", "labels: [a]}\nspec", "metadata.labels: a list; a mapping is wanted"),
        ] {
            let found = said(&GOOD.replacen(from, to, 1));
            assert!(found.iter().any(|f| f.contains(expected)), "{expected}: {found:#?}");
        }
    }

    #[test]
    fn ports_of_nodes_belong_to_types_that_have_them_and_names_are_no_commands() {
        let service = |name: &str, spec: &str| {
            said(&format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"))
        };
        for quiet in [
            "type: NodePort, ports: [{port: 80, nodePort: 30001}]",
            "type: LoadBalancer, ports: [{port: 80, nodePort: 30001}]",
            "type: ClusterIP, ports: [{port: 80, nodePort: 0}]",
            "type: $TYPE, ports: [{port: 80, nodePort: 30001}]",
            "ports: [{port: 80, nodePort: null}]",
        ] {
            assert_eq!(service("a", quiet), Vec::<String>::new(), "{quiet}");
        }
        for refused in ["type: ClusterIP, ports: [{port: 80, nodePort: 30001}]", "ports: [{port: 80, nodePort: 30001}]"]
        {
            let found = service("a", refused);
            assert!(
                found.len() == 1 && found[0].contains("spec.ports[0].nodePort: a nodePort may not be used"),
                "{found:?}"
            );
        }
        for name in ["$NAME", "'${NAME}'", "$(NAME)", "'{{ name }}'"] {
            assert_eq!(service(name, "ports: [{port: 80}]"), Vec::<String>::new(), "{name}");
        }
        for name in ["\"$(rm -r x)\"", "\"a\\u001b$NAME\""] {
            assert!(service(name, "ports: [{port: 80}]").iter().any(|f| f.contains("is no name")), "{name}");
        }
    }
}
