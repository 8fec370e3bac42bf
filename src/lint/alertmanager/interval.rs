//! Time intervals: when a route is muted, or active.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::lint::yaml::Node;

const WEEKDAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// One interval; what is not given does not restrict.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interval {
    times: Option<Vec<(i64, i64)>>,
    weekdays: Option<Vec<(i64, i64)>>,
    days: Option<Vec<(i64, i64)>>,
    months: Option<Vec<(i64, i64)>>,
    years: Option<Vec<(i64, i64)>>,
    location: Option<String>,
}

fn range(text: &str, member: impl Fn(&str) -> Option<i64>) -> Result<(i64, i64), String> {
    let text = text.to_lowercase();
    let one = |part: &str| member(part).ok_or_else(|| format!("{part} is not valid here"));
    match text.split_once(':') {
        Some((from, to)) if !to.contains(':') => Ok((one(from)?, one(to)?)),
        Some(_) => Err(format!("couldn't parse range {text}, invalid format")),
        None => one(&text).map(|n| (n, n)),
    }
}

fn named(names: &[&str], first: i64) -> impl Fn(&str) -> Option<i64> {
    move |text| names.iter().position(|n| *n == text).and_then(|at| i64::try_from(at).ok()).map(|at| at + first)
}

fn in_order((from, to): (i64, i64), text: &str) -> Result<(i64, i64), String> {
    if from > to { Err(format!("{text}: the end is before the start")) } else { Ok((from, to)) }
}

/// `monday:friday`.
pub(super) fn weekdays(text: &str) -> Result<(i64, i64), String> {
    in_order(range(text, named(WEEKDAYS, 0))?, text)
}

/// `january:march`, `1:3`.
pub(super) fn months(text: &str) -> Result<(i64, i64), String> {
    let by_name = named(MONTHS, 1);
    in_order(range(text, |t| by_name(t).or_else(|| t.parse().ok()))?, text)
}

/// `2024:2026`.
pub(super) fn years(text: &str) -> Result<(i64, i64), String> {
    in_order(range(text, |t| t.parse().ok())?, text)
}

/// `1:5`, `-3:-1`.
pub(super) fn days_of_month(text: &str) -> Result<(i64, i64), String> {
    let (from, to) = range(text, |t| t.parse().ok())?;
    for day in [from, to] {
        if day == 0 || !(-31..=31).contains(&day) {
            return Err(format!("{day} is not a valid day of the month: out of range"));
        }
    }
    if from < 0 && to > 0 {
        return Err("end day must be negative if start day is negative".into());
    }
    let shortest = |day: i64| if day < 0 { 28 + day } else { day };
    if shortest(from) > shortest(to) {
        return Err(format!("end day {to} is always before start day {from}"));
    }
    Ok((from, to))
}

fn minute(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |t: &str| (t.len() == 2).then(|| t.parse::<i64>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let valid = (0..24).contains(&hours) && (0..60).contains(&minutes) || (hours, minutes) == (24, 0);
    valid.then_some(hours * 60 + minutes)
}

/// `start_time` and `end_time` of an entry of `times`.
pub(super) fn time_range(node: &Node) -> Result<(i64, i64), String> {
    let of = |key: &str| node.get(key).and_then(Node::as_str).filter(|t| !t.is_empty());
    let (Some(from), Some(to)) = (of("start_time"), of("end_time")) else {
        return Err("both start and end times must be provided".into());
    };
    let read = |text: &str| minute(text).ok_or_else(|| format!("couldn't parse timestamp {text}, invalid format"));
    let (from, to) = (read(from)?, read(to)?);
    if from >= to { Err("start time cannot be equal or greater than end time".into()) } else { Ok((from, to)) }
}

/// Why a time zone is refused; nothing where this machine has no list of them.
pub(super) fn unknown_zone(name: &str) -> Option<String> {
    let known = matches!(name, "" | "UTC" | "Local") || TimeZone::get(name).is_ok();
    (!known && TimeZone::get("Europe/Berlin").is_ok()).then(|| format!("unknown time zone {name}"))
}

impl Interval {
    /// Reads one entry of `time_intervals`; what is invalid in it counts as not given.
    pub fn read(node: &Node) -> Self {
        let list = |key: &str, read: fn(&str) -> Result<(i64, i64), String>| {
            let items = node.get(key)?.items()?;
            Some(items.iter().filter_map(|i| read(i.as_str()?).ok()).collect())
        };
        let times = node.get("times").and_then(Node::items);
        Self {
            times: times.map(|t| t.iter().filter_map(|i| time_range(i).ok()).collect()),
            weekdays: list("weekdays", weekdays),
            days: list("days_of_month", days_of_month),
            months: list("months", months),
            years: list("years", years),
            location: node.get("location").and_then(Node::as_str).map(str::to_owned),
        }
    }

    /// Whether its times are those of UTC.
    pub fn is_in_utc(&self) -> bool {
        self.location.as_deref().is_none_or(|name| name.eq_ignore_ascii_case("utc"))
    }

    /// Whether a moment is in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        let zone = self.location.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        let local: Zoned = at.to_zoned(zone);
        let within = |ranges: &Option<Vec<(i64, i64)>>, value: i64| {
            ranges.as_ref().is_none_or(|all| all.iter().any(|(from, to)| (*from..=*to).contains(&value)))
        };
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let last = i64::from(local.days_in_month());
        let in_times = self.times.as_ref().is_none_or(|all| all.iter().any(|(f, t)| (*f..*t).contains(&minute)));
        let day = i64::from(local.day());
        let real = |d: i64| if d < 0 { last + d + 1 } else { d };
        let in_days = self.days.as_ref().is_none_or(|all| {
            all.iter().any(|(f, t)| real(*f) <= last && (real(*f).max(-last)..=real(*t).min(last)).contains(&day))
        });
        let weekday = match local.weekday() {
            Weekday::Sunday => 0,
            other => i64::from(other.to_monday_one_offset()),
        };
        in_times
            && in_days
            && within(&self.months, i64::from(local.month()))
            && within(&self.weekdays, weekday)
            && within(&self.years, i64::from(local.year()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml::document;

    fn interval(text: &str) -> Interval {
        Interval::read(&document(text).expect("is YAML").expect("is there"))
    }

    #[test]
    fn knows_what_it_contains() {
        let saturday: Timestamp = "2026-11-21T03:18:41Z".parse().expect("a time");
        assert!(interval("times: [{start_time: '00:00', end_time: '24:00'}]").contains(saturday));
        assert!(!interval("weekdays: ['monday:friday']").contains(saturday));
        assert!(interval("weekdays: [saturday]\nmonths: ['october:december']\nyears: [2026]").contains(saturday));
        assert!(!interval("days_of_month: ['-5:-1']").contains(saturday));
        assert!(interval("days_of_month: ['20:25']").contains(saturday));
    }

    #[test]
    fn refuses_what_alertmanager_refuses() {
        assert!(weekdays("friday:monday").is_err() && weekdays("mon").is_err() && weekdays("Monday").is_ok());
        assert!(days_of_month("0").is_err() && days_of_month("-1:5").is_err() && days_of_month("5:1").is_err());
        assert!(months("13:1").is_err() && months("1:march").is_ok());
        assert_eq!((minute("24:00"), minute("24:01"), minute("9:00")), (Some(1440), None, None));
    }
}
