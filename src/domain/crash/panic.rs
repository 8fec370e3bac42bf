//! A program written in Go that ends by a panic: a bug of its own, which a later version may have mended.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::kubernetes::starting::says_failure;
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

/// Functions that read what lies on the volume of Prometheus as it starts, and what becomes of it: no version is at fault where
/// such a file is damaged.
const AT_FAULT: &[(&str, &str)] = &[(
    "NewActiveQueryTracker",
    "It reads queries.active in its data folder, the list of queries that ran when it was ended last, and that file is damaged. It holds nothing else, and is written again: with the pod stopped, move it away on the volume. Later versions read a damaged one, too.",
)];

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
    let reading = kind_of(stack).map(|plural| format!(", as it reads {plural}")).unwrap_or_default();
    let reason = format!("a bug of the program: it panics ({}){within}{reading}", shorten(what, 120));
    let of_file = AT_FAULT.iter().find(|(function, _)| stack.contains(function));
    let advice =
        of_file.map_or_else(|| mended(place.as_deref().unwrap_or_default(), version), |(_, why)| (*why).to_owned());
    let crash = Crash::new(Class::Panic, reason).advice(advice);
    let about = kind_of(stack).map_or(Detail::None, |plural| Detail::About(format!("{plural}.monitoring.coreos.com")));
    Some(Crash { said: found[0].to_owned(), what: place, ..crash }.detail(about))
}

/// Signals that a fault of the program's own code ends it by, as a container's exit code says them: name, what it stands for.
const SIGNALS: &[(i32, &str, &str)] = &[
    (132, "SIGILL", "an instruction that its processor does not have"),
    (134, "SIGABRT", "it gave up by itself"),
    (136, "SIGFPE", "a division by zero, or the like"),
    (139, "SIGSEGV", "it reached for memory that is not its own"),
];

/// What ended by such a signal. Its log mostly stops in the middle of its work, and says nothing of it.
pub(crate) fn by_signal(text: &str, code: i32) -> Option<Crash> {
    let (_, signal, meaning) = SIGNALS.iter().find(|(of, ..)| *of == code)?;
    let lines = super::last_lines(text);
    let reason =
        format!("a bug of the program, or a library or a processor that does not fit it: {signal} ends it ({meaning})");
    let reason = match super::telling(&lines) {
        // Who gives up says why.
        Some(line) if says_failure(&line) && signal == &"SIGABRT" => return None,
        // What it complained of last may have led to it.
        Some(line) if says_failure(&line) => format!("{reason}; its log ends with: {line}"),
        Some(_) => format!("{reason}, and its log stops without a complaint"),
        None => reason,
    };
    Some(Crash { said: lines.join("\n"), ..Crash::new(Class::Panic, reason) })
}

/// The kind of the Prometheus operator whose objects it was reading, by the functions of its stack.
fn kind_of(stack: &str) -> Option<&'static str> {
    const KINDS: &[(&str, &str)] = &[
        ("ServiceMonitor", "servicemonitors"),
        ("PodMonitor", "podmonitors"),
        ("SelectProbes", "probes"),
        ("ScrapeConfigs", "scrapeconfigs"),
        ("PrometheusRule", "prometheusrules"),
        ("AlertmanagerConfig", "alertmanagerconfigs"),
    ];
    let own = stack.contains("prometheus-operator/pkg/");
    let named = KINDS.iter().filter_map(|(word, plural)| Some((stack.find(word)?, *plural)));
    named.min().map(|(_, plural)| plural).filter(|_| own)
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
        let active = "panic: runtime error: slice bounds out of range\n\ngoroutine 1 [running]:\ngithub.com/prometheus/prometheus/promql.parseBrokenJson(0xc0)\n\t/app/promql/query_logger.go:45 +0x131\ngithub.com/prometheus/prometheus/promql.NewActiveQueryTracker(0x7f)\n\t/app/promql/query_logger.go:108 +0x131\n";
        assert!(read(active).is_some_and(|c| c.advice.contains("queries.active")));
    }

    #[test]
    fn a_signal_of_its_own_fault_is_named() {
        let log = "Fluent Bit v1.8.3\n* https://fluentbit.io\n\n[2026/11/21 02:51:55] [ info] [engine] started (pid=1)\n[2026/11/21 02:51:55] [ info] [sp] stream processor started\n";
        let crash = by_signal(log, 136).expect("a crash");
        assert!(crash.reason.contains("SIGFPE") && crash.reason.ends_with("without a complaint"), "{}", crash.reason);
        assert!(crash.said.ends_with("stream processor started"), "{}", crash.said);
        for code in [0, 1, 137, 143] {
            assert!(by_signal(log, code).is_none(), "{code}");
        }
        let gave_up = "Unhandled exception. System.IO.FileNotFoundException: Could not find file '/etc/x.json'.\n";
        assert!(by_signal(gave_up, 134).is_none(), "it says itself why");
    }
}
