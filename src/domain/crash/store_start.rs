//! Loki, Mimir and Tempo that do not get through their start: what a part of them says, and which part it is.

use crate::domain::aws::credentials::Cause;
use crate::domain::crash::{Class, Crash, Detail, common};
use crate::domain::text::log_line::Line;
use crate::domain::text::object_store::StoreFailure;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::text::stack;
use crate::text::pattern::pattern;

/// What is said, the part that says it (empty where that is not told), and the line.
struct Said<'a> {
    reason: String,
    part: String,
    line: &'a str,
    /// Loki says it: fields, and values of charts, differ from store to store.
    is_of_loki: bool,
}

/// Reads a whole log: newer versions print the error and its stack before the lines of the log.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let said = said(text)?;
    let crash = bucket(&said)
        .or_else(|| index_log(&said))
        .or_else(|| folder(&said))
        .or_else(|| store(&said))
        .or_else(|| common_word(&said))?;
    Some(Crash { said: redact(said.line), ..crash })
}

fn said(text: &str) -> Option<Said<'_>> {
    let ends = ["error running loki", "error running application", "error running Tempo", "\"module failed\""];
    let said = text.lines().rev().filter(|l| ends.iter().any(|e| l.contains(e))).find_map(of_line)?;
    Some(Said { is_of_loki: text.contains("error running loki"), ..said })
}

fn of_line(line: &str) -> Option<Said<'_>> {
    let error = Line::parse(line).err;
    let error = stack::without(&error);
    let (reason, part) = match error.split_once("error initialising module: ") {
        // Tempo names the part before what it says.
        Some((before, rest)) if before.contains("failed to init module services") => {
            rest.split_once(": ").map_or((rest, ""), |(part, reason)| (reason, part))
        }
        Some((reason, part)) => (reason, part),
        None => (error, ""),
    };
    let (reason, part) = (reason.trim().to_owned(), part.lines().next().unwrap_or_default().trim().to_owned());
    // That parts ended is said after what made one of them end.
    (!reason.is_empty() && !reason.starts_with("failed services")).then_some(Said {
        reason,
        part,
        line,
        is_of_loki: false,
    })
}

/// `at least one bucket name must be specified`
fn bucket(said: &Said<'_>) -> Option<Crash> {
    if !said.reason.contains("at least one bucket name must be specified") {
        return None;
    }
    if !said.is_of_loki {
        return Some(Crash::new(Class::Config, &said.reason));
    }
    let (reason, advice) = match said.part.as_str() {
        part if part.starts_with("ruler") => (
            "the storage of its ruler is s3, and no bucket is named for it",
            "Name the bucket of the rules in ruler.storage.s3.bucketnames (Loki's chart: loki.storage.bucketNames.ruler), or set ruler.storage.type to what the rules do lie in. Where nobody set it, a version of the chart did: 6.35.0 makes the ruler's storage s3, and 6.35.1 does not.",
        ),
        _ => (
            "a store of S3 is configured without a bucket",
            "Name the bucket in storage_config.aws.bucketnames or common.storage.s3.bucketnames (Loki's chart: loki.storage.bucketNames.chunks), and in each entry of storage_config.named_stores.",
        ),
    };
    let crash = Crash::new(Class::Config, format!("{reason} (at least one bucket name must be specified)"));
    Some(crash.what("bucketnames").detail(Detail::MayLack).advice(advice))
}

/// `corruption in segment F at 65536: last record is torn`, with `error recovering from TSDB WAL` below it.
fn index_log(said: &Said<'_>) -> Option<Crash> {
    let found = pattern!(r"corruption in segment (/\S+) at \d+: [^\n]+").captures(&said.reason)?;
    let whole = found.get(0).map_or("", |m| m.as_str());
    let folder = found[1].rsplit_once('/').map_or("", |(folder, _)| folder);
    let crash = Crash::new(Class::IndexLog, format!("the log of its index is damaged: {whole}"));
    Some(crash.file(&found[1]).what(folder))
}

/// A folder that it makes where nothing can be written: without a name, or below the folder in which it was started.
fn folder(said: &Said<'_>) -> Option<Crash> {
    let found = pattern!(r"mkdir ([^/\s:]*) ?: (no such file or directory|read-only file system|permission denied)")
        .captures(&said.reason)?;
    let part = if said.is_of_loki { said.part.as_str() } else { "" };
    let field = match part {
        "compactor" => "compactor.working_directory",
        "ingester" => "ingester.wal.dir",
        "ruler" | "ruler-storage" => "ruler.rule_path",
        "store" => "storage_config.tsdb_shipper.active_index_directory",
        _ => "the folder of that part",
    };
    let reason = match &found[1] {
        "" => format!("a folder that it is to make has no name: {field} is empty"),
        name => format!(
            "it makes its folder {name} where it was started, and may not write there ({}): {field} is no path of its volume",
            &found[2]
        ),
    };
    let crash = Crash::new(Class::Config, reason);
    if !said.is_of_loki {
        return Some(crash);
    }
    let advice = format!(
        "Set {field}, or common.path_prefix, from which Loki derives all of its folders, to a path on the volume (in Loki's chart /var/loki)."
    );
    let what = field.rsplit('.').next().unwrap_or_default();
    Some(crash.what(what).detail(Detail::MayLack).advice(advice))
}

/// `unexpected error from ListObjects on tempo-traces: Access Denied`: the store answers, and refuses.
fn store(said: &Said<'_>) -> Option<Crash> {
    // Why a pod gets no credentials is read of any program.
    if Cause::read(&said.reason).is_some_and(|f| !matches!(f, Cause::Denied(_))) {
        return None;
    }
    let failure = StoreFailure::of(&said.reason).filter(|f| *f != StoreFailure::Unreachable)?;
    let last = said.reason.lines().next().unwrap_or_default();
    let last = last.rsplit_once("failure: ").map_or(last, |(_, rest)| rest).trim_end_matches('.');
    let why = match failure {
        StoreFailure::Bucket => "its object store has no such bucket",
        _ => "its object store refuses it",
    };
    let crash = Crash::new(Class::Store, format!("{why}: {}", shorten(last, 250))).detail(Detail::Store(failure));
    let bucket = pattern!(r"ListObjects on ([\w.-]+):?").captures(last).map(|c| c[1].to_owned());
    Some(Crash { what: bucket, ..crash })
}

/// What its operating system says.
fn common_word(said: &Said<'_>) -> Option<Crash> {
    common::read(&Line::parse(&said.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_refuses() {
        let tempo = "level=error ts=2026-11-21T02:57:13Z caller=main.go:111 msg=\"error running Tempo\" err=\"failed to init module services error initialising module: store: failed to create store unexpected error from ListObjects on acme-traces: Access Denied\"\n";
        let crash = read(tempo).expect("a crash");
        assert_eq!((crash.class, crash.what.as_deref()), (Class::Store, Some("acme-traces")));
        assert_eq!(crash.detail, Detail::Store(StoreFailure::Denied));
        let mimir = "ts=2026-11-21T02:57:13Z caller=mimir.go:900 level=error msg=\"module failed\" module=sanity-check err=\"starting module sanity-check: invalid service state: Failed, expected: Running, failure: sanity check failed: blocks storage: unable to successfully send a request to object storage: The specified bucket does not exist\"\nts=2026-11-21T02:57:14Z caller=log.go:87 level=error msg=\"error running application\" err=\"failed services\\ngithub.com/grafana/mimir/pkg/mimir.(*Mimir).Run\\n\\t/src/mimir.go:950\"\n";
        let crash = read(mimir).expect("a crash");
        assert_eq!(crash.detail, Detail::Store(StoreFailure::Bucket));
        assert!(
            crash.reason.starts_with("its object store has no such bucket: sanity check failed"),
            "{}",
            crash.reason
        );
        let folder = tempo.replace(
            "unexpected error from ListObjects on acme-traces: Access Denied",
            "mkdir /var/tempo/wal: permission denied",
        );
        assert_eq!(read(&folder).map(|c| c.class), Some(Class::Permission));
        let role = tempo.replace("Access Denied", "WebIdentityErr: failed to retrieve credentials\\ncaused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity");
        assert!(read(&role).is_none(), "told of its pod");
    }

    fn of(error: &str) -> Option<Crash> {
        read(&format!(
            "level=info msg=\"Starting Loki\"\nlevel=error ts=2026-11-21T02:53:27Z caller=log.go:223 msg=\"error running loki\" err=\"{error}\\ngithub.com/grafana/dskit/modules.(*Manager).initModule\\n\\t/src/loki/vendor/modules.go:138\\nmain.main\\n\\t/src/loki/cmd/loki/main.go:129\"\n"
        ))
    }

    #[test]
    fn each_part_says_what_it_lacks() {
        let class = |error: &str| of(error).map(|c| (c.class, c.what.unwrap_or_default()));
        let bucket = "at least one bucket name must be specified\\nerror initialising module: ";
        assert_eq!(class(&format!("{bucket}ruler-storage")), Some((Class::Config, "bucketnames".into())));
        assert!(of(&format!("{bucket}ruler-storage")).expect("a crash").advice.contains("ruler.storage"));
        assert!(of(&format!("{bucket}store")).expect("a crash").advice.contains("named_stores"));
        assert_eq!(
            class("mkdir : no such file or directory\\nerror initialising module: compactor"),
            Some((Class::Config, "working_directory".into()))
        );
        assert_eq!(
            class(
                "creating WAL folder at \\\"/wal\\\": mkdir wal: permission denied\\nerror initialising module: ingester"
            ),
            Some((Class::Config, "dir".into()))
        );
        let sealed =
            of("mkdir /var/loki: read-only file system\\nerror initialising module: ingester").expect("a crash");
        assert_eq!(
            (sealed.class, sealed.reason.as_str(), sealed.file.as_deref()),
            (Class::ReadOnly, "mkdir /var/loki: read-only file system", Some("/var/loki"))
        );
        let torn = of("corruption in segment /var/loki/tsdb-shipper-active/wal/s3_2024-04-01/1752570902/00000000 at 65536: last record is torn\\nerror recovering from TSDB WAL\\nerror initialising module: store").expect("a crash");
        assert_eq!(torn.class, Class::IndexLog);
        assert_eq!(torn.what.as_deref(), Some("/var/loki/tsdb-shipper-active/wal/s3_2024-04-01/1752570902"));
        let tempo = "level=error ts=2026-11-21T02:57:13Z msg=\"error running Tempo\" err=\"failed to init module services error initialising module: store: failed to create store mkdir : no such file or directory\"\n";
        let other = read(tempo).expect("a crash");
        assert_eq!((other.class, other.what, other.advice.as_str()), (Class::Config, None, ""), "no field of Loki");
        assert_eq!(class("something that nobody knows"), None);
        assert_eq!(
            class("open /var/run/secrets/eks.amazonaws.com/serviceaccount/token: permission denied"),
            None,
            "what it may not read is no volume of its own"
        );
    }
}
