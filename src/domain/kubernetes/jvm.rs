//! A Java that does not see the limit of its container: versions of before cgroup v2, on nodes that have nothing else.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Node, Pod};
use crate::text::pattern::pattern;

/// Images of nodes with cgroup v2 alone, or by default.
const V2: &[&str] = &[
    "Amazon Linux 2023",
    "Bottlerocket",
    "Ubuntu 22.04",
    "Ubuntu 24.04",
    "Debian GNU/Linux 12",
    "Debian GNU/Linux 13",
    "Red Hat Enterprise Linux 9",
    "Red Hat Enterprise Linux 10",
    "Rocky Linux 9",
];

/// The version of a container's Java, by its log, where it takes its share of the node's memory and not of the limit.
pub(crate) fn blind(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<String> {
    let v2 = |n: &Node| V2.iter().any(|os| n.status.node_info.os_image.starts_with(os));
    snap.node_of(pod).filter(|n| v2(n))?;
    // Who is told how much to take does not look.
    let sized = |text: &str| text.contains("-Xmx") || text.contains("-XX:MaxRAM=");
    if container.command.iter().chain(&container.args).any(|word| sized(word)) {
        return None;
    }
    let logs = snap.crash_logs.iter().flatten().filter(|l| l.is_of(&pod.metadata) && l.container == container.name);
    let mut versions = logs.filter(|l| !sized(&l.text)).filter_map(|l| version(&l.text));
    versions.next().filter(|version| is_old(version))
}

/// `11.0.8`, `1.8.0_252`.
fn version(log: &str) -> Option<String> {
    let said = pattern!(
        r#"(?:Server VM[ /]|[Uu]sing Java |java\.version[=:] ?"?|(?:openjdk|java) version ")(\d+(?:\.\d+)*(?:_\d+)?)"#
    );
    said.captures(log).map(|c| c[1].to_owned())
}

/// Before 15, without what 8u372 and 11.0.16 took over from it.
fn is_old(version: &str) -> bool {
    let mut numbers = version.split(['.', '_']).map(|n| n.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (mut major, mut update) = (next(), 0);
    if major == 1 {
        major = next();
        next();
        update = next();
    } else {
        next();
        update = update.max(next());
    }
    match major {
        8 => update < 372,
        11 => update < 16,
        9..=14 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_do_not_see_the_limit() {
        let logstash = "[INFO ][logstash.runner] Starting Logstash {\"jruby.version\"=>\"jruby 9.2.13.0 OpenJDK 64-Bit Server VM 11.0.8+10 on 11.0.8+10 +indy\"}";
        assert_eq!(version(logstash).as_deref(), Some("11.0.8"));
        assert_eq!(version("Starting App v1 using Java 17.0.9 with PID 1").as_deref(), Some("17.0.9"));
        assert_eq!(version("Client environment:java.version=1.8.0_252").as_deref(), Some("1.8.0_252"));
        for (version, old) in [
            ("1.8.0_252", true),
            ("1.8.0_382", false),
            ("8.0.252", true),
            ("11.0.8", true),
            ("11.0.22", false),
            ("13.0.1", true),
            ("15", false),
            ("17.0.9", false),
            ("21.0.1", false),
        ] {
            assert_eq!(is_old(version), old, "{version}");
        }
    }
}
