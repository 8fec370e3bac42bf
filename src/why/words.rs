//! Words that several chains share.

/// `45 s`, `12 min`, `3 h`, `5 days`.
pub(super) fn duration(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `1 alert`, `3 alerts`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `a, b and 3 more`.
pub(super) fn few<'a>(names: impl IntoIterator<Item = &'a str>, max: usize) -> String {
    let all: Vec<&str> = names.into_iter().collect();
    let shown = if all.len() <= max + 1 { all.len() } else { max };
    let list = all[..shown].join(", ");
    if shown < all.len() { format!("{list} and {} more", all.len() - shown) } else { list }
}
