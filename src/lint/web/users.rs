//! The section `basic_auth_users`: the hashes of passwords, and what hides them.

use crate::lint::strict::{Object, Strict};
use crate::lint::yaml::Node;

pub(super) const USERS: &str = "basic_auth_users";

pub(super) fn users(strict: &mut Strict, config: &Object<'_>) {
    for (key, value) in config.get(USERS).and_then(Node::entries).unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        let Some(hash) = Some("").filter(|_| value.is_null()).or_else(|| value.as_str()) else { continue };
        // What was blanked out, or is filled in later.
        let unknown =
            !hash.is_empty() && hash.chars().all(|c| c == '*') || hash.starts_with("${") || hash.contains("{{");
        if let Some(fault) = bcrypt_fault(hash).filter(|_| !unknown) {
            let message = format!("user {name:?} has no bcrypt hash: crypto/bcrypt: {fault}");
            strict.report(value.place, &format!("{USERS}.{name}"), message);
        }
    }
}

/// Letters of a hash at least.
const HASH: usize = 59;

/// What Go's reader of bcrypt hashes says of a text; nothing of the text itself.
fn bcrypt_fault(hash: &str) -> Option<String> {
    let bytes = hash.as_bytes();
    if bytes.len() < HASH {
        return Some("hashedSecret too short to be a bcrypted password".to_owned());
    }
    if bytes[0] != b'$' {
        return Some("bcrypt hashes must start with '$'".to_owned());
    }
    if bytes[1] > b'2' {
        return Some("the version of the algorithm is newer than current version '2'".to_owned());
    }
    let at = if bytes[2] == b'$' { 3 } else { 4 };
    match hash.get(at..at + 2).and_then(|cost| cost.parse::<i32>().ok()) {
        Some(4..=31) => None,
        Some(cost) => Some(format!("cost {cost} is outside allowed inclusive range 4..31")),
        None => Some("its cost is no number".to_owned()),
    }
}

/// A hash or a password without what is secret in it, that is as right or wrong as it was.
pub(crate) fn censored(hash: &str) -> String {
    if let Some(users) = hash.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let users = users.split(',').filter_map(|user| user.split_once(':'));
        let users: Vec<String> =
            users.map(|(name, hash)| format!("{name}: {}", censored(hash.trim().trim_matches(['"', '\''])))).collect();
        return format!("{{{}}}", users.join(","));
    }
    let shown = if hash.starts_with('$') && hash.len() >= HASH { 7 } else { 0 };
    let left = hash.chars().count().saturating_sub(shown);
    hash.chars().take(shown).chain(std::iter::repeat_n('.', left)).collect()
}

/// True of a value that stands in the lines below: nothing of it is here but an anchor, a tag or a brace.
fn begins_below(value: &str) -> bool {
    let words = value.split_whitespace().take_while(|word| !word.starts_with('#'));
    let mut rest = words.skip_while(|word| word.starts_with(['&', '!']));
    matches!(rest.next(), None | Some("{")) && rest.next().is_none()
}

/// A text with something else (`hide`) for what stands beside or below `basic_auth_users`; its lines stay lines.
pub(crate) fn without_users(text: &str, hide: impl Fn(&str) -> String) -> String {
    if !text.contains(USERS) {
        return text.to_owned();
    }
    // Columns of the section, and of its users.
    let mut within: Option<(usize, Option<usize>)> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if let Some((section, user)) = within
            && (indent > section || bare.is_empty())
        {
            let is_user = !bare.is_empty() && user.is_none_or(|column| column == indent);
            let user = bare.split_once(':').filter(|_| is_user && !bare.starts_with('#'));
            lines.push(match user {
                _ if bare.is_empty() => line.to_owned(),
                Some((name, value)) => {
                    let value = value.trim().trim_matches(['"', '\'']);
                    format!("{}{name}: {}", &line[..indent], hide(value))
                }
                None => format!("{}{}", &line[..indent], hide(bare)),
            });
            if user.is_some() {
                within = Some((section, Some(indent)));
            }
            continue;
        }
        within = None;
        let after = line.find(USERS).map(|at| (at, at + USERS.len()));
        let value = after.and_then(|(at, end)| {
            let colon =
                end + line[end..].find(':').filter(|n| line[end..end + n].chars().all(|c| "\"' ".contains(c)))?;
            Some((at, colon + 1))
        });
        match value {
            Some((at, from)) if begins_below(&line[from..]) => {
                // What follows a dash stands further right than the line.
                within = Some((if bare.starts_with("- ") { at } else { indent }, None));
                lines.push(line.to_owned());
            }
            Some((at, from)) => {
                let value = line[from..].trim();
                if value.contains('{') && !value.contains('}') {
                    within = Some((if bare.starts_with("- ") { at } else { indent }, None));
                }
                lines.push(format!("{} {}", &line[..from], hide(value)));
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_users_is_shown() {
        for text in [
            "basic_auth_users:\n  admin: hunter2\n  # old: hunter2\n  other: |\n    hunter2: hunter2\nrate_limit: {burst: 1}\n",
            "data:\n  web.yml: |\n    basic_auth_users: # of people\n      admin: hunter2\n    rate_limit: {burst: 1}\n",
            "basic_auth_users: {admin: hunter2}\nrate_limit: {burst: 1}\n",
            "basic_auth_users: &users\n  admin: hunter2\n  other: hunter2\nrate_limit: {burst: 1}\n",
            "basic_auth_users: !!map &users # of people\n  admin: hunter2\nrate_limit: {burst: 1}\n",
            "basic_auth_users: &users {admin: hunter2,\n  other: hunter2}\nrate_limit: {burst: 1}\n",
            "{\"basic_auth_users\": {\n  \"admin\": \"hunter2\"\n},\n\"rate_limit\": {\"burst\": 1}}\n",
            "web.yml: \"basic_auth_users:\\n  admin: hunter2\"\nrate_limit: {burst: 1}\n",
        ] {
            let shown = without_users(text, |_| "***".to_owned());
            assert!(!shown.contains("hunter2") && shown.contains("rate_limit"), "{shown}");
            assert_eq!(shown.lines().count(), text.lines().count(), "{shown}");
        }
        for (hash, kept) in [("$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG", true), ("hunter2", false)]
        {
            let censored = censored(hash);
            assert_eq!(bcrypt_fault(&censored).is_none(), kept, "{censored}");
            assert!(!censored.contains("X0h1") && !censored.contains("hunter"), "{censored}");
        }
    }
}
