//! How long something lasted, in words.

/// `45s`, `3m`, `2h 5m`, `3d 4h`: the two largest units, and no seconds beside minutes.
pub fn lasted(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, rest: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit} {small}{rest}"),
    };
    if minutes == 0 {
        format!("{seconds}s")
    } else if hours == 0 {
        format!("{minutes}m")
    } else if days == 0 {
        two(hours, "h", minutes % 60, "m")
    } else {
        two(days, "d", hours % 24, "h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_said() {
        let all = [(0, "0s"), (59, "59s"), (60, "1m"), (185, "3m"), (3600, "1h"), (7500, "2h 5m"), (273_600, "3d 4h")];
        for (seconds, words) in all {
            assert_eq!(lasted(seconds), words);
        }
        assert_eq!(lasted(-5), "0s", "clocks may be set back");
    }
}
