//! A program written in Go that ends by a panic: a bug of its own, which a later version may have mended.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::shorten::shorten;
use crate::text::pattern::pattern;

/// Panics of Prometheus that a version mended, by the package in which they came up; newest first. From its changelog.
const MENDED: &[(&str, (u32, u32, u32), &str)] = &[
    ("discovery", (3, 14, 0), "Docker Swarm services that run as plugins"),
    ("discovery", (3, 11, 0), "EC2 zones without a name"),
    ("config", (3, 12, 0), "remote_write.queue_config with values that are not possible"),
    ("config", (3, 8, 0), "a missing file of a certificate authority"),
    ("scrape", (3, 12, 0), "native histograms and summaries that a target sends malformed"),
    ("scrape", (3, 1, 0), "a scrape that goes on after a reload"),
    ("textparse", (3, 11, 0), "labels without an equal sign in braces"),
    ("storage/remote", (3, 7, 0), "a remote write 2.0 request with a wrong table of symbols"),
    ("storage/remote", (3, 1, 0), "a log message that repeats"),
    ("histogram", (3, 9, 0), "histograms that are not valid"),
    ("tsdb", (3, 12, 0), "native histograms in chunks that overlap"),
    ("tsdb", (3, 9, 0), "histograms that are not valid, when their resolution is reduced"),
    ("tsdb", (3, 6, 0), "native histograms with empty buckets"),
    ("tsdb", (2, 49, 0), "appends with exemplars"),
    ("tsdb", (2, 37, 0), "deletion of series that are gone"),
    ("tsdb", (2, 34, 0), "memory-snapshot-on-shutdown"),
    ("tsdb", (2, 33, 4), "head chunks that are written to the disk"),
    ("rules", (2, 54, 0), "a reload of rules"),
];

/// Versions that are named at most.
const SHOWN: usize = 3;

/// Reads a whole log.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let found = pattern!(
        r"(?m)^(?:panic: (runtime error: [^\n]+|interface conversion: [^\n]+|assignment to entry in nil map|close of (?:nil|closed) channel|send on closed channel)|fatal error: (concurrent map [^\n]+|all goroutines are asleep[^\n]*|sync: [^\n]+))"
    )
    .captures_iter(text)
    .last()?;
    let what = found.get(1).or(found.get(2))?.as_str();
    let stack = &text[found.get(0)?.end()..];
    let frame = pattern!(r"(?m)^((?:github\.com|go\.|k8s\.io|main)[\w./*()-]*?[\w)]+\.[\w.()*]+)\(").captures(stack);
    let place = frame.map(|c| c[1].trim_start_matches("github.com/").to_owned());
    let version = pattern!(r#"msg="Starting Prometheus[^"]*" [^\n]*version=(\d+)\.(\d+)\.(\d+)"#).captures(text);
    let version = version.and_then(|c| Some((c[1].parse().ok()?, c[2].parse().ok()?, c[3].parse().ok()?)));
    let within = place.as_ref().map(|p| format!(" in {p}")).unwrap_or_default();
    let reason = format!("a bug of the program: it panics ({}){within}", shorten(what, 120));
    let crash = Crash::new(Class::Panic, reason).advice(mended(place.as_deref().unwrap_or_default(), version));
    Some(Crash { said: found[0].to_owned(), what: place, ..crash })
}

/// Which versions mended panics of that package, after the one that runs.
fn mended(place: &str, version: Option<(u32, u32, u32)>) -> String {
    let Some(package) = place.strip_prefix("prometheus/prometheus/") else { return String::new() };
    let fits = |(area, since, _): &&(&str, (u32, u32, u32), &str)| {
        package.contains(area) && version.is_none_or(|v| v < *since)
    };
    let found: Vec<String> = MENDED
        .iter()
        .filter(fits)
        .take(SHOWN)
        .map(|(_, (major, minor, patch), what)| format!("{major}.{minor}.{patch} ({what})"))
        .collect();
    match found.is_empty() {
        true => String::new(),
        false => format!("Panics of this package were mended in {}.", found.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_named_with_its_place_and_what_mended_the_like() {
        let log = "ts=x level=info msg=\"Starting Prometheus Server\" mode=server version=\"(version=3.5.0, branch=HEAD)\"\npanic: runtime error: index out of range [0] with length 0\n\ngoroutine 1467 [running]:\ngithub.com/prometheus/prometheus/model/histogram.(*FloatHistogram).floatBucketIterator(...)\n\t/app/model/histogram/float_histogram.go:1099 +0x2e5\n";
        let crash = read(log).expect("a crash");
        assert_eq!(crash.class, Class::Panic);
        assert!(crash.reason.contains("prometheus/prometheus/model/histogram."), "{}", crash.reason);
        assert!(crash.advice.contains("3.9.0"), "{}", crash.advice);
        let newer = read(&log.replace("version=3.5.0", "version=3.9.1")).expect("a crash");
        assert!(newer.advice.is_empty(), "{}", newer.advice);
        assert!(read("panic: unable to read the configuration: no such file\n").is_none(), "no bug");
    }
}
