//! The certificate of ACM that a load balancer is to show.

use jiff::Timestamp;

use super::IngressBroken;
use super::fix::{Fix, Record};
use super::object::Object;
use crate::domain::kubernetes::ingress::{self, Served};
use crate::domain::text::windows::DAY;
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::aws::Certificate;
use crate::snapshot::{Snapshot, journal};

/// Seconds before its end from which on somebody has to see to a certificate that ACM does not renew, or has not renewed: it
/// renews its own many weeks before.
const NEAR: i64 = 14 * DAY;

pub(super) fn findings(snap: &Snapshot) -> Vec<Finding> {
    let ingresses = ingress::of_stack(snap).map(Object::Ingress);
    let all = ingresses.chain(ingress::balanced(snap).map(Object::Service));
    all.flat_map(|object| of(snap, object)).collect()
}

/// What is wrong with a certificate.
enum Cause {
    Absent,
    /// ACM waits for records in the DNS.
    Pending,
    /// It will not be issued any more, or is of no use since.
    Unusable,
    Expired,
    Ends(Timestamp),
}

fn of(snap: &Snapshot, object: Object<'_>) -> Vec<Finding> {
    let mut named = ingress::certificates_of(object.meta()).peekable();
    if named.peek().is_none() || is_of_another(snap, object) {
        return Vec::new();
    }
    let Ok(all) = snap.acm_certificates() else { return Vec::new() };
    // The controller says itself that it cannot use one.
    let is_told =
        ingress::refused(snap, object.kind(), object.meta()).is_some_and(|s| s.message().contains("ertificate"));
    let read = named.filter_map(|arn| Some((arn, all.get(arn)?.as_ref().ok()?.as_ref())));
    let wrong = read.filter_map(|(arn, certificate)| Some((arn, certificate, cause(snap, certificate)?)));
    let untold = wrong.filter(|(.., cause)| !(is_told && matches!(cause, Cause::Absent)));
    untold.map(|(arn, certificate, cause)| finding(object, arn, certificate, &cause)).collect()
}

/// ACM knows the certificate and why it is of no use, which says more than that the controller cannot use it.
pub(super) fn tells(snap: &Snapshot, arn: &str) -> bool {
    let known = || snap.acm_certificates().ok()?.get(arn)?.as_ref().ok()?.as_ref();
    let why = journal::aside(known).and_then(|certificate| cause(snap, Some(certificate)));
    matches!(why, Some(Cause::Pending | Cause::Unusable | Cause::Expired))
}

/// Another controller serves the Ingress, and does not read the annotation.
fn is_of_another(snap: &Snapshot, object: Object<'_>) -> bool {
    let Object::Ingress(one) = object else { return false };
    // An annotation alone may name a class of the AWS Load Balancer Controller.
    matches!(ingress::served(snap, one), Some(Served::Other(controller)) if !controller.is_empty())
}

fn cause(snap: &Snapshot, certificate: Option<&Certificate>) -> Option<Cause> {
    let Some(certificate) = certificate else { return Some(Cause::Absent) };
    let left = certificate.not_after.map(|end| (end, -snap.seconds_since(end)));
    match (certificate.status.as_str(), left) {
        ("PENDING_VALIDATION", _) => Some(Cause::Pending),
        ("EXPIRED", _) => Some(Cause::Expired),
        ("FAILED" | "VALIDATION_TIMED_OUT" | "REVOKED" | "INACTIVE", _) => Some(Cause::Unusable),
        (_, Some((_, left))) if left <= 0 => Some(Cause::Expired),
        (_, Some((end, left))) if left < NEAR => Some(Cause::Ends(end)),
        _ => None,
    }
}

fn finding(object: Object<'_>, arn: &str, certificate: Option<&Certificate>, cause: &Cause) -> Finding {
    let domain = certificate.map_or("<host>", |c| c.domain_name.as_str()).to_owned();
    let imported = certificate.is_some_and(|c| c.kind == "IMPORTED");
    let status = certificate.map(|c| c.status.clone()).unwrap_or_default();
    let (why, severity) = match cause {
        Cause::Absent => ("does not exist".to_owned(), Severity::Error),
        Cause::Pending => {
            let what = if records(certificate, true).is_empty() { "its validation" } else { "its records in the DNS" };
            (format!("of {domain} is not issued: ACM waits for {what}"), Severity::Error)
        }
        Cause::Unusable => {
            let reason = certificate.and_then(|c| c.failure_reason.as_deref()).map(|r| format!(", {r}"));
            (format!("of {domain} is of no use ({status}{})", reason.unwrap_or_default()), Severity::Error)
        }
        Cause::Expired => (format!("of {domain} has expired"), Severity::Error),
        Cause::Ends(end) => {
            let by = if imported { "it was imported, and ACM does not renew it" } else { "ACM has not renewed it" };
            (format!("of {domain} ends at {}, and {by}", end.strftime("%Y-%m-%d %H:%M UTC")), Severity::Warning)
        }
    };
    let (of, annotation) = (object.kept(object.common()), object.annotation(named(object)));
    let fix = match cause {
        Cause::Absent | Cause::Unusable => Fix::Certificate { of, host: host(object, certificate), annotation },
        _ if imported => Fix::Imported { of, certificate: arn.to_owned() },
        _ => {
            let pending = matches!(cause, Cause::Pending);
            Fix::Unvalidated { of, certificate: arn.to_owned(), pending, records: records(certificate, pending) }
        }
    };
    let value = match certificate {
        Some(c) => {
            let end = c.not_after.map(|t| format!(", ends {t}")).unwrap_or_default();
            format!("{} {}{end}", c.domain_name, c.status)
        }
        None => "no such certificate".to_owned(),
    };
    let evidence = Evidence::new(
        format!("certificate {arn}"),
        value,
        "aws acm describe-certificate --certificate-arn {{ arn }} --query 'Certificate.[DomainName,SubjectAlternativeNames,Status,NotAfter,DomainValidationOptions]'",
    );
    let made = Finding::new(
        IngressBroken::META.id,
        severity,
        object.reference(),
        format!("{}: certificate {arn} {why}", object.words()),
    )
    .key(object.key(&format!("certificate {arn}")))
    .evidence(evidence.with("arn", arn))
    .fix(fix);
    // What is still shown is accepted until it ends.
    if matches!(cause, Cause::Ends(_)) { made } else { made.breaks(object.reference()) }
}

/// The annotation that names it, without what stands before it.
fn named(object: Object<'_>) -> &'static str {
    match object {
        Object::Ingress(_) => "certificate-arn",
        Object::Service(_) => "ssl-cert",
    }
}

/// The name under which it is asked for.
fn host(object: Object<'_>, certificate: Option<&Certificate>) -> String {
    let rules = match object {
        Object::Ingress(ingress) => ingress.spec.rules.as_slice(),
        Object::Service(_) => &[],
    };
    let host = rules.iter().find_map(|r| r.host.clone());
    host.or_else(|| certificate.map(|c| c.domain_name.clone())).unwrap_or_else(|| "<host>".to_owned())
}

/// The records that ACM looks for: those that it has not found yet, and of a certificate that was issued all of them, as the options
/// tell how it was validated at first. None where it is validated by mail, or comes from a private CA.
fn records(certificate: Option<&Certificate>, pending: bool) -> Vec<Record> {
    let options = certificate.map(|c| c.domain_validation_options.as_slice()).unwrap_or_default();
    let wanted = options.iter().filter(|o| !pending || o.validation_status != "SUCCESS");
    let missing = wanted.filter_map(|o| o.resource_record.as_ref());
    missing
        .map(|record| Record { name: record.name.clone(), kind: record.kind.clone(), value: record.value.clone() })
        .collect()
}
