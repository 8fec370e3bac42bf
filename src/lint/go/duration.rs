//! Durations as Prometheus and Alertmanager write them, and as Go itself does.

/// Units from the largest to the smallest with their milliseconds: each at most once and in this order.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Milliseconds of `15s`, `1h30m`, `0`.
///
/// # Errors
/// What is wrong with it, and what was meant where that can be told.
pub(crate) fn duration(text: &str) -> Result<u64, (String, Option<String>)> {
    if text.is_empty() {
        return Err(("empty duration string".into(), None));
    }
    if text == "0" {
        return Ok(0);
    }
    parse(text).ok_or_else(|| (format!("not a valid duration string: {text:?}"), meant(text)))
}

fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        let (_, scale) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*scale)?)?;
        rest = after;
    }
    // Go counts nanoseconds in 63 bits.
    (total <= i64::MAX as u64 / 1_000_000).then_some(total)
}

/// Number, unit and the rest.
fn part(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let letters = rest.len() - rest.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
    (digits > 0 && letters > 0).then(|| (number, &rest[..letters], &rest[letters..]))
}

/// `15sec` is `15s`, `15` most likely too, `5 min` is `5m`, `1m 30s` is `1m30s`.
fn meant(text: &str) -> Option<String> {
    let compact: String = text.to_lowercase().split_whitespace().collect();
    if compact.chars().all(|c| c.is_ascii_digit()) {
        return Some(format!("{compact}s"));
    }
    let mut out = String::new();
    let mut rest = compact.as_str();
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        out.push_str(number);
        out.push_str(self::unit(unit)?);
        rest = after;
    }
    (parse(&out).is_some()).then_some(out)
}

/// The unit that a word in lower case means.
pub(crate) fn unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "w" | "week" | "weeks" => "w",
        "y" | "year" | "years" => "y",
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        _ => return None,
    })
}

/// Whether Go's own `time.ParseDuration` reads it: `1.5h`, and no days.
pub(crate) fn is_go_duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let number = &rest[..digits];
        if number.matches('.').count() > 1 || !number.contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        if !matches!(&rest[..letters], "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        rest = &rest[letters..];
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, millis) in
            [("0", 0), ("15s", 15_000), ("1h30m", 5_400_000), ("1y", 31_536_000_000), ("1m5ms", 60_005)]
        {
            assert_eq!(duration(text), Ok(millis), "{text}");
        }
        for bad in ["", "15", "15sec", "1m 30s", "-5m", "1.5h", "30m1h", "5m5m", "m", "5 min", "15S", "999999y"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn says_what_was_meant() {
        let meant = |text| duration(text).expect_err("is invalid").1;
        assert_eq!(meant("15sec").as_deref(), Some("15s"));
        assert_eq!(meant("15").as_deref(), Some("15s"));
        assert_eq!(meant("1m 30s").as_deref(), Some("1m30s"));
        assert_eq!(meant("5 minutes").as_deref(), Some("5m"));
        assert_eq!(meant("soon"), None);
    }

    #[test]
    fn reads_what_go_reads() {
        assert!(is_go_duration("1.5h30m") && is_go_duration("0") && !is_go_duration("1d") && !is_go_duration("5"));
    }
}
