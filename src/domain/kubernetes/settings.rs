//! What the words of a program name that is set for its container, and where it is set: a variable of its environment, an
//! argument, a line of a file, a file. That holds for messages that nobody has a reader for, too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::kubernetes::env_key;
use crate::domain::kubernetes::mounts::{self, Holder, Mounts, Origin};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, EnvVar, KeyRef, Pod};
use crate::text::credential::is_credential;
use crate::text::pattern::pattern;

/// Letters of a file in which words are looked for.
const LONGEST: usize = 256 * 1024;
/// Letters of an argument that is told whole.
const ARGUMENT: usize = 120;
/// What is told of one message.
const TOLD: usize = 3;
/// Letters from which on a word of several parts means one thing.
const WORD: usize = 6;

/// Where the value of a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// It stands in the pod's template.
    Template,
    /// A field of the pod or of a container's resources.
    Field,
    /// A key of a ConfigMap.
    ConfigMap { name: String, key: String },
    /// A key of a Secret.
    Secret { name: String, key: String },
}

/// Something that is set for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A variable of its environment.
    Variable { name: String, source: Source },
    /// A variable that the message asks for, and that nothing sets.
    Unset { name: String },
    /// An argument, whole.
    Argument { argument: String },
    /// A line of a file that a ConfigMap fills.
    Line { word: String, map: String, key: String, line: usize },
    /// A file that a ConfigMap or a Secret fills.
    File { path: String, origin: Origin },
}

impl Setting {
    /// What is set and where, as a few words: `GF_X (key k of Secret s)`.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Variable { name, source: Source::Template } => format!("variable {name} of its pod template"),
            Self::Variable { name, source: Source::Field } => format!("variable {name} (from a field of its pod)"),
            Self::Variable { name, source: Source::ConfigMap { name: map, key } } => {
                format!("variable {name} (key {key} of ConfigMap {map})")
            }
            Self::Variable { name, source: Source::Secret { name: secret, key } } => {
                format!("variable {name} (key {key} of Secret {secret})")
            }
            Self::Unset { name } => format!("variable {name}, which is not set"),
            Self::Argument { argument } => format!("argument {argument}"),
            Self::Line { word, map, key, line } => format!("{word} (line {line} of {key} in ConfigMap {map})"),
            Self::File { path, origin: Origin::ConfigMap { name, key } } => {
                format!("{path} ({}ConfigMap {name})", of_key(key))
            }
            Self::File { path, origin: Origin::Secret { name, key } } => {
                format!("{path} ({}Secret {name})", of_key(key))
            }
            Self::File { path, .. } => path.clone(),
        }
    }
}

fn of_key(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("key {key} of ") }
}

/// What a message names of what is set for a container, the surest first.
pub(crate) fn named(snap: &Snapshot, pod: &Pod, container: &Container, said: &str) -> Vec<Setting> {
    let mut all = variables(container, said);
    let words = words(said);
    all.extend(words.iter().filter_map(|word| argument(container, word)));
    all.extend(words.iter().filter_map(|word| variable_of(container, word)));
    all.extend(lines(snap, pod, container, said, &words));
    all.extend(files(snap, pod, container, said));
    let mut told: Vec<Setting> = Vec::new();
    for one in all {
        if !told.contains(&one) {
            told.push(one);
        }
    }
    told.truncate(TOLD);
    told
}

/// Where a value stands that a message speaks of, a host, a queue, a region: an argument, a variable of the environment, the
/// one line of a file.
pub(crate) fn holding(snap: &Snapshot, pod: &Pod, container: &Container, value: &str) -> Vec<Setting> {
    if value.len() < WORD {
        return Vec::new();
    }
    let arguments = container.command.iter().chain(&container.args).filter(|a| holds(a, value));
    let mut all: Vec<Setting> =
        arguments.map(|a| Setting::Argument { argument: without_secret(&beside(a, value)) }).collect();
    let text = |e: &EnvVar| match variable(e) {
        Setting::Variable { source: Source::Template, .. } => e.value.clone(),
        Setting::Variable { source: Source::ConfigMap { name, key }, .. } => {
            of_map(snap, pod, &name)?.get(&key).cloned()
        }
        _ => None,
    };
    all.extend(container.env.iter().filter(|e| text(e).is_some_and(|t| holds(&t, value))).map(variable));
    for name in container.env_from.iter().filter_map(|e| e.config_map_ref.as_ref()).map(|r| r.name.as_str()) {
        let keys = of_map(snap, pod, name).into_iter().flatten().filter(|(_, text)| holds(text, value));
        all.extend(keys.map(|(key, _)| Setting::Variable {
            name: key.clone(),
            source: Source::ConfigMap { name: name.to_owned(), key: key.clone() },
        }));
    }
    let files = Mounts::of_pod(snap, pod, container).files();
    let hits = files.iter().filter(|f| f.text.len() <= LONGEST).flat_map(|f| {
        let lines =
            f.text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with(['#', ';']) && holds(l, value));
        lines.map(move |(at, _)| (f, at + 1))
    });
    if let [(file, line)] = hits.collect::<Vec<_>>()[..] {
        let (map, key) = (file.map.metadata.name.clone(), file.key.to_owned());
        all.push(Setting::Line { word: value.to_owned(), map, key, line });
    }
    all.truncate(TOLD);
    all
}

/// The one variable or argument whose name says what it is for: `queue` of INTERRUPTION_QUEUE, `--interruption-queue`; with its
/// value, where that stands in the template and is no secret.
pub(crate) fn about(container: &Container, words: &[&str]) -> Option<(Setting, Option<String>)> {
    let is_meant = |name: &str| {
        let parts: Vec<String> = name.split(['_', '-', '.']).map(str::to_ascii_lowercase).collect();
        words.iter().any(|w| parts.iter().any(|p| p == w))
    };
    let shown = |name: &str, value: &str| Some(value.to_owned()).filter(|v| !v.is_empty() && !is_credential(name));
    let value = |e: &EnvVar| e.value.as_deref().and_then(|v| shown(&e.name, v));
    let variables = container.env.iter().filter(|e| is_meant(&e.name)).map(|e| (variable(e), value(e)));
    let arguments = container.command.iter().chain(&container.args).filter_map(|a| {
        let (name, value) = a.strip_prefix('-')?.trim_start_matches('-').split_once('=')?;
        is_meant(name).then(|| (Setting::Argument { argument: without_secret(a) }, shown(name, value)))
    });
    let mut all = variables.chain(arguments);
    let one = all.next()?;
    all.next().is_none().then_some(one)
}

/// The texts of a ConfigMap.
fn of_map<'a>(snap: &'a Snapshot, pod: &Pod, name: &str) -> Option<&'a BTreeMap<String, String>> {
    Some(&snap.config_maps.find(&pod.metadata.namespace, name).ok().flatten()?.data)
}

/// A text holds a value as a whole: it is no part of a longer name.
fn holds(text: &str, value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(value).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + value.len()..].chars();
        let next = after.next();
        // A dot goes on where a name follows, and ends a sentence where none does.
        let goes_on = next == Some('.') && after.next().is_some_and(is_name);
        !before.is_some_and(|c| is_name(c) || c == '.') && !next.is_some_and(is_name) && !goes_on
    })
}

/// An argument as it is; of a script the line that holds the value, and of a long line what stands beside it.
fn beside<'a>(argument: &'a str, value: &str) -> Cow<'a, str> {
    let is_short = |text: &str| text.chars().count() <= ARGUMENT;
    if is_short(argument) && !argument.contains('\n') {
        return argument.into();
    }
    let line = argument.lines().find(|line| holds(line, value)).unwrap_or(argument).trim();
    let Some(at) = line.find(value).filter(|_| !is_short(line)) else { return line.into() };
    let (before, after) = (&line[..at], &line[at + value.len()..]);
    let room = ARGUMENT / 2;
    // Words stay whole.
    let begin = before
        .char_indices()
        .rev()
        .nth(room)
        .map_or(0, |(cut, _)| before[cut..].find(' ').map_or(at, |space| cut + space + 1));
    let end = after.char_indices().nth(room).map_or(after.len(), |(cut, _)| after[..cut].rfind(' ').unwrap_or(0));
    let (head, tail) = (if begin > 0 { "… " } else { "" }, if end < after.len() { " …" } else { "" });
    format!("{head}{}{value}{}{tail}", &before[begin..], &after[..end]).into()
}

/// An argument without what is secret by its name, and without the login that a URL or a database's address in it may hold.
fn without_secret(argument: &str) -> String {
    if let Some((name, _)) = argument.split_once('=').filter(|(name, _)| is_credential(name.trim_start_matches('-'))) {
        return name.to_owned();
    }
    let Some((login, place)) = argument.rsplit_once('@') else { return argument.to_owned() };
    match login.split_once('=') {
        Some((name, _)) if name.starts_with('-') => name.to_owned(),
        _ => format!("…@{place}"),
    }
}

/// Variables by their whole names.
fn variables(container: &Container, said: &str) -> Vec<Setting> {
    let names = pattern!(r"\b[A-Z][A-Z0-9]*(?:__?[A-Z0-9]+)+\b").find_iter(said).map(|m| m.as_str());
    let asks = asks_for_variables(said);
    let set = |name: &str| {
        let own = container.env.iter().find(|e| e.name == name).map(variable);
        // Variables of a whole ConfigMap or Secret are not known by name.
        let unset = || (asks && container.env_from.is_empty()).then(|| Setting::Unset { name: name.to_owned() });
        own.or_else(unset)
    };
    names.filter_map(set).collect()
}

fn variable(variable: &EnvVar) -> Setting {
    let source = match env_key::of(variable) {
        Some((Holder::ConfigMap, KeyRef { name, key, .. })) => {
            Source::ConfigMap { name: name.clone(), key: key.clone() }
        }
        Some((Holder::Secret, KeyRef { name, key, .. })) => Source::Secret { name: name.clone(), key: key.clone() },
        None if variable.value_from.is_some() => Source::Field,
        None => Source::Template,
    };
    Setting::Variable { name: variable.name.clone(), source }
}

/// `environment variable X must be set`, in its many forms.
fn asks_for_variables(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    let lacks = ["not set", "be set", "required", "missing", "not found", "not defined", "undefined", "unset"];
    let speaks = ["environment", "env var", "envvar"].iter().any(|word| said.contains(word));
    speaks && lacks.iter().any(|word| said.contains(word))
}

/// Words of several parts: `cookie_secret`, `mongodb.uri`, `max-size`. Hosts, files and addresses are none.
fn words(said: &str) -> Vec<&str> {
    let word = pattern!(r"[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)+");
    let mut all: Vec<&str> = Vec::new();
    for found in word.find_iter(said) {
        let before = said[..found.start()].chars().next_back();
        let after = said[found.end()..].chars().next();
        // Two dashes before a flag are part of no path.
        let is_part = |c: Option<char>| c.is_some_and(|c| matches!(c, '/' | '@' | '\\' | '*' | '('));
        let text = found.as_str();
        if !is_part(before) && !is_part(after) && bare(text).len() >= WORD && !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// The letters and digits of a name, small.
fn bare(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The argument of that name, in whichever spelling.
fn argument(container: &Container, word: &str) -> Option<Setting> {
    let all = container.command.iter().chain(&container.args);
    let name = |argument: &str| bare(argument.trim_start_matches('-').split('=').next().unwrap_or_default());
    let mut same = all.filter(|a| a.starts_with('-') && name(a) == bare(word));
    Some(Setting::Argument { argument: without_secret(same.next()?) })
}

/// The one variable that ends in a word: `cookie_secret` is OAUTH2_PROXY_COOKIE_SECRET.
fn variable_of(container: &Container, word: &str) -> Option<Setting> {
    let meant = bare(word);
    let ends = |name: &str| {
        let parts: Vec<&str> = name.split('_').collect();
        (0..parts.len()).any(|at| bare(&parts[at..].concat()) == meant)
    };
    let mut own = container.env.iter().filter(|e| ends(&e.name));
    let one = own.next()?;
    own.next().is_none().then(|| variable(one))
}

/// The one line in the files of the container that sets what the message names or quotes.
fn lines(snap: &Snapshot, pod: &Pod, container: &Container, said: &str, words: &[&str]) -> Vec<Setting> {
    let quoted = pattern!(r#""([^"\n]{1,80})"|'([^'\n]{1,80})'|`([^`\n]{1,80})`"#);
    // `unrecognized feature gate: X`
    let last = pattern!(
        r"(?:unknown|unrecognized|unsupported|invalid|unexpected|undefined|duplicate)\b[^:]*: ([A-Za-z][\w.-]{3,})\W*$"
    );
    let last = last.captures(said).and_then(|c| c.get(1)).map(|m| m.as_str());
    let quoted = quoted.captures_iter(said).filter_map(|c| c.get(1).or(c.get(2)).or(c.get(3)).map(|m| m.as_str()));
    let files = Mounts::of_pod(snap, pod, container).files();
    let short = files.iter().filter(|f| f.text.len() <= LONGEST);
    let numbered = short.flat_map(|f| f.text.lines().zip(1..).map(move |(text, line)| (f, line, text)));
    let all: Vec<_> = numbered.filter_map(|(f, line, text)| Some((f, line, set(text)?))).collect();
    let one = |asked: &str| {
        let mut hits = all.iter().filter_map(|(file, line, pair)| Some((file, *line, called(*pair, asked)?)));
        let (file, line, word) = hits.next()?;
        let (map, key) = (file.map.metadata.name.clone(), file.key.to_owned());
        hits.next().is_none().then(|| Setting::Line { word: word.to_owned(), map, key, line })
    };
    quoted.chain(last).chain(words.iter().copied()).filter_map(one).collect()
}

/// What a line of a file sets: a key, and its value.
fn set(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = line.split_once(':').or_else(|| line.split_once('='))?;
    Some((plain(key), plain(value.split(" #").next().unwrap_or_default())))
}

fn plain(part: &str) -> &str {
    part.trim().trim_end_matches([',', '{', '[']).trim().trim_matches(['"', '\''])
}

/// A line sets a key of that name, or sets something to just that value: what to call it. Of a credential the value is not
/// repeated.
fn called<'a>((key, value): (&'a str, &'a str), word: &'a str) -> Option<&'a str> {
    match () {
        () if key == word => Some(word),
        () if value == word && is_credential(key) => Some(key),
        () if value == word => Some(word),
        () => None,
    }
}

/// Files that a ConfigMap or a Secret fills.
fn files(snap: &Snapshot, pod: &Pod, container: &Container, said: &str) -> Vec<Setting> {
    let paths = pattern!(r"/[\w.@+-]+(?:/[\w.@+-]+)+").find_iter(said).map(|m| m.as_str().trim_end_matches('.'));
    let file = |path: &str| match mounts::origin(snap, pod, container, path) {
        origin @ (Origin::ConfigMap { .. } | Origin::Secret { .. }) => {
            Some(Setting::File { path: path.to_owned(), origin })
        }
        Origin::Claim { .. } | Origin::Volume | Origin::Image => None,
    };
    paths.filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn places(said: &str) -> Vec<String> {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let map = json!([{"metadata": {"namespace": "n", "name": "conf"},
            "data": {"c.yaml": "# window: 1\nrules:\n  - window: \"5\"\n    name: a\n  - name: b\n    input: x\n"}}]);
        snap.config_maps = Listing::cluster(serde_json::from_value(map).expect("ConfigMaps"));
        let from = |kind: &str| json!({kind: {"name": "login", "key": "cookie"}});
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {
            "volumes": [{"name": "c", "configMap": {"name": "conf"}}, {"name": "s", "secret": {"secretName": "tls"}}],
            "containers": [{"name": "c", "args": ["--max-size=3", "-mongodb.uri", "x"],
                "env": [{"name": "OAUTH2_PROXY_COOKIE_SECRET", "valueFrom": from("secretKeyRef")},
                    {"name": "LOG_LEVEL", "value": ""}, {"name": "DB_A_HOST", "value": "a"}, {"name": "DB_B_HOST", "value": "b"}],
                "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}, {"name": "s", "mountPath": "/etc/tls"}]}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        named(&snap, &pod, &pod.spec.containers[0], said).iter().map(Setting::place).collect()
    }

    #[test]
    fn what_is_set_nowhere_is_not_named() {
        for said in [
            "",
            "Failed to build open api spec for root: non-body Restful parameter type should be a simple type",
            "dial tcp: lookup db.n.svc.cluster.local: no such host",
            "open /tmp/client-ca-file012996851: no such file or directory",
            "github.com/x/y.Run at main.go:17",
            "E_FAILED: the operation failed",
            "the name \"name\" stands in two lines",
        ] {
            assert_eq!(places(said), Vec::<String>::new(), "{said}");
        }
    }

    #[test]
    fn a_value_is_found_where_it_stands() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let map = json!([{"metadata": {"namespace": "n", "name": "conf"},
            "data": {"c.yaml": "# host: db.n.svc\nhost: db.n.svc:5432\nother: db.n.svc.cluster.local\n"}}]);
        snap.config_maps = Listing::cluster(serde_json::from_value(map).expect("ConfigMaps"));
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {
            "volumes": [{"name": "c", "configMap": {"name": "conf"}}],
            "containers": [{"name": "c", "args": ["--aws-region=ap-northeast2", "--db=postgres://u:x@pg.n.svc/db"],
                "env": [{"name": "INTERRUPTION_QUEUE", "value": "prod-queue"}, {"name": "QUEUE_TOKEN", "value": "s"}],
                "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}]}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let container = &pod.spec.containers[0];
        let places = |value: &str| -> Vec<String> {
            holding(&snap, &pod, container, value).iter().map(Setting::place).collect()
        };
        assert_eq!(places("ap-northeast2"), ["argument --aws-region=ap-northeast2"]);
        assert_eq!(places("pg.n.svc"), ["argument --db"], "no login is told");
        assert_eq!(without_secret("postgres://u:x@pg/db?a=b"), "…@pg/db?a=b");
        assert_eq!(without_secret("--dsn=u:x@tcp(pg:3306)/db"), "--dsn");
        assert_eq!(without_secret("--region=eu-west-1"), "--region=eu-west-1");
        assert_eq!(without_secret("--cookie-secret=abc"), "--cookie-secret");
        assert_eq!(places("prod-queue"), ["variable INTERRUPTION_QUEUE of its pod template"]);
        assert_eq!(places("db.n.svc"), ["db.n.svc (line 2 of c.yaml in ConfigMap conf)"], "a longer name is another");
        assert_eq!(places("queue"), Vec::<String>::new(), "too short to mean one thing");
        assert_eq!(about(container, &["queue"]), None, "two are about it");
        let one = about(container, &["interruption"]).map(|(s, v)| (s.place(), v));
        assert_eq!(one, Some(("variable INTERRUPTION_QUEUE of its pod template".into(), Some("prod-queue".into()))));
    }

    #[test]
    fn of_a_script_the_line_is_told_that_matters() {
        let script = "set -e\nuntil nc -z db.n.svc 5432; do sleep 1; done\nexec /server\n";
        assert_eq!(beside(script, "db.n.svc"), "until nc -z db.n.svc 5432; do sleep 1; done");
        assert_eq!(beside("--db=db.n.svc", "db.n.svc"), "--db=db.n.svc");
        let long = format!("{} db.n.svc {}", "before ".repeat(30), "after ".repeat(30));
        let told = beside(&long, "db.n.svc");
        assert!(told.starts_with("… before ") && told.ends_with(" after …"), "{told}");
        assert!(told.contains(" db.n.svc ") && told.chars().count() < 2 * ARGUMENT, "{told}");
    }

    #[test]
    fn what_is_named_has_its_place() {
        for (said, place) in [
            (
                "cookie_secret must be 16, 24, or 32 bytes, but is 44 bytes",
                "variable OAUTH2_PROXY_COOKIE_SECRET (key cookie of Secret login)",
            ),
            ("LOG_LEVEL: unknown level ''", "variable LOG_LEVEL of its pod template"),
            ("environment variable ARTI_TOKEN has to be set", "variable ARTI_TOKEN, which is not set"),
            ("invalid max_size 3", "argument --max-size=3"),
            ("mongodb.uri is refused", "argument -mongodb.uri"),
            ("not a valid duration string: \"5\"", "5 (line 3 of c.yaml in ConfigMap conf)"),
            ("json: unknown field \"input\"", "input (line 6 of c.yaml in ConfigMap conf)"),
            ("failed complete: unrecognized feature gate: rules", "rules (line 2 of c.yaml in ConfigMap conf)"),
            ("open /etc/c/d.yaml: no such file", "/etc/c/d.yaml (key d.yaml of ConfigMap conf)"),
            ("tls: failed to find any PEM data in /etc/tls/tls.crt", "/etc/tls/tls.crt (key tls.crt of Secret tls)"),
        ] {
            assert_eq!(places(said), [place], "{said}");
        }
    }
}
