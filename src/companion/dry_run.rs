//! What a change to Kubernetes would do: the server's dry run of the very command, against the object as it is now.

use serde_json::{Map, Value};
use similar::TextDiff;

use super::effect::{self, Effect};
use super::kubectl::Kubectl;
use super::process::Captured;
use crate::pages;
use crate::snapshot::kubernetes::annotation::LAST_APPLIED;
use crate::text::redact::{MASK, mask_file};

/// Lines around a change.
const AROUND: usize = 3;
/// Fields that the server sets, and that no command changes.
const SET_BY_SERVER: &[&str] =
    &["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"];

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

/// What one object is now, and would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// `deployment web, namespace shop`.
    pub(super) object: String,
    /// A unified diff; empty where nothing would change.
    pub(super) diff: String,
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
                shown.changes.extend(now.iter().map(|now| change(Some(now), None)));
            }
        }
        Answer::Objects => {
            for after in objects(&out)? {
                let text = |pointer: &str| after.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let object = format!("{}/{}", resource(text("/apiVersion"), text("/kind")), text("/metadata/name"));
                let now = answer(&dry.get(&object, Some(text("/metadata/namespace"))))?;
                shown.changes.push(change(objects(&now)?.first(), Some(&after)));
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

fn change(now: Option<&Value>, after: Option<&Value>) -> Change {
    let about = after.or(now);
    let text = |pointer: &str| about.and_then(|o| o.pointer(pointer)).and_then(Value::as_str).unwrap_or_default();
    let namespace = match text("/metadata/namespace") {
        "" => String::new(),
        namespace => format!(", namespace {namespace}"),
    };
    let object = format!("{} {}{namespace}", text("/kind"), text("/metadata/name"));
    let (now, after) = (now.map(bare), after.map(bare));
    let shown = |object: &Option<Value>| mask_file(&object.as_ref().map(yaml).unwrap_or_default());
    let (before, then) = (shown(&now), shown(&after));
    let header = match (&now, &after) {
        (None, _) => ("(not there)", "after"),
        (_, None) => ("now", "(deleted)"),
        _ => ("now", "after"),
    };
    let diff = TextDiff::from_lines(&before, &then);
    let mut diff = diff.unified_diff().context_radius(AROUND).header(header.0, header.1).to_string();
    if diff.is_empty() && now != after {
        diff = "only values change that are secret\n".to_owned();
    }
    Change { object, diff }
}

/// An object as people read it, without the values of a Secret.
fn yaml(object: &Value) -> String {
    let mut object = object.clone();
    if object.get("kind").and_then(Value::as_str) == Some("Secret") {
        for key in ["data", "stringData"] {
            hide(object.get_mut(key));
        }
    }
    serde_saphyr::to_string(&object).unwrap_or_default()
}

/// An object without what only the server sets, its keys in one order.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|key, _| !SET_BY_SERVER.contains(&key.as_str()));
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                meta.remove("annotations");
            }
        }
    }
    sorted(object)
}

/// Values of a Secret: that they differ may be seen, what they are may not.
fn hide(values: Option<&mut Value>) {
    for value in values.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        let length = value.as_str().map_or(0, str::len);
        *value = Value::from(format!("{MASK} ({length} letters)"));
    }
}

/// The same with its keys in one order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
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
    fn the_diff_leaves_out_what_the_server_sets_and_the_values_of_secrets() {
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
        let secret = |value: &str| json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"x": value}});
        let hidden = change(Some(&secret("c2VjcmV0")), Some(&secret("b3RoZXI="))).diff;
        assert!(!hidden.contains("c2Vj") && !hidden.is_empty(), "{hidden}");
    }

    #[test]
    fn a_refusal_is_what_the_tool_said() {
        let one = of("kubectl apply -f x").expect("has one");
        let refused = Captured { complaints: "Error: forbidden\n".into(), ..Captured::default() };
        assert_eq!(ask(&one, |_| Ok(refused.clone())), Err("Error: forbidden".to_owned()));
    }
}
