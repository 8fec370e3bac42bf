//! What names, accounts and networks there are: by the fields in which they stand.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::text::pattern::pattern;

use super::addresses::Addresses;
use super::scan::{Before, Reader, rewrite};
use super::split;

/// Fields that hold names, beside those whose name ends in `name`.
const NAMES: &str = "bucket channel cluster container context database host hosts image instance job login namespace \
    namespaces node orgid pod repository server service serviceaccount smtpsmarthost tenant tenantid user xscopeorgid";
/// Fields that hold people, with as many words as they like; and ends of others.
const PEOPLE: &str = "approvedby author by changedby contact createdby maintainer maintainers modifiedby oncall owner \
    requestedby updatedby";
const PEOPLE_AT_END: &[&str] = &["contact", "owner"];
/// What holds a name where a log or an address has it as `key=value`, beside those.
const PAIRS: &str = "acct customer org organization project svc team";
/// Folders whose first is somebody's.
const HOMES: &[&str] = &["/home/", "/Users/"];
/// Fields of which each entry has a key and a value that people chose, without what parts their words.
const CHOSEN: &str = "commonlabels discoveredlabels externallabels grouplabels labels metric tags";
/// The same, where labels are looked for.
const SELECTORS: &str = "matchlabels nodeselector selector";
/// Fields that hold a number of an account.
const ACCOUNTS: &str = "account accountid ownerid registryid";
/// Domains of the labels that Kubernetes and AWS set.
const OF_ALL: &[&str] = &["k8s.io", "kubernetes.io", "amazonaws.com"];
/// Where the names of hosts end.
const ENDS: &str = "ai app at au biz ca ch cloud cn co com corp de dev es eu fr in info internal intra io it jp kr lan \
    local me net nl org pl ru se sh tech uk us xyz";

fn holds(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// What was learned.
#[derive(Default)]
pub(super) struct Learned {
    /// Of names of what there is, and of people.
    pub(super) words: HashSet<String>,
    /// Of what is looked for: a slip of a word that everybody uses is one.
    pub(super) chosen: HashSet<String>,
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
                let key = plain(key);
                let (is_chosen, is_selector) = (holds(CHOSEN, &key), holds(SELECTORS, &key));
                for (own, inner) in fields {
                    if let Some((domain, _)) = own.split_once('/') {
                        self.host(domain);
                    }
                    match inner {
                        Value::String(text) if is_chosen => self.label(own, text),
                        Value::String(text) if is_selector => self.selected(own, text),
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

    /// A label, or a tag.
    fn label(&mut self, key: &str, value: &str) {
        if !is_known(key) {
            self.names(key);
        }
        if is_own(key) {
            self.names(value);
        }
    }

    /// A label that is looked for.
    fn selected(&mut self, key: &str, value: &str) {
        let is_learned = |(is, text)| if is { name(text) } else { None };
        let names = [(!is_known(key), key), (is_own(key), value)].into_iter().filter_map(is_learned);
        self.chosen.extend(names.flat_map(|text| split::words(&text).map(str::to_lowercase).collect::<Vec<_>>()));
    }

    fn field(&mut self, key: &str, text: &str) {
        let key = plain(key);
        // `example.org/owner`
        let key = key.rsplit('/').next().unwrap_or_default().to_owned();
        if key.contains("bucket") {
            self.bucket(text);
        }
        if holds(ACCOUNTS, &key) {
            self.account(text);
        } else if holds(PEOPLE, &key) || PEOPLE_AT_END.iter().any(|end| key.ends_with(end)) {
            self.words.extend(split::words(text).map(str::to_lowercase));
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
        self.lines(text);
        // The column of what holds labels.
        let mut labels: Option<usize> = None;
        for line in text.lines().filter(|_| text.contains('\n')) {
            let column = line.len() - line.trim_start().len();
            labels = labels.filter(|of| column > *of);
            let line = line.trim_start_matches(['-', ' ', '"', '\'']);
            if let Some((key, value)) = line.split_once(':')
                && !key.contains(' ')
                && !value.contains(['{', '$'])
            {
                let (key, value) = (key.trim_end_matches(['"', '\'']), value.trim());
                self.field(key, value);
                if labels.is_some() {
                    self.label(key, value);
                } else if value.is_empty() && holds(CHOSEN, &plain(key)) {
                    labels = Some(column);
                }
            }
        }
        for word in text.split(|c: char| c.is_whitespace() || "\"'`,;<>()[]{}=|".contains(c)) {
            if let Some(at) = word.find("arn:aws") {
                self.arn(&word[at..]);
            }
            if let Some((scheme, rest)) = word.split_once("://") {
                if scheme.ends_with("s3") {
                    self.bucket(rest.split('/').next().unwrap_or_default());
                }
                let host = rest.split(['/', ':', '?', '#', '\\']).next().unwrap_or_default();
                self.host(host.rsplit('@').next().unwrap_or(host));
            }
            for at in ["@", "%40"] {
                if let Some((who, domain)) = word.rsplit_once(at).filter(|(_, domain)| domain.contains('.')) {
                    self.host(domain.split(['&', '/', ':', '%', '?']).next().unwrap_or(domain));
                    self.names(who.rsplit(['/', ':', '&', '=']).next().unwrap_or(who));
                }
            }
            for host in word.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.')) {
                let end = host.rsplit_once('.').map_or("", |(_, end)| end);
                if holds(ENDS, end) {
                    self.host(host);
                }
            }
            // AWS' own registry is the same for all of a region.
            let registry = [".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr."].iter().find_map(|of| word.split_once(of));
            if let Some((account, rest)) = registry
                && !["/eks/", "/amazon"].iter().any(|own| rest.contains(own))
            {
                self.account(account.rsplit(['/', '@']).next().unwrap_or(account));
            }
            self.of_aws_host(word);
        }
        if text.contains('/') {
            rewrite(text, &mut Networks(&mut self.addresses));
        }
    }

    /// What logs and addresses say as `key=value` or in JSON, and the folders of people.
    fn lines(&mut self, text: &str) {
        for line in text.lines() {
            // What stands before is the time, as Kubernetes writes it.
            let inner = line.find("{\"").filter(|at| *at > 0).map(|at| &line[at..]);
            if let Some(inner) = inner.and_then(|inner| serde_json::from_str::<Value>(inner.trim_end()).ok()) {
                self.value("", &inner);
            }
        }
        for word in text.split(|c: char| c.is_whitespace() || "?&;,\"'`()[]{}<>\\".contains(c)) {
            for home in HOMES {
                if let Some((_, rest)) = word.split_once(home) {
                    self.names(rest.split('/').next().unwrap_or_default());
                }
            }
            let Some((key, value)) = word.split_once('=') else { continue };
            let key = plain(key.trim_start_matches('-'));
            let is_name = holds(NAMES, &key) || holds(PEOPLE, &key) || holds(PAIRS, &key);
            if is_name && !value.contains(['$', '=']) {
                self.names(value.split('%').next().unwrap_or(value));
            }
        }
    }

    /// Queues of an account, and buckets, by the host that serves them.
    fn of_aws_host(&mut self, word: &str) {
        let Some((host, path)) = word.split_once(".amazonaws.com") else { return };
        let mut path = path.trim_start_matches(".cn").trim_start_matches(':').split('/').skip(1);
        let host = host.rsplit('/').next().unwrap_or(host);
        let mut labels = host.split('.');
        let first = labels.next().unwrap_or_default();
        match (path.next(), path.next()) {
            (Some(bucket), _) if first == "s3" || first.starts_with("s3-") => self.bucket(bucket),
            (Some(account), Some(queue)) if is_account(account) => {
                self.account(account);
                self.names(queue);
            }
            _ => {}
        }
        if labels.any(|label| label == "s3" || label.starts_with("s3-")) {
            self.bucket(first);
        }
    }

    /// A bucket whose name ends in its account, or has it as a part.
    fn bucket(&mut self, name: &str) {
        let name = name.split('/').next().unwrap_or(name);
        for part in name.split(|c: char| !c.is_ascii_alphanumeric()) {
            let digits = part.trim_start_matches(|c: char| !c.is_ascii_digit());
            self.account(digits);
            self.account(&part[part.trim_end_matches(|c: char| c.is_ascii_digit()).len()..]);
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
            if arn.contains(":s3:") {
                self.bucket(resource);
            }
        }
    }

    fn account(&mut self, text: &str) {
        if is_account(text) {
            self.accounts.insert(text.to_owned());
        }
    }

    /// All but the end of it where that says nothing.
    fn host(&mut self, host: &str) {
        let host = host.trim_end_matches('.');
        let named = host.rsplit_once('.').filter(|(_, end)| holds(ENDS, end)).map_or(host, |(named, _)| named);
        self.names(named);
    }

    fn names(&mut self, text: &str) {
        if let Some(name) = name(text) {
            self.words.extend(split::words(&name).map(str::to_lowercase));
        }
    }
}

/// A key without what parts its words.
fn plain(key: &str) -> String {
    key.replace(['_', '-'], "").to_lowercase()
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A name, an image without its tag, a path; without the ids in it, of which some parts look like words. `None` of what is
/// no name.
fn name(text: &str) -> Option<Cow<'_, str>> {
    // A sentence is no name.
    if text.len() > 253 || text.split_whitespace().nth(5).is_some() {
        return None;
    }
    let text = text.split('@').next().unwrap_or(text);
    let tag = text.rfind(':').filter(|at| text[*at..].len() > 1 && text.contains('/') && !text[*at..].contains('/'));
    let text = &text[..tag.unwrap_or(text.len())];
    let id = pattern!("[0-9a-fA-F]{8}(?:[-_][0-9a-fA-F]{4}){3}[-_][0-9a-fA-F]{12}");
    Some(id.replace_all(text, " "))
}

/// A label that Kubernetes and AWS set: its key is everybody's.
fn is_known(label: &str) -> bool {
    let domain = label.rsplit_once('/').map_or("", |(domain, _)| domain);
    label == "__name__" || OF_ALL.iter().any(|of| domain.ends_with(of))
}

/// A label whose value somebody chose; of those that Kubernetes and AWS set some are names, too.
fn is_own(label: &str) -> bool {
    match label.rsplit_once('/') {
        Some((_, name)) if is_known(label) => {
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
