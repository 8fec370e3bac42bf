//! What several fixes name: the mail server, who does not answer, the Secret behind a file, and what holds the configuration.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::Case;
use crate::domain::alertmanager::config::{Source, config_source, keeper, source_of};
use crate::domain::alertmanager::notify_error::Cause;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::owner::operator_resource;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// A mail server, `host:port`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Mail {
    /// The receiver is one.
    mail: bool,
    smtp: String,
    /// Options of openssl for a port that begins in plain text.
    starttls: Vec<&'static str>,
}

/// Who does not answer.
#[derive(Serialize, JsonSchema)]
pub(super) struct Asked {
    receiver: String,
    url: String,
    #[serde(flatten)]
    mail: Mail,
}

/// The Secret behind a file; placeholders where none is known.
#[derive(Serialize, JsonSchema)]
pub(super) struct Secret {
    secret: String,
    secret_key: String,
    secret_known: bool,
}

/// The object that holds Alertmanager's configuration, and who keeps it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Config {
    /// `configmap` or `secret`; empty where it is not known.
    config_kind: &'static str,
    config_name: String,
    config_key: String,
    operator: bool,
    managed: String,
}

impl Config {
    pub(super) fn of(snap: &Snapshot, at: Option<(&Pod, &Container)>) -> Self {
        let found = at.and_then(|(p, c)| config_source(snap, p, c));
        Self {
            config_kind: found.as_ref().map_or("", |s| s.kind),
            config_name: found.as_ref().map_or("<config-name>", |s| s.name.as_str()).to_owned(),
            config_key: found.as_ref().map_or("alertmanager.yml", |s| s.key.as_str()).to_owned(),
            operator: at.is_some_and(|(p, _)| operator_resource(snap, p).is_some()),
            managed: at.map(|(p, _)| keeper(snap, p, found.as_ref())).unwrap_or_default(),
        }
    }
}

/// A mail server ends the connection before its first word: it waits for TLS, or does not want to speak.
fn is_silent(cause: &str) -> bool {
    (cause.contains("create SMTP client") || cause.contains("creating SMTP client")) && cause.ends_with("EOF")
}

/// Template files in the folder of the configuration.
pub(super) fn template_glob(container: Option<&Container>) -> String {
    let folder = container.and_then(arguments::config_file).and_then(|path| path.rsplit_once('/'));
    format!("{}/*.tmpl", folder.map_or("/etc/alertmanager", |(folder, _)| folder))
}

impl Case<'_> {
    pub(super) fn url(&self) -> String {
        format!("https://{}/", self.host.as_deref().unwrap_or("<host>"))
    }

    pub(super) fn is_operated(&self) -> bool {
        self.pod.is_some_and(|p| operator_resource(self.snap, p).is_some())
    }

    pub(super) fn mail(&self) -> Mail {
        let smtp = self.smarthost();
        let from_first_byte = smtp.ends_with(":465") || is_silent(&self.group.sample.cause);
        let starttls = if from_first_byte { Vec::new() } else { vec!["-starttls", "smtp"] };
        Mail { mail: self.is_mail(), smtp, starttls }
    }

    pub(super) fn asked(&self) -> Asked {
        Asked { receiver: self.receiver(), url: self.url(), mail: self.mail() }
    }

    pub(super) fn config(&self) -> Config {
        Config::of(self.snap, self.pod.zip(self.container))
    }

    pub(super) fn path(&self) -> String {
        self.file().0.unwrap_or_else(|| "<path>".to_owned())
    }

    pub(super) fn secret(&self) -> Secret {
        let source = self.file().1;
        Secret {
            secret: source.as_ref().map_or("<secret-name>", |s| s.name.as_str()).to_owned(),
            secret_key: source.as_ref().map_or("<key>", |s| s.key.as_str()).to_owned(),
            secret_known: source.is_some(),
        }
    }

    /// The file that holds the integration's URL or key, and where it is mounted from.
    pub(super) fn file(&self) -> (Option<String>, Option<Source>) {
        let names: &[(&str, &str)] = match self.group.sample.integration.as_str() {
            "slack" => &[("api_url_file", "slack_api_url_file"), ("app_token_file", "slack_app_token_file")],
            "pagerduty" => &[("routing_key_file", ""), ("service_key_file", "")],
            "opsgenie" => &[("api_key_file", "opsgenie_api_key_file")],
            "victorops" => &[("api_key_file", "victorops_api_key_file")],
            "telegram" => &[("bot_token_file", "telegram_bot_token_file")],
            "email" => &[("auth_password_file", "smtp_auth_password_file")],
            "webhook" => &[("url_file", "")],
            _ => &[("webhook_url_file", ""), ("api_url_file", ""), ("token_file", "")],
        };
        let from_log = (self.group.reason == Cause::File).then(|| opened(&self.group.sample.cause)).flatten();
        let path =
            from_log.or_else(|| names.iter().find_map(|(own, global)| self.setting(own, global)).map(str::to_owned));
        let source = match (self.pod, self.container, &path) {
            (Some(pod), Some(container), Some(path)) => source_of(self.snap, pod, container, path),
            _ => None,
        };
        (path, source.filter(|s| s.kind == "secret"))
    }
}

/// The path in `open /etc/x: no such file or directory`.
fn opened(cause: &str) -> Option<String> {
    let (_, rest) = cause.split_once("open ")?;
    let path = rest.split(": ").next()?;
    path.starts_with('/').then(|| path.to_owned())
}
