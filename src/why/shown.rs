//! Where a link was seen, with the command that shows it again.

use crate::model::Evidence;
use crate::snapshot::Component;
use crate::snapshot::kubernetes::Meta;

const GET: &str = "kubectl get {{ kind }}{% if namespace %} -n {{ namespace }}{% endif %} {{ name }} -o {{ form }}";
const DESCRIBE: &str = "kubectl describe {{ kind }}{% if namespace %} -n {{ namespace }}{% endif %} {{ name }}";
const LOG: &str =
    "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }}{% if previous %} --previous{% endif %} --tail=50";

fn of(template: &'static str, kind: &str, meta: &Meta) -> Evidence {
    let at = if meta.namespace.is_empty() { meta.name.clone() } else { format!("{}/{}", meta.namespace, meta.name) };
    Evidence::new(format!("{kind} {at}"), "", template)
        .with("kind", kind)
        .with("namespace", &meta.namespace)
        .with("name", &meta.name)
}

/// An object in one line.
pub(super) fn object(kind: &str, meta: &Meta) -> Evidence {
    of(GET, kind, meta).with("form", "wide")
}

/// An object as it is written.
pub(super) fn written(kind: &str, meta: &Meta) -> Evidence {
    of(GET, kind, meta).with("form", "yaml")
}

/// An object with its events.
pub(super) fn described(kind: &str, meta: &Meta) -> Evidence {
    of(DESCRIBE, kind, meta)
}

/// The end of a container's log.
pub(super) fn log(meta: &Meta, container: &str, previous: bool) -> Evidence {
    Evidence::new(format!("log of pod {}/{}", meta.namespace, meta.name), "", LOG)
        .with("namespace", &meta.namespace)
        .with("pod", &meta.name)
        .with("container", container)
        .with("previous", previous)
}

/// What an API of the stack answers; no command where its Service is not known.
pub(super) fn api(at: Option<&Component>, path: &str) -> Evidence {
    let proxied = at.map(|at| crate::domain::kubernetes::proxy::of_component(at, path)).unwrap_or_default();
    Evidence::new(path.to_owned(), "", "{% if path %}kubectl get --raw {{ path }}{% endif %}").with("path", proxied)
}
