//! What differs between two revisions of a pod's template, of what is read of them.

use crate::domain::kubernetes::env_key;
use crate::snapshot::kubernetes::{Container, EnvVar, Map, PodSpec};
use crate::text::credential::is_credential;

/// What a field belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The pod: its volumes, what chooses its node, containers that came or went.
    Pod,
    /// One of its containers.
    Container { name: String, is_init: bool, field: Field },
}

/// A field of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Image,
    Variables,
    Other,
}

/// A field with its value before and after; empty where it was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Differs {
    pub(crate) part: Part,
    /// In words.
    pub(crate) field: String,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl std::fmt::Display for Differs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.before.as_str(), self.after.as_str()) {
            ("", "") => f.write_str(&self.field),
            ("", after) => write!(f, "{} added ({after})", self.field),
            (before, "") => write!(f, "{} taken away ({before})", self.field),
            (before, after) => write!(f, "{} {before} → {after}", self.field),
        }
    }
}

/// The first of what differs, in words; `None` where nothing is known.
pub(crate) fn words(all: &[Differs]) -> Option<String> {
    const SHOWN: usize = 3;
    let shown: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("{}{more}", shown.join("; ")))
}

/// What differs between two pod specs, of what is read of them.
pub(crate) fn differs(before: &PodSpec, after: &PodSpec) -> Vec<Differs> {
    let mut all = Vec::new();
    containers(false, &before.containers, &after.containers, &mut all);
    containers(true, &before.init_containers, &after.init_containers, &mut all);
    map(&Part::Pod, "node selector", &before.node_selector, &after.node_selector, &mut all);
    let account = |spec: &PodSpec| spec.service_account_name.clone().unwrap_or_default();
    if account(before) != account(after) {
        all.push(value(&Part::Pod, "ServiceAccount".to_owned(), &account(before), &account(after)));
    }
    // Each pod's own token has a name of its own.
    let is_own = |name: &str| name.starts_with("kube-api-access-");
    let volumes =
        |spec: &PodSpec| spec.volumes.iter().map(|v| v.name.clone()).filter(|name| !is_own(name)).collect::<Vec<_>>();
    list(&Part::Pod, "volumes", &volumes(before), &volumes(after), &mut all);
    all
}

fn containers(is_init: bool, before: &[Container], after: &[Container], all: &mut Vec<Differs>) {
    let kind = if is_init { "init container" } else { "container" };
    for container in after {
        match before.iter().find(|c| c.name == container.name) {
            Some(old) => of_container(is_init, kind, old, container, all),
            None => all.push(value(&Part::Pod, format!("{kind} {}", container.name), "", &container.image)),
        }
    }
    for gone in before.iter().filter(|c| after.iter().all(|n| n.name != c.name)) {
        all.push(value(&Part::Pod, format!("{kind} {}", gone.name), &gone.image, ""));
    }
}

fn of_container(is_init: bool, kind: &str, before: &Container, after: &Container, all: &mut Vec<Differs>) {
    let name = &after.name;
    let of = |field| Part::Container { name: name.clone(), is_init, field };
    let (image, variables, other) = (of(Field::Image), of(Field::Variables), of(Field::Other));
    if before.image != after.image {
        all.push(value(&image, format!("image of {kind} {name}"), &before.image, &after.image));
    }
    list(&other, &format!("command of {kind} {name}"), &open(&before.command), &open(&after.command), all);
    list(&other, &format!("arguments of {kind} {name}"), &open(&before.args), &open(&after.args), all);
    map(&other, &format!("requests of {kind} {name}"), &before.resources.requests, &after.resources.requests, all);
    map(&other, &format!("limits of {kind} {name}"), &before.resources.limits, &after.resources.limits, all);
    let names = |c: &Container| c.env.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
    list(&variables, &format!("variables of {kind} {name}"), &names(before), &names(after), all);
    // Where a variable comes from; values are not kept.
    for new in &after.env {
        let old = before.env.iter().find(|e| e.name == new.name);
        if old.is_some_and(|old| source(old) != source(new)) {
            let field = format!("variable {} of {kind} {name}", new.name);
            all.push(value(&variables, field, &old.map(source).unwrap_or_default(), &source(new)));
        }
    }
}

/// The key that a variable comes from, or its value where that is kept.
fn source(variable: &EnvVar) -> String {
    match env_key::of(variable) {
        Some((holder, key)) => format!("key {} of {} {}", key.key, holder.kind(), key.name),
        None => variable.value.clone().unwrap_or_default(),
    }
}

fn value(part: &Part, field: String, before: &str, after: &str) -> Differs {
    Differs { part: part.clone(), field, before: before.to_owned(), after: after.to_owned() }
}

/// Words of a command line without what follows the flag of a credential: alone, nobody would know it for one.
fn open(words: &[String]) -> Vec<String> {
    let is_flag =
        |word: &str| word.starts_with('-') && !word.contains('=') && is_credential(word.trim_start_matches('-'));
    let follows = |at: usize| at > 0 && is_flag(&words[at - 1]) && !words[at].starts_with('-');
    (0..words.len()).filter(|at| !follows(*at)).map(|at| words[at].clone()).collect()
}

/// Words that are in one of two lists alone.
fn list(part: &Part, field: &str, before: &[String], after: &[String], all: &mut Vec<Differs>) {
    let only =
        |a: &[String], b: &[String]| a.iter().filter(|word| !b.contains(word)).cloned().collect::<Vec<_>>().join(" ");
    let (gone, new) = (only(before, after), only(after, before));
    if gone != new {
        all.push(value(part, field.to_owned(), &gone, &new));
    }
}

fn map(part: &Part, field: &str, before: &Map, after: &Map, all: &mut Vec<Differs>) {
    for key in before.keys().chain(after.keys().filter(|k| !before.contains_key(*k))) {
        let of = |map: &Map| map.get(key).cloned().unwrap_or_default();
        if of(before) != of(after) {
            all.push(value(part, format!("{key} of {field}"), &of(before), &of(after)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tells_what_a_revision_changed() {
        let spec = |image: &str, memory: &str| -> PodSpec {
            serde_json::from_value(json!({"containers": [
                {"name": "web", "image": image, "args": ["--a", "--b"], "resources": {"limits": {"memory": memory}}}
            ]}))
            .expect("a pod spec")
        };
        let found = differs(&spec("web:1", "1Gi"), &spec("web:2", "512Mi"));
        let texts: Vec<String> = found.iter().map(|d| format!("{}: {} → {}", d.field, d.before, d.after)).collect();
        assert_eq!(texts, ["image of container web: web:1 → web:2", "memory of limits of container web: 1Gi → 512Mi"]);
        assert!(differs(&spec("web:1", "1Gi"), &spec("web:1", "1Gi")).is_empty());
    }

    #[test]
    fn a_credential_of_a_command_line_is_not_told() {
        let spec = |password: &str, level: &str| -> PodSpec {
            let args = ["--db.password", password, "--log.level", level];
            serde_json::from_value(json!({"containers": [{"name": "web", "args": args}]})).expect("a pod spec")
        };
        let texts = |a: &PodSpec, b: &PodSpec| differs(a, b).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&spec("one", "info"), &spec("two", "debug")), ["arguments of container web info → debug"]);
    }
}
