//! What a change to Kubernetes would do: the server's dry run of the very command, against the object as it is now.

use serde_json::Value;

use super::change::Change;
use super::effect::{self, Effect};
use super::kubectl::Kubectl;
use super::process::Captured;
use crate::pages;

/// A dry run that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DryRun {
    /// The command that asks for it: the very command, with flags that keep it from changing anything.
    pub(super) command: String,
    /// Flags that say which cluster.
    cluster: Vec<String>,
    /// The namespace that the command names.
    namespace: Option<String>,
    answer: Answer,
}

/// What the dry run prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The objects as they would be.
    Objects,
    /// The names of objects that would be gone.
    Names,
    /// A sentence.
    Words,
}

/// What a dry run showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shown {
    pub(super) changes: Vec<Change>,
    /// Sentences of the tool.
    pub(super) words: String,
}

/// The dry run of a command.
///
/// # Errors
/// Why there is none.
pub(super) fn of(command: &str) -> Result<DryRun, String> {
    if pages::writes_files(command) {
        return Err("it writes a file".to_owned());
    }
    let mut inserts: Vec<(usize, &str)> = Vec::new();
    let mut dry = DryRun { command: String::new(), cluster: Vec::new(), namespace: None, answer: Answer::Words };
    for call in pages::calls(command) {
        let Some(kubectl) = Kubectl::of(&call) else {
            match effect::of(&call) {
                Effect::Looks => continue,
                _ => return Err(format!("{} has no dry run that kdoctor knows", call.program)),
            }
        };
        if kubectl.looks() {
            continue;
        }
        let (flags, answer) = flags(&kubectl)?;
        if !inserts.is_empty() && (answer != dry.answer || kubectl.cluster != dry.cluster) {
            return Err("it does several things at once".to_owned());
        }
        inserts.push((call.end, flags));
        dry = DryRun { cluster: kubectl.cluster, namespace: kubectl.namespace, answer, ..dry };
    }
    if inserts.is_empty() {
        return Err("it changes nothing in Kubernetes".to_owned());
    }
    inserts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    command.clone_into(&mut dry.command);
    for (at, flags) in inserts {
        dry.command.insert_str(at, flags);
    }
    Ok(dry)
}

fn flags(kubectl: &Kubectl) -> Result<(&'static str, Answer), String> {
    match kubectl.verb.as_str() {
        "apply" | "patch" | "scale" | "annotate" | "label" | "replace" | "autoscale" | "expose" | "run" | "create"
        | "rollout undo" => Ok((" --dry-run=server -o json", Answer::Objects)),
        verb if verb.starts_with("set ") || (verb.starts_with("create ") && verb != "create token") => {
            Ok((" --dry-run=server -o json", Answer::Objects))
        }
        "delete" => Ok((" --dry-run=server -o name", Answer::Names)),
        "cordon" | "uncordon" | "drain" | "taint" => Ok((" --dry-run=server", Answer::Words)),
        "edit" => Err("the change is made in the editor: nobody knows it before".to_owned()),
        verb => Err(format!("kubectl {verb} has no dry run")),
    }
}

/// Asks, and compares with what is there now.
///
/// # Errors
/// What the tool said, or why its answer cannot be read.
pub(super) fn ask(dry: &DryRun, mut capture: impl FnMut(&str) -> anyhow::Result<Captured>) -> Result<Shown, String> {
    let mut answer = |command: &str| {
        let captured = capture(command).map_err(|error| format!("{error:#}"))?;
        if captured.is_well { Ok(captured.out) } else { Err(captured.complaints.trim().to_owned()) }
    };
    let out = answer(&dry.command)?;
    let mut shown = Shown::default();
    match dry.answer {
        Answer::Words => out.trim().clone_into(&mut shown.words),
        Answer::Names => {
            for name in out.lines().map(str::trim).filter(|l| !l.is_empty()) {
                let now = objects(&answer(&dry.get(name, dry.namespace.as_deref()))?)?;
                shown.changes.extend(now.iter().map(|now| Change::between(Some(now), None)));
            }
        }
        Answer::Objects => {
            for after in objects(&out)? {
                let text = |pointer: &str| after.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let object = format!("{}/{}", resource(text("/apiVersion"), text("/kind")), text("/metadata/name"));
                let now = answer(&dry.get(&object, Some(text("/metadata/namespace"))))?;
                shown.changes.push(Change::between(objects(&now)?.first(), Some(&after)));
            }
        }
    }
    Ok(shown)
}

impl DryRun {
    /// The command that shows an object as it is now.
    fn get(&self, object: &str, namespace: Option<&str>) -> String {
        let mut words = vec!["kubectl".to_owned()];
        words.extend(self.cluster.iter().map(|flag| pages::quoted(flag)));
        words.push(format!("get {} --ignore-not-found -o json", pages::quoted(object)));
        words.extend(namespace.filter(|n| !n.is_empty()).map(|n| format!("-n {}", pages::quoted(n))));
        words.join(" ")
    }
}

/// `deployment.v1.apps`, as kubectl takes a kind without doubt.
fn resource(version: &str, kind: &str) -> String {
    let kind = kind.to_lowercase();
    match version.split_once('/') {
        Some((group, version)) => format!("{kind}.{version}.{group}"),
        None => kind,
    }
}

/// The documents that kubectl printed one behind the other; lists are their items.
fn objects(text: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let mut document = document.map_err(|error| format!("the answer cannot be read: {error}"))?;
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => all.extend(items),
            _ => all.push(document),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dry(command: &str) -> Result<String, String> {
        of(command).map(|dry| dry.command)
    }

    #[test]
    fn the_very_command_is_asked_with_flags_that_keep_it_from_changing_anything() {
        assert_eq!(
            dry("kubectl --context c apply -f - <<'EOF'\na: 1\nEOF"),
            Ok("kubectl --context c apply -f - --dry-run=server -o json <<'EOF'\na: 1\nEOF".into())
        );
        assert_eq!(
            dry("kubectl get x -o json | kubectl replace -f -"),
            Ok("kubectl get x -o json | kubectl replace -f - --dry-run=server -o json".into())
        );
        assert_eq!(dry("kubectl delete pvc a -n m"), Ok("kubectl delete pvc a -n m --dry-run=server -o name".into()));
        for command in [
            "kubectl rollout restart deployment/x",
            "kubectl edit cm x",
            "kubectl exec p -- rm x",
            "aws eks create-addon --cluster-name c",
            "kubectl get x > file; kubectl apply -f file",
            "kubectl apply -f x && helm upgrade a b",
            "kubectl get pods",
            "kubectl apply -f x; kubectl delete pod y",
            "kubectl apply -f x; eval rm y",
            "kubectl apply -f x; command rm y",
            "kubectl apply -f x; . ./y",
            "kubectl apply -f x; trap 'rm y' EXIT",
            "kubectl apply -f x; sed -ni s/a/b/ y",
            "kubectl apply -f x; helm uninstall y --dry-run=none",
            "kubectl rollout restart deployment/x --dry-run=none",
        ] {
            assert!(dry(command).is_err(), "{command}");
        }
    }

    #[test]
    fn the_diff_leaves_out_what_the_server_sets() {
        let object = |replicas: i64, version: &str| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": replicas},
                "metadata": {"name": "web", "namespace": "shop", "resourceVersion": version, "generation": replicas},
                "spec": {"replicas": replicas}})
        };
        let one = of("kubectl --context 'a b' scale deployment/web -n shop --replicas=2").expect("has one");
        let mut asked = Vec::new();
        let shown = ask(&one, |command| {
            asked.push(command.to_owned());
            let answer = if command.contains("--dry-run") { object(2, "1") } else { object(1, "1") };
            Ok(Captured { is_well: true, out: answer.to_string(), ..Captured::default() })
        })
        .expect("answers");
        assert_eq!(asked[1], "kubectl '--context=a b' get deployment.v1.apps/web --ignore-not-found -o json -n shop");
        let Change { object, diff } = &shown.changes[0];
        assert_eq!(object, "Deployment web, namespace shop");
        assert!(diff.contains("-  replicas: 1\n+  replicas: 2\n") && !diff.contains("generation"), "{diff}");
    }

    #[test]
    fn a_refusal_is_what_the_tool_said() {
        let one = of("kubectl apply -f x").expect("has one");
        let refused = Captured { complaints: "Error: forbidden\n".into(), ..Captured::default() };
        assert_eq!(ask(&one, |_| Ok(refused.clone())), Err("Error: forbidden".to_owned()));
    }
}
