//! Security groups that the controller does not find, cannot choose between, or cannot fill further.

use super::fix::Fix;
use super::object::{Common, Object};
use super::told::Told;
use crate::domain::aws::balancer;
use crate::domain::aws::identity::Identity;
use crate::model::{Cause, Placeholder};

impl Told<'_> {
    /// No security group of a target is the one that the controller opens, or several are.
    pub(super) fn groups(&self, of: Common, groups: &[String]) -> (Fix, String, Option<Cause>) {
        let cluster = Identity::of(self.snap).cluster.unwrap_or("<cluster-name>").to_owned();
        if groups.is_empty() {
            let interface = balancer::interface(self.said.message()).unwrap_or_default().to_owned();
            let whose = if interface.is_empty() { "a target".to_owned() } else { interface.clone() };
            let why = format!("no security group of {whose} carries the tag kubernetes.io/cluster/{cluster}");
            let group = Placeholder::new("security-group-id").how("one of the groups that the first step shows");
            let cause = Cause::keyed("no group", format!("{why}: load balancers cannot be opened to the targets"));
            return (Fix::NoGroup { of, interface, group, cluster }, why, Some(cause));
        }
        let whose = balancer::interface(self.said.message()).unwrap_or("a target");
        let why = format!(
            "several security groups of {whose} carry the tag kubernetes.io/cluster/{cluster} ({})",
            groups.join(", ")
        );
        let group = Placeholder::new("security-group-id")
            .how("the group that the cluster did not make itself")
            .candidates(groups.iter().filter(|g| Some(*g) != self.own_group().as_ref()).cloned());
        let cause = Cause::keyed(groups.join(","), format!("{why}: load balancers cannot be opened to the targets"));
        (Fix::SecurityGroups { of, group, groups: groups.to_vec(), cluster }, why, Some(cause))
    }

    /// The security group that EKS made for the cluster.
    fn own_group(&self) -> Option<String> {
        let cluster = self.snap.eks_cluster().ok()?;
        Some(cluster.resources_vpc_config.cluster_security_group_id.clone()).filter(|g| !g.is_empty())
    }

    /// A security group takes no more rules: mostly the Ingress itself admits too many networks.
    pub(super) fn rules(&self) -> (Fix, String, Option<Cause>) {
        let annotation = match self.object {
            Object::Ingress(_) => self.object.annotation("inbound-cidrs"),
            Object::Service(_) => "service.beta.kubernetes.io/load-balancer-source-ranges".to_owned(),
        };
        let listed = self.object.meta().annotations.get(&annotation).map(|v| v.split(',').count());
        let own = match self.object {
            Object::Service(service) => service.spec.load_balancer_source_ranges.len(),
            Object::Ingress(_) => 0,
        };
        let count = listed.unwrap_or(own);
        let asked = match (listed, count) {
            (_, 0) => String::new(),
            (Some(_), n) => format!(": it admits {n} networks ({annotation}), one rule for each of them and each port"),
            (None, n) => {
                format!(": it admits {n} networks (loadBalancerSourceRanges), one rule for each of them and each port")
            }
        };
        let why = format!("a security group takes no more rules{asked}");
        let lists = match self.object {
            Object::Ingress(_) => self.object.annotation("security-group-prefix-lists"),
            Object::Service(_) => "service.beta.kubernetes.io/aws-load-balancer-security-group-prefix-lists".to_owned(),
        };
        let groups = self.object.annotation("security-groups");
        let networks = if listed.is_some() { annotation } else { String::new() };
        let of = self.object.kept(self.object.common());
        (Fix::Rules { of, networks, count, lists, groups }, why, None)
    }

    /// It names security groups that the controller does not find.
    pub(super) fn no_such_groups(&self, names: &[String]) -> (Fix, String, Option<Cause>) {
        let own = self.snap.eks_cluster().map(|c| c.resources_vpc_config.vpc_id.clone()).unwrap_or_default();
        let groups = self.snap.security_groups.as_deref().unwrap_or_default();
        let same = groups.iter().filter(|g| names.contains(&g.group_name));
        let by_name: Vec<&str> = same.map(|g| g.group_id.as_str()).collect();
        let list = names.join(", ");
        let noun = if names.len() == 1 { "security group" } else { "security groups" };
        let by_tag = match (names.iter().all(|n| n.starts_with("sg-")), by_name.as_slice()) {
            (true, _) => String::new(),
            (false, []) => "; a name means the tag Name of a group, not its group name".to_owned(),
            (false, ids) => {
                format!("; it looks for the tag Name, and {} has that as its group name alone", ids.join(", "))
            }
        };
        let place = if own.is_empty() { String::new() } else { format!(" in VPC {own}") };
        let why = format!("its controller does not find {noun} {list}{place}{by_tag}");
        let group = Placeholder::new("security-group-id")
            .how("the id of the group that the first step shows")
            .candidates(by_name.iter().map(|id| (*id).to_owned()));
        let annotation = self.object.annotation("security-groups");
        let given = self.object.annotated("security-groups").unwrap_or_default().split(',').map(str::trim);
        let others =
            given.filter(|g| !g.is_empty() && !names.iter().any(|n| n == g)).map(|g| format!(",{g}")).collect();
        let of = self.object.kept(self.object.common());
        (Fix::NoSuchGroups { of, annotation, names: names.to_vec(), vpc: own, group, others }, why, None)
    }
}
