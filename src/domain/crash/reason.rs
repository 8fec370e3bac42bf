//! Why a configuration or rule file is refused: the loader's error in one sentence, with what was meant.

use crate::domain::crash::flags::duration;
use crate::domain::crash::{Class, Crash, Detail, known};
use crate::lint::alertmanager;
use crate::lint::prometheus::relabel;
use crate::lint::rules::promql;
use crate::text::near::near;
use crate::text::pattern::pattern;

/// Which file a program refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Prometheus,
    Rules,
    Alertmanager,
}

/// Reads a loader's error: `yaml: unmarshal errors:\n  line 27: field x not found in type config.ScrapeConfig`.
pub(crate) fn read(class: Class, kind: File, error: &str) -> Crash {
    let text = error.trim().trim_start_matches("yaml: ").trim_start_matches("unmarshal errors:").trim();
    let (line, text) = match pattern!(r"(?s)^line (\d+): (.*)$").captures(text) {
        Some(found) => (found[1].parse().ok(), found.get(2).map_or("", |m| m.as_str())),
        None => (None, text),
    };
    let crash = Crash { line, ..Crash::new(class, text) };
    object(crash.clone(), kind, error)
        .or_else(|| field(crash.clone(), kind, text))
        .unwrap_or_else(|| other(crash, text))
}

/// A file that holds a whole object of Kubernetes.
fn object(crash: Crash, kind: File, error: &str) -> Option<Crash> {
    let unknown = |name: &str| error.contains(&format!("field {name} not found"));
    (unknown("apiVersion") || unknown("kind")).then(|| {
        let holds = match kind {
            File::Rules => "the rule file holds a Kubernetes object (PrometheusRule), not a list of groups",
            _ => "the file holds a Kubernetes object, not a configuration",
        };
        let advice = match kind {
            File::Rules => "A rule file begins with groups:; keep only what is below spec of the PrometheusRule, or apply that object where an operator runs.",
            _ => "Keep only the configuration itself, without apiVersion, kind and metadata.",
        };
        let reason = format!("{holds}: {}", crash.reason);
        Crash { reason, ..crash }.detail(Detail::KubernetesObject).advice(advice)
    })
}

fn field(crash: Crash, kind: File, text: &str) -> Option<Crash> {
    if let Some(found) =
        pattern!(r#"field (\S+) already set in type|mapping key "([^"]+)" already defined"#).captures(text)
    {
        let name = found.get(1).or(found.get(2)).map_or("", |m| m.as_str());
        let reason = format!("field {name} already set (duplicate key)");
        return Some(Crash { reason, ..crash }.what(name).advice(format!("Keep one of the two lines with {name}.")));
    }
    let found = pattern!(r"field (\S+) not found in type ([^\n]+)").captures(text)?;
    let (name, kept) = (&found[1], &found[2]);
    // The same field may stand in many sections.
    let mut all: Vec<String> = Vec::new();
    for c in pattern!(r"field (\S+) not found in type").captures_iter(text) {
        let said = format!("field {} not found", &c[1]);
        if !all.contains(&said) {
            all.push(said);
        }
    }
    let crash = Crash { reason: all.join(", "), ..crash }.what(name).detail(Detail::UnknownField);
    let fields = match kind {
        File::Prometheus => known::PROMETHEUS.to_vec(),
        File::Rules => known::RULES.to_vec(),
        File::Alertmanager => alertmanager::field_names().into_iter().collect(),
    };
    if kind == File::Prometheus && name == "groups" {
        return Some(crash.advice("Rules belong in a file of their own, which rule_files names; move groups there."));
    }
    if let Some((versions, successor)) = known::renamed(name) {
        let advice = format!("{name} is known to {versions}; newer versions call it {successor}.");
        return Some(crash.instead(Some(successor)).advice(advice));
    }
    if let Some(version) = known::since(name) {
        return Some(crash.advice(format!("{name} is known from {version} on: use that version, or take it out.")));
    }
    if kind == File::Prometheus && known::PROMETHEUS_TOP.contains(&name) && kept.contains("config.") {
        return Some(crash.advice(format!("{name} is a top-level key of prometheus.yml: correct its indentation.")));
    }
    let discovery = name.strip_suffix("_sd_configs").filter(|_| fields.contains(&name));
    let section = kept.split(['\\', ' ', '"', '\n']).next().unwrap_or_default().trim_end_matches('.');
    let takes_it = ["config.ScrapeConfig", "config.AlertmanagerConfig"].contains(&section);
    if let (File::Prometheus, Some(discovery), true) = (kind, discovery, takes_it) {
        return Some(crash.advice(format!(
            "{name} is right here: this build of Prometheus has no discovery of {discovery} (some distributions leave discoveries out). Use the image of the Prometheus project."
        )));
    }
    if fields.contains(&name) {
        return Some(crash.advice(format!(
            "{name} is a field, but not of this section: check its indentation and where it stands."
        )));
    }
    let top = if kind == File::Prometheus { near(name, known::PROMETHEUS_TOP.iter().copied()) } else { None };
    // The singular and the plural of a field can both be known; the one of the file's kind comes first.
    let meant = near(name, fields.iter().copied()).or(top);
    Some(crash.instead(meant))
}

fn other(crash: Crash, text: &str) -> Crash {
    let crash = crash.detail(detail(text));
    if let Some((value, meant)) = duration(text) {
        let advice = if value.is_empty() {
            "A duration is empty: an interval or timeout is set without value."
        } else {
            "Durations are numbers with unit, such as 30s, 5m, 12h, 15d."
        };
        return crash.what(value).instead(meant).advice(advice);
    }
    if let Some(found) = pattern!(r#"unknown relabel action "([^"]+)""#).captures(text) {
        return crash.what(&found[1]).instead(near(&found[1], relabel::actions()));
    }
    if let Some(found) = pattern!(r#""([a-z]+://[^"]*)" is not a valid hostname"#).captures(text) {
        let rest = found[1].split_once("://").map_or("", |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default();
        return crash
            .what(&found[1])
            .instead(Some(host))
            .advice("targets hold host:port, not URLs; the path goes into metrics_path, the scheme into scheme.");
    }
    if let Some(found) =
        pattern!(r"expected Alertmanager api version to be one of \[(\w+)[^\]]*\] but got (\w+)").captures(text)
    {
        return crash.what(&found[2]).instead(Some(format!("api_version: {}", &found[1])));
    }
    if let Some(found) = pattern!(r#"unknown function with name "([^"]+)""#).captures(text) {
        return crash.what(&found[1]).instead(promql::near_function(&found[1]));
    }
    let name = pattern!(r#""([^"]+)""#).captures(text).map(|c| c[1].to_owned());
    let crash = Crash { what: name.clone(), ..crash };
    crash.advice(advice(text, &name.unwrap_or_default()))
}

fn detail(text: &str) -> Detail {
    match () {
        () if text.contains("empty duration string") => Detail::EmptyDuration,
        () if text.contains("undefined receiver") => Detail::UndefinedReceiver,
        () if text.contains("used in route") => Detail::Undefined,
        () if text.contains("URL") => Detail::Url,
        () => Detail::None,
    }
}

/// What to do about an error of a loader.
pub(super) fn advice(text: &str, name: &str) -> String {
    let has = |words: &str| text.contains(words);
    if has("undefined receiver") {
        return format!("Add the receiver {name} to receivers (- name: \"{name}\"), or correct the name in route.");
    }
    if has("undefined time interval") || has("undefined mute time interval") {
        return format!("Add {name} to time_intervals, or correct the name in the route.");
    }
    if has("multiple scrape configs with job name") {
        return format!("Job names are unique: rename or remove one of the jobs {name}.");
    }
    let known: &[(&[&str], &str)] = &[
        (
            &["tab character", "found character that cannot start any token"],
            "YAML is indented with spaces: replace the tabs (or quote a value that begins with @, ` or %).",
        ),
        (
            &[
                "did not find expected",
                "could not find expected",
                "mapping values are not allowed",
                "block sequence entries",
                "expected <block end>",
                "unknown escape",
                "did not find",
            ],
            "The file is no valid YAML there: look at the indentation, colons, quotes and brackets of this line and the one before it.",
        ),
        (&["into []string"], "Write a list there: [\"…\"]."),
        (
            &["!!map into string"],
            "A plain value is expected there: an unrendered template ({{ … }}) or a missing quote reads as a map.",
        ),
        (&["!!map into []"], "Write a list there: each entry begins with a dash."),
        (&["!!seq into"], "A single value or a map is expected there, not a list."),
        (&["cannot unmarshal"], "The value there has another type than the field takes."),
        (&["timeout greater than"], "Lower scrape_timeout to at most scrape_interval, or raise the interval."),
        (&["empty or null scrape config"], "An entry of scrape_configs is empty: fill it in, or take its dash out."),
        (&["Perl syntax"], "Regular expressions are RE2, which has no look-ahead and no back-references."),
        (&["error parsing regexp"], "Correct the regular expression (RE2 syntax)."),
        (&["requires 'target_label'"], "Add target_label to the relabel_configs entry, or use another action."),
        (&["at most one of"], "Keep one of the named settings."),
        (&["url for remote_write is empty", "url for remote_read is empty"], "Set url, or take the section out."),
        (
            &["no global Slack API URL", "no Slack API URL"],
            "Set slack_api_url (or slack_api_url_file) in global, or api_url in the slack_configs entry.",
        ),
        (&["no global"], "Set the named value in global, or in the receiver."),
        (
            &["unsupported scheme \"\"", "missing host for URL"],
            "The URL is not complete. Alertmanager does not expand environment variables: write it out, or name a file with …_file.",
        ),
        (&["bad matcher format"], "A matcher is written name=\"value\", with one of = != =~ !~."),
        (&["is not unique"], "Names of receivers are unique: rename or remove one of them."),
        (&["no routes provided", "no route provided"], "Add a route with a receiver, and that receiver to receivers."),
        (
            &["root route must not have"],
            "Take the matchers out of the top route, and put them into an entry of its routes.",
        ),
        (&["root route must specify"], "Set receiver in the top route."),
        (&["missing name in receiver"], "Give each receiver a name."),
        (
            &["missing service or routing key"],
            "Set routing_key (Events API v2) or service_key in the pagerduty_configs entry.",
        ),
        (&["missing URL in webhook", "one of url or url_file"], "Set url in the webhook_configs entry."),
        (&["cannot be zero"], "Set a value above zero, such as 5m."),
        (&["duplicated label"], "Name each label once."),
        (
            &["in agent mode"],
            "Agent mode takes no rule_files, alerting and remote_read: take them out, or run without agent mode.",
        ),
        (
            &["invalid recording rule name", "invalid recording rule"],
            "Names of recording rules hold letters, digits, _ and : (Prometheus 3 takes more).",
        ),
        (&["only one of 'record' and 'alert'"], "Keep record or alert: make two rules of it."),
        (&["one of 'record' or 'alert' must be set"], "Give the rule a record or an alert."),
        (&["field 'expr' must be set"], "Give the rule an expr."),
        (
            &["is repeated in the same file"],
            "Names of groups are unique in a file: rename one, or put their rules together.",
        ),
        (&["expected type range vector"], "The function takes a range: add one, as in rate(x[5m])."),
        (
            &["unclosed left parenthesis", "unexpected \")\"", "unexpected right parenthesis"],
            "Balance the parentheses of the expression.",
        ),
        (&["undefined variable"], "Templates know $labels, $value and $externalLabels."),
        (&["in operand", "unclosed action", "unexpected \"}\""], "Close the template with }}."),
        (&["function", "not defined"], "The template calls a function that does not exist."),
    ];
    let found = known.iter().find(|(words, _)| words.iter().any(|w| has(w)));
    found.map_or_else(String::new, |(_, advice)| (*advice).to_owned())
}
