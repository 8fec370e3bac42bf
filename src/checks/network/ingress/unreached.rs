//! The controller does not reach an API of AWS: its region is misspelt, the API is one that it can do without, or something lies
//! between.

use super::fix::Fix;
use super::object::{Controller, Installed, Object};
use crate::domain::aws::endpoints;
use crate::domain::aws::identity::Identity;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::arguments::flag;
use crate::domain::kubernetes::ingress;
use crate::domain::text::api_host::{ApiHost, Lost};
use crate::model::{Cause, ResourceRef};
use crate::snapshot::Snapshot;

/// APIs of firewalls, which the controller asks even where no Ingress wants one.
const FIREWALLS: &[&str] = &["wafv2", "waf-regional", "waf", "shield"];
/// Annotations that want one, by a part of their names.
const WANTED: &[&str] = &["wafv2-acl", "waf-acl", "web-acl", "shield-advanced"];

/// The fix, the end of the sentence, and what several objects share.
pub(super) fn explain(snap: &Snapshot, object: Object<'_>, api: &ApiHost, lost: &Lost) -> (Fix, String, Option<Cause>) {
    let of = object.common();
    let given = api.region.as_deref().unwrap_or_default();
    let own = Identity::of(snap).region.unwrap_or_default();
    let unnamed = matches!(lost, Lost::NoName | Lost::Dns);
    // Where the cluster's region was not read, only one that does not exist is a wrong one.
    let is_other = !own.is_empty() && given != own && is_given(snap, given);
    if unnamed && (api.is_misspelt() || is_other) {
        let what = if api.is_misspelt() { "no region of AWS" } else { "another region" };
        let cluster = if own.is_empty() { String::new() } else { format!(", and the cluster lies in {own}") };
        let why = format!("its controller asks {} of {given}, which is {what}{cluster}", api.title());
        let about =
            format!("the AWS Load Balancer Controller asks {} of {given}, which is {what}{cluster}", api.title());
        let fix = Fix::Region { of, by: Installed::found(snap), region: own.to_owned() };
        return (fix, why, Some(Cause::keyed("region", about)));
    }
    let why = format!("its controller does not reach {} ({}): it {}", api.title(), api.host, lost.words());
    let about =
        format!("the AWS Load Balancer Controller does not reach {} ({}): it {}", api.title(), api.host, lost.words());
    let cause = Some(Cause::keyed(format!("unreached {}", api.service), about));
    if FIREWALLS.contains(&api.service.as_str()) {
        let users: Vec<String> = snap
            .ingresses
            .items()
            .unwrap_or_default()
            .iter()
            .filter(|i| i.metadata.annotations.keys().any(|k| WANTED.iter().any(|w| k.contains(w))))
            .map(|i| format!("{}/{}", i.metadata.namespace, i.metadata.name))
            .collect();
        return (Fix::Firewalls { of, by: Installed::found(snap), host: api.host.clone(), users }, why, cause);
    }
    let stranger = lost.is_stranger();
    let fix = Fix::Unreached { of, by: Controller::found(snap), host: api.host.clone(), stranger, unresolved: unnamed };
    (fix, why, cause)
}

/// The controller's arguments name that region.
fn is_given(snap: &Snapshot, region: &str) -> bool {
    let Some(controller) = ingress::controller(snap) else { return false };
    controller.spec.template.spec.containers.iter().any(|c| flag(c, "aws-region") == Some(region))
}

/// What would explain that it is not reached: the endpoint of the API in the VPC, and the way out.
pub(super) fn depends_on(snap: &Snapshot, api: &ApiHost) -> Vec<ResourceRef> {
    let region = Identity::of(snap).region.unwrap_or_default();
    let endpoint = ResourceRef::aws("ec2", "vpc-endpoint", endpoints::service_name(region, &api.service));
    let pods = ingress::controller(snap).map(|c| ingress::controller_pods(snap, c)).unwrap_or_default();
    let place = Placement::new(snap);
    let subnets = pods.into_iter().filter_map(|p| place.of_pod(p)).map(|s| ResourceRef::aws("ec2", "subnet", s));
    std::iter::once(endpoint).chain(subnets).collect()
}
