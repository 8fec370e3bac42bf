//! What the OpenTelemetry operator says of pods that ask to be instrumented, or for a collector beside them, and get neither: it
//! lets them start as they are.

use crate::domain::text::log_line::Line;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// What is to be put into a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The agent of a language, by an Instrumentation.
    Instrumentation,
    /// A collector, by an OpenTelemetryCollector of mode sidecar.
    Collector,
}

/// Why the operator does not know which one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The namespace has none.
    None,
    /// The namespace has several, and none is named.
    Several,
    /// The one that is named is not there.
    Missing(String),
}

/// A pod that was let in without it.
#[derive(Debug, Clone)]
pub(crate) struct LetIn<'a> {
    pub(crate) part: Part,
    pub(crate) why: Why,
    pub(crate) namespace: String,
    /// The name of the pod, or what its name begins with: `flash-api-87f98f4bd-`.
    pub(crate) pod: String,
    pub(crate) line: &'a str,
}

/// The pods that a log tells of.
pub(crate) fn let_in(log: &ContainerLog) -> Vec<LetIn<'_>> {
    log.text.lines().filter(|line| line.contains("failed to select an OpenTelemetry")).filter_map(read).collect()
}

fn read(line: &str) -> Option<LetIn<'_>> {
    let parsed = Line::parse(line);
    let text = parsed.text();
    let part = match () {
        () if text.contains("an OpenTelemetry Instrumentation instance") => Part::Instrumentation,
        () if text.contains("an OpenTelemetry Collector instance") => Part::Collector,
        () => return None,
    };
    let missing = pattern!(r#"opentelemetry\.io \\*"([^"\\]+)\\*" not found"#);
    let why = match () {
        () if text.contains("instances available, cannot determine") => Why::Several,
        () if text.contains("instances available") => Why::None,
        () => Why::Missing(missing.captures(&text)?[1].to_owned()),
    };
    let pod = Some(parsed.get("name")).filter(|n| !n.is_empty()).unwrap_or(parsed.get("generateName"));
    let namespace = parsed.get("namespace").to_owned();
    (!namespace.is_empty()).then(|| LetIn { part, why, namespace, pod: pod.to_owned(), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_is_let_in_as_it_is_is_told() {
        let line = |error: &str, what: &str| {
            format!(
                r#"{{"level":"ERROR","timestamp":"2026-11-21T02:31:43Z","message":"failed to select an OpenTelemetry {what}","namespace":"shop","name":"","generateName":"api-5c-","error":"{error}","stacktrace":"x"}}"#
            )
        };
        let of = |text: String| {
            let log = ContainerLog { text: text.into(), ..ContainerLog::default() };
            let_in(&log).into_iter().map(|l| (l.part, l.why, l.namespace, l.pod)).next()
        };
        let instrumentation = "Instrumentation instance for this pod";
        let (shop, api) = ("shop".to_owned(), "api-5c-".to_owned());
        assert_eq!(
            of(line("no OpenTelemetry Instrumentation instances available", instrumentation)),
            Some((Part::Instrumentation, Why::None, shop.clone(), api.clone()))
        );
        let several =
            "multiple OpenTelemetry Instrumentation instances available, cannot determine which one to select";
        assert_eq!(
            of(line(several, instrumentation)),
            Some((Part::Instrumentation, Why::Several, shop.clone(), api.clone()))
        );
        assert_eq!(
            of(line(r#"Instrumentation.opentelemetry.io \"java\" not found"#, instrumentation)),
            Some((Part::Instrumentation, Why::Missing("java".into()), shop.clone(), api.clone()))
        );
        assert_eq!(
            of(line("no OpenTelemetry Collector instances available", "Collector instance for this pod's sidecar")),
            Some((Part::Collector, Why::None, shop, api))
        );
        assert_eq!(of("{\"level\":\"INFO\",\"message\":\"starting\"}".into()), None);
    }
}
