//! Words that every text of a report shares: plurals, lists of names, the first clause of a message.

use crate::model::ResourceRef;

/// Columns from which on a message is too long for one line of an overview.
const LINE: usize = 200;
/// Columns below which a clause says too little.
const CLAUSE: usize = 40;

/// `2 symptoms`, `1 policy`, `3 policies`.
pub(super) fn plural(count: usize, one: &str) -> String {
    let many = match one {
        _ if count == 1 => one.to_owned(),
        _ if one.ends_with('y') && !one.ends_with("ay") => format!("{}ies", &one[..one.len() - 1]),
        _ if one.ends_with("ss") => format!("{one}es"),
        _ => format!("{one}s"),
    };
    format!("{count} {many}")
}

/// `a (2), b`.
pub(super) fn counted(names: &[String]) -> String {
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match seen.iter_mut().find(|(n, _)| n == name) {
            Some((_, count)) => *count += 1,
            None => seen.push((name, 1)),
        }
    }
    let parts = seen.into_iter().map(|(n, c)| if c > 1 { format!("{n} ({c})") } else { n.to_owned() });
    parts.collect::<Vec<_>>().join(", ")
}

/// `a, b and 3 more`.
pub(super) fn few(names: &[String], max: usize) -> String {
    // One more name is as long as saying that there is one.
    let shown = if names.len() <= max + 1 { names.len() } else { max };
    let list = names[..shown].join(", ");
    let more = names.len() - shown;
    if more > 0 { format!("{list} and {more} more") } else { list }
}

/// `Pod a/b, a/c and 3 more; Service a/d`, grouped by kind.
pub(super) fn names<'a>(resources: impl IntoIterator<Item = &'a ResourceRef>, max: usize) -> String {
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for resource in resources {
        let (kind, name) = (resource.kind_label(), resource.name());
        match kinds.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => kinds.push((kind, vec![name])),
        }
    }
    let lists = kinds.into_iter().map(|(kind, names)| format!("{kind} {}", few(&names, max)));
    lists.collect::<Vec<_>>().join("; ")
}

/// A message as one line of an overview: whole, or up to the end of a clause. The details have the rest.
pub(super) fn line(message: &str) -> String {
    within(message, LINE)
}

/// The same in so many columns.
pub(super) fn within(message: &str, columns: usize) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if message.chars().count() <= columns {
        return message;
    }
    let ends = [": ", "; ", ", so ", " ("].iter().flat_map(|mark| message.match_indices(mark).map(|(at, _)| at));
    // A parenthesis that is open there would lack its end.
    let closed = |text: &str| text.matches('(').count() == text.matches(')').count();
    let within = |at: &usize| (CLAUSE..=columns).contains(&message[..*at].chars().count()) && closed(&message[..*at]);
    let clause = ends.filter(within).max();
    // A clause that ends early leaves the rest of the line empty: a part of the next one says more.
    let early = |at: &usize| message[..*at].chars().count() * 5 < columns * 3;
    let part = || message.match_indices(", ").map(|(at, _)| at).filter(within).max();
    let end = if clause.as_ref().is_none_or(early) { clause.max(part()) } else { clause };
    let fits = |at: &usize| message[..*at].chars().count() <= columns;
    let word = || message.match_indices(' ').map(|(at, _)| at).filter(fits);
    let end = if end.as_ref().is_none_or(early) { end.max(word().filter(within).max()) } else { end };
    let end = end.or_else(|| word().max());
    format!("{} …", message[..end.unwrap_or(message.len())].trim_end_matches([',', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_ends_with_a_clause() {
        assert_eq!(line("short: it is"), "short: it is");
        let aside = format!("the Service has no endpoint and so on: none (a probe: {} fails)", "x ".repeat(100));
        assert_eq!(line(&aside), "the Service has no endpoint and so on: none …");
        let long = format!("security group sg-1 does not admit TCP 4443 from the control plane: {}", "x".repeat(200));
        assert_eq!(line(&long), "security group sg-1 does not admit TCP 4443 from the control plane …");
        let early = format!(
            "pod m/p was evicted for want of room: container c used 9Gi, with emptyDir data, {}",
            "x".repeat(200)
        );
        assert_eq!(line(&early), "pod m/p was evicted for want of room: container c used 9Gi, with emptyDir data …");
        let first = "VPC vpc-0b89143b4397e00e6 has no way to the internet, and endpoint";
        let half = format!("{first} {} keeps the nodes out, whoever asks for them", "x".repeat(130));
        assert!(line(&half).ends_with("x …"), "the second half says what is wrong: {}", line(&half));
        let words = "word ".repeat(60);
        assert!(line(&words).chars().count() <= LINE + 2);
    }

    #[test]
    fn lists_are_bounded_and_name_each_once() {
        let pods: Vec<ResourceRef> = (0..9).map(|n| ResourceRef::pod("m", &format!("p{n}"))).collect();
        assert_eq!(names(&pods, 2), "Pod m/p0, m/p1 and 7 more");
        assert_eq!(names(&pods[..3], 2), "Pod m/p0, m/p1, m/p2");
        assert_eq!(names([&pods[0], &pods[0]], 2), "Pod m/p0");
    }
}
