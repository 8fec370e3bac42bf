//! Regular expressions as Go reads them (RE2): a dialect that the regex crate does not share in its details, such as
//! `\Q…\E`, a literal `{`, or what may stand in a class.

use ::regex::Regex;

/// What is wrong with an expression, in Go's words.
pub(crate) fn regex_fault(text: &str) -> Option<String> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0 };
    parser.all().err()
}

/// The same of an expression that its program puts into a group: there `a)|(b` is none.
pub(crate) fn anchored_fault(text: &str) -> Option<String> {
    regex_fault(text).filter(|_| regex_fault(&format!("(?:{text})")).is_some())
}

/// An expression that must match the whole value. `Ok(None)`: Go can read it, this program cannot.
///
/// # Errors
/// What Go refuses.
pub(crate) fn anchored(pattern: &str) -> Result<Option<Regex>, String> {
    if let Some(fault) = anchored_fault(pattern) {
        return Err(format!("error parsing regexp: {fault}"));
    }
    let compile = |pattern: &str| Regex::new(&format!("^(?:{pattern})$"));
    Ok(compile(pattern).or_else(|_| compile(&literal(pattern))).ok())
}

/// An expression as the regex crate writes it, where Go takes signs as they stand: a brace that begins no repetition,
/// `\<` and `\>`.
fn literal(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('\\') {
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            out.push_str(match &rest[..end] {
                "\\<" => "<",
                "\\>" => ">",
                other => other,
            });
            rest = &rest[end..];
            continue;
        }
        let counted = rest.find('}').is_some_and(|end| {
            let inner = &rest[1..end];
            inner.starts_with(|c: char| c.is_ascii_digit()) && inner.chars().all(|c| c.is_ascii_digit() || c == ',')
        });
        out.push_str(if counted { "{" } else { "\\{" });
        rest = &rest[1..];
        if !counted && let Some(end) = rest.find('}') {
            out.push_str(&rest[..end]);
            out.push_str("\\}");
            rest = &rest[end + 1..];
        }
    }
    out.push_str(rest);
    out
}

/// What Go takes at most in `{n,m}`.
const MAX_REPEAT: u32 = 1000;
/// Nesting at most.
const MAX_DEPTH: usize = 1000;

struct Parser {
    chars: Vec<char>,
    at: usize,
}

type Fault = Result<(), String>;

impl Parser {
    fn rest(&self, from: usize) -> String {
        self.chars[from.min(self.chars.len())..].iter().collect()
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.chars[from.min(self.chars.len())..to.min(self.chars.len())].iter().collect()
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found =
            self.chars[self.at.min(self.chars.len())..].iter().copied().take(wanted.chars().count()).eq(wanted.chars());
        if found {
            self.at += wanted.chars().count();
        }
        found
    }

    fn all(&mut self) -> Fault {
        let mut depth = 0;
        // What a repetition may stand after: nothing, an atom, another repetition (where it began).
        let mut atom = false;
        let mut repeated: Option<usize> = None;
        while let Some(c) = self.peek() {
            let from = self.at;
            match c {
                '(' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err("expression nests too deeply".into());
                    }
                    let opens = self.group()?;
                    // Flags alone are nothing that could be repeated: what stands before them is.
                    match opens {
                        true => atom = false,
                        false => depth -= 1,
                    }
                    repeated = None;
                }
                ')' => {
                    if depth == 0 {
                        return Err(format!("unexpected ): `{}`", self.text(0, self.chars.len())));
                    }
                    depth -= 1;
                    self.at += 1;
                    (atom, repeated) = (true, None);
                }
                '|' => {
                    self.at += 1;
                    (atom, repeated) = (false, None);
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    self.eat("?");
                    repeated = Some(self.repetition(atom, repeated, from)?);
                }
                '{' => match self.counted()? {
                    true => {
                        self.eat("?");
                        repeated = Some(self.repetition(atom, repeated, from)?);
                    }
                    false => {
                        self.at += 1;
                        (atom, repeated) = (true, None);
                    }
                },
                '[' => {
                    self.class()?;
                    (atom, repeated) = (true, None);
                }
                '\\' => {
                    self.escape_outside()?;
                    (atom, repeated) = (true, None);
                }
                _ => {
                    self.at += 1;
                    (atom, repeated) = (true, None);
                }
            }
        }
        if depth > 0 {
            return Err(format!("missing closing ): `{}`", self.text(0, self.chars.len())));
        }
        Ok(())
    }

    fn repetition(&self, atom: bool, repeated: Option<usize>, from: usize) -> Result<usize, String> {
        if let Some(first) = repeated {
            return Err(format!("invalid nested repetition operator: `{}`", self.text(first, self.at)));
        }
        if !atom {
            return Err(format!("missing argument to repetition operator: `{}`", self.text(from, self.at)));
        }
        Ok(from)
    }

    /// `{n}`, `{n,}`, `{n,m}`; anything else is a literal brace.
    fn counted(&mut self) -> Result<bool, String> {
        let from = self.at;
        let Some(length) = self.chars[from..].iter().position(|c| *c == '}') else { return Ok(false) };
        let inner: String = self.chars[from + 1..from + length].iter().collect();
        let (low, high) = inner.split_once(',').map_or((inner.as_str(), None), |(l, h)| (l, Some(h)));
        let number =
            |t: &str| !t.is_empty() && t.chars().all(|c| c.is_ascii_digit()) && (t == "0" || !t.starts_with('0'));
        if !number(low) || high.is_some_and(|h| !h.is_empty() && !number(h)) {
            return Ok(false);
        }
        self.at = from + length + 1;
        let value = |t: &str| t.parse::<u32>().unwrap_or(u32::MAX);
        let (low, high) = (value(low), high.filter(|h| !h.is_empty()).map(value));
        if low > MAX_REPEAT || high.is_some_and(|h| h > MAX_REPEAT || h < low) {
            return Err(format!("invalid repeat count: `{}`", self.text(from, self.at)));
        }
        Ok(true)
    }

    /// `(`, `(?:`, `(?P<name>`, `(?flags)`; whether it opens a group.
    fn group(&mut self) -> Result<bool, String> {
        let from = self.at;
        self.at += 1;
        if !self.eat("?") {
            return Ok(true);
        }
        for look in ["=", "!", "<=", "<!", ">", "#", "|", "R", "&", "("] {
            if self.chars[self.at.min(self.chars.len())..].iter().copied().take(look.len()).eq(look.chars()) {
                return Err(format!("invalid or unsupported Perl syntax: `(?{look}`"));
            }
        }
        if self.eat("P<") || self.eat("<") {
            let start = self.at;
            while self.peek().is_some_and(|c| c != '>') {
                self.at += 1;
            }
            let name = self.text(start, self.at);
            if !self.eat(">") || name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(format!("invalid named capture: `{}`", self.text(from, self.at)));
            }
            return Ok(true);
        }
        let (mut negated, mut seen) = (false, false);
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                'i' | 'm' | 's' | 'U' => seen = true,
                '-' if !negated => (negated, seen) = (true, false),
                ':' | ')' if !negated || seen => return Ok(c == ':'),
                _ => break,
            }
        }
        if self.at >= self.chars.len()
            && self.chars.last().is_some_and(|c| matches!(c, '?' | 'i' | 'm' | 's' | 'U' | '-'))
        {
            return Err(format!("missing closing ): `{}`", self.text(0, self.chars.len())));
        }
        Err(format!("invalid or unsupported Perl syntax: `{}`", self.text(from, self.at)))
    }

    fn escape_outside(&mut self) -> Fault {
        if self.eat("\\Q") {
            while self.peek().is_some() && !self.eat("\\E") {
                self.at += 1;
            }
            return Ok(());
        }
        if ["\\A", "\\b", "\\B", "\\z"].iter().any(|e| self.eat(e)) || self.perl_class() {
            return Ok(());
        }
        if self.unicode_class()? {
            return Ok(());
        }
        self.escape().map(|_| ())
    }

    fn perl_class(&mut self) -> bool {
        ["\\d", "\\D", "\\s", "\\S", "\\w", "\\W"].iter().any(|e| self.eat(e))
    }

    fn unicode_class(&mut self) -> Result<bool, String> {
        let from = self.at;
        if !self.eat("\\p") && !self.eat("\\P") {
            return Ok(false);
        }
        let Some(c) = self.peek() else { return Err(format!("invalid character class range: `{}`", self.rest(from))) };
        self.at += 1;
        if c == '{' {
            while self.peek().is_some_and(|c| c != '}') {
                self.at += 1;
            }
            if !self.eat("}") {
                return Err(format!("invalid character class range: `{}`", self.rest(from)));
            }
        }
        // The names are those of Unicode; the regex crate knows them, and a few more.
        let class = self.text(from, self.at);
        match Regex::new(&class.replacen("{^", "{", 1)) {
            Ok(_) => Ok(true),
            Err(_) => Err(format!("invalid character class range: `{class}`")),
        }
    }

    /// An escaped character.
    fn escape(&mut self) -> Result<char, String> {
        let from = self.at;
        self.at += 1;
        let Some(c) = self.peek() else { return Err("trailing backslash at end of expression: ``".into()) };
        self.at += 1;
        let octal = |c: Option<char>| c.is_some_and(|c| ('0'..='7').contains(&c));
        match c {
            '1'..='7' if octal(self.peek()) => self.octal(c),
            '0' => self.octal(c),
            'x' => self.hexadecimal(from),
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => Err(format!("invalid escape sequence: `{}`", self.text(from, self.at))),
        }
    }

    fn octal(&mut self, first: char) -> Result<char, String> {
        let mut value = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            match self.peek().and_then(|c| c.to_digit(8)) {
                Some(digit) => value = value * 8 + digit,
                None => break,
            }
            self.at += 1;
        }
        Ok(char::from_u32(value).unwrap_or('\0'))
    }

    fn hexadecimal(&mut self, from: usize) -> Result<char, String> {
        let fault = |p: &Self| Err(format!("invalid escape sequence: `{}`", p.text(from, p.at)));
        let digits = if self.eat("{") {
            let start = self.at;
            while self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
                self.at += 1;
            }
            let digits = self.text(start, self.at);
            if !self.eat("}") {
                return fault(self);
            }
            digits
        } else {
            let digits = self.text(self.at, self.at + 2);
            self.at = (self.at + 2).min(self.chars.len());
            if digits.len() != 2 {
                return fault(self);
            }
            digits
        };
        let value = u32::from_str_radix(&digits, 16).ok().filter(|_| !digits.starts_with('+'));
        match value.filter(|v| *v <= 0x0010_FFFF) {
            Some(value) => Ok(char::from_u32(value).unwrap_or('\u{fffd}')),
            None => fault(self),
        }
    }

    fn class(&mut self) -> Fault {
        let from = self.at;
        self.at += 1;
        self.eat("^");
        let mut first = true;
        while self.peek().is_none_or(|c| c != ']') || first {
            first = false;
            if self.peek().is_none() {
                return Err(format!("missing closing ]: `{}`", self.rest(from)));
            }
            if self.posix_class()? || self.unicode_class()? || self.perl_class() {
                continue;
            }
            let start = self.at;
            let low = self.class_char(from)?;
            if self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']') {
                self.at += 1;
                let high = self.class_char(from)?;
                if high < low {
                    return Err(format!("invalid character class range: `{}`", self.text(start, self.at)));
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    /// `[:alpha:]`
    fn posix_class(&mut self) -> Result<bool, String> {
        if !self.chars[self.at..].starts_with(&['[', ':']) {
            return Ok(false);
        }
        let inner = &self.chars[self.at + 2..];
        let Some(end) = inner.windows(2).position(|w| w == [':', ']']) else { return Ok(false) };
        let name: String = inner[..end].iter().collect();
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        let class = self.text(self.at, self.at + end + 4);
        if !known.contains(&name.trim_start_matches('^')) {
            return Err(format!("invalid character class range: `{class}`"));
        }
        self.at += end + 4;
        Ok(true)
    }

    fn class_char(&mut self, class: usize) -> Result<char, String> {
        match self.peek() {
            None => Err(format!("missing closing ]: `{}`", self.rest(class))),
            Some('\\') => self.escape(),
            Some(c) => {
                self.at += 1;
                Ok(c)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_go_takes() {
        for good in [
            "",
            "(.*)",
            r"([^:]+)(?::\d+)?;(\d+)",
            "true|True",
            r"kube-(.+)",
            r"\Qa.b\E",
            "a{",
            "a{,5}",
            "{foo}",
            "x{2}",
            r"[[a]",
            r"[]a]",
            r"[a\-z]",
            r"[a-]",
            r"[-a]",
            r"(?i)foo(?-i:bar)",
            r"(?P<n>a)(?<m>b)(?P<n>c)",
            r"\p{L}\pN",
            r"[[:alpha:]_]",
            r"\_\/\.",
            r"\123",
            r"\x{10FFFF}",
            "^$",
            r"a*?b+?",
            "(|a)",
            "a||b",
            r"[\w.-]+",
            r"go_gc_duration_seconds(_.+)?",
            "[a&&b]",
            r"__meta_kubernetes_(pod|node)_label_(.+)",
        ] {
            assert_eq!(regex_fault(good), None, "{good}");
        }
    }

    #[test]
    fn matches_the_whole_value() {
        let matches = |pattern: &str, value: &str| anchored(pattern).ok().flatten().map(|r| r.is_match(value));
        assert_eq!(matches("b|c", "bc"), Some(false));
        assert_eq!(matches("a)|(b", "b"), Some(true));
        assert_eq!(matches("foo{bar}", "foo{bar}"), Some(true));
        assert_eq!(matches(r"\<a\>{x", "<a>{x"), Some(true));
        assert!(anchored(r"\Qa.b\E").is_ok_and(|r| r.is_none()));
        assert!(anchored("[").is_err_and(|e| e.starts_with("error parsing regexp: missing closing ]")));
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (bad, why) in [
            ("(.*8080", "missing closing )"),
            ("a)", "unexpected )"),
            ("(?!kube)", "Perl syntax: `(?!`"),
            ("(?<=a)b", "Perl syntax: `(?<=`"),
            (r"(a)\1", "invalid escape sequence: `\\1`"),
            ("*.svc", "missing argument to repetition operator: `*`"),
            ("a**", "nested repetition operator: `**`"),
            ("a++", "nested repetition operator"),
            ("a{1001}", "invalid repeat count"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[abc", "missing closing ]"),
            ("[]", "missing closing ]"),
            (r"a\", "trailing backslash"),
            (r"\y", "invalid escape sequence"),
            ("(?P<1-a>x)", "invalid named capture"),
            ("(?x)a", "Perl syntax"),
        ] {
            let fault = regex_fault(bad).unwrap_or_default();
            assert!(fault.contains(why), "{bad}: {fault}");
        }
    }
}
