//! Fields and their values against the schema.

use super::matcher::{self, Syntax};
use super::schema::{self, Field, Kind, Type};
use super::{Verdict, Version, interval, template};
use crate::lint::Problem;
use crate::lint::go::{anchored, duration, http_url_fault, is_go_duration, is_legacy_label, url_fault};
use crate::lint::yaml::{self, Node, Value, is_bool, is_number};
use crate::text::near::near;

/// Objects of Kubernetes that people paste in place of what they hold.
const OBJECT_KEYS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "data", "stringData"];

/// Checks the fields of a configuration.
pub(super) fn check(root: &Node, version: Option<Version>, verdict: &mut Verdict) {
    let mut walker = Walker { version, verdict };
    if let Some(problem) = pasted(root) {
        walker.verdict.refused.push(problem);
        return;
    }
    walker.object(root, &schema::CONFIG, "");
}

/// A Kubernetes object where its content belongs.
fn pasted(root: &Node) -> Option<Problem> {
    let (api, kind) = (root.get("apiVersion")?, root.get("kind").and_then(Node::as_str)?);
    let what = match kind {
        "AlertmanagerConfig" => {
            "an AlertmanagerConfig object of the operator, with other field names than Alertmanager's own file"
        }
        "ConfigMap" | "Secret" => "a Kubernetes object; only the file inside it belongs here",
        _ => "a Kubernetes object, not a configuration of Alertmanager",
    };
    Some(Problem::new(api.place, "apiVersion", format!("this is {what} (kind {kind}): field apiVersion not found")))
}

struct Walker<'a> {
    version: Option<Version>,
    verdict: &'a mut Verdict,
}

impl Walker<'_> {
    fn refuse(&mut self, node: &Node, path: &str, message: impl Into<String>) {
        self.verdict.refused.push(Problem::new(node.place, path, message));
    }

    fn object(&mut self, node: &Node, kind: &'static Type, path: &str) {
        if node.is_null() {
            return;
        }
        let Some(entries) = node.entries() else {
            return self.refuse(node, path, format!("{} must be a mapping, not {}", yaml::last(path), node.kind()));
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in entries {
            let Some(name) = key.as_str() else {
                self.refuse(key, path, "a key must be a text");
                continue;
            };
            let at = yaml::join(path, name);
            if seen.contains(&name) {
                self.refuse(key, &at, format!("field `{name}` is given twice"));
                continue;
            }
            seen.push(name);
            match kind.fields.iter().find(|f| f.name == name) {
                Some(field) if self.version.is_none_or(|v| v.knows(field.since)) => self.value(value, field.kind, &at),
                Some(field) => self.too_new(key, field, &at),
                None => self.unknown(key, name, kind, &at),
            }
        }
    }

    fn too_new(&mut self, key: &Node, field: &Field, path: &str) {
        let version = self.version.map(|v| v.to_string()).unwrap_or_default();
        let (name, since) = (field.name, field.since);
        self.refuse(
            key,
            path,
            format!("unknown field `{name}`: Alertmanager {version} is older than 0.{since}, which brought it"),
        );
    }

    fn unknown(&mut self, key: &Node, name: &str, kind: &'static Type, path: &str) {
        let known = kind.fields.iter().filter(|f| self.version.is_none_or(|v| v.knows(f.since)));
        let near = near(name, known.map(|f| f.name));
        let problem = Problem::new(key.place, path, format!("unknown field `{name}`")).instead(near);
        let told = near.is_some() || OBJECT_KEYS.contains(&name) || name.chars().any(|c| c.is_ascii_uppercase());
        if told || self.version.is_some_and(|v| !v.is_newer_than_known()) {
            self.verdict.refused.push(problem);
        } else {
            self.verdict.doubtful.push(problem);
        }
    }

    fn value(&mut self, node: &Node, kind: Kind, path: &str) {
        if node.is_null() {
            return;
        }
        match kind {
            Kind::Any => {}
            Kind::Object(kind) => self.object(node, kind, path),
            Kind::Objects(kind) => self.each(node, path, |w, item, at| w.object(item, kind, at)),
            Kind::TextOr(kind) => {
                if node.as_str().is_none() {
                    self.object(node, kind, path);
                }
            }
            Kind::Texts => self.each(node, path, |w, item, at| _ = w.text(item, at)),
            Kind::Matchers => self.each(node, path, |w, item, at| w.matchers(item, at)),
            Kind::Weekdays => self.ranges(node, path, interval::weekdays),
            Kind::DaysOfMonth => self.ranges(node, path, interval::days_of_month),
            Kind::Months => self.ranges(node, path, interval::months),
            Kind::Years => self.ranges(node, path, interval::years),
            Kind::TextMap => self.map(node, path, |w, _, value, at| _ = w.text(value, at)),
            Kind::Details if self.is_older(30) => self.value(node, Kind::TextMap, path),
            Kind::AnyMap | Kind::Details => self.map(node, path, |_, _, _, _| {}),
            Kind::ListMap => self.map(node, path, |w, _, value, at| w.value(value, Kind::Texts, at)),
            Kind::Headers => self.map(node, path, |w, _, value, at| w.object(value, &schema::HEADER, at)),
            Kind::LabelMap => self.map(node, path, |w, key, value, at| {
                w.label(key, at);
                w.text(value, at);
            }),
            Kind::RegexMap => self.map(node, path, Self::regex),
            _ => self.scalar(node, kind, path),
        }
    }

    fn scalar(&mut self, node: &Node, kind: Kind, path: &str) {
        let Some(text) = self.text(node, path) else { return };
        let plain = matches!(&node.value, Value::Scalar { plain: true, .. });
        let why = match kind {
            Kind::Bool if !(plain && is_bool(text)) => Some(format!("`{text}` is neither true nor false")),
            Kind::Int | Kind::Float if !(plain && is_number(text)) => Some(format!("`{text}` is no number")),
            Kind::Natural if !(plain && is_number(text) && !text.starts_with('-')) => {
                Some(format!("`{text}` is no number of 0 or more"))
            }
            Kind::Duration => match duration(text) {
                Ok(_) => None,
                Err((why, meant)) => {
                    let message = format!("{}: {why}; write a number and a unit: 30s, 5m, 4h", yaml::last(path));
                    return self.verdict.refused.push(Problem::new(node.place, path, message).instead(meant));
                }
            },
            Kind::GoDurationText if !is_go_duration(text) => {
                Some(format!("not a valid duration: {text:?}; write a number and a unit: 30s, 5m, 4h"))
            }
            Kind::GoDuration if !(is_go_duration(text) || plain && text.parse::<i64>().is_ok()) => {
                Some(format!("not a valid duration: {text:?}; write a number and a unit: 30s, 5m, 4h"))
            }
            Kind::Url => http_url_fault(text).map(|why| with_placeholder(text, &why)),
            Kind::SecretUrl if text != "<secret>" => http_url_fault(text).map(|why| with_placeholder(text, &why)),
            Kind::TemplateUrl => self.template_url(text),
            Kind::AnyUrl => url_fault(text),
            Kind::HostPort => host_port(text).err(),
            Kind::Location => interval::unknown_zone(text),
            Kind::TlsVersion if !matches!(text, "TLS10" | "TLS11" | "TLS12" | "TLS13") => {
                Some(format!("unknown TLS version: {text}"))
            }
            _ => None,
        };
        if let Some(why) = why {
            self.refuse(node, path, format!("{}: {why}", yaml::last(path)));
        }
    }

    /// A webhook's URL may be a template since 0.31; before, it is a URL.
    fn template_url(&self, text: &str) -> Option<String> {
        if text == "<secret>" && !self.is_older(26) || text.is_empty() && !self.is_older(31) {
            return None;
        }
        if text.contains("{{") && !self.is_older(31) {
            return template::parse(text, self.version).err().filter(|f| !f.only_unknown).map(|f| f.problem.message);
        }
        http_url_fault(text).map(|why| with_placeholder(text, &why))
    }

    fn is_older(&self, minor: u16) -> bool {
        self.version.is_some_and(|v| !v.knows(minor))
    }

    fn text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        if node.is_null() {
            return None;
        }
        let text = node.as_str();
        if text.is_none() {
            let message = format!("{} must be a single value, not {}", yaml::last(path), node.described());
            self.refuse(node, path, message);
        }
        text
    }

    fn each(&mut self, node: &Node, path: &str, mut act: impl FnMut(&mut Self, &Node, &str)) {
        let Some(items) = node.items() else {
            return self.refuse(node, path, format!("{} must be a list, not {}", yaml::last(path), node.kind()));
        };
        for (index, item) in items.iter().enumerate() {
            act(self, item, &format!("{path}[{index}]"));
        }
    }

    fn map(&mut self, node: &Node, path: &str, mut act: impl FnMut(&mut Self, &Node, &Node, &str)) {
        let Some(entries) = node.entries() else {
            return self.refuse(node, path, format!("{} must be a mapping, not {}", yaml::last(path), node.kind()));
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in entries {
            let name = key.as_str().unwrap_or_default();
            if seen.contains(&name) {
                self.refuse(key, path, format!("key `{name}` is given twice"));
            }
            seen.push(name);
            act(self, key, value, &yaml::join(path, name));
        }
    }

    fn ranges(&mut self, node: &Node, path: &str, read: fn(&str) -> Result<(i64, i64), String>) {
        self.each(node, path, |w, item, at| {
            let Some(text) = w.text(item, at) else { return };
            if let Err(why) = read(text) {
                w.refuse(item, at, format!("{}: {why}", yaml::last(path)));
            }
        });
    }

    fn label(&mut self, key: &Node, path: &str) {
        let name = key.as_str().unwrap_or_default();
        if !is_legacy_label(name) {
            self.refuse(key, path, format!("invalid label name {name:?}"));
        }
    }

    fn regex(&mut self, key: &Node, value: &Node, path: &str) {
        self.label(key, path);
        if value.is_null() {
            return self.refuse(
                value,
                path,
                format!("invalid regexp value for {:?}", key.as_str().unwrap_or_default()),
            );
        }
        let Some(text) = self.text(value, path) else { return };
        if let Err(why) = anchored(text) {
            self.refuse(value, path, why);
        }
    }

    fn matchers(&mut self, node: &Node, path: &str) {
        let Some(text) = self.text(node, path) else { return };
        let syntax = if self.is_older(27) { Syntax::Classic } else { Syntax::Fallback };
        if let Err(why) = matcher::line(text, syntax) {
            self.refuse(node, path, why);
        }
    }
}

fn with_placeholder(text: &str, why: &str) -> String {
    // What looks like a webhook is a secret even where it is broken.
    let shown: String = text.chars().take_while(|c| !matches!(c, '/' | '?' | ' ')).collect();
    let variable = text.starts_with('$') || text.contains("${") || text.starts_with("{{") || text.starts_with("<");
    if variable {
        format!("{why}: `{shown}` is a placeholder; Alertmanager does not expand variables of the environment")
    } else {
        why.to_owned()
    }
}

/// Why a text is no `host:port`.
fn host_port(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(format!("address {text}: missing ']' in address"))?,
        None => match text.rfind(':') {
            Some(at) => text.split_at(at),
            None => return Err(format!("address {text}: missing port in address")),
        },
    };
    let Some(port) = port.strip_prefix(':') else {
        return Err(format!("address {text}: missing port in address"));
    };
    if host.contains(':') && !text.starts_with('[') {
        return Err(format!("address {text}: too many colons in address"));
    }
    if port.is_empty() { Err(format!("address {text:?}: port cannot be empty")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::host_port;

    #[test]
    fn addresses_have_a_port() {
        assert!(host_port("smtp:587").is_ok() && host_port("[::1]:25").is_ok() && host_port("").is_ok());
        assert!(host_port("smtp").is_err() && host_port("smtp:").is_err() && host_port("a:b:c").is_err());
    }
}
