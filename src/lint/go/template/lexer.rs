//! The tokens of a template.

use crate::lint::go::unquote;

const KEYWORDS: &[&str] =
    &["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `{{`
    Left,
    /// `}}`
    Right,
    Space,
    /// A function or keyword.
    Word(String),
    /// `$`, `$name`
    Variable(String),
    /// `.name`
    Field(String),
    Dot,
    Text(String),
    /// A number or a character.
    Number(String),
    Declare,
    Assign,
    Pipe,
    Open,
    Close,
    /// Any other character.
    Char(char),
    /// Here Go cannot read on.
    Fault(String),
}

impl Token {
    /// As Go shows it in a message.
    pub(super) fn shown(&self) -> String {
        let text = match self {
            Self::Word(word) if KEYWORDS.contains(&word.as_str()) => return format!("<{word}>"),
            Self::Variable(text) | Self::Word(text) | Self::Text(text) | Self::Number(text) => text.clone(),
            Self::Field(name) => format!(".{name}"),
            Self::Char(c) => c.to_string(),
            Self::Fault(message) => return message.clone(),
            fixed => match fixed {
                Self::Left => "{{",
                Self::Right => "}}",
                Self::Dot => return "<.>".into(),
                Self::Declare => ":=",
                Self::Assign => "=",
                Self::Pipe => "|",
                Self::Open => "(",
                Self::Close => ")",
                _ => " ",
            }
            .into(),
        };
        format!("{text:?}")
    }
}

pub(super) fn begins_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => word == "nil" || !KEYWORDS.contains(&word.as_str()),
        Token::Variable(_) | Token::Field(_) | Token::Dot | Token::Text(_) | Token::Number(_) | Token::Open => true,
        _ => false,
    }
}

/// Takes a template apart. After a fault there is nothing more.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<(usize, Token)>,
}

impl<'a> Lexer<'a> {
    pub(super) fn all(text: &str) -> Vec<(usize, Token)> {
        let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
        if let Err((at, message)) = lexer.run() {
            lexer.tokens.push((at, Token::Fault(message)));
        }
        lexer.tokens
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn run(&mut self) -> Result<(), (usize, String)> {
        while let Some(found) = self.rest().find("{{") {
            let begin = self.at + found;
            self.at = begin + 2;
            let rest = self.rest();
            let trimmed = rest.strip_prefix('-').and_then(|r| r.strip_prefix(is_space)).unwrap_or(rest);
            if let Some(comment) = trimmed.strip_prefix("/*") {
                let fault = |message: &str| Err((begin, message.to_owned()));
                let Some((_, after)) = comment.split_once("*/") else { return fault("unclosed comment") };
                let Some(length) = right(after) else { return fault("comment ends before closing delimiter") };
                self.at = self.text.len() - after.len() + length;
                continue;
            }
            self.tokens.push((begin, Token::Left));
            self.at = self.text.len() - trimmed.len();
            self.action(begin)?;
        }
        Ok(())
    }

    fn action(&mut self, begin: usize) -> Result<(), (usize, String)> {
        let mut depth = 0_usize;
        loop {
            let (at, rest) = (self.at, self.rest());
            let fault = |message: String| (at, message);
            let spaces = rest.len() - rest.trim_start_matches(is_space).len();
            // The space before `-}}` belongs to it.
            let ahead = spaces.saturating_sub(1);
            if let Some(length) = right(&rest[ahead..]) {
                if depth > 0 {
                    return Err(fault("unclosed left paren".into()));
                }
                self.tokens.push((at + ahead, Token::Right));
                self.at += ahead + length;
                return Ok(());
            }
            let Some(first) = rest.chars().next() else { return Err((begin, "unclosed action".into())) };
            let (length, token) = match first {
                _ if spaces > 0 => (spaces, Token::Space),
                '=' => (1, Token::Assign),
                ':' if rest.starts_with(":=") => (2, Token::Declare),
                ':' => return Err(fault("expected :=".into())),
                '|' => (1, Token::Pipe),
                '(' => (1, Token::Open),
                ')' => (1, Token::Close),
                '"' | '`' | '\'' => quoted(rest, first).map_err(fault)?,
                '$' => named(rest).map(|n| (n, Token::Variable(rest[..n].to_owned()))).map_err(fault)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    let length = named(rest).map_err(fault)?;
                    (length, if length == 1 { Token::Dot } else { Token::Field(rest[1..length].to_owned()) })
                }
                '+' | '-' | '.' | '0'..='9' => number(rest).map_err(fault)?,
                c if is_letter(c) => named(rest).map(|n| (n, Token::Word(rest[..n].to_owned()))).map_err(fault)?,
                c if c.is_ascii_graphic() => (1, Token::Char(c)),
                c => return Err(fault(format!("unrecognized character in action: {}", unicode(c)))),
            };
            match token {
                Token::Open => depth += 1,
                Token::Close if depth == 0 => return Err(fault("unexpected right paren".into())),
                Token::Close => depth -= 1,
                _ => {}
            }
            self.tokens.push((at, token));
            self.at += length;
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `U+007D '}'`
fn unicode(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}

/// Length of `}}` or ` -}}` where one stands here.
fn right(text: &str) -> Option<usize> {
    let trimming = text.strip_prefix(is_space).is_some_and(|r| r.starts_with("-}}"));
    if trimming { Some(4) } else { text.starts_with("}}").then_some(2) }
}

/// Length of a name with the sign before it.
fn named(text: &str) -> Result<usize, String> {
    let sign = usize::from(text.starts_with(['$', '.']));
    let length = text[sign..].find(|c| !is_letter(c)).map_or(text.len(), |at| sign + at);
    match text[length..].chars().next() {
        Some(c) if !(is_space(c) || ".,|:)(".contains(c) || text[length..].starts_with("}}")) => {
            Err(format!("bad character {}", unicode(c)))
        }
        _ => Ok(length),
    }
}

fn number(text: &str) -> Result<(usize, Token), String> {
    let signed = usize::from(text.starts_with(['+', '-']));
    let mut end = signed;
    for c in text[signed..].chars() {
        let exponent = text[..end].ends_with(['e', 'E']) && !text[signed..].starts_with("0x");
        if !(is_letter(c) || c == '.' || matches!(c, '+' | '-') && exponent) {
            break;
        }
        end += c.len_utf8();
    }
    let word = &text[..end];
    let digits = word[signed..].replace('_', "").to_lowercase();
    let based =
        [("0x", 16), ("0o", 8), ("0b", 2)].iter().find_map(|(p, radix)| Some((digits.strip_prefix(p)?, *radix)));
    let valid = match based {
        Some((hex, 16)) if hex.contains('p') => {
            hex.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | 'p' | '+' | '-'))
        }
        Some((digits, radix)) => u64::from_str_radix(digits, radix).is_ok(),
        None => {
            digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && {
                digits.strip_suffix('i').unwrap_or(&digits).parse::<f64>().is_ok()
            }
        }
    };
    if valid { Ok((end, Token::Number(word.to_owned()))) } else { Err(format!("bad number syntax: {word:?}")) }
}

/// A string or a character in its quotes.
fn quoted(text: &str, quote: char) -> Result<(usize, Token), String> {
    let mut escaped = false;
    let closes = |(_, c): &(usize, char)| {
        let closes = *c == quote && !escaped || *c == '\n' && quote != '`';
        escaped = *c == '\\' && quote != '`' && !escaped;
        closes
    };
    let end = text.char_indices().skip(1).find(closes).filter(|(_, c)| *c == quote).map(|(at, _)| at);
    let Some(end) = end else {
        return Err(match quote {
            '`' => "unterminated raw quoted string".into(),
            '\'' => "unterminated character constant".into(),
            _ => "unterminated quoted string".into(),
        });
    };
    let (inner, whole) = (&text[1..end], &text[..=end]);
    let token = match quote {
        '`' => Token::Text(inner.to_owned()),
        '"' => Token::Text(unquote(inner, quote).ok_or("invalid syntax")?),
        _ => match unquote(inner, quote) {
            Some(one) if one.chars().count() == 1 => Token::Number(whole.to_owned()),
            _ => return Err(format!("malformed character constant: {whole}")),
        },
    };
    Ok((end + 1, token))
}
