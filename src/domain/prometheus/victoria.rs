//! What the logs of VictoriaMetrics say: storage that takes nothing more, queries that are refused.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::lasting::Lasting;
use crate::domain::text::lasting::{RECENT, SEVERAL};
use crate::domain::text::log_line::{self, written_at};
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// What it fails at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// It takes no samples: its disk is nearly full.
    ReadOnly,
    /// Queries select more series than one may.
    Series,
    /// Queries wait for others until they are given up.
    Busy,
}

/// What one container says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) trouble: Cause,
    pub(crate) log: &'a ContainerLog,
    pub(crate) times: usize,
    pub(crate) last: Option<Timestamp>,
    pub(crate) line: &'a str,
}

/// Keeps samples or answers queries: one node alone, or the parts of a cluster.
pub(crate) fn is_victoria(image: &str) -> bool {
    matches!(base_of(image), "victoria-metrics" | "vmstorage" | "vmselect" | "vminsert")
}

/// What the running parts of VictoriaMetrics fail at.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let logs = snap.part_logs()?.iter().filter(|l| !l.previous && is_victoria(&l.image));
    Ok(logs.flat_map(|log| of_log(snap, log)).collect())
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<Failing<'a>> {
    let mut by_trouble: BTreeMap<Cause, Failing<'a>> = BTreeMap::new();
    for line in log.text.lines() {
        // It says so when it begins and when it ends, and nothing in between.
        if line.contains("switching the storage at") && line.contains("to read-write mode") || is_start(line) {
            by_trouble.remove(&Cause::ReadOnly);
            continue;
        }
        let Some(trouble) = trouble(line) else { continue };
        if trouble != Cause::ReadOnly && !log_line::is_within(line, snap.collected_at, RECENT) {
            continue;
        }
        let failing = by_trouble.entry(trouble).or_insert_with(|| Failing { trouble, log, times: 0, last: None, line });
        failing.times += 1;
        failing.last = written_at(line, snap.collected_at).or(failing.last);
        failing.line = line;
    }
    by_trouble.into_values().filter(|f| f.trouble == Cause::ReadOnly || f.times >= SEVERAL).collect()
}

/// A target that vmagent, or VictoriaMetrics as one node, does not scrape.
#[derive(Debug, Clone)]
pub(crate) struct Unscraped<'a> {
    pub(crate) log: &'a ContainerLog,
    pub(crate) job: String,
    pub(crate) url: String,
    pub(crate) error: String,
    pub(crate) line: &'a str,
    said: Lasting,
}

/// What scrapes by the configuration of Prometheus.
pub(crate) fn scrapes(image: &str) -> bool {
    matches!(base_of(image), "vmagent" | "victoria-metrics")
}

/// The targets that are not scraped now, one entry for each job, target and log. One whose pod was replaced is told of for a
/// moment, until discovery drops it.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn unscraped(snap: &Snapshot) -> Result<Vec<Unscraped<'_>>, Gap> {
    let mut found: BTreeMap<(&str, &str, String, String), Unscraped<'_>> = BTreeMap::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous && scrapes(&l.image)) {
        for line in log.text.lines() {
            let Some((url, job, error)) = scrape_error(line) else { continue };
            let Some(age) = log_line::age(line, snap.collected_at).filter(|age| *age <= RECENT) else { continue };
            let key = (log.namespace.as_str(), log.pod.as_str(), job.to_owned(), url.to_owned());
            let one = found.entry(key).or_insert_with(|| Unscraped {
                log,
                job: job.to_owned(),
                url: url.to_owned(),
                error: String::new(),
                line,
                said: Lasting::before(age),
            });
            one.said.add(age);
            one.line = line;
            error.clone_into(&mut one.error);
        }
    }
    Ok(found.into_values().filter(|u| u.said.goes_on()).collect())
}

/// URL, job and reason: `error when scraping "http://a:8080/metrics" from job "x" with labels {…}: reason`, in newer versions
/// `cannot scrape target "http://a:8080/metrics" ({…,job="x"}) 1 out of 1 times during …; the last error: reason`.
fn scrape_error(line: &str) -> Option<(&str, &str, &str)> {
    let old = pattern!(r#"error when scraping "([^"]+)" from job "([^"]*)" with labels \{.*?\}: (.+)$"#);
    let new = pattern!(r#"cannot scrape target "([^"]+)" \(\{.*?job="([^"]*)".*?\}\) .*?the last error: (.+)$"#);
    let found = old.captures(line).or_else(|| new.captures(line))?;
    let part = |at: usize| found.get(at).map_or("", |m| m.as_str());
    Some((part(1), part(2), part(3)))
}

/// The largest answer that it takes, where an error says that there was a larger one.
pub(crate) fn scrape_size(error: &str) -> Option<u64> {
    if !error.contains("maxScrapeSize") && !error.contains("max_scrape_size") {
        return None;
    }
    number(error, "-promscrape.maxScrapeSize=").or_else(|| number(error, "in the scrape config ("))
}

/// It begins anew, and will say again what is so.
fn is_start(line: &str) -> bool {
    line.contains("starting VictoriaMetrics at") || line.contains("opening storage at")
}

fn trouble(line: &str) -> Option<Cause> {
    let has = |word: &str| line.contains(word);
    match () {
        () if has("to read-only mode, since it has less than -storage.minFreeDiskSpaceBytes") => Some(Cause::ReadOnly),
        () if has("the number of matching timeseries exceeds")
            || has("the number of matching unique timeseries exceeds") =>
        {
            Some(Cause::Series)
        }
        () if has("couldn't start executing the request in") && has("-search.maxConcurrentRequests=") => {
            Some(Cause::Busy)
        }
        () => None,
    }
}

/// The folder of the storage: `switching the storage at /vmstorage-data to read-only mode`.
pub(crate) fn folder(line: &str) -> Option<&str> {
    line.split_once("switching the storage at ")?.1.split(" to read-only").next().filter(|f| f.starts_with('/'))
}

/// The number behind a mark: a limit, or bytes.
pub(crate) fn number(line: &str, mark: &str) -> Option<u64> {
    let rest = line.split_once(mark)?.1.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ_ONLY: &str = "2026-11-20T02:19:00.717Z\twarn\tVictoriaMetrics/lib/storage/storage.go:647\tswitching the storage at /vmstorage-data to read-only mode, since it has less than -storage.minFreeDiskSpaceBytes=10000000 of free space: 20480 bytes left\n";

    fn read(text: &str) -> Vec<Cause> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog {
            image: "victoriametrics/vmstorage:v1.102.1-cluster".into(),
            text: text.into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![log]);
        failing(&snap).expect("a log").into_iter().map(|f| f.trouble).collect()
    }

    #[test]
    fn storage_stays_read_only_until_it_says_otherwise() {
        assert_eq!(read(READ_ONLY), [Cause::ReadOnly], "it is said once");
        let ended = READ_ONLY.replace("to read-only mode, since it has less", "to read-write mode, since it has more");
        assert!(read(&format!("{READ_ONLY}{ended}")).is_empty());
        assert_eq!(read(&format!("{READ_ONLY}{ended}{READ_ONLY}")), [Cause::ReadOnly]);
        let line = READ_ONLY.trim();
        assert_eq!((folder(line), number(line, "of free space: ")), (Some("/vmstorage-data"), Some(20480)));
    }

    #[test]
    fn targets_that_are_not_scraped_are_told_with_their_reason() {
        let old = r#"2026-11-21T02:50:00.717Z	error	VictoriaMetrics/lib/promscrape/scrapework.go:383	error when scraping "http://10.0.1.5:8080/metrics" from job "kube-state-metrics" with labels {container="ksm",instance="10.0.1.5:8080"}: the response from "http://10.0.1.5:8080/metrics" exceeds -promscrape.maxScrapeSize=16777216; either reduce the response size for the target or increase -promscrape.maxScrapeSize"#;
        let new = r#"2026-11-21T02:50:00.717Z	warn	VictoriaMetrics/lib/promscrape/scrapework.go:383	cannot scrape target "http://10.0.1.5:8080/metrics" ({instance="10.0.1.5:8080",job="kube-state-metrics"}) 1 out of 1 times during -promscrape.suppressScrapeErrorsDelay=0s; the last error: the response from "http://10.0.1.5:8080/metrics" exceeds -promscrape.maxScrapeSize or max_scrape_size in the scrape config (16777216 bytes)"#;
        for line in [old, new] {
            let (url, job, error) = scrape_error(line).expect("is one");
            assert_eq!((url, job), ("http://10.0.1.5:8080/metrics", "kube-state-metrics"));
            assert_eq!(scrape_size(error), Some(16_777_216), "{error}");
        }
        assert_eq!(scrape_size("connection refused"), None);
        let of = |times: &[&str]| {
            let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
            let text: String = times.iter().map(|at| format!("{}\n", old.replace("02:50:00", at))).collect();
            let image = "victoriametrics/vmagent:v1.126.0".into();
            *snap.part_logs = Ok(vec![ContainerLog { image, text: text.into(), ..ContainerLog::default() }]);
            unscraped(&snap).expect("a log").len()
        };
        assert_eq!(of(&["02:50:00", "02:52:00", "02:54:00"]), 1);
        assert_eq!(of(&["02:50:00", "02:54:00"]), 0, "twice");
        assert_eq!(of(&["02:53:50", "02:54:00", "02:54:10"]), 0, "its pod was replaced");
        assert_eq!(of(&["02:42:00", "02:44:00", "02:46:00"]), 0, "it is over");
    }

    #[test]
    fn queries_that_are_refused_now_and_again() {
        let line = "2026-11-21T02:50:00.717Z\twarn\tVictoriaMetrics/app/vmselect/main.go:231\terror in \"/api/v1/query_range?query=up\": the number of matching timeseries exceeds 30000; either narrow down the search or increase -search.max* command-line flag values at vmselect\n";
        assert_eq!(read(&line.repeat(3)), [Cause::Series]);
        assert!(read(&line.repeat(2)).is_empty());
        assert!(read(&line.replace("T02:50", "T01:50").repeat(5)).is_empty(), "an hour ago");
        let busy = "2026-11-21T02:50:00.717Z\twarn\tx.go:1\tcouldn't start executing the request in 10.000 seconds, since -search.maxConcurrentRequests=8 concurrent requests are executed.\n";
        assert_eq!(read(&busy.repeat(3)), [Cause::Busy]);
    }
}
