//! Secrets planted in all texts of a bundle.

#![allow(unreachable_pub, reason = "the tests that use it name it as a module of theirs")]

use kdoctor::bundle::Bundle;
use kdoctor::collect::source::{FetchError, Known, Request, Source};
use serde_json::Value;

/// A bundle in whose answers secrets were planted, wherever people and programs leave them.
pub struct Planted(pub Bundle);

/// What every planted secret holds.
pub const SECRET: &str = "s3cr3t";
/// Shapes of secrets in the texts of systems: errors, events, conditions, logs.
const IN_TEXT: &str = r#" (body: {\"api_key\":\"s3cr3t\"}, password=s3cr3t, header Authorization: Bearer s3cr3t0, url https://me:s3cr3t@db.example.org:5432/x?token=s3cr3t, https://hooks.slack.com/services/T0/B0/s3cr3t)"#;
/// Slips in a file of configuration.
const IN_FILE: &str = "\nbasic_auth: {username: me, password: s3cr3t}\nhttp_headers:\n  X-A:\n    secrets: [s3cr3t]\n\tapi_key: s3cr3t\napp_tokex: s3cr3t\nauth_password: |\n  s3cr3t\n";

fn plant(value: &mut Value, key: &str) {
    match value {
        Value::String(text) => match key {
            "message" | "lastError" | "last_error" | "stderr" | "error" => text.push_str(IN_TEXT),
            "scrapeUrl" => text.push_str("?api_key=s3cr3t"),
            _ if key.ends_with(".yml") || key.ends_with(".yaml") => text.push_str(IN_FILE),
            _ => {}
        },
        Value::Array(all) => all.iter_mut().for_each(|v| plant(v, key)),
        Value::Object(all) => all.iter_mut().for_each(|(k, v)| plant(v, k)),
        _ => {}
    }
}

#[async_trait::async_trait]
impl Source for Planted {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let answer = self.0.fetch(request).await.map_err(|error| match error {
            FetchError::Gap(mut gap) if !gap.is_not_collected() => {
                gap.message.push_str(IN_TEXT);
                FetchError::Gap(gap)
            }
            other => other,
        })?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        Ok(match (request, serde_json::from_str::<Value>(&text)) {
            (Request::Log { .. }, _) => {
                text.lines().map(|l| format!("{l}{IN_TEXT}\n")).collect::<String>().into_bytes()
            }
            (_, Ok(mut value)) => {
                plant(&mut value, "");
                value.to_string().into_bytes()
            }
            _ => answer,
        })
    }

    fn has_whole_list(&self, path: &str) -> bool {
        self.0.has_whole_list(path)
    }

    fn deadline(&self) -> std::time::Duration {
        self.0.deadline()
    }

    fn known(&self) -> Known {
        self.0.known()
    }
}
