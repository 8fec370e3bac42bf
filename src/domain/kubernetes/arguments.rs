//! The flags of a container's command line.

use crate::domain::kubernetes::json_patch;
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, Workload};

/// Words of a command line. Of an argument that is a shell's script, its words.
fn words(container: &Container) -> impl Iterator<Item = &str> {
    container.command.iter().chain(&container.args).flat_map(|argument| {
        // A flag's value may have spaces.
        let is_script = !argument.starts_with('-') && argument.contains(char::is_whitespace);
        let (whole, script) = if is_script { (None, Some(argument)) } else { (Some(argument.as_str()), None) };
        let words = script.into_iter().flat_map(|s| s.split_whitespace()).map(|w| w.trim_end_matches(';'));
        whole.into_iter().chain(words)
    })
}

/// What follows a flag's name in a word: empty, or `=value`. One dash or two.
fn after<'a>(word: &'a str, name: &str) -> Option<&'a str> {
    let bare = word.trim_start_matches(['"', '\'']);
    let rest = bare.strip_prefix("--").or_else(|| bare.strip_prefix('-'))?.strip_prefix(name)?;
    let rest = rest.trim_end_matches(['"', '\'']);
    (rest.is_empty() || rest.starts_with('=')).then_some(rest)
}

/// Every value of a flag that may be given several times: `--name=value`, or `--name value`.
pub(crate) fn flags<'a>(container: &'a Container, name: &str) -> impl Iterator<Item = &'a str> {
    let mut words = words(container);
    std::iter::from_fn(move || {
        let rest = words.by_ref().find_map(|word| after(word, name))?;
        let value = rest.strip_prefix('=').or_else(|| words.next())?;
        Some(value.trim_matches(['"', '\'']))
    })
}

/// The value of a flag.
pub(crate) fn flag<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    flags(container, name).next()
}

/// Names of all flags, without dashes.
pub(crate) fn names(container: &Container) -> impl Iterator<Item = &str> {
    let bare = words(container).filter_map(|word| word.strip_prefix("--").or_else(|| word.strip_prefix('-')));
    bare.map(|word| word.split('=').next().unwrap_or(word)).filter(|name| !name.is_empty())
}

/// True if a switch is there and not turned off.
pub(crate) fn has_flag(container: &Container, name: &str) -> bool {
    words(container).filter_map(|word| after(word, name)).any(|rest| rest != "=false")
}

/// The configuration file of Prometheus or Alertmanager: the flag's, else the image's default. `None` where its value is
/// only known at run time.
pub(crate) fn config_file(container: &Container) -> Option<&str> {
    let path = flag(container, "config.file").unwrap_or(match container.program() {
        Some(Program::Alertmanager) => "/etc/alertmanager/alertmanager.yml",
        _ => "/etc/prometheus/prometheus.yml",
    });
    (path.starts_with('/') && !path.contains('$')).then_some(path)
}

/// A configuration file that a flag of another name leads to, where there is one, or where what is said names the flag's words:
/// `Custom Resource State` of `--custom-resource-state-config-file`.
pub(crate) fn other_config_file<'a>(container: &'a Container, said: &str) -> Option<&'a str> {
    const GENERAL: &[&str] = &["config", "configuration", "file", "path"];
    let is_file = |value: &str| {
        let end = value.rsplit_once('.').map_or("", |(_, end)| end);
        value.starts_with('/') && matches!(end, "yaml" | "yml" | "json" | "toml" | "conf" | "cfg")
    };
    let of_config = |name: &&str| name.split(['-', '.', '_']).any(|word| GENERAL[..2].contains(&word));
    let all: Vec<(&str, &str)> = names(container)
        .filter(of_config)
        .filter_map(|name| Some((name, flag(container, name)?)))
        .filter(|(_, value)| is_file(value))
        .collect();
    let said = said.to_ascii_lowercase();
    let mut meant = all.iter().filter(|(name, _)| {
        let mut own = name.split(['-', '.', '_']).filter(|word| !GENERAL.contains(word)).peekable();
        own.peek().is_some() && own.all(|word| said.contains(word))
    });
    match (meant.next(), meant.next(), all.as_slice()) {
        (Some((_, file)), None, _) | (None, None, [(_, file)]) => Some(file),
        _ => None,
    }
}

/// Flags whose value has quotes of its own, with what was meant: no shell takes them away. Of a script they are the shell's.
pub(crate) fn quoted(container: &Container) -> impl Iterator<Item = (&str, String)> {
    let own = container.command.iter().chain(&container.args).filter(|a| a.starts_with('-'));
    own.filter_map(|argument| {
        let (name, value) = argument.split_once('=')?;
        let bare = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q))?;
        Some((argument.as_str(), format!("{name}={bare}")))
    })
}

/// The JSON patch that gives a container of a workload one argument more. A list that is not there cannot be added to.
pub(crate) fn adding(workload: Option<&Workload>, container: &str, argument: &str) -> String {
    let containers = workload.map(|w| w.spec.template.spec.containers.as_slice()).unwrap_or_default();
    let at = containers.iter().position(|c| c.name == container).unwrap_or_default();
    let path = format!("/spec/template/spec/containers/{at}/args");
    let operation = match containers.get(at).map(|c| c.args.is_empty()) {
        Some(true) => json_patch::add(&path, [argument]),
        _ => json_patch::add(&format!("{path}/-"), argument),
    };
    // The container is named by its place: it has to be the one that is meant.
    let name = json_patch::test(&format!("/spec/template/spec/containers/{at}/name"), container);
    json_patch::text([name, operation])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(command: &[&str], args: &[&str]) -> Container {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Container { command: own(command), args: own(args), ..Container::default() }
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        let made = container(&["/bin/prometheus"], &["--storage.tsdb.path=/data", "-log.level", "debug", "--agent"]);
        assert_eq!(flag(&made, "storage.tsdb.path"), Some("/data"));
        assert_eq!(flag(&made, "log.level"), Some("debug"));
        assert_eq!(flag(&made, "storage.tsdb"), None);
        assert_eq!(flag(&made, "level"), None);
        assert!(has_flag(&made, "agent") && !has_flag(&made, "age"));
        let features = container(&[], &["--enable-feature=a,b", "--enable-feature", "c", "--x=false"]);
        assert_eq!(flags(&features, "enable-feature").collect::<Vec<_>>(), ["a,b", "c"]);
        assert!(!has_flag(&features, "x"));
    }

    #[test]
    fn a_configuration_file_is_found_behind_any_flag() {
        let custom = "--custom-resource-state-config-file=/etc/crs/config.yaml";
        let said = "failed to parse Custom Resource State metrics: yaml: line 15: mapping values are not allowed";
        assert_eq!(other_config_file(&container(&[], &["--port=8080", custom]), said), Some("/etc/crs/config.yaml"));
        let both = container(&[], &["--web.config.file=/etc/web.yml", custom]);
        assert_eq!(other_config_file(&both, said), Some("/etc/crs/config.yaml"));
        assert_eq!(other_config_file(&both, "yaml: line 15: did not find expected key"), None, "one of two");
        assert_eq!(other_config_file(&container(&[], &["--kubeconfig=/etc/kube/config"]), said), None);
    }

    #[test]
    fn quotes_of_an_argument_are_part_of_its_value() {
        let made = container(&["sh", "-c"], &["exec x --a=\"1\"", "--storage.tsdb.retention.time=\"15d\"", "--b=c"]);
        let found: Vec<_> = quoted(&made).collect();
        assert_eq!(found, [("--storage.tsdb.retention.time=\"15d\"", "--storage.tsdb.retention.time=15d".to_owned())]);
    }

    #[test]
    fn a_shells_script_has_words() {
        let script = "ulimit -n 9;\nexec prometheus --config.file=\"/etc/p/prometheus.yml\" --web.enable-lifecycle;";
        let made = container(&["sh", "-c"], &[script]);
        assert_eq!(config_file(&made), Some("/etc/p/prometheus.yml"));
        assert!(has_flag(&made, "web.enable-lifecycle"));
        let spaced = container(&[], &["--web.page-title=My --agent"]);
        assert!(!has_flag(&spaced, "agent"));
    }

    #[test]
    fn the_file_of_a_variable_is_not_known() {
        assert_eq!(config_file(&container(&[], &["--config.file=$(FILE)"])), None);
        assert_eq!(config_file(&container(&[], &["--config.file=/etc/$(FILE)"])), None);
        assert_eq!(config_file(&container(&[], &[])), Some("/etc/prometheus/prometheus.yml"));
    }
}
