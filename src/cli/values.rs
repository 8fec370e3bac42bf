//! The values that flags take, and how they are read.

use std::path::PathBuf;

use clap::ValueEnum;

/// What `kdoctor permissions` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RightsFormat {
    /// A ClusterRole and its binding
    Rbac,
    /// An IAM policy
    Iam,
    /// Both, the policy as comments
    Both,
}

/// Who allows active probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProbeMode {
    /// The person at the terminal, one by one.
    Ask,
    /// The flag itself.
    Yes,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For a pull request, a chat or a postmortem: details to unfold
    #[value(alias = "md")]
    Markdown,
    /// For machines: schema_version 1
    Json,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For a pull request, a chat or a postmortem: details to unfold
    #[value(alias = "md")]
    Markdown,
    /// One page for a browser, to pass on: asks nothing of the outside
    Html,
    /// For machines: schema_version 1
    Json,
    /// SARIF 2.1.0, for code scanning: what is wrong in files
    Sarif,
    /// JUnit XML: a test case for each check
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// GitLab's code quality report: what is wrong in files
    Gitlab,
}

/// A format, and where the report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The format.
    pub format: Format,
    /// The file; stdout where there is none.
    pub file: Option<PathBuf>,
}

impl Wanted {
    /// A format on stdout.
    pub fn stdout(format: Format) -> Self {
        Self { format, file: None }
    }
}

/// `1.33`, `v1.33.2`.
pub(super) fn parse_kubernetes(text: &str) -> Result<String, String> {
    let mut numbers = text.trim_start_matches('v').split('.').map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(_))) => Ok(text.to_owned()),
        _ => Err("is written 1.33".into()),
    }
}

pub(super) fn parse_wanted(text: &str) -> Result<Wanted, String> {
    let (name, file) = match text.split_once('=') {
        Some((_, "")) => return Err("after = comes a file: --output sarif=out.sarif".into()),
        Some((name, file)) => (name, Some(PathBuf::from(file))),
        None => (text, None),
    };
    let format = Format::from_str(name, true).map_err(|_| {
        let all = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        format!("there is: {}", all.map(|v| v.get_name().to_owned()).collect::<Vec<_>>().join(", "))
    })?;
    Ok(Wanted { format, file })
}

/// A bearer token. Neither its Debug output nor an error message shows it.
#[derive(Debug, Clone)]
pub struct Token(Option<http::HeaderValue>);

impl Token {
    /// The `Authorization` header with it, marked as sensitive; `None` where no header can hold it.
    pub fn header(&self) -> Option<&http::HeaderValue> {
        self.0.as_ref()
    }
}

/// Never fails: the message of a failure would repeat the token.
pub(super) fn parse_token(text: &str) -> Result<Token, std::convert::Infallible> {
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let is_token = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    let header = http::HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token);
    Ok(Token(header.map(|mut value| {
        value.set_sensitive(true);
        value
    })))
}

pub(crate) fn parse_timeout(text: &str) -> Result<std::time::Duration, String> {
    let seconds = seconds(text)?;
    if !(0.001..=600.0).contains(&seconds) {
        return Err("must be between 1ms and 10m".into());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

/// A time that people wait.
pub(super) fn parse_span(text: &str) -> Result<std::time::Duration, String> {
    let seconds = seconds(text)?;
    if !(1.0..=7.0 * 86_400.0).contains(&seconds) {
        return Err("must be between 1s and 168h".into());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

/// A number with a unit; seconds without one.
fn seconds(text: &str) -> Result<f64, String> {
    let (digits, factor) = match text {
        t if t.ends_with("ms") => (&t[..t.len() - 2], 0.001),
        t if t.ends_with('s') => (&t[..t.len() - 1], 1.0),
        t if t.ends_with('m') => (&t[..t.len() - 1], 60.0),
        t if t.ends_with('h') => (&t[..t.len() - 1], 3600.0),
        t => (t, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| format!("{text:?} is not a time; try 10s"))?;
    Ok(number * factor)
}

/// Bytes a capture may have at most: less than what is read again.
const MAX_CAPTURE: u64 = 2 << 30;

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size; try 500M");
    let bare = text.trim_end_matches(['B', 'b', 'i']);
    let (digits, shift) = match bare.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&bare[..at], 10),
        Some((at, 'M' | 'm')) => (&bare[..at], 20),
        Some((at, 'G' | 'g')) => (&bare[..at], 30),
        _ => (bare, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    if !(1 << 10..=MAX_CAPTURE).contains(&bytes) {
        return Err("must be between 1K and 2G".into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let token = parse_token(" Bearer glsa_s3cret\n").expect("never fails");
        assert_eq!(token.header().map(|h| h.as_bytes()), Some(&b"Bearer glsa_s3cret"[..]));
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(parse_token("").is_ok_and(|t| t.header().is_none()));
        assert!(parse_token("a\nb").is_ok_and(|t| t.header().is_none()));
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(parse_size("500M"), Ok(500 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in ["", "x", "1", "3G", "-1M", "1T", "99999999999999999999", "G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(parse_timeout("500ms").map(|d| d.as_millis()), Ok(500));
        assert_eq!(parse_timeout("2").map(|d| d.as_secs()), Ok(2));
        for bad in ["", "x", "0", "-1s", "1h", "11m", "NaN"] {
            assert!(parse_timeout(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_span("2h").map(|d| d.as_secs()), Ok(7200));
        for bad in ["100ms", "200h", "-1h", "NaN", "inf"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
