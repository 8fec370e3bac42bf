//! Secrets in free text: one reader of all the shapes in which they come, so that no output shows them.
//!
//! Hosts, ports, names and the keys themselves stay: they are what one corrects. What is masked twice stays as it is.

use std::borrow::Cow;
use std::ops::Range;

use regex::Captures;

use crate::text::pattern::pattern;

use super::credential::{is_credential, is_like_credential};

/// What stands for a secret.
pub(crate) const MASK: &str = "<redacted>";

/// What stands for a secret in a capture: the same for the same secret.
pub(crate) fn token(number: usize) -> String {
    format!("{TOKEN}{number}")
}

/// How a token begins. It may stand in a URL, where the mask may not.
const TOKEN: &str = "redacted-";

/// True for what [`token`] gives.
pub(crate) fn is_token(text: &str) -> bool {
    text.strip_prefix(TOKEN).is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Tokens become the mask: a report of a capture reads like the one of the cluster.
fn untoken(text: &str) -> Cow<'_, str> {
    if !text.contains(TOKEN) {
        return text.into();
    }
    pattern!(r"\bredacted-\d+\b").replace_all(text, MASK)
}

/// A text of several lines (an excerpt of a file, a log, an error) without its secrets.
pub(crate) fn mask(text: &str) -> String {
    mask_lines(text, false)
}

/// A sentence: what looks like a key at its begin is a word of it (`ExpiredToken: the token has expired`).
pub(crate) fn mask_sentence(text: &str) -> String {
    if text.contains('\n') { mask(text) } else { in_line(&untoken(text)) }
}

/// A file, line by line: also lines that are too broken to have a value (`api_key abc`).
pub(crate) fn mask_file(text: &str) -> String {
    mask_lines(text, true)
}

/// What is said of a field of a file: where it holds a credential, the message does not repeat its value.
pub(crate) fn mask_value_of(path: &str, message: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or_default().split('[').next().unwrap_or_default();
    if !is_credential(key) {
        return mask(message);
    }
    let quoted = pattern!(r#"(["`'])([^"`']*)(["`'])"#);
    let masked = quoted.replace_all(message, |c: &Captures<'_>| {
        let is_name = c[2].is_empty() || &c[2] == key || c[2].starts_with(key) || c[2].ends_with("_file");
        let value = if is_name { &c[2] } else { MASK };
        format!("{}{value}{}", &c[1], &c[3])
    });
    mask(&masked)
}

/// An error about a document that holds credentials: none of the values that it repeats.
pub(crate) fn mask_values(error: &str) -> String {
    let values = pattern!(
        r#"((?:invalid (?:type|value|length)|found|got|expected):? ?(?:a |an )?(?:string|str|integer|float|number|character|boolean|scalar|map)?:? ?)("(?:[^"\\]|\\.)*"|`[^`]*`|'[^']*')"#
    );
    let excerpt = pattern!(r"(?m)^(\s*\d* ?\|).*$");
    let text = values.replace_all(error, |c: &Captures<'_>| format!("{}{MASK}", &c[1]));
    mask(&excerpt.replace_all(&text, |c: &Captures<'_>| format!("{} {MASK}", &c[1])))
}

fn mask_lines(text: &str, is_file: bool) -> String {
    let text = private_keys(&untoken(text));
    let mut out = Vec::new();
    let mut within: Option<Within> = None;
    let mut is_named = false;
    for line in text.split('\n') {
        let (number, rest) = split_number(line);
        let indent = rest.len() - rest.trim_start_matches(BLANK).len();
        if let Some(open) = &within {
            if rest.trim().is_empty() || is_caret(rest) {
                out.push(line.to_owned());
                continue;
            }
            if open.holds(indent, rest) {
                out.push(format!("{number}{}{}", &rest[..indent], open.masked(&rest[indent..])));
                continue;
            }
        }
        // `- name: ADMIN_PASSWORD` with its `value:` below, as containers have their variables.
        let pair = key_of(&rest[indent..]);
        if let Some((_, before, value)) =
            pair.filter(|(key, _, value)| is_named && *key == "value" && is_secret_value(value))
        {
            out.push(format!("{number}{}{before}{}", &rest[..indent], masked_value(value)));
            is_named = false;
            continue;
        }
        is_named =
            pair.is_some_and(|(key, _, value)| key == "name" && is_credential(value.trim_matches(['"', '\'', ' '])));
        let (masked, opened) = mask_line(rest, is_file || !number.is_empty());
        within = opened;
        out.push(format!("{number}{masked}"));
    }
    out.join("\n")
}

/// Blanks before a line; excerpts show tabs as arrows.
const BLANK: [char; 3] = [' ', '\t', '→'];

/// The number that an excerpt has before a line (`12 | `), and the line.
fn split_number(line: &str) -> (&str, &str) {
    let at = line.find(|c: char| !c.is_ascii_digit() && c != ' ').unwrap_or(line.len());
    match line[at..].strip_prefix("| ") {
        Some(rest) => line.split_at(line.len() - rest.len()),
        None => ("", line),
    }
}

fn is_caret(rest: &str) -> bool {
    rest.trim() == "^"
}

/// Lines below a key whose value they are.
struct Within {
    /// Blanks before the key.
    indent: usize,
    /// A block or a continued scalar: every line is secret. Else only what is no key of its own.
    whole: bool,
}

impl Within {
    fn holds(&self, indent: usize, rest: &str) -> bool {
        indent > self.indent
            || (!self.whole && indent == self.indent && rest.trim_start_matches(BLANK).starts_with("- "))
    }

    fn masked(&self, text: &str) -> String {
        if self.whole {
            return MASK.to_owned();
        }
        match text.strip_prefix("- ") {
            Some(item) if key_of(item).is_none() && is_secret_value(item) => format!("- {MASK}"),
            // A map below the key (`authorization:`, `secrets:`) has keys of its own.
            Some(item) => format!("- {}", mask_line(item, true).0),
            None if key_of(text).is_none() && is_secret_value(text) => MASK.to_owned(),
            None => mask_line(text, true).0,
        }
    }
}

/// The key at the begin of a line: its text as written, and the value after the colon.
fn key_of(text: &str) -> Option<(&str, &str, &str)> {
    let found = pattern!(r#"^((?:- )*["']?)([A-Za-z_$][\w.$/-]*)(["']?\s*:(?:\s+|$))"#).captures(text)?;
    let end = found.get(0)?.end();
    Some((found.get(2)?.as_str(), &text[..end], &text[end..]))
}

/// A line without its secrets, and what the lines below are, if they are a secret's.
fn mask_line(line: &str, is_file: bool) -> (String, Option<Within>) {
    let start = line.len() - line.trim_start_matches(BLANK).len();
    let (blank, text) = line.split_at(start);
    if let Some((key, before, value)) = key_of(text).filter(|(key, ..)| is_like_credential(key)) {
        let value_text = value.trim_end();
        // `- key:` lies as deep as its key.
        let indent = start + before.len() - before.trim_start_matches(['-', ' ']).len();
        if value_text.is_empty() {
            return (line.to_owned(), Some(Within { indent, whole: false }));
        }
        if value_text.starts_with(['|', '>']) && value_text.len() < 4 {
            return (line.to_owned(), Some(Within { indent, whole: true }));
        }
        if !value_text.starts_with('{') && is_secret_value(value_text) {
            let masked = header(key, value_text).unwrap_or_else(|| masked_value(value_text));
            // A plain or quoted value may go on below, deeper than its key.
            return (format!("{blank}{before}{masked}"), Some(Within { indent, whole: true }));
        }
    }
    if is_file && let Some(found) = pattern!(r"^((?:- )*)([A-Za-z][\w-]*)(\s+|:|\s*=\s*)(\S.*)$").captures(text) {
        let key = &found[2];
        if (key.contains('_') || text.starts_with('-') || found[3].contains([':', '=']))
            && is_like_credential(key)
            && is_secret_value(&found[4])
            && !(found[3].trim().is_empty() && is_said_of(&found[4]))
        {
            return (format!("{blank}{}{key}{}{MASK}", &found[1], &found[3]), None);
        }
    }
    (format!("{blank}{}", in_line(text)), None)
}

/// What is said of a key, and is no value of it: `cookie_secret must be 16, 24 or 32 bytes`, `api_key is not set`.
fn is_said_of(text: &str) -> bool {
    pattern!(
        r"^(?:(?:must|should|shall|cannot|can|may|will|needs?|requires?|missing|invalid|not|too|has (?:to|no|not)|have (?:to|no|not)|does not)(?: |$|[:,.;])|(?:is|are|was|were|has been) (?:not|missing|required|empty|invalid|unset|too|set|expired|deprecated|ignored|no longer)\b)"
    )
    .is_match(text)
}

/// `Bearer <redacted>` for the value of an Authorization header.
fn header(key: &str, value: &str) -> Option<String> {
    if !key.to_ascii_lowercase().ends_with("authorization") {
        return None;
    }
    let (scheme, rest) = value.trim_matches(['"', '\'']).split_once(' ')?;
    let known = ["bearer", "basic", "token", "apikey", "digest"].contains(&scheme.to_ascii_lowercase().as_str());
    (known && is_secret_value(rest)).then(|| format!("{scheme} {MASK}"))
}

/// The mask, with the quotes, the brackets and the comma that were around the value.
fn masked_value(value: &str) -> String {
    let end = if value.ends_with(',') { "," } else { "" };
    let inner = value.strip_suffix(',').unwrap_or(value);
    if inner.starts_with('[') {
        return format!("[{MASK}]{end}");
    }
    for quote in ['"', '\''] {
        if inner.len() > 1 && inner.starts_with(quote) && inner.ends_with(quote) {
            return format!("{quote}{MASK}{quote}{end}");
        }
    }
    format!("{MASK}{end}")
}

/// False for what stands for a value: a placeholder, a variable, a template, nothing at all.
pub(crate) fn is_secret_value(value: &str) -> bool {
    let bare = value.trim().trim_end_matches(',').trim_matches(['"', '\'', '\\', ' ', '[', ']']);
    let bare = pattern!(r"(?i)^(bearer|basic|token|digest) ").find(bare).map_or(bare, |scheme| &bare[scheme.end()..]);
    let is_placeholder = bare.starts_with('<') && bare.ends_with('>');
    // A password may begin with the sign of a variable, and a hash does.
    let is_variable = pattern!(r"^(?:\$(?:\{|\(|__|[A-Za-z_][A-Za-z0-9_]*$)|\{\{|!!)").is_match(bare);
    let is_word =
        ["", "true", "false", "null", "~", "none", "nil", "***", "REDACTED", "[REDACTED]", "|", ">"].contains(&bare);
    let is_hidden = bare.chars().all(|c| matches!(c, '*' | 'x' | '.' | '…'));
    !is_placeholder && !is_variable && !is_word && !is_hidden
}

/// Secrets in the midst of a line.
fn in_line(text: &str) -> String {
    let text = urls(text);
    let text = headers(&text);
    let text = assignments(&text);
    tokens(&text)
}

/// `-----BEGIN … PRIVATE KEY-----` and all up to its end.
fn private_keys(text: &str) -> String {
    let block = pattern!(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\z)");
    if !text.contains("PRIVATE KEY-----") {
        return text.to_owned();
    }
    block.replace_all(text, |c: &Captures<'_>| format!("{}{MASK}{}", &c[1], &c[2])).into_owned()
}

/// Hosts whose paths are secrets as a whole, and what of the path stays.
const HOOKS: &[(&str, &str)] = &[
    ("hooks.slack.com", "/services/"),
    ("hooks.slack-gov.com", "/services/"),
    ("hooks.slack.com", "/workflows/"),
    ("hooks.slack.com", "/triggers/"),
    ("api.telegram.org", "/bot"),
    ("discord.com", "/api/webhooks/"),
    ("discordapp.com", "/api/webhooks/"),
    ("webhook.office.com", "/webhookb2/"),
    ("outlook.office.com", "/webhook/"),
    ("outlook.office365.com", "/webhook/"),
    ("logic.azure.com", "/workflows/"),
    ("events.pagerduty.com", "/integration/"),
    ("alert.victorops.com", "/integrations/"),
    ("hooks.zapier.com", "/hooks/"),
    ("open.feishu.cn", "/open-apis/bot/v2/hook/"),
    ("open.larksuite.com", "/open-apis/bot/v2/hook/"),
    ("hc-ping.com", "/"),
    ("nosnch.in", "/"),
    ("webhook.site", "/"),
    ("maker.ifttt.com", "/trigger/"),
];

/// User names and passwords, tokens in paths and queries. Scheme, host and port stay.
fn urls(text: &str) -> String {
    let with_login = pattern!(r#"([A-Za-z][A-Za-z0-9+.-]*://)([^\s"'<>|\\]*)@"#);
    let text = with_login.replace_all(text, |c: &Captures<'_>| format!("{}{}", &c[1], login(&c[2])));
    let dsn = pattern!(r"([\w.-]+):([^\s:/@()]+)@(tcp|unix)\(");
    let text = dsn.replace_all(&text, |c: &Captures<'_>| format!("{}:{MASK}@{}(", &c[1], &c[3]));
    let hook =
        pattern!(r#"(?i)((?:https?://)?(?:<redacted>@)?)\b([a-z0-9.-]+\.[a-z]{2,})((?::\d+)?)(/[^\s"'<>\\|`]*)"#);
    let text = hook.replace_all(&text, |c: &Captures<'_>| {
        let (scheme, host, port, rest) = (&c[1], &c[2], &c[3], &c[4]);
        format!("{scheme}{host}{port}{}", path(scheme, host, rest))
    });
    let query = pattern!(r#"([?&;])([A-Za-z0-9_.\[\]%-]+)=([^\s&;"'<>\\)`]+)"#);
    let masked = query.replace_all(&text, |c: &Captures<'_>| {
        let key = &c[2];
        let is_secret = is_credential(key)
            || [
                "key",
                "sig",
                "signature",
                "sign",
                "auth",
                "code",
                "hash",
                "pass",
                "X-Amz-Credential",
                "X-Amz-Signature",
            ]
            .iter()
            .any(|k| k.eq_ignore_ascii_case(key))
            || is_random(&c[3]);
        let value = if is_secret && is_secret_value(&c[3]) { MASK } else { &c[3] };
        format!("{}{key}={value}", &c[1])
    });
    masked.into_owned()
}

/// What is before the last `@` of a URL: its login, and where a path lies before the `@`, the text as it was.
fn login(before: &str) -> String {
    let authority = before.split(['/', '?', '#']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    // `http://host:80/x@y` and `http://host/x@y` have no login; `user:pa/ss@host` has one.
    let is_host = authority.len() < before.len() && port.is_none_or(|p| p.chars().all(|c| c.is_ascii_digit()));
    if is_host { format!("{before}@") } else { format!("{MASK}@") }
}

/// The path of a URL without its tokens.
fn path(scheme: &str, host: &str, rest: &str) -> String {
    let lower = host.to_ascii_lowercase();
    let (plain, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    for (known, prefix) in HOOKS {
        let is_host = lower == *known || lower.strip_suffix(known).is_some_and(|sub| sub.ends_with('.'));
        if is_host && plain.len() > prefix.len() && plain.starts_with(prefix) {
            let end: String = plain.chars().rev().take_while(|c| matches!(c, ':' | ',' | '.' | ')' | ']')).collect();
            let end: String = end.chars().rev().collect();
            return format!("{}{MASK}{end}", prefix);
        }
    }
    // Chat servers of one's own: `/hooks/<token>`.
    let hook = pattern!(r"^(.*/(?:hooks|webhooks?|bot)/)([A-Za-z0-9_:-]{16,}.*)$");
    if !scheme.is_empty()
        && let Some(found) = hook.captures(plain)
    {
        return format!("{}{MASK}{query}", &found[1]);
    }
    if scheme.is_empty() {
        return rest.to_owned();
    }
    let parts: Vec<&str> = plain.split('/').map(|part| if is_random(part) { MASK } else { part }).collect();
    format!("{}{query}", parts.join("/"))
}

/// A word that nobody chose: long, with both cases and digits. Checksums, UUIDs, ULIDs and names have one case.
fn is_random(word: &str) -> bool {
    // Escapes are digits and capitals that nobody chose either: `serviceMonitor%2Fmonitoring%2Fstack%2F0` is a name.
    let word = &*percent_encoding::percent_decode_str(word).decode_utf8_lossy();
    let is = |test: fn(&char) -> bool| word.chars().filter(test).count();
    let chars = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-=+%".contains(c));
    let (upper, lower, digits) = (is(char::is_ascii_uppercase), is(char::is_ascii_lowercase), is(char::is_ascii_digit));
    chars && word.len() >= 20 && upper >= 3 && lower >= 3 && digits >= 2
}

/// `Authorization: Bearer x`, `X-Api-Key: x`, `Cookie: x`, and `Bearer x` anywhere.
fn headers(text: &str) -> String {
    let named = pattern!(
        r#"(?i)\b((?:proxy-)?authorization|x-[a-z-]*(?:key|token|secret)|(?:set-)?cookie)(\\*["']?\s*[:=]\s*\\*["'\[]*)([^"'\\\]\n]+)"#
    );
    let text = named.replace_all(text, |c: &Captures<'_>| {
        let value = &c[3];
        let is_map = value.starts_with(['{', '[']);
        let last = value.rsplit(' ').next().unwrap_or(value);
        if is_map || !is_secret_value(value) || !is_secret_value(last) || value.contains('<') || value.contains('$') {
            return c[0].to_owned();
        }
        let scheme = value.split_once(' ').map_or("", |(scheme, _)| scheme);
        let known =
            ["bearer", "basic", "token", "digest", "aws4-hmac-sha256"].contains(&scheme.to_ascii_lowercase().as_str());
        // `may require authorization: server message: insufficient_scope: authorization failed`.
        if c[1].to_ascii_lowercase().ends_with("authorization")
            && !known
            && scheme.ends_with(|c: char| c.is_lowercase())
        {
            let is_prose = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || "_:,.'".contains(c));
            // A sentence may begin within; one word with a capital may be a password.
            let begins = |word: &str| is_prose(word.trim_start_matches(|c: char| c.is_ascii_uppercase()));
            let is_sentence = value.split_whitespace().count() >= 4 && value.split_whitespace().all(begins);
            if is_sentence || value.split_whitespace().all(is_prose) {
                return c[0].to_owned();
            }
        }
        let scheme = if known { format!("{scheme} ") } else { String::new() };
        format!("{}{}{scheme}{MASK}", &c[1], &c[2])
    });
    let scheme = pattern!(r"(?i)\b(bearer|basic)(\s+|%20|\+)([A-Za-z0-9._~+/=-]{6,})");
    let text = scheme.replace_all(&text, |c: &Captures<'_>| {
        let value = &c[3];
        let digits = value.chars().any(|c| c.is_ascii_digit());
        let mixed = value.len() >= 12
            && value.chars().skip(1).any(|c| c.is_ascii_uppercase())
            && value.chars().any(|c| c.is_ascii_lowercase());
        let is_secret = digits || mixed || (value.ends_with('=') && !value.to_ascii_lowercase().starts_with("realm"));
        if is_secret { format!("{}{}{MASK}", &c[1], &c[2]) } else { c[0].to_owned() }
    });
    text.into_owned()
}

/// What AWS calls an error about a token: `InvalidIdentityToken: Incorrect token audience`.
fn is_error_code(name: &str) -> bool {
    let of_error = ["Invalid", "Expired", "Missing"].iter().any(|word| name.starts_with(word));
    of_error && (name.ends_with("Token") || name.ends_with("TokenException"))
}

/// `password=x`, `"token": "x"`, `{credentials: x}`, `--password x`, `-u user:x`.
fn assignments(text: &str) -> String {
    let key = pattern!(r#"([A-Za-z_$][\w.-]*)(\\*["']?\s*[:=]\s*)"#);
    let mut out = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = key.captures_at(text, at) {
        let (whole, name, sign) = (found.get(0).expect("the whole"), &found[1], &found[2]);
        at = whole.end();
        if is_error_code(name) {
            continue;
        }
        let Some(range) = value_range(text, whole.start(), whole.end(), name, sign) else { continue };
        out.push_str(&text[from..range.start]);
        out.push_str(MASK);
        (from, at) = (range.end, range.end);
    }
    out.push_str(&text[from..]);
    let flag = pattern!(r#"(--?[A-Za-z][\w-]*)(["']?\s+["']?)([^\s"'<$-][^\s"']*)"#);
    let masked = flag.replace_all(&out, |c: &Captures<'_>| {
        let is_login = matches!(&c[1], "-u" | "--user") && c[3].contains(':');
        if is_login {
            let user = c[3].split(':').next().unwrap_or_default();
            return format!("{}{}{user}:{MASK}", &c[1], &c[2]);
        }
        let is_secret = c[1].starts_with("--") && is_credential(&c[1][2..]);
        if is_secret { format!("{}{}{MASK}", &c[1], &c[2]) } else { c[0].to_owned() }
    });
    masked.into_owned()
}

/// Where the secret value of a key lies; `None` where it has none.
fn value_range(text: &str, key_at: usize, at: usize, name: &str, sign: &str) -> Option<Range<usize>> {
    let in_quotes = sign.starts_with(['"', '\'', '\\']);
    let is_map = sign.contains(':');
    let before = text[..key_at].trim_end_matches(['"', '\'', '\\']).trim_end().chars().next_back();
    let in_flow = matches!(before, Some('{' | ','));
    let is_key = if in_quotes || in_flow { is_like_credential(name) } else { is_credential(name) };
    if !is_key || sign.starts_with(' ') && !sign.contains(['=', ':']) {
        return None;
    }
    let rest = &text[at..];
    // The quote that ends it: as it was escaped.
    let escapes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest[escapes..].chars().next().filter(|c| matches!(c, '"' | '\''));
    let (start, end) = if let Some(quote) = quote {
        let start = at + escapes + 1;
        let close = format!("{}{quote}", "\\".repeat(escapes));
        (start, text[start..].find(&close).map_or(text.len(), |end| start + end))
    } else if rest.starts_with('[') {
        (at + 1, text[at..].find(']').map_or(text.len(), |end| at + end))
    } else if in_flow && is_map && !in_quotes {
        let end = text[at..].find([',', '}', ']', '\n']).map_or(text.len(), |end| at + end);
        (at, end)
    } else {
        let end = text[at..].find(|c: char| c.is_whitespace() || ",;&\"')}]|".contains(c));
        (at, end.map_or(text.len(), |end| at + end))
    };
    // A quoted word before a colon is a key of JSON where its value is quoted too.
    if in_quotes && quote.is_none() && !in_flow {
        return None;
    }
    let value = &text[start..end];
    if value.starts_with(['{', '%']) || !is_secret_value(value) {
        return None;
    }
    // In a sentence (`invalid token: expected …`) a colon says nothing.
    let in_prose = is_map && !in_quotes && !in_flow && quote.is_none();
    let odd = value.chars().any(|c| c.is_ascii_digit() || "!@#$%^&*".contains(c));
    let is_number = value.chars().all(|c| c.is_ascii_digit() || ".:,".contains(c));
    let is_field = name.contains('_') && value.len() >= 6 && !is_number;
    if in_prose && !(odd && (is_password(name) || is_field || value.len() >= 16)) {
        return None;
    }
    Some(start..end)
}

fn is_password(name: &str) -> bool {
    name.to_ascii_lowercase().contains("pass")
}

/// Tokens that tell by themselves what they are.
fn tokens(text: &str) -> String {
    let known = pattern!(
        r"(?x)\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53} | \$apr1\$[./A-Za-z0-9]+\$[./A-Za-z0-9]+ | \b(?:
          (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}
        | eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_=-]+){0,2}
        | xox[a-z]-[A-Za-z0-9-]{8,} | xapp-[A-Za-z0-9-]{8,}
        | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | glpat-[A-Za-z0-9_-]{16,}
        | glsa_[A-Za-z0-9_]{8,} | glc_[A-Za-z0-9_=]{8,}
        | hv[sb]\.[A-Za-z0-9_-]{16,} | sk_live_[A-Za-z0-9]{8,} | AIza[A-Za-z0-9_-]{30,}
        | k8s-aws-v1\.[A-Za-z0-9_-]+
        | (?:bot)?\d{8,12}:[A-Za-z0-9_-]{30,}
        )"
    );
    known.replace_all(text, MASK).into_owned()
}

#[cfg(test)]
mod tests;
