//! What a capture leaves out: the one place through which everything goes that is written.
//!
//! A secret becomes a token, the same wherever the same secret stands, so that what belongs together still does.
//! Reports mask secrets and tokens alike.

use std::collections::HashMap;
use std::sync::Mutex;

use regex::Captures;
use serde_json::{Map, Value, json};

use crate::collect::manifests;
use crate::collect::source::Request;
use crate::snapshot::kubernetes::DEFAULT_PASSWORDS;
use crate::snapshot::kubernetes::annotation::LAST_APPLIED;
use crate::text::credential::is_credential;
use crate::text::pattern::pattern;
use crate::text::redact::{self, is_secret_value, mask, mask_file, mask_sentence};

/// Fields in which systems speak.
const SENTENCES: &[&str] = &["message", "note", "reason", "error", "lastError", "last_error", "hint", "what"];

/// Replaces secrets by tokens.
#[derive(Default)]
pub(super) struct Secrets {
    tokens: Mutex<HashMap<String, usize>>,
    people: Mutex<HashMap<String, usize>>,
}

impl Secrets {
    /// An answer as it is kept.
    pub(super) fn answer(&self, request: &Request, bytes: &[u8]) -> Vec<u8> {
        let as_text = || self.lines(&String::from_utf8_lossy(bytes));
        match request {
            Request::Log { .. } => return as_text().into_bytes(),
            Request::PortForward { .. } => return bytes.to_vec(),
            _ => {}
        }
        let from_program = matches!(request, Request::App { .. } | Request::Service { .. });
        let mut document = match serde_json::from_slice::<Value>(bytes) {
            Ok(document) if !(from_program && is_wrapped(&document)) => document,
            _ if from_program => json!({"status": 200, "body": as_text()}),
            // What is no JSON is kept as it is: that it is none is what was seen.
            _ => return as_text().into_bytes(),
        };
        if is_of_secrets(request) {
            self.without_data(&mut document);
        }
        self.value("", &mut document);
        document.to_string().into_bytes()
    }

    /// A line or a path.
    pub(super) fn text(&self, text: &str) -> String {
        if is_plain(text) {
            return text.to_owned();
        }
        self.people(&self.tokens(text, &mask(text)))
    }

    /// Where a request's answer is kept, before it is made the name of a file: what a URL or a command holds is in it.
    pub(super) fn path(&self, request: &Request) -> String {
        let path = request.whole_path();
        match request {
            Request::Service { .. } | Request::App { .. } | Request::Exec { .. } => self.text(&path),
            _ => path,
        }
    }

    /// A manifest.
    pub(super) fn manifest(&self, name: &str, text: &str) -> String {
        let Ok(mut document) = serde_json::from_str::<Value>(text) else {
            return self.lines(&manifests::without_secrets(name, text));
        };
        self.value("", &mut document);
        if text.trim_end().contains('\n') { format!("{document:#}") } else { document.to_string() }
    }

    /// A file or a log.
    pub(super) fn lines(&self, text: &str) -> String {
        self.people(&self.tokens(text, &mask_file(text)))
    }

    /// All strings of a document.
    pub(super) fn value(&self, key: &str, value: &mut Value) {
        match value {
            Value::String(text) if is_credential(key) && !key.contains("checksum") && hides(text) => {
                *text = self.token(text);
            }
            Value::String(text) if SENTENCES.contains(&key) => {
                *text = self.people(&self.tokens(text, &mask_sentence(text)));
            }
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.flags(items);
                items.iter_mut().for_each(|item| self.value("", item));
            }
            Value::Object(fields) => self.object(fields),
            _ => {}
        }
    }

    fn object(&self, fields: &mut Map<String, Value>) {
        let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
        if is_credential(name)
            && let Some(Value::String(text)) = fields.get_mut("value")
            && hides(text)
        {
            *text = self.token(text);
        }
        let is_secret =
            fields.get("kind").and_then(Value::as_str) == Some("Secret") && fields.contains_key("apiVersion");
        let is_release = fields
            .get("metadata")
            .and_then(|m| m.get("labels")?.get("owner")?.as_str())
            .is_some_and(|owner| owner == "helm");
        for (key, value) in fields.iter_mut() {
            match (key.as_str(), &mut *value) {
                ("data" | "stringData", Value::Object(data)) if is_secret => self.blank(data),
                // A chart's values, packed.
                ("data", Value::Object(data)) if is_release => self.blank(data),
                // Key stores, packed files: only their names are looked at.
                ("binaryData", Value::Object(data)) => self.blank(data),
                // Logins of registries, as Docker keeps them.
                ("auths", Value::Object(hosts)) => {
                    hosts.values_mut().filter_map(Value::as_object_mut).for_each(|login| self.blank(login));
                }
                _ => self.value(key, value),
            }
        }
    }

    fn blank(&self, data: &mut Map<String, Value>) {
        data.values_mut().for_each(|value| *value = self.token(&value.to_string()).into());
    }

    /// `["--password", "x"]`.
    fn flags(&self, items: &mut [Value]) {
        for at in 1..items.len() {
            let (before, rest) = items.split_at_mut(at);
            let flag = before[at - 1].as_str().unwrap_or_default();
            if matches!(flag, "-u" | "--user")
                && let Value::String(text) = &mut rest[0]
                && let Some((user, password)) = text.split_once(':').filter(|(_, p)| !is_number(p) && hides(p))
            {
                *text = format!("{user}:{}", self.token(password));
                continue;
            }
            let flag = flag.strip_prefix("--");
            if flag.is_some_and(|flag| !flag.contains('=') && is_credential(flag))
                && let Value::String(text) = &mut rest[0]
                && hides(text)
                && !text.starts_with('-')
            {
                *text = self.token(text);
            }
        }
    }

    fn string(&self, text: &mut String) {
        // An object in a line: its keys tell.
        if text.starts_with(['{', '['])
            && !text.trim_end().contains('\n')
            && let Ok(mut inner) = serde_json::from_str::<Value>(text)
            && (inner.is_object() || inner.is_array())
        {
            let before = inner.clone();
            self.value("", &mut inner);
            if inner != before {
                *text = inner.to_string();
            }
            return;
        }
        *text = if text.contains('\n') { self.lines(text) } else { self.text(text) };
    }

    /// Secrets have names, labels and a type; nothing else of them is kept, whoever sent it.
    fn without_data(&self, document: &mut Value) {
        let Some(Value::Array(items)) = document.get_mut("items") else { return };
        for item in items {
            let Value::Object(fields) = item else { continue };
            fields.remove("data");
            fields.remove("stringData");
            let annotations = fields.get_mut("metadata").and_then(|m| m.get_mut("annotations"));
            if let Some(Value::Object(annotations)) = annotations {
                annotations.remove(LAST_APPLIED);
            }
        }
    }

    fn token(&self, secret: &str) -> String {
        if stays(secret) {
            return secret.to_owned();
        }
        // No thread panics with the lock.
        let Ok(mut tokens) = self.tokens.lock() else { return redact::MASK.to_owned() };
        let next = tokens.len() + 1;
        redact::token(*tokens.entry(secret.to_owned()).or_insert(next))
    }

    /// Puts tokens where the mask is.
    fn tokens(&self, text: &str, masked: &str) -> String {
        if text == masked {
            return masked.to_owned();
        }
        let mut parts = masked.split(redact::MASK);
        let mut out = parts.next().unwrap_or_default().to_owned();
        let Some(mut rest) = text.strip_prefix(out.as_str()) else { return masked.to_owned() };
        let parts: Vec<&str> = parts.collect();
        for (number, part) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            let end = if is_last {
                rest.strip_suffix(part).map(str::len)
            } else if part.is_empty() {
                None
            } else {
                rest.find(part)
            };
            // What cannot be told apart keeps the mask.
            let Some(end) = end else { return masked.to_owned() };
            out.push_str(&self.token(&rest[..end]));
            out.push_str(part);
            rest = &rest[end + part.len()..];
        }
        out
    }

    /// E-mail addresses: the domain stays, for mail servers are looked up by it.
    fn people(&self, text: &str) -> String {
        if !text.contains('@') {
            return text.to_owned();
        }
        let address = pattern!(r"([A-Za-z0-9._%+-]+)@([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})\b");
        let named = address.replace_all(text, |c: &Captures<'_>| {
            let (name, domain) = (&c[1], &c[2]);
            // A login of a version control, a Go module with its version, a token that is one already.
            let is_version = domain.starts_with('v') && domain[1..].starts_with(|c: char| c.is_ascii_digit());
            if name == "git" || is_version || redact::is_token(name) || name.starts_with("person-") {
                return c[0].to_owned();
            }
            let Ok(mut people) = self.people.lock() else { return format!("person@{domain}") };
            let next = people.len() + 1;
            format!("person-{}@{domain}", people.entry(c[0].to_owned()).or_insert(next))
        });
        named.into_owned()
    }
}

/// `1000:1000` behind `-u` are the numbers of a user and a group.
fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// A whole value that is a secret, and not what stands for one.
fn hides(text: &str) -> bool {
    is_secret_value(text) && !stays(text)
}

/// What is a secret's value by its place, and none by itself.
fn stays(text: &str) -> bool {
    text == redact::MASK || redact::is_token(text) || DEFAULT_PASSWORDS.contains(&text)
}

/// A JSON answer that looks like the envelope of one that is none.
fn is_wrapped(document: &Value) -> bool {
    document.get("status").is_some_and(Value::is_u64) && document.get("body").is_some_and(Value::is_string)
}

fn is_of_secrets(request: &Request) -> bool {
    matches!(request, Request::Kubernetes { path, .. } if path.split('/').any(|part| part == "secrets"))
}

/// A word in which no secret is looked for: most of what clusters say.
fn is_plain(text: &str) -> bool {
    let is_small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'/');
    text.len() < 4
        || (text.len() < 64
            && text.bytes().all(is_small)
            && !["xox", "xapp-", "glpat-"].iter().any(|start| text.contains(start))
            // Hooks are told by their hosts.
            && !(text.contains('.') && text.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(secrets: &Secrets, path: &str, document: &Value) -> Value {
        let request = Request::kubernetes(path);
        serde_json::from_slice(&secrets.answer(&request, document.to_string().as_bytes())).expect("JSON")
    }

    #[test]
    fn one_secret_is_one_token_wherever_it_stands() {
        let secrets = Secrets::default();
        let pod = json!({"items": [{
            "metadata": {"annotations": {LAST_APPLIED: r#"{"env":[{"name":"DB_PASSWORD","value":"hunter2"}]}"#}},
            "spec": {"containers": [{
                "args": ["--url=https://me:hunter2@db.example.org/x", "--token", "hunter2", "--log.level=info"],
                "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "OTHER", "value": "kept"}],
            }]},
        }]});
        let kept = kept(&secrets, "/api/v1/pods", &pod).to_string();
        assert!(!kept.contains("hunter2"), "{kept}");
        assert!(kept.contains(r#""name":"DB_PASSWORD","value":"redacted-"#), "{kept}");
        assert!(kept.contains(r#"["--url=https://redacted-"#) && kept.contains("@db.example.org/x"), "{kept}");
        assert!(kept.contains("--log.level=info") && kept.contains("kept"), "{kept}");
        let token = secrets.token("hunter2");
        assert!(kept.matches(&token).count() >= 3, "{token}: {kept}");
    }

    #[test]
    fn logins_of_commands_and_registries_are_tokens() {
        let document = json!({"items": [{
            "command": ["curl", "-u", "jane:hunter2", "https://example.org"], "args": ["run", "-u", "1000:1000"],
            "auths": {"registry.example.org": {"auth": "amFuZTpodW50ZXIy", "username": "jane"}},
        }]});
        let kept = kept(&Secrets::default(), "/api/v1/pods", &document).to_string();
        assert!(!kept.contains("hunter2") && !kept.contains("amFuZTpodW50ZXIy"), "{kept}");
        assert!(
            kept.contains("jane:redacted-") && kept.contains("1000:1000") && kept.contains("registry.example.org"),
            "{kept}"
        );
    }

    #[test]
    fn secrets_have_no_data_whoever_sent_it() {
        let list = json!({"items": [{
            "metadata": {"name": "s", "annotations": {LAST_APPLIED: "{\"data\":{\"a\":\"aHVudGVyMg==\"}}", "b": "c"}},
            "type": "Opaque", "data": {"a": "aHVudGVyMg=="},
        }]});
        let kept = kept(&Secrets::default(), "/api/v1/secrets", &list);
        assert_eq!(kept, json!({"items": [{"metadata": {"name": "s", "annotations": {"b": "c"}}, "type": "Opaque"}]}));
    }

    #[test]
    fn files_in_config_maps_lose_their_secrets_and_keep_their_form() {
        let file = "global:\n  slack_api_url: https://hooks.slack.com/services/T0/B0/hunter2\nreceivers:\n- name: a\n  \
                    email_configs:\n  - to: jane.doe@example.org\n    auth_password: 'hunter2'\n";
        let list = json!({"items": [{"data": {"alertmanager.yml": file, "admin-password": "hunter2"}}]});
        let kept = kept(&Secrets::default(), "/api/v1/configmaps", &list);
        let text = kept.pointer("/items/0/data/alertmanager.yml").and_then(Value::as_str).expect("a file");
        assert!(!kept.to_string().contains("hunter2") && !text.contains("jane"), "{kept}");
        assert!(
            text.contains("to: person-1@example.org") && text.contains("hooks.slack.com/services/redacted-"),
            "{text}"
        );
        assert!(text.contains("auth_password: 'redacted-") && text.lines().count() == file.lines().count(), "{text}");
    }

    #[test]
    fn names_of_people_are_told_from_what_looks_like_them() {
        let secrets = Secrets::default();
        let keep = [
            "git@github.com:prometheus/prometheus.git",
            "github.com/prometheus/client_golang@v1.19.0-rc.one/x.go:12",
            "quay.io/prometheus/prometheus@sha256:0123456789abcdef",
            "node-exporter@monitoring",
        ];
        for text in keep {
            assert_eq!(secrets.text(text), text);
        }
        assert_eq!(
            secrets.text("arn:aws:sts::1:assumed-role/Admin/a@b.io"),
            "arn:aws:sts::1:assumed-role/Admin/person-1@b.io"
        );
        assert_eq!(secrets.text("a@b.io and c@b.io"), "person-1@b.io and person-2@b.io");
    }

    #[test]
    fn what_is_no_json_is_wrapped_for_programs() {
        let secrets = Secrets::default();
        let request = Request::Service {
            namespace: "a".into(),
            service: "b".into(),
            scheme: "http".into(),
            port: 80,
            path: "/".into(),
        };
        let kept = secrets.answer(&request, b"<html>password=hunter2</html>");
        let kept: Value = serde_json::from_slice(&kept).expect("JSON");
        assert_eq!(kept["status"], 200);
        assert!(kept["body"].as_str().is_some_and(|b| b.starts_with("<html>password=redacted-")), "{kept}");
        // JSON that looks like the envelope is put into one.
        let kept = secrets.answer(&request, br#"{"status":500,"body":"x"}"#);
        assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON")["status"], 200);
    }

    #[test]
    fn a_mask_becomes_tokens_in_their_order() {
        let secrets = Secrets::default();
        assert_eq!(
            secrets.text("a password=x1 token=y2 password=x1"),
            "a password=redacted-1 token=redacted-2 password=redacted-1"
        );
        // What is a token stays one.
        assert_eq!(secrets.text("password=redacted-1"), "password=redacted-1");
    }
}
