//! A capture without names: what people gave a name, the numbers of their accounts and their addresses are replaced, the
//! same everywhere by the same, so that what belongs together still does.

use crate::text::pattern::pattern;

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

use regex::Regex;
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

/// Letters of a word that is looked for within others, and at their beginning and end.
const LEAST: usize = 5;
const LEAST_AT_END: usize = 4;
/// Letters of a word in which others are looked for.
const MOST: usize = 64;
/// How certificates begin, as they are and packed, and what stands for a packed one: names lie in them.
const PLAIN: &str = "-----BEGIN ";
const PACKED: &str = "LS0tLS1CRUdJTi";
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
        let Learned { words, chosen, of_aws, accounts, addresses } = self.0;
        let public = Public::new();
        let names = words.iter().filter(|word| !public.holds(word));
        let private = names.chain(chosen.iter().filter(|word| !public.holds_or_means(word)));
        let private = private.map(|word| split::stem(word));
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
        if !text.contains(PLAIN) && !text.contains(PACKED) {
            return rewrite(text, self);
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for found in certificates().find_iter(text) {
            out.push_str(&rewrite(&text[from..found.start()], self));
            out.push_str(&without_names(found.as_str()));
            from = found.end();
        }
        out.push_str(&rewrite(&text[from..], self));
        out
    }

    /// All strings of a document.
    pub(super) fn value(&mut self, value: &mut Value) {
        match value {
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

    /// A word that nobody gave as a name, and that holds one: `initechs`, `initechdb01`.
    fn longer(&mut self, part: &str, stem: &str) -> Option<String> {
        let is_word =
            (LEAST_AT_END + 1..=MOST).contains(&stem.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_word || self.public.holds(part) {
            return None;
        }
        let word = match self.within.get(stem) {
            Some(known) => known.clone(),
            None => {
                let starts = 0..=stem.len() - LEAST_AT_END;
                let all = starts.flat_map(|start| (start + LEAST_AT_END..=stem.len()).map(move |end| (start, end)));
                let is_at_end = |start: usize, end: usize| start == 0 || end == stem.len();
                let all = all.filter(|(start, end)| end - start >= LEAST || is_at_end(*start, *end));
                let all = all.map(|(start, end)| &stem[start..end]);
                let longest = all.filter(|word| self.words.contains_key(*word)).max_by_key(|word| word.len());
                let longest = longest.map(str::to_owned);
                self.within.insert(stem.to_owned(), longest.clone());
                longest
            }
        }?;
        let at = stem.find(&word)?;
        let (before, rest) = part.split_at(at);
        let (inner, after) = rest.split_at(word.len());
        let inner = self.part(inner)?;
        // What stands beside it can be another one.
        let before = self.part(before).unwrap_or_else(|| before.to_owned());
        let after = self.part(after).unwrap_or_else(|| after.to_owned());
        Some(format!("{before}{inner}{after}"))
    }
}

/// Certificates wherever they stand, to the end of the text where theirs is missing.
fn certificates() -> &'static Regex {
    pattern!(
        r"(?s)-----BEGIN [A-Z0-9 ]*CERTIFICATE[A-Z0-9 ]*-----.*?(?:-----END [A-Z0-9 ]+-----|\z)|LS0tLS1CRUdJTi[A-Za-z0-9+/=]*"
    )
}

/// What stands for a certificate. One that is not packed keeps its lines, however they are written: what follows stays where
/// it was.
fn without_names(certificate: &str) -> String {
    if certificate.starts_with(PACKED) {
        return CERTIFICATE.to_owned();
    }
    let line = pattern!(r"(?:\r?\n|(?:\\+r)?\\+n)[ \t]*");
    let mut out = "-----BEGIN CERTIFICATE-----".to_owned();
    let mut lines = line.find_iter(certificate).map(|end| end.as_str());
    out.push_str(lines.next().unwrap_or_default());
    out.push_str("replaced");
    out.extend(lines);
    out.push_str("-----END CERTIFICATE-----");
    out
}

impl Reader for Anonymous {
    fn word(&mut self, word: &str, before: Before<'_>) -> Option<String> {
        let (head, number) = word.split_at(word.trim_end_matches(|c: char| c.is_ascii_digit()).len());
        if let Some(account) = self.accounts.get(number).cloned() {
            self.met.accounts.insert(number.to_owned());
            let head = if head.is_empty() { None } else { self.word(head, before) }.unwrap_or_else(|| head.to_owned());
            return Some(format!("{head}{account}"));
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
