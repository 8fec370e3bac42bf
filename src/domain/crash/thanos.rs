//! The side-car of Thanos, which reads the configuration that its Prometheus runs with.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;

/// Reads a whole log: at its end the side-car only says that it has no external labels, and before that why it could not read them.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let ends = ["no external labels are configured yet", "no external labels found after waiting"];
    let line = text.lines().rev().find(|l| l.contains("failed to fetch initial external labels"))?;
    let (_, config) = line.split_once("parse Prometheus config: ").filter(|_| ends.iter().any(|e| text.contains(e)))?;
    // The file itself stands before the error, as one field of the line.
    let said = config.rsplit_once(r"\n: ").map_or(config, |(_, said)| said);
    let said = shorten(said.trim_end_matches(['"', '\n']).trim(), 160);
    let reason = format!(
        "it does not understand the configuration of its Prometheus, most likely a newer one than it knows: {said}"
    );
    let crash = Crash::new(Class::Outgrown, reason);
    Some(Crash { said: redact(&shorten(line, 600)), ..crash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_car_that_is_older_than_its_prometheus() {
        let line = |err: &str| {
            format!(
                "ts=2026-11-21T02:52:00Z caller=sidecar.go:239 level=warn msg=\"failed to fetch initial external labels. Is Prometheus running? Retrying\" err=\"{err}\"\n"
            )
        };
        let end = "ts=2026-11-21T02:53:00Z caller=main.go:145 level=error err=\"not uploading as no external labels are configured yet - is Prometheus healthy/reachable?\\naborting as no external labels found after waiting 10m0s\"\n";
        let newer = line(
            "parse Prometheus config: global:\\n  scrape_interval: 30s\\n: scrape_protocols: unknown scrape protocol PrometheusText1.0.0, supported: [PrometheusText0.0.4] for global config",
        );
        let crash = read(&format!("{newer}{end}")).expect("a crash");
        assert_eq!(crash.class, Class::Outgrown);
        assert!(crash.reason.contains("unknown scrape protocol PrometheusText1.0.0"), "{}", crash.reason);
        assert!(!crash.reason.contains("scrape_interval"), "{}", crash.reason);
        assert!(read(&newer).is_none(), "it goes on trying");
        let refused = line("perform GET request against http://127.0.0.1:9090: connect: connection refused");
        assert!(read(&format!("{refused}{end}")).is_none(), "its Prometheus does not answer");
    }
}
