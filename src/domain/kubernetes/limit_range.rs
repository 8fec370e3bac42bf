//! What the LimitRanges of a namespace give to containers, and what they refuse.

use serde_json::Value;

use super::json_patch;
use crate::domain::text::between::between;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Container, LimitItem, LimitRange, Map, Pod, PodSpec, annotation};
use crate::snapshot::{Snapshot, parse_quantity};

/// A reference to a LimitRange.
pub(crate) fn reference(range: &LimitRange) -> ResourceRef {
    ResourceRef::kubernetes("", "LimitRange", &range.metadata.namespace, &range.metadata.name)
}

/// Which side of a range is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// More than the maximum, by its limit.
    Max,
    /// Less than the minimum, by its request.
    Min,
    /// A limit that is too many times the request.
    Ratio,
}

/// One bound that a pod or a container leaves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bound {
    pub(crate) side: Side,
    /// `memory`, `cpu`.
    pub(crate) resource: String,
    /// `Container`, `Pod`.
    pub(crate) per: String,
    /// The bound, as written.
    pub(crate) bound: String,
    /// What was asked for; `None` where nothing was.
    pub(crate) asked: Option<String>,
}

impl Bound {
    /// As the API server says it.
    pub(crate) fn text(&self) -> String {
        let (word, what) = match self.side {
            Side::Max => ("maximum", "limit"),
            Side::Min => ("minimum", "request"),
            Side::Ratio => ("highest ratio of limit to request of", "it"),
        };
        let asked = match &self.asked {
            Some(asked) => format!(", but {what} is {asked}"),
            None => format!(", and no {what} is given"),
        };
        format!("{word} {} per {} is {}{asked}", self.resource, self.per, self.bound)
    }

    fn field<'a>(&self, item: &'a LimitItem) -> &'a Map {
        match self.side {
            Side::Max => &item.max,
            Side::Min => &item.min,
            Side::Ratio => &item.max_limit_request_ratio,
        }
    }

    /// The field of a range's item that sets it.
    fn field_name(&self) -> &'static str {
        match self.side {
            Side::Max => "max",
            Side::Min => "min",
            Side::Ratio => "maxLimitRequestRatio",
        }
    }
}

/// The bounds that a refusal names: `maximum memory usage per Container is 2Gi, but limit is 4Gi`, `… No limit is specified`.
pub(crate) fn bounds(message: &str) -> Vec<Bound> {
    let mut all: Vec<Bound> = Vec::new();
    for (word, side) in [("maximum ", Side::Max), ("minimum ", Side::Min)] {
        for piece in message.split(word).skip(1) {
            let Some((resource, rest)) = piece.split_once(" usage per ") else { continue };
            let Some((per, rest)) = rest.split_once(" is ") else { continue };
            let bound = rest.split([',', ' ', ']']).next().unwrap_or_default().trim_end_matches('.');
            let own = rest.split(" usage per ").next().unwrap_or(rest);
            let asked = ["but limit is ", "but request is "].iter().find_map(|start| {
                let value = own.split_once(start)?.1.split([',', ' ', ']']).next()?.trim_end_matches('.');
                Some(value.to_owned())
            });
            all.push(Bound { side, resource: resource.into(), per: per.into(), bound: bound.into(), asked });
        }
    }
    for piece in message.split(" max limit to request ratio per ").skip(1) {
        let before = message.split(" max limit to request ratio per ").next().unwrap_or_default();
        let resource = before.rsplit([' ', '[']).next().unwrap_or_default();
        let Some((per, rest)) = piece.split_once(" is ") else { continue };
        let bound = rest.split([',', ' ']).next().unwrap_or_default();
        // The API server writes six digits behind the point.
        let asked = rest
            .split_once("provided ratio is ")
            .and_then(|(_, r)| r.split([',', ' ', ']']).next()?.parse::<f64>().ok());
        let asked = asked.map(|a| a.ceil().to_string());
        all.push(Bound { side: Side::Ratio, resource: resource.into(), per: per.into(), bound: bound.into(), asked });
    }
    all
}

/// The ranges of a namespace, with the place of each of their items.
fn items<'a>(snap: &'a Snapshot, namespace: &str) -> Vec<(&'a LimitRange, usize, &'a LimitItem)> {
    let all = snap.limit_ranges.items().unwrap_or_default().iter().filter(|r| r.metadata.namespace == namespace);
    all.flat_map(|r| r.spec.limits.iter().enumerate().map(move |(at, item)| (r, at, item))).collect()
}

fn same(a: &str, b: &str) -> bool {
    a == b || parse_quantity(a).zip(parse_quantity(b)).is_some_and(|(a, b)| (a - b).abs() < 1e-9)
}

/// The range that sets a bound, and the path of the bound in it.
pub(crate) fn of_bound<'a>(snap: &'a Snapshot, namespace: &str, bound: &Bound) -> Option<(&'a LimitRange, String)> {
    let set = |item: &LimitItem| bound.field(item).get(&bound.resource).is_some_and(|v| same(v, &bound.bound));
    let (range, at, _) = items(snap, namespace).into_iter().find(|(_, _, i)| i.kind == bound.per && set(i))?;
    Some((range, format!("/spec/limits/{at}/{}/{}", bound.field_name(), bound.resource.replace('/', "~1"))))
}

/// Sets a bound of a LimitRange by its path, where that is still one of the same kind.
pub(crate) fn set(range: &LimitRange, path: &str, value: &str) -> Vec<Value> {
    let place = path.strip_prefix("/spec/limits/").and_then(|rest| rest.split('/').next());
    let item = place.and_then(|at| range.spec.limits.get(at.parse::<usize>().ok()?));
    let kind = place.zip(item).map(|(at, i)| json_patch::test(&format!("/spec/limits/{at}/type"), i.kind.as_str()));
    kind.into_iter().chain([json_patch::replace(path, value)]).collect()
}

/// The containers of a template that leave a bound.
pub(crate) fn leaving<'a>(spec: &'a PodSpec, bound: &Bound) -> Vec<&'a Container> {
    let limit = parse_quantity(&bound.bound);
    let leaves = |c: &&Container| {
        let (limits, requests) = (&c.resources.limits, &c.resources.requests);
        let asked = match bound.side {
            Side::Max => limits.get(&bound.resource),
            Side::Min => requests.get(&bound.resource).or(limits.get(&bound.resource)),
            // Which of the two is meant to change nobody knows.
            Side::Ratio => return false,
        };
        match (asked.and_then(|a| parse_quantity(a)), limit) {
            (Some(asked), Some(limit)) if bound.side == Side::Max => asked > limit,
            (Some(asked), Some(limit)) => asked < limit,
            _ => bound.asked.is_none(),
        }
    };
    spec.containers.iter().filter(leaves).collect()
}

/// The bounds that containers of a template leave, by what they name themselves: without an event that says so.
pub(crate) fn left_by(snap: &Snapshot, namespace: &str, spec: &PodSpec) -> Vec<Bound> {
    let mut all = Vec::new();
    for (_, _, item) in items(snap, namespace).into_iter().filter(|(_, _, i)| i.kind == "Container") {
        for (side, map) in [(Side::Max, &item.max), (Side::Min, &item.min)] {
            for (resource, bound) in map {
                let of = |c: &Container| match side {
                    Side::Max => c.resources.limits.get(resource).cloned(),
                    _ => c.resources.requests.get(resource).cloned(),
                };
                let one = Bound {
                    side,
                    resource: resource.clone(),
                    per: "Container".into(),
                    bound: bound.clone(),
                    asked: Some(String::new()),
                };
                let asked = leaving(spec, &one).into_iter().find_map(of);
                all.extend(asked.map(|asked| Bound { asked: Some(asked), ..one }));
            }
        }
    }
    all
}

/// The memory limit of a container is none of its template's, but the default of a LimitRange: that range, where it was read.
pub(crate) fn given_limit<'a>(snap: &'a Snapshot, pod: &Pod, container: &Container) -> Option<&'a LimitRange> {
    let said = pod.metadata.annotations.get(annotation::LIMIT_RANGER)?;
    let given = said.split("; ").any(|part| {
        let of =
            between(part, " limit for container ", ";").or(part.split_once(" limit for container ").map(|(_, n)| n));
        of == Some(container.name.as_str()) && part.split(" limit for ").next().is_some_and(|p| p.contains("memory"))
    });
    let limit = container.resources.limits.get("memory").filter(|_| given)?;
    let set = |item: &LimitItem| item.kind == "Container" && item.default.get("memory").is_some_and(|d| same(d, limit));
    items(snap, &pod.metadata.namespace).into_iter().find(|(_, _, i)| set(i)).map(|(range, ..)| range)
}

/// The range that lets no container of the namespace have `bytes` of memory, and the path of its maximum.
pub(crate) fn below<'a>(snap: &'a Snapshot, namespace: &str, bytes: f64) -> Option<(&'a LimitRange, String)> {
    let max = |item: &LimitItem| item.max.get("memory").and_then(|m| parse_quantity(m));
    let small = |item: &LimitItem| item.kind == "Container" && max(item).is_some_and(|m| m < bytes);
    let (range, at, _) = items(snap, namespace).into_iter().find(|(_, _, i)| small(i))?;
    Some((range, format!("/spec/limits/{at}/max/memory")))
}

/// What else would refuse a pod whose container has `bytes` of memory, once the maximum at `raised` is raised: maxima of
/// other ranges, and those of whole pods, as `limits (4Gi per Pod)`.
pub(crate) fn also_below(
    snap: &Snapshot,
    pod: &Pod,
    container: &Container,
    bytes: f64,
    raised: Option<&(&LimitRange, String)>,
) -> Vec<String> {
    let others = pod.spec.containers.iter().filter(|c| c.name != container.name);
    let limits = others.filter_map(|c| c.resources.limits.get("memory").and_then(|m| parse_quantity(m)));
    let whole = bytes + limits.sum::<f64>();
    let refuses = |(range, at, item): (&LimitRange, usize, &LimitItem)| {
        let max = item.max.get("memory")?;
        let asked = match item.kind.as_str() {
            "Container" => bytes,
            "Pod" => whole,
            _ => return None,
        };
        let is_raised = raised.is_some_and(|(r, path)| {
            r.metadata.name == range.metadata.name && *path == format!("/spec/limits/{at}/max/memory")
        });
        let below = parse_quantity(max).is_some_and(|m| m < asked);
        (below && !is_raised).then(|| format!("{} ({max} per {})", range.metadata.name, item.kind))
    };
    items(snap, &pod.metadata.namespace).into_iter().filter_map(refuses).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_bounds_of_a_refusal() {
        let said = "pods \"prometheus-0\" is forbidden: [maximum memory usage per Container is 2Gi, but limit is 4Gi, maximum cpu usage per Container is 2.  No limit is specified]";
        let bound = |resource: &str, bound: &str, asked: Option<&str>| Bound {
            side: Side::Max,
            resource: resource.into(),
            per: "Container".into(),
            bound: bound.into(),
            asked: asked.map(Into::into),
        };
        assert_eq!(bounds(said), [bound("memory", "2Gi", Some("4Gi")), bound("cpu", "2", None)]);
        let least = "pods \"x\" is forbidden: minimum cpu usage per Pod is 100m, but request is 10m";
        assert_eq!(bounds(least)[0].text(), "minimum cpu per Pod is 100m, but request is 10m");
        let ratio = "pods \"x\" is forbidden: cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000";
        assert_eq!(
            bounds(ratio)[0].text(),
            "highest ratio of limit to request of cpu per Container is 4, but it is 10"
        );
    }
}
