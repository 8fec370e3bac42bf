//! A capture without names: what people gave a name, the numbers of their accounts and their addresses are replaced, the
//! same everywhere by the same, so that what belongs together still does.

mod addresses;
mod learn;
mod scan;
mod split;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use serde_json::{Map, Value};

use addresses::Addresses;
use learn::Learned;
use scan::{Before, Reader, rewrite};
use words::Public;

/// Resources of AWS whose older numbers have eight digits.
const OF_AWS: &[&str] = &[
    "acl", "ami", "eipalloc", "eipassoc", "eni", "fs", "fsap", "i", "igw", "lt", "nat", "pcx", "r", "rtb", "rtbassoc",
    "sg", "snap", "subnet", "vol", "vpc", "vpce",
];
/// How unique ids of IAM begin.
const OF_IAM: &[&str] = &["AGPA", "AIDA", "AIPA", "ANPA", "AROA", "ASIA"];

/// Letters of a word that is looked for within others.
const LEAST: usize = 5;
/// How packed certificates begin, and what stands for one: names lie in them.
const PACKED: &str = "LS0tLS1CRUdJTiBDRVJU";
const CERTIFICATE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCnJlcGxhY2VkCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";

/// Reads everything before anything is replaced.
#[derive(Default)]
pub(super) struct Reading(Learned);

impl Reading {
    /// A file by its name in the bundle.
    pub(super) fn file(&mut self, path: &str, bytes: &[u8]) {
        self.0.file(path, &String::from_utf8_lossy(bytes));
    }

    /// What stands for what was learned.
    pub(super) fn done(self) -> Anonymous {
        let Learned { words, of_aws, accounts, addresses } = self.0;
        let public = Public::new();
        let private = words.iter().filter(|word| !public.holds(word)).map(|word| split::stem(word));
        let private: BTreeSet<String> = private.filter(|stem| !of_aws.contains(stem)).collect();
        let accounts = accounts.into_iter().enumerate().map(|(at, account)| (account, format!("{:012}", at + 1)));
        Anonymous {
            words: words::replaced(&private, &public),
            public,
            within: HashMap::new(),
            accounts: accounts.collect(),
            addresses,
            key: RandomState::new(),
            met: Met::default(),
        }
    }
}

/// Replaces what is somebody's.
pub(super) struct Anonymous {
    words: HashMap<String, String>,
    public: Public,
    /// Words that were met, and the one that is replaced in them.
    within: HashMap<String, Option<String>>,
    accounts: HashMap<String, String>,
    addresses: Addresses,
    key: RandomState,
    met: Met,
}

#[derive(Default)]
struct Met {
    words: BTreeSet<String>,
    accounts: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    ids: BTreeSet<String>,
}

/// How many different ones were replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Words of names.
    pub words: usize,
    /// Accounts of AWS.
    pub accounts: usize,
    /// Addresses.
    pub addresses: usize,
    /// Ids of AWS.
    pub ids: usize,
}

impl Anonymous {
    /// A file as it is kept.
    pub(super) fn file(&mut self, path: &str, bytes: &[u8]) -> Vec<u8> {
        let document = if path.ends_with(".json") { serde_json::from_slice(bytes).ok() } else { None };
        match document {
            Some(mut document) => {
                self.value(&mut document);
                // A manifest keeps its lines: its places are named by them.
                let is_long = bytes.trim_ascii_end().contains(&b'\n');
                if is_long { format!("{document:#}") } else { document.to_string() }.into_bytes()
            }
            None => self.text(&String::from_utf8_lossy(bytes)).into_bytes(),
        }
    }

    /// A line, a path, a log.
    pub(super) fn text(&mut self, text: &str) -> String {
        rewrite(text, self)
    }

    /// All strings of a document.
    pub(super) fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with(PACKED) => CERTIFICATE.clone_into(text),
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                let mut replaced = Map::new();
                for (key, mut inner) in std::mem::take(fields) {
                    self.value(&mut inner);
                    replaced.insert(self.text(&key), inner);
                }
                *fields = replaced;
            }
            _ => {}
        }
    }

    /// What was replaced so far.
    pub(super) fn replaced(&self) -> Replaced {
        Replaced {
            words: self.met.words.len(),
            accounts: self.met.accounts.len(),
            addresses: self.met.addresses.len(),
            ids: self.met.ids.len(),
        }
    }

    /// An id of AWS: its digits become others.
    fn id(&mut self, word: &str, before: Before<'_>) -> Option<String> {
        let is_hex = |small: bool| {
            let letter = |b: u8| b.is_ascii_digit() || (b.is_ascii_hexdigit() && b.is_ascii_lowercase() == small);
            word.bytes().all(letter)
        };
        let iam = OF_IAM.iter().find(|start| word.starts_with(**start) && word.len() > 15);
        let new = match word.len() {
            17 if before.letter == Some('-') && is_hex(true) => self.digits(word),
            8 if before.letter == Some('-') && OF_AWS.contains(&before.word) && is_hex(true) => self.digits(word),
            // The id of an EKS cluster: of its issuer, and of its endpoint.
            32 if is_hex(false) => self.digits(word).to_uppercase(),
            _ => format!("{}{}", iam?, &self.digits(word).to_uppercase()[4..]),
        };
        self.met.ids.insert(word.to_owned());
        Some(new)
    }

    fn digits(&self, word: &str) -> String {
        let number = |part: u8| format!("{:016x}", self.key.hash_one((word, part)));
        (0..).map(number).take(word.len().div_ceil(16)).collect::<String>()[..word.len()].to_owned()
    }

    fn part(&mut self, part: &str) -> Option<String> {
        let stem = split::stem(part);
        let Some(new) = self.words.get(&stem) else { return self.longer(part, &stem) };
        let number = &part[part.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
        let is_large = |c: char| c.is_uppercase();
        let new = match part.chars().next() {
            Some(first) if is_large(first) && part.chars().nth(1).is_some_and(is_large) => new.to_uppercase(),
            Some(first) if is_large(first) => format!("{}{}", new[..1].to_uppercase(), &new[1..]),
            _ => new.clone(),
        };
        self.met.words.insert(stem);
        Some(format!("{new}{number}"))
    }

    /// A word that nobody gave as a name, and that holds one: `initechs`.
    fn longer(&mut self, part: &str, stem: &str) -> Option<String> {
        let is_word = part.len() > LEAST && part.bytes().all(|b| b.is_ascii_alphabetic());
        if !is_word || self.public.words.contains(stem) {
            return None;
        }
        let word = match self.within.get(stem) {
            Some(known) => known.clone(),
            None => {
                let starts = 0..=stem.len() - LEAST;
                let all = starts.flat_map(|start| (start + LEAST..=stem.len()).map(move |end| &stem[start..end]));
                let longest = all.filter(|word| self.words.contains_key(*word)).max_by_key(|word| word.len());
                let longest = longest.map(str::to_owned);
                self.within.insert(stem.to_owned(), longest.clone());
                longest
            }
        }?;
        let at = stem.find(&word)?;
        let (before, rest) = part.split_at(at);
        let (inner, after) = rest.split_at(word.len());
        Some(format!("{before}{}{after}", self.part(inner)?))
    }
}

impl Reader for Anonymous {
    fn word(&mut self, word: &str, before: Before<'_>) -> Option<String> {
        if let Some(account) = self.accounts.get(word) {
            self.met.accounts.insert(word.to_owned());
            return Some(account.clone());
        }
        if let Some(id) = self.id(word, before) {
            return Some(id);
        }
        let parts = split::parts(word);
        let replaced: Vec<Option<String>> = parts.iter().map(|part| self.part(part)).collect();
        if replaced.iter().all(Option::is_none) {
            return None;
        }
        Some(parts.iter().zip(replaced).map(|(part, new)| new.unwrap_or_else(|| (*part).to_owned())).collect())
    }

    fn address(&mut self, address: IpAddr, prefix: Option<u8>) -> Option<String> {
        let new =
            prefix.map_or_else(|| self.addresses.of(address), |prefix| self.addresses.of_network(address, prefix));
        if new == address {
            return None;
        }
        self.met.addresses.insert(address);
        Some(new.to_string())
    }

    fn knows(&self, word: &str) -> bool {
        split::parts(word).into_iter().any(|part| self.words.contains_key(&split::stem(part)))
    }
}
