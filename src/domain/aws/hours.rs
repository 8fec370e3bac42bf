//! The clock of those who work where a region is.

use jiff::{SignedDuration, Timestamp};

/// A time zone: its name, and minutes before UTC in winter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) zone: &'static str,
    minutes: i64,
}

const REGIONS: &[(&str, &str, i64)] = &[
    ("af-south-1", "Africa/Johannesburg", 120),
    ("ap-east-1", "Asia/Hong_Kong", 480),
    ("ap-northeast-1", "Asia/Tokyo", 540),
    ("ap-northeast-2", "Asia/Seoul", 540),
    ("ap-northeast-3", "Asia/Tokyo", 540),
    ("ap-south-1", "Asia/Kolkata", 330),
    ("ap-south-2", "Asia/Kolkata", 330),
    ("ap-southeast-1", "Asia/Singapore", 480),
    ("ap-southeast-2", "Australia/Sydney", 600),
    ("ap-southeast-3", "Asia/Jakarta", 420),
    ("ap-southeast-4", "Australia/Melbourne", 600),
    ("ca-central-1", "America/Toronto", -300),
    ("ca-west-1", "America/Edmonton", -420),
    ("cn-north-1", "Asia/Shanghai", 480),
    ("cn-northwest-1", "Asia/Shanghai", 480),
    ("il-central-1", "Asia/Jerusalem", 120),
    ("me-central-1", "Asia/Dubai", 240),
    ("me-south-1", "Asia/Bahrain", 180),
    ("sa-east-1", "America/Sao_Paulo", -180),
    ("us-east-1", "America/New_York", -300),
    ("us-east-2", "America/New_York", -300),
    ("us-west-1", "America/Los_Angeles", -480),
    ("us-west-2", "America/Los_Angeles", -480),
];

/// The clock of a region; `None` where it is that of UTC or near, or the region is not known.
pub(crate) fn of_region(region: &str) -> Option<Hours> {
    let found = REGIONS.iter().find(|(name, _, _)| *name == region)?;
    Some(Hours { zone: found.1, minutes: found.2 })
}

impl Hours {
    /// The moment at which it is this hour there, on a Wednesday near another moment.
    pub(crate) fn at(self, near: Timestamp, hour: i64) -> Timestamp {
        // 1970-01-07 was a Wednesday.
        const WEDNESDAY: i64 = 6 * 86_400;
        const WEEK: i64 = 7 * 86_400;
        let weeks = (near.as_second() - WEDNESDAY).div_euclid(WEEK);
        let wednesday = Timestamp::from_second(WEDNESDAY + weeks * WEEK).unwrap_or(near);
        let there = SignedDuration::from_mins(hour * 60 - self.minutes);
        wednesday.checked_add(there).unwrap_or(near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noon_in_seoul_is_three_in_the_morning() {
        let near = "2026-11-21T02:55:50Z".parse().expect("a time");
        let seoul = of_region("ap-northeast-2").expect("is known");
        assert_eq!(seoul.at(near, 12).to_string(), "2026-11-18T03:00:00Z");
        assert!(of_region("eu-west-1").is_none() && of_region("mars-1").is_none());
    }
}
