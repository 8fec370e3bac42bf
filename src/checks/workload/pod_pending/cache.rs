//! A memcached that finds no room: it fills what its own argument allows, whatever the pod requests.

use crate::domain::kubernetes::image::base_of;
use crate::snapshot::kubernetes::{Container, Pod};

/// What lowers it: MiB that it fills, and the values of the chart of Loki or Mimir that make its argument and its request; the
/// latter empty where it is of neither.
pub(super) fn of(pod: &Pod) -> Option<(u64, &'static str)> {
    let own = pod.spec.containers.iter().find(|c| base_of(&c.image) == "memcached")?;
    // Mimir's components are called as their values are, those of Loki begin with `memcached-`.
    let values = match pod.metadata.label("app.kubernetes.io/component").unwrap_or_default() {
        "memcached-chunks-cache" => "chunksCache",
        "memcached-results-cache" => "resultsCache",
        "chunks-cache" => "chunks-cache",
        "index-cache" => "index-cache",
        "metadata-cache" => "metadata-cache",
        "results-cache" => "results-cache",
        _ => "",
    };
    Some((filled(own)?, values))
}

/// The megabytes of `-m 8192`, which is one argument or two.
fn filled(container: &Container) -> Option<u64> {
    let mut all = container.command.iter().chain(&container.args).flat_map(|a| a.split_whitespace());
    all.by_ref().find(|word| *word == "-m")?;
    all.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_says_what_it_fills() {
        let pod = |args: &[&str]| -> Pod {
            let spec = serde_json::json!({"containers": [{"name": "memcached", "image": "memcached:1.6.32-alpine", "args": args}]});
            let labels = serde_json::json!({"app.kubernetes.io/component": "memcached-chunks-cache"});
            let made = serde_json::json!({"metadata": {"name": "loki-chunks-cache-0", "labels": labels}, "spec": spec});
            serde_json::from_value(made).expect("a pod")
        };
        assert_eq!(of(&pod(&["-m 8192", "-I 5m"])), Some((8192, "chunksCache")));
        assert_eq!(of(&pod(&["-v", "-m", "512"])), Some((512, "chunksCache")));
        assert_eq!(of(&pod(&["-v"])), None);
    }
}
