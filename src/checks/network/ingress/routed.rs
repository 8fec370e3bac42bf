//! ingress-nginx does not let through what is asked or answered under a host of the stack, or does not wait for it.

use super::IngressBroken;
use super::fix::{Fix, Object, Routed};
use crate::checks::support::seen::log_evidence;
use crate::domain::traffic::router_log::{self, Failing, Trouble};
use crate::model::{Finding, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::annotation::{NGINX_BODY, NGINX_BUFFER, NGINX_WAIT};

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    router_log::failing(snap).into_iter().map(|failing| of(snap, &failing)).collect()
}

/// The option as it is set, or what holds without it.
fn told(option: &str, now: Option<&str>, usual: &str) -> String {
    now.map_or_else(|| format!("{usual} unless it is told otherwise"), |value| format!("{option} {value}"))
}

fn of(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let Failing { trouble, ingress, host, said, line, log } = failing;
    let object = Object::Ingress(ingress);
    let set = |option: &str| ingress.metadata.annotations.get(option).map(|v| v.trim().to_owned());
    let (option, value, answers) = match trouble {
        Trouble::Header => {
            let now = set(NGINX_BUFFER);
            let because = format!(
                "502: the header of the answer (cookies, mostly those of a login) is longer than its buffer ({})",
                told("proxy-buffer-size", now.as_deref(), "4k")
            );
            (NGINX_BUFFER, doubled(now.as_deref()).unwrap_or_else(|| "16k".to_owned()), because)
        }
        Trouble::Body => {
            let now = set(NGINX_BODY);
            let size = router_log::body(line);
            let of_size = size.map(|s| format!(" of {s} bytes")).unwrap_or_default();
            let because = format!(
                "413: a request{of_size} is larger than it lets through ({})",
                told("proxy-body-size", now.as_deref(), "1m")
            );
            let mebibytes = size.map_or(16, |s| s.saturating_mul(2).div_ceil(1 << 20));
            (NGINX_BODY, format!("{mebibytes}m"), because)
        }
        Trouble::Slow => {
            let now = set(NGINX_WAIT);
            let because = format!(
                "504: the answer takes longer than it waits ({})",
                told("proxy-read-timeout", now.as_deref(), "60 seconds")
            );
            let seconds = now
                .and_then(|v| v.trim_end_matches('s').parse::<u32>().ok())
                .map_or(300, |n| n.max(60).saturating_mul(2));
            (NGINX_WAIT, seconds.to_string(), because)
        }
    };
    let message =
        format!("{}: nginx answers {host} with {answers}, {} times in the last hour", object.words(), said.times);
    let of = Routed { of: object.kept(object.common(snap).with_router(log)), option, value };
    let (fix, key) = match trouble {
        Trouble::Header => (Fix::RouterHeader { of }, "header"),
        Trouble::Body => (Fix::RouterBody { of }, "body"),
        Trouble::Slow => (Fix::RouterSlow { of }, "slow"),
    };
    Finding::new(IngressBroken::META.id, Severity::Warning, object.reference(), message)
        .key(object.key(key))
        .breaks_nothing()
        .fix(fix)
        .evidence(log_evidence(&log.namespace, &log.pod, &log.container, false, line))
}

/// Twice a size as nginx writes it.
fn doubled(size: Option<&str>) -> Option<String> {
    let size = size?;
    let unit = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let (number, unit) = size.split_at(unit);
    Some(format!("{}{unit}", number.parse::<u64>().ok()?.checked_mul(2)?))
}
