//! Reads Loki's own log: what it fails at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::text::log_line::{Level, Line};
use crate::snapshot::Snapshot;

/// Seconds for which lines count.
const RECENT: i64 = 900;
/// Lines from which on it is no hiccup.
const SEVERAL: usize = 3;

/// What Loki fails at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Its disk is full.
    DiskFull,
    /// Its disk cannot be written.
    DiskReadOnly,
    /// It has no AWS credentials, or a role that may not be assumed.
    Credentials,
    /// Its role may not use the bucket.
    Denied,
    /// The bucket does not exist, or lies in another region.
    Bucket,
    /// The object store cannot be reached.
    Store,
    /// Ingesters are missing from the ring.
    Ring,
    /// The compactor fails.
    Compactor,
}

const WORDS: &[(Trouble, &[&str])] = &[
    (Trouble::DiskFull, &["no space left on device", "disk quota exceeded"]),
    (Trouble::DiskReadOnly, &["read-only file system", "permission denied"]),
    (
        Trouble::Credentials,
        &[
            "NoCredentialProviders",
            "WebIdentityErr",
            "InvalidIdentityToken",
            "failed to retrieve credentials",
            "no EC2 IMDS role found",
            "sts:AssumeRole",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
        ],
    ),
    (Trouble::Denied, &["AccessDenied", "is not authorized to perform", "Access Denied"]),
    (
        Trouble::Bucket,
        &["NoSuchBucket", "PermanentRedirect", "BucketRegionError", "AuthorizationHeaderMalformed", "BucketNotFound"],
    ),
    (
        Trouble::Ring,
        &[
            "empty ring",
            "live replicas required",
            "too many unhealthy instances in the ring",
            "too many failed ingesters",
        ],
    ),
];

/// What one pod's log says of one trouble.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) trouble: Trouble,
    pub(crate) times: usize,
    pub(crate) last: Option<Timestamp>,
    pub(crate) text: String,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// True for the image of Loki itself.
pub(crate) fn is_loki(image: &str) -> bool {
    let image = image.split('@').next().unwrap_or_default();
    image
        .rsplit('/')
        .next()
        .and_then(|i| i.split(':').next())
        .is_some_and(|name| matches!(name, "loki" | "enterprise-logs"))
}

/// What Loki fails at now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing>, crate::model::Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous && is_loki(&l.image)) {
        let mut by_trouble: BTreeMap<Trouble, Failing> = BTreeMap::new();
        for line in log.text.lines().map(Line::parse) {
            let bad = matches!(line.level, Level::Warning | Level::Error);
            let old = line.at.is_some_and(|t| snap.collected_at.as_second() - t.as_second() > RECENT);
            let Some(trouble) = trouble(&line.text()).filter(|_| bad && !old) else { continue };
            let failing = by_trouble.entry(trouble).or_insert_with(|| Failing {
                trouble,
                times: 0,
                last: None,
                text: String::new(),
                namespace: log.namespace.clone(),
                pod: log.pod.clone(),
                container: log.container.clone(),
            });
            failing.times += 1;
            failing.last = line.at.or(failing.last);
            failing.text = line.raw.to_owned();
        }
        found.extend(by_trouble.into_values().filter(|f| f.times >= SEVERAL || f.trouble == Trouble::DiskFull));
    }
    Ok(found)
}

fn trouble(text: &str) -> Option<Trouble> {
    let said = WORDS.iter().find(|(_, words)| words.iter().any(|w| text.contains(w))).map(|(trouble, _)| *trouble);
    if said.is_some() {
        return said;
    }
    let of_store = ["s3", "storage.googleapis.com", "blob.core.windows.net", "minio"].iter().any(|s| text.contains(s));
    let fails = ["no such host", "i/o timeout", "connection refused", "deadline exceeded", "x509:"]
        .iter()
        .any(|w| text.contains(w));
    if of_store && fails {
        return Some(Trouble::Store);
    }
    let compacts = ["failed to run compaction", "failed to compact", "compaction failed", "error running compaction"];
    compacts.iter().any(|w| text.contains(w)).then_some(Trouble::Compactor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::ContainerLog;

    fn read(text: &str) -> Vec<Trouble> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog { image: "grafana/loki:3.0.0".into(), text: text.into(), ..ContainerLog::default() };
        snap.part_logs = Ok(vec![log]);
        failing(&snap).expect("a log").into_iter().map(|f| f.trouble).collect()
    }

    #[test]
    fn tells_what_loki_fails_at() {
        let line = |err: &str| {
            format!("level=error ts=2026-11-21T02:50:00Z caller=flush.go:143 msg=\"failed to flush\" err=\"{err}\"\n")
                .repeat(3)
        };
        for (err, trouble) in [
            ("store put chunk: AccessDenied: Access Denied\\n\\tstatus code: 403", Trouble::Denied),
            ("store put chunk: NoCredentialProviders: no valid providers in chain", Trouble::Credentials),
            ("NoSuchBucket: The specified bucket does not exist", Trouble::Bucket),
            ("write /data/chunks/x: no space left on device", Trouble::DiskFull),
            (
                "RequestError: send request failed caused by: Put https://b.s3.eu-west-1.amazonaws.com/x: dial tcp 1.2.3.4:443: i/o timeout",
                Trouble::Store,
            ),
            ("empty ring", Trouble::Ring),
        ] {
            assert_eq!(read(&line(err)), [trouble], "{err}");
        }
    }

    #[test]
    fn one_line_and_old_lines_are_quiet() {
        let line = "level=error ts=2026-11-21T02:50:00Z msg=\"x\" err=\"empty ring\"\n";
        assert!(read(line).is_empty());
        assert!(read(&line.replace("02:50", "02:10").repeat(9)).is_empty());
        assert!(read(&line.replace("level=error", "level=info").repeat(9)).is_empty());
    }
}
