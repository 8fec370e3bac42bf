//! Durations as Prometheus and Alertmanager write them.

use std::time::Duration;

/// Units from the largest to the smallest, in milliseconds.
const UNITS: &[(&str, u64)] = &[
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads `1d12h`; `None` for what Prometheus refuses: no unit (but for `0`), unknown units, units not in falling order.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[..letters])?;
        if unit < next_unit {
            return None;
        }
        next_unit = unit + 1;
        millis = millis.checked_add(number.checked_mul(UNITS[unit].1)?)?;
        rest = &rest[letters..];
    }
    // A Go duration counts nanoseconds in 63 bits.
    (!text.is_empty() && millis < 1 << 43).then(|| Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        assert_eq!(duration("1d12h"), Some(Duration::from_secs(36 * 3600)));
        assert_eq!((duration("0"), duration("0s")), (Some(Duration::ZERO), Some(Duration::ZERO)));
        for refused in ["", "30", "30 seconds", "30sec", "1.5h", "-5m", "5m1h", "5m5m", "m", "999999999y"] {
            assert_eq!(duration(refused), None, "{refused}");
        }
    }
}
