//! What operators say in their logs of objects that they fail to make true. Sources: the console and JSON forms of zap, and
//! klog, each with the fields that controller-runtime gives every line of a controller.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::kubernetes::forbidden;
use crate::domain::kubernetes::image::base_of;
use crate::domain::text::lasting::Lasting;
use crate::domain::text::log_line::{self, Level, Line};
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Container;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Attempts are made with twice the pause of before, or at a fixed one: so many pauses without an error mean that it is well.
const PAUSES: i64 = 2;
/// Seconds that an attempt may take besides.
const SLACK: i64 = 60;
/// Seconds beyond which nothing is taken for one that is still tried.
const OLD: i64 = 3600;

/// Groups of objects whose status other checks read.
const TOLD_OF: &[&str] = &["toolkit.fluxcd.io", "argoproj.io", "external-secrets.io"];

/// An object of an API group of its own that its operator fails at.
#[derive(Debug, Clone)]
pub(crate) struct Unmade<'a> {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The last error.
    pub(crate) said: String,
    /// Its attempts.
    pub(crate) lasting: Lasting,
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
    /// How long ago the attempt before the last one was.
    before: Option<i64>,
}

/// A program that makes things of objects, by its image.
pub(crate) fn is_operator(container: &Container) -> bool {
    let base = base_of(&container.image);
    base == "operator" || base.ends_with("-operator")
}

/// The same, of a stack wherever it runs.
pub(crate) fn is_of_stack(container: &Container) -> bool {
    let of_stack = ["grafana-operator", "opentelemetry-operator", "victoriametrics/operator"];
    is_operator(container) && of_stack.iter().any(|o| container.image.contains(o))
}

/// What operators fail at now, by their logs.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Unmade<'_>>, Gap> {
    let mut found: BTreeMap<(String, String, String), Unmade<'_>> = BTreeMap::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        for raw in log.text.lines().filter(|l| l.contains("ontrollerKind") || l.contains("reconciler kind")) {
            let Some(error) = Said::read(raw, snap.collected_at).filter(Said::is_of_itself) else { continue };
            let age = snap.seconds_since(error.at);
            if age > OLD {
                continue;
            }
            let key = (error.kind.clone(), error.namespace.clone(), error.name.clone());
            let known = found.entry(key).or_insert_with(|| Unmade {
                group: error.group,
                kind: error.kind,
                namespace: error.namespace,
                name: error.name,
                said: String::new(),
                lasting: Lasting::before(age),
                log,
                line: raw,
                before: None,
            });
            // One attempt has several lines.
            let is_first = known.lasting.times == 0;
            if is_first || age + 1 < known.lasting.last() {
                known.before = (!is_first).then_some(known.lasting.last());
                known.lasting.add(age);
            }
            known.lasting.same(age);
            (known.said, known.line, known.log) = (error.error, raw, log);
        }
    }
    Ok(found.into_values().filter(Unmade::goes_on).collect())
}

impl Unmade<'_> {
    /// It lasts, and the next error would not have been due for long.
    fn goes_on(&self) -> bool {
        let pause = self.before.map_or(0, |before| before - self.lasting.last());
        self.lasting.lasted() && self.lasting.is_within(PAUSES * pause + SLACK)
    }
}

/// A line of a controller about one object.
struct Said {
    at: Timestamp,
    group: String,
    kind: String,
    namespace: String,
    name: String,
    error: String,
}

impl Said {
    fn read(raw: &str, now: Timestamp) -> Option<Self> {
        let raw = raw.trim();
        let (is_error, fields) = match raw.split_once("\t{").map(|(_, end)| format!("{{{end}")) {
            _ if raw.starts_with('{') => {
                let all: Value = serde_json::from_str(raw).ok()?;
                (all.get("level")?.as_str()?.eq_ignore_ascii_case("error"), all)
            }
            Some(end) => (raw.split('\t').nth(1)?.eq_ignore_ascii_case("error"), serde_json::from_str(&end).ok()?),
            None => {
                let fields = log_line::fields(raw).into_iter().map(|(k, v)| (k, Value::String(v))).collect();
                (Line::parse(raw).level == Level::Error, Value::Object(fields))
            }
        };
        let text = |keys: &[&str]| keys.iter().find_map(|k| fields.get(*k)?.as_str()).unwrap_or_default().to_owned();
        let kind = text(&["controllerKind", "reconciler kind"]);
        let of_object = |key: &str| fields.get(&kind).and_then(|o| o.get(key)?.as_str()).unwrap_or_default().to_owned();
        let or_of_object = |key: &str| Some(text(&[key])).filter(|t| !t.is_empty()).unwrap_or_else(|| of_object(key));
        let said = Self {
            at: written(raw, &fields, now)?,
            group: text(&["controllerGroup", "reconciler group"]),
            namespace: or_of_object("namespace"),
            name: or_of_object("name"),
            error: text(&["error", "err"]),
            kind,
        };
        (is_error && !said.kind.is_empty() && !said.name.is_empty() && !said.error.is_empty()).then_some(said)
    }

    /// It is about an object of a group that somebody brought, and about no other's turn, no end, and nothing that is told
    /// of the account.
    fn is_of_itself(&self) -> bool {
        let passes = ["the object has been modified", "context canceled", "leader election lost"];
        self.group.contains('.')
            && !self.group.ends_with(".k8s.io")
            && !self.group.ends_with(".k8s.aws")
            && !self.group.starts_with("karpenter")
            && !TOLD_OF.iter().any(|g| self.group.ends_with(g))
            && !passes.iter().any(|w| self.error.contains(w))
            && forbidden::denied(&self.error).is_none()
    }
}

/// When a line was written; older zap counts seconds since 1970.
fn written(raw: &str, fields: &Value, now: Timestamp) -> Option<Timestamp> {
    let counted = || {
        let first = || raw.split('\t').next()?.parse::<f64>().ok();
        let seconds = fields.get("ts").and_then(Value::as_f64).or_else(first)?;
        let since = Duration::try_from_secs_f64(seconds).ok()?;
        Timestamp::try_from(UNIX_EPOCH.checked_add(since)?).ok()
    };
    log_line::written_at(raw, now).or_else(counted)
}

/// The host that could not be asked, and the Secret or ConfigMap that was not found.
pub(crate) struct Wants {
    pub(crate) host: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) config_map: Option<String>,
}

impl Wants {
    /// By an error.
    pub(crate) fn read(error: &str) -> Self {
        let of = |found: Option<regex::Captures<'_>>| found.map(|f| f[1].to_owned());
        Self {
            host: of(pattern!(r#"https?://(?:[^@/\s"]*@)?([A-Za-z0-9.-]+)"#).captures(error)),
            secret: of(pattern!(r#"(?i)\bsecrets? \\?"([^"\\]+)\\?" not found"#).captures(error)),
            config_map: of(pattern!(r#"(?i)\bconfigmaps? \\?"([^"\\]+)\\?" not found"#).captures(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[String]) -> Vec<String> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let log = ContainerLog { text: lines.join("\n").into(), ..ContainerLog::default() };
        *snap.part_logs = Ok(vec![log]);
        let found = failing(&snap).expect("a log");
        found.iter().map(|u| format!("{} {}/{} {} {}", u.kind, u.namespace, u.name, u.lasting.times, u.said)).collect()
    }

    /// The console form of zap, at a minute past two.
    fn console(minute: u32, level: &str, error: &str) -> String {
        format!(
            "2026-11-21T02:{minute:02}:00Z\t{level}\tGrafanaDatasourceReconciler\terror reconciling datasource\t{{\"controller\": \"grafanadatasource\", \"controllerGroup\": \"grafana.integreatly.org\", \"controllerKind\": \"GrafanaDatasource\", \"GrafanaDatasource\": {{\"name\":\"p\",\"namespace\":\"m\"}}, \"namespace\": \"m\", \"name\": \"p\", \"error\": \"{error}\"}}"
        )
    }

    #[test]
    fn each_form_of_a_line_is_read() {
        let all: Vec<String> = [35, 45, 55].iter().map(|m| console(*m, "ERROR", "status: 400")).collect();
        assert_eq!(told(&all), ["GrafanaDatasource m/p 3 status: 400"]);
        let json = |m: u32| {
            format!(
                r#"{{"level":"error","ts":"2026-11-21T02:{m}:00Z","msg":"Reconciler error","controller":"vmagent","controllerGroup":"operator.victoriametrics.com","controllerKind":"VMAgent","VMAgent":{{"name":"a","namespace":"m"}},"namespace":"m","name":"a","error":"cannot fetch secret"}}"#
            )
        };
        assert_eq!(told(&[json(40), json(50), json(58)]), ["VMAgent m/a 3 cannot fetch secret"]);
        let klog = |m: u32| {
            format!(
                r#"E1121 02:{m}:00.000000       1 controller.go:316] "Reconciler error" err="no such field" controller="opentelemetrycollector" controllerGroup="opentelemetry.io" controllerKind="OpenTelemetryCollector" OpenTelemetryCollector="o/c" namespace="o" name="c" reconcileID="x""#
            )
        };
        assert_eq!(told(&[klog(40), klog(50), klog(58)]), ["OpenTelemetryCollector o/c 3 no such field"]);
    }

    #[test]
    fn what_went_by_is_no_fault_of_now() {
        let at = |minutes: &[u32], error: &str| {
            told(&minutes.iter().map(|m| console(*m, "ERROR", error)).collect::<Vec<String>>())
        };
        assert!(at(&[10, 12, 14, 16], "status: 400").is_empty(), "it was tried each two minutes and is well since");
        assert!(at(&[50, 58], "status: 400").is_empty(), "twice");
        assert!(at(&[58, 58, 58], "status: 400").is_empty(), "one attempt");
        assert!(at(&[40, 50, 58], "Operation cannot be fulfilled on x: the object has been modified").is_empty());
        assert!(told(&[35, 45, 55].map(|m| console(m, "INFO", "x"))).is_empty(), "no error");
        let of_kubernetes = [35, 45, 55].map(|m| console(m, "ERROR", "x").replace("grafana.integreatly.org", "apps"));
        assert!(told(&of_kubernetes).is_empty(), "its own check tells of it");
    }

    #[test]
    fn an_error_names_what_it_wants() {
        let wants = Wants::read(r#"Post "http://admin:x@grafana-service.m:3000/api/ds": dial tcp: connection refused"#);
        assert_eq!(wants.host.as_deref(), Some("grafana-service.m"));
        assert_eq!(Wants::read(r#"secrets "a-b" not found"#).secret.as_deref(), Some("a-b"));
        assert_eq!(Wants::read(r#"ConfigMap "c" not found"#).config_map.as_deref(), Some("c"));
    }
}
