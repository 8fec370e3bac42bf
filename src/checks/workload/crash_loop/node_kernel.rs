//! The kernel of its node does not suit the program: what the node runs, and what would suit.

use serde_json::json;

use crate::checks::support::addon::kept_role;
use crate::checks::support::kept::Kept;
use crate::checks::support::place::Place;
use crate::checks::workload::crash_loop::case::Case;
use crate::checks::workload::crash_loop::values::node;
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::aws::addon::with_values;
use crate::snapshot::aws::Addon;
use crate::snapshot::journal;
use crate::snapshot::kubernetes::Volume;

/// The add-on of EKS, and the container that it brings.
const KUBE_PROXY: &str = "kube-proxy";

/// The kernel is too old.
pub(super) fn node_kernel(case: &Case<'_>) -> Way {
    let Place { cluster, .. } = Place::of(case.snap);
    let of_proxy =
        case.failing.container.name == KUBE_PROXY && case.crash.as_ref().is_some_and(|c| c.reason.contains("nftables"));
    let values = of_proxy.then(|| addon_values(case)).flatten().unwrap_or_default();
    let named = |v: &Volume| Some(v.config_map.as_ref()?.name.clone());
    let map = case.failing.pod.spec.volumes.iter().find_map(named).filter(|_| of_proxy && values.is_empty());
    Way::NodeKernel {
        node: node(case),
        kernel: kernel(case).unwrap_or_default().to_owned(),
        values,
        kept_role: kept_role(proxy_addon(case)),
        config_map: map.unwrap_or_default(),
        cluster,
        kept: Kept::of(&case.target),
    }
}

/// The pages of memory are too large.
pub(super) fn page_size(case: &Case<'_>) -> Way {
    Way::PageSize {
        node: node(case),
        kernel: kernel(case).unwrap_or_default().to_owned(),
        image: case.failing.container.image.clone(),
        kept: Kept::of(&case.target),
    }
}

/// What is to be said of the node beside the words of the program: `; node n runs 5.10.245`.
pub(super) fn words(case: &Case<'_>) -> String {
    let is_asked = case.crash.as_ref().is_some_and(|c| c.class.is_of_kernel());
    kernel(case).filter(|_| is_asked).map(|k| format!("; node {} runs {k}", node(case))).unwrap_or_default()
}

fn kernel<'a>(case: &Case<'a>) -> Option<&'a str> {
    // It only tells more of what the log says.
    let own = journal::aside(|| case.snap.node_of(case.failing.pod))?;
    Some(own.status.node_info.kernel_version.as_str()).filter(|k| !k.is_empty())
}

/// kube-proxy as an add-on of EKS.
fn proxy_addon<'a>(case: &Case<'a>) -> Option<&'a Addon> {
    let addons = journal::aside(|| case.snap.eks_addons().ok())?;
    addons.iter().find(|a| a.addon_name == KUBE_PROXY)
}

/// The values of the add-on with the mode of before; `None` where kube-proxy is no add-on, or what is set cannot be read.
fn addon_values(case: &Case<'_>) -> Option<String> {
    with_values(Some(proxy_addon(case)?), &json!({"mode": "iptables"}))
}
