//! What names, accounts and networks there are: by the fields in which they stand.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::addresses::Addresses;
use super::scan::{Before, Reader, rewrite};
use super::split;

/// Fields that hold names, beside those whose name ends in `name`.
const NAMES: &str = "bucket channel cluster container context host hosts image instance job namespace namespaces node pod \
    repository server service serviceaccount";
/// Fields of which each entry has a value that people chose.
const CHOSEN: &str = "commonLabels discoveredLabels groupLabels labels matchLabels metric nodeSelector selector tags";
/// Fields that hold a number of an account.
const ACCOUNTS: &str = "account accountid ownerid registryid";
/// Where the names of hosts end.
const ENDS: &str = "ai app at au biz ca ch cloud cn co com corp de dev es eu fr in info internal intra io it jp kr lan \
    local me net nl org pl ru se sh tech uk us xyz";

fn holds(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// What was learned.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) words: HashSet<String>,
    /// Stems of words that are AWS' own.
    pub(super) of_aws: HashSet<String>,
    pub(super) accounts: BTreeSet<String>,
    pub(super) addresses: Addresses,
}

impl Learned {
    /// Of a file: its name, and what it holds.
    pub(super) fn file(&mut self, path: &str, text: &str) {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["aws", _, call] => self.names(call.split_once('.').map_or("", |(_, key)| key)),
            ["kubernetes", .., "namespaces", namespace, _] => self.names(namespace),
            _ => {}
        }
        match serde_json::from_str(text) {
            Ok(document) => self.value("", &document),
            Err(_) => self.text(text),
        }
    }

    fn value(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) => {
                self.field(key, text);
                self.text(text);
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(key, item)),
            Value::Object(fields) => {
                self.tag(fields);
                let is_chosen = holds(CHOSEN, key);
                for (own, inner) in fields {
                    if let Some((domain, _)) = own.split_once('/') {
                        self.host(domain);
                    }
                    match inner {
                        Value::String(text) if is_chosen && is_own(own) => self.names(text),
                        _ => {}
                    }
                    self.value(own, inner);
                }
            }
            _ => {}
        }
    }

    /// `{"Key": …, "Value": …}`
    fn tag(&mut self, fields: &Map<String, Value>) {
        if let (Some(Value::String(key)), Some(Value::String(value))) = (fields.get("Key"), fields.get("Value")) {
            self.names(key);
            self.names(value);
        }
    }

    fn field(&mut self, key: &str, text: &str) {
        let key = key.replace(['_', '-'], "").to_lowercase();
        if holds(ACCOUNTS, &key) {
            self.account(text);
        } else if key.ends_with("name") || key.ends_with("names") || holds(NAMES, &key) {
            self.names(text);
        }
    }

    /// What tells by itself what it is, wherever it stands.
    fn text(&mut self, text: &str) {
        if text.starts_with(['{', '['])
            && let Ok(inner) = serde_json::from_str::<Value>(text)
        {
            return self.value("", &inner);
        }
        for line in text.lines().filter(|_| text.contains('\n')) {
            let line = line.trim_start_matches(['-', ' ', '"', '\'']);
            if let Some((key, value)) = line.split_once(':')
                && !key.contains(' ')
                && !value.contains(['{', '$'])
            {
                self.field(key.trim_end_matches(['"', '\'']), value.trim());
            }
        }
        for word in text.split(|c: char| c.is_whitespace() || "\"'`,;<>()[]{}=|".contains(c)) {
            if let Some(at) = word.find("arn:aws") {
                self.arn(&word[at..]);
            }
            if let Some((_, rest)) = word.split_once("://") {
                let host = rest.split(['/', ':', '?', '#', '\\']).next().unwrap_or_default();
                self.host(host.rsplit('@').next().unwrap_or(host));
            }
            if let Some((_, domain)) = word.rsplit_once('@').filter(|(_, domain)| domain.contains('.')) {
                self.host(domain);
            }
            for host in word.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.')) {
                let end = host.rsplit_once('.').map_or("", |(_, end)| end);
                if holds(ENDS, end) {
                    self.host(host);
                }
            }
            // AWS' own registry is the same for all of a region.
            if let Some((account, rest)) = word.split_once(".dkr.ecr.")
                && !["/eks/", "/amazon"].iter().any(|own| rest.contains(own))
            {
                self.account(account.rsplit(['/', '@']).next().unwrap_or(account));
            }
        }
        if text.contains('/') {
            rewrite(text, &mut Networks(&mut self.addresses));
        }
    }

    fn arn(&mut self, arn: &str) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, _, _, account, resource] = parts.as_slice() else { return };
        // What AWS itself owns everybody has.
        if *account == "aws" {
            self.of_aws.extend(split::words(resource).map(split::stem));
        } else {
            self.account(account);
            self.names(resource);
        }
    }

    fn account(&mut self, text: &str) {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            self.accounts.insert(text.to_owned());
        }
    }

    /// All but the end of it, which says nothing.
    fn host(&mut self, host: &str) {
        let named = host.rsplit_once('.').map_or(host, |(named, _)| named);
        self.names(named);
    }

    /// A name, an image without its tag, a path.
    fn names(&mut self, text: &str) {
        // A sentence is no name.
        if text.len() > 253 || text.split_whitespace().nth(5).is_some() {
            return;
        }
        let text = text.split('@').next().unwrap_or(text);
        let tag =
            text.rfind(':').filter(|at| text[*at..].len() > 1 && text.contains('/') && !text[*at..].contains('/'));
        let text = &text[..tag.unwrap_or(text.len())];
        self.words.extend(split::words(text).map(str::to_lowercase));
    }
}

/// A label whose value somebody chose; of those that Kubernetes and AWS set some are names, too.
fn is_own(label: &str) -> bool {
    match label.rsplit_once('/') {
        Some((domain, name)) if ["k8s.io", "kubernetes.io", "amazonaws.com"].iter().any(|of| domain.ends_with(of)) => {
            ["name", "instance", "part-of", "nodegroup"].iter().any(|part| name.contains(part))
                && name != "instance-type"
        }
        _ => label != "__name__",
    }
}

/// Networks wherever they stand.
struct Networks<'a>(&'a mut Addresses);

impl Reader for Networks<'_> {
    fn word(&mut self, _: &str, _: Before<'_>) -> Option<String> {
        None
    }

    fn address(&mut self, address: IpAddr, prefix: Option<u8>) -> Option<String> {
        if let Some(prefix) = prefix {
            self.0.learn(address, prefix);
        }
        None
    }

    fn knows(&self, _: &str) -> bool {
        false
    }
}
